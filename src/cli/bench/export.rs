//! `tranship bench export`: how fast records leave here.
//!
//! Lands generated sales orders in a table, starts the export over HTTP like any client, collects the package and verifies its
//! digest. The run must account for every record that was landed, or the figures are none.

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::import::{account, land, made, peak_memory};
use super::report::{self, BUILD};
use super::service::{Embedded, new_folder};
use crate::blob::PayloadHasher;
use crate::cli::answers::{Occurrence, Run, RunList};
use crate::cli::api::Api;
use crate::cli::generate::{self, CUSTOMERS_JOB, Customers, ORDERS_JOB, Orders, Share};
use crate::cli::pull::parse_digest;
use crate::cli::screen::{Screen, Tone, count, plain};
use crate::cli::{Exit, Failure};

/// Name of the job that exports.
const JOB: &str = "Bench export";
/// Seconds the end of a run is waited for before the run itself is looked at: one that fails queues nothing.
const WAIT_SECONDS: u32 = 10;
/// Formats of a job's file that need no more than their name.
const FORMATS: [&str; 8] = [
    "csv",
    "tsv",
    "csv-unicode",
    "json",
    "jsonl",
    "xml-element",
    "xml-attribute",
    "xlsx",
];

/// Export generated sales orders: read in one snapshot, written, packed and stored, then collected over HTTP
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It starts a service of its own in a temporary folder and removes it afterwards; tables made in a database named with
--database stay. What is measured: from the request to run until the package waits with its digest; the download comes
after that. Races against other exporters: scripts/bench export.")]
pub struct Export {
    /// Sales orders of 20 columns
    #[arg(long, value_name = "N", default_value_t = 300_000, value_parser = clap::value_parser!(u64).range(1..))]
    rows: u64,
    /// Format of the data file in the package
    #[arg(long, value_name = "FORMAT", default_value = "csv", value_parser = FORMATS)]
    format: String,
    /// How often
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Folder where the service lives
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// An empty PostgreSQL database for the service's store, instead of SQLite
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// An empty PostgreSQL database for the tables, instead of SQLite
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Print the figures as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Where the counter of `scripts/bench` writes how often this process called fsync
    #[arg(long, env = "TRANSHIP_BENCH_FSYNCS", hide = true, value_name = "FILE")]
    fsync_counts: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Figures {
    build: &'static str,
    rows: u64,
    format: String,
    rounds: Vec<Round>,
    /// Most memory this process, the service in it, held from the first export on; nothing where Linux does not say.
    peak_memory_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Round {
    /// From the request until the package waited with its digest.
    seconds: f64,
    rows_per_second: f64,
    package_bytes: u64,
    /// Until its last byte had been collected and verified, after that.
    download_seconds: f64,
    fsyncs: Option<u64>,
}

/// What is read of a lease.
#[derive(Debug, Deserialize)]
struct Lease {
    receipt: String,
    id: String,
    digest: String,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Leases {
    leases: Vec<Lease>,
}

impl Export {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let parent = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = new_folder(&parent).await?;
        let started = match write_definitions(&folder, &self.format).await {
            Ok(()) => Embedded::start_in(folder.clone(), self.store.as_deref(), self.database.as_deref()).await,
            Err(failure) => Err(failure),
        };
        let embedded = match started {
            Ok(embedded) => embedded,
            Err(failure) => {
                let _ = tokio::fs::remove_dir_all(&folder).await;
                return Err(failure);
            }
        };
        screen.note(format!("A service of its own in {}", folder.display()));
        let figures = self.measure(screen, &embedded).await;
        // Whatever was measured, the service ends and its folder goes.
        let stopped = embedded.stop().await;
        figures?.print(screen);
        stopped.map(|()| Exit::Ok)
    }

    async fn measure(&self, screen: &Screen, service: &Embedded) -> Result<Figures, Failure> {
        let api = Api::new(service.url.clone(), &service.client, &service.secret)?;
        self.fill(screen, service, &api).await?;
        forget_peak();
        let mut rounds = Vec::new();
        for round in 1..=self.rounds {
            screen.note(format!("export {round} …"));
            rounds.push(self.round(&api).await?);
        }
        Ok(Figures {
            build: BUILD,
            rows: self.rows,
            format: self.format.clone(),
            rounds,
            peak_memory_bytes: peak_memory(),
        })
    }

    /// Lands what is to be exported.
    async fn fill(&self, screen: &Screen, service: &Embedded, api: &Api) -> Result<(), Failure> {
        screen.note(format!("{} sales orders …", count(self.rows)));
        let customers = Customers {
            seed: 1,
            rows: Customers::USUAL,
        };
        let orders = Orders {
            seed: 1,
            rows: self.rows,
            bad: Share(0),
            refused: Share(0),
            customers: Customers::USUAL,
        };
        let file = service.folder.join("generated.csv");
        made(&file, move |out| customers.write(out)).await?;
        let ended = land(api, screen, CUSTOMERS_JOB, &file).await?.1;
        account(&ended, customers.rows, 0)?;
        made(&file, move |out| orders.write(out)).await?;
        let ended = land(api, screen, ORDERS_JOB, &file).await?.1;
        account(&ended, self.rows, 0)?;
        let _ = tokio::fs::remove_file(&file).await;
        Ok(())
    }

    async fn round(&self, api: &Api) -> Result<Round, Failure> {
        let fsyncs = || self.fsync_counts.as_deref().and_then(report::fsyncs);
        let (before, began) = (fsyncs(), Instant::now());
        let asked = api.post::<Run>(&["api", "v1", "jobs", JOB, "run"], None).await?;
        let Run::Occurrence(occurrence) = asked.body else {
            return Err(Failure::failed(
                "the service did not take the bench's job for an export",
            ));
        };
        let lease = queued(api, &occurrence).await?;
        let seconds = began.elapsed().as_secs_f64();
        let after = fsyncs();
        let ended = look(api, &occurrence).await?;
        if ended.records != Some(self.rows) {
            let exported = ended.records.unwrap_or(0);
            return Err(Failure::failed(format!(
                "{} records are in the table, but {exported} were exported",
                self.rows
            )));
        }
        let began = Instant::now();
        verify(api, &lease).await?;
        let download_seconds = began.elapsed().as_secs_f64();
        let path = ["api", "v1", "leases", &lease.receipt, "ack"];
        api.post::<Value>(&path, None).await?;
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let rows_per_second = self.rows as f64 / seconds;
        Ok(Round {
            seconds,
            rows_per_second,
            package_bytes: lease.bytes,
            download_seconds,
            fsyncs: before.zip(after).map(|(before, after)| after.saturating_sub(before)),
        })
    }
}

/// The entities and jobs that load the table, and the job that exports it.
async fn write_definitions(folder: &Path, format: &str) -> Result<(), Failure> {
    generate::write_set_up(folder).await?;
    let path = folder.join("jobs").join("bench-export.toml");
    let text = format!(
        "id = \"8c1d7f0e-5b0a-4f57-9e0c-3f2f6a2d9b42\"\nname = \"{JOB}\"\ndirection = \"export\"\n\
         data_source = \"package\"\nclients = []\nsample = true\n\n[export]\nformat = \"{format}\"\n\n\
         [[export.entities]]\nentity = \"Generated sales orders\"\n"
    );
    let written = tokio::fs::write(&path, text).await;
    written.map_err(|error| Failure::file("write", &path, &error))
}

/// Waits until the run has queued its package, and leases that.
async fn queued(api: &Api, run: &Occurrence) -> Result<Lease, Failure> {
    let wanted = json!({"max": 1, "wait_seconds": WAIT_SECONDS, "payload": "none"});
    loop {
        let path = ["api", "v1", "jobs", JOB, "leases"];
        let leased = api.post::<Leases>(&path, Some(&wanted)).await?.body;
        if let Some(lease) = leased.leases.into_iter().next() {
            return Ok(lease);
        }
        let run = look(api, run).await?;
        if run.ended() && run.message.is_none() {
            let note = run.note.unwrap_or_default();
            let text = format!("the export queued nothing: {} {}", plain(&run.state), plain(&note));
            return Err(Failure::failed(text));
        }
    }
}

/// How a run stands.
async fn look(api: &Api, run: &Occurrence) -> Result<Occurrence, Failure> {
    let path = ["api", "v1", "jobs", JOB, "occurrences"];
    let listed = api.get::<RunList>(&path, &[("limit", "10")]).await?.body;
    let mut found = listed.occurrences.into_iter().map(|one| one.occurrence);
    let found = found.find(|one| one.due_at == run.due_at);
    found.ok_or_else(|| Failure::failed("the service knows nothing of the run it was asked for"))
}

/// Collects the package; its bytes must be those the service stated.
async fn verify(api: &Api, lease: &Lease) -> Result<(), Failure> {
    let answer = api
        .open(api.at(&["api", "v1", "messages", &lease.id, "payload"], &[]))
        .await?;
    let mut hasher = PayloadHasher::new();
    let mut body = answer.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Failure::failed(format!("the download broke: {error}")))?;
        hasher.update(&chunk);
    }
    let (bytes, digest) = (hasher.count(), hasher.finish());
    if bytes == lease.bytes && parse_digest(&lease.digest) == Some(digest) {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "{bytes} bytes arrived with sha-256 {}, but the service stated {} bytes with {}",
        digest.hex(),
        lease.bytes,
        plain(&lease.digest)
    )))
}

/// Lets Linux count the most memory held anew: the import before was another matter.
fn forget_peak() {
    // Where it cannot, the figure is that of both.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

impl Figures {
    fn print(&self, screen: &Screen) {
        if screen.is_json() {
            screen.json(self);
            return;
        }
        let heading = ["", "records/s", "seconds", "package bytes", "download", "fsyncs"];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        for (round, figures) in (1..).zip(&self.rounds) {
            rows.push(vec![
                format!("round {round}"),
                format!("{:.0}", figures.rows_per_second),
                format!("{:.2}", figures.seconds),
                count(figures.package_bytes),
                format!("{:.2} s", figures.download_seconds),
                figures.fsyncs.map_or_else(String::new, count),
            ]);
        }
        screen.table(&rows);
        if let Some(bytes) = self.peak_memory_bytes {
            let text = format!("at most {} MiB of memory", bytes / (1024 * 1024));
            screen.line(screen.paint(Tone::Faint, &text));
        }
        if self.build == "debug" {
            let text = "This is a debug build: it is many times slower than a release build.";
            screen.line(screen.paint(Tone::Warning, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(rows: u64, format: &str) -> Export {
        Export {
            rows,
            format: format.to_owned(),
            rounds: 2,
            folder: None,
            store: None,
            database: None,
            json: true,
            fsync_counts: None,
        }
    }

    async fn service(format: &str) -> (tempfile::TempDir, Embedded) {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("service");
        tokio::fs::create_dir(&folder).await.expect("a folder");
        write_definitions(&folder, format).await.expect("definitions");
        let embedded = Embedded::start_in(folder, None, None).await.expect("a service");
        (parent, embedded)
    }

    #[tokio::test]
    async fn every_format_is_exported_collected_and_verified() {
        for format in FORMATS {
            let (_parent, embedded) = service(format).await;
            let figures = export(40, format).measure(&Screen::detect(true), &embedded).await;
            embedded.stop().await.expect("an orderly end");
            let figures = figures.expect(format);
            assert_eq!(figures.rounds.len(), 2, "{format}");
            assert!(
                figures.rounds.iter().all(|round| round.package_bytes > 1000),
                "{figures:?}"
            );
        }
    }

    #[tokio::test]
    async fn records_or_bytes_that_are_not_those_stated_are_a_failure() {
        let (_parent, embedded) = service("csv").await;
        let api = Api::new(embedded.url.clone(), &embedded.client, &embedded.secret).expect("a client");
        let bench = export(3, "csv");
        bench
            .fill(&Screen::detect(true), &embedded, &api)
            .await
            .expect("landed");
        let failure = export(4, "csv").round(&api).await.expect_err("one is missing");
        assert_eq!(failure.what, "4 records are in the table, but 3 were exported");
        let asked = api
            .post::<Run>(&["api", "v1", "jobs", JOB, "run"], None)
            .await
            .expect("a run");
        let Run::Occurrence(run) = asked.body else {
            panic!("no export")
        };
        let mut lease = queued(&api, &run).await.expect("a package");
        verify(&api, &lease).await.expect("as stated");
        lease.digest = PayloadHasher::digest(b"").content_digest();
        let failure = verify(&api, &lease).await.expect_err("other bytes");
        assert!(failure.what.contains("but the service stated"), "{failure}");
        embedded.stop().await.expect("an orderly end");
    }
}
