//! `tranship bench import`: how fast records land here, good ones and bad ones.
//!
//! Makes customers and sales orders, starts a service of its own, sends both over HTTP like any client and waits for the end
//! of the orders. The status must account for every record that was made, or the figures are none.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::report::{self, BUILD};
use super::service::{Embedded, new_folder};
use crate::cli::answers::{Message, Records};
use crate::cli::api::Api;
use crate::cli::generate::{self, CUSTOMERS_JOB, Customers, Made, ORDERS_JOB, Orders, Share};
use crate::cli::push::send_file;
use crate::cli::screen::{Screen, Tone, count};
use crate::cli::{Exit, Failure};

/// Seconds one look at the orders' status may wait for it to change.
const LOOK_SECONDS: &str = "30";

/// Land generated sales orders in a table: over HTTP, staged, checked, promoted
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It starts a service of its own in a temporary folder and removes it afterwards; tables made in a database named with
--database stay. What is measured: from the first byte sent until the status says that the last record has landed.
Races against other loaders: scripts/bench import.")]
pub struct Import {
    /// Sales orders of 20 columns
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    rows: u64,
    /// Share of records that are wrong, in turn by type, length, reference and repeated key
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = generate::share)]
    bad: Share,
    /// How often; the first round inserts, later ones update the same orders with other values
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
    rounds: Vec<Round>,
    /// Most memory this process, the service in it, ever held.
    peak_memory_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Round {
    file_bytes: u64,
    /// Until the upload was answered.
    sent_seconds: f64,
    /// Until the last record had landed.
    seconds: f64,
    rows_per_second: f64,
    applied: u64,
    rejected: u64,
    fsyncs: Option<u64>,
}

impl Import {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let parent = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = new_folder(&parent).await?;
        let prepared = generate::write_set_up(&folder).await;
        let started = match prepared {
            Ok(_) => Embedded::start_in(folder.clone(), self.store.as_deref(), self.database.as_deref()).await,
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
        let file = service.folder.join("customers.csv");
        let customers = Customers {
            seed: 1,
            rows: Customers::USUAL,
        };
        made(&file, move |out| customers.write(out)).await?;
        let ended = land(&api, screen, CUSTOMERS_JOB, &file).await?.1;
        account(&ended, customers.rows, 0)?;
        let mut rounds = Vec::new();
        for round in 0..self.rounds {
            screen.note(format!("{} sales orders …", count(self.rows)));
            rounds.push(self.round(screen, service, &api, round).await?);
        }
        Ok(Figures {
            build: BUILD,
            rows: self.rows,
            rounds,
            peak_memory_bytes: peak_memory(),
        })
    }

    async fn round(&self, screen: &Screen, service: &Embedded, api: &Api, round: u32) -> Result<Round, Failure> {
        let orders = Orders {
            seed: 1 + u64::from(round),
            rows: self.rows,
            bad: self.bad,
            refused: Share(0),
            customers: Customers::USUAL,
        };
        let file = service.folder.join("orders.csv");
        let planted: Made = made(&file, move |out| orders.write(out)).await?;
        let facts = tokio::fs::metadata(&file).await;
        let file_bytes = facts.map_err(|error| Failure::file("read", &file, &error))?.len();
        let fsyncs = || self.fsync_counts.as_deref().and_then(report::fsyncs);
        let (before, began) = (fsyncs(), Instant::now());
        let (sent_seconds, ended) = land(api, screen, ORDERS_JOB, &file).await?;
        let seconds = began.elapsed().as_secs_f64();
        account(&ended, self.rows, planted.bad())?;
        let _ = tokio::fs::remove_file(&file).await;
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let rows_per_second = self.rows as f64 / seconds;
        Ok(Round {
            file_bytes,
            sent_seconds,
            seconds,
            rows_per_second,
            applied: ended.applied,
            rejected: ended.rejected,
            fsyncs: before.zip(fsyncs()).map(|(before, after)| after.saturating_sub(before)),
        })
    }
}

/// Writes a generated file.
pub(super) async fn made<T: Send + 'static>(
    path: &Path,
    write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let file = path.to_owned();
    let written = tokio::task::spawn_blocking(move || {
        let mut out = std::io::BufWriter::new(std::fs::File::create(&file)?);
        let made = write(&mut out)?;
        std::io::Write::flush(&mut out)?;
        Ok(made)
    });
    let written = written.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    written.map_err(|error| Failure::file("write", path, &error))
}

/// Sends a file and waits for its end; with the seconds until it was sent.
pub(super) async fn land(api: &Api, screen: &Screen, job: &str, file: &Path) -> Result<(f64, Records), Failure> {
    let began = Instant::now();
    let to = api.at(&["api", "v1", "jobs", job, "messages"], &[]);
    let mut message = send_file(api, screen, file, to, None).await?.body;
    let sent_seconds = began.elapsed().as_secs_f64();
    while !message.ended() {
        let id = message.id.clone();
        let answer = api
            .get::<Message>(&["api", "v1", "messages", &id], &[("wait_seconds", LOOK_SECONDS)])
            .await?;
        message = answer.body;
    }
    Ok((sent_seconds, message.records))
}

/// Every record that was made must have come to the end it was made for.
pub(super) fn account(records: &Records, rows: u64, bad: u64) -> Result<(), Failure> {
    if records.read == rows && records.rejected == bad && records.applied == rows - bad {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "{rows} records were sent of which {bad} are wrong, but {} were read, {} applied, {} rejected",
        records.read, records.applied, records.rejected
    )))
}

/// The most memory the process ever held, as Linux says it.
pub(super) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

impl Figures {
    fn print(&self, screen: &Screen) {
        if screen.is_json() {
            screen.json(self);
            return;
        }
        let heading = [
            "",
            "records/s",
            "seconds",
            "until sent",
            "applied",
            "rejected",
            "fsyncs",
        ];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        for (round, figures) in (1..).zip(&self.rounds) {
            rows.push(vec![
                format!("round {round}"),
                format!("{:.0}", figures.rows_per_second),
                format!("{:.2}", figures.seconds),
                format!("{:.2}", figures.sent_seconds),
                count(figures.applied),
                count(figures.rejected),
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

    #[test]
    fn a_record_nobody_accounts_for_is_a_failure() {
        let records = |read, applied, rejected| Records {
            read,
            applied,
            rejected,
            ..Records::default()
        };
        assert!(account(&records(10, 9, 1), 10, 1).is_ok());
        for wrong in [records(10, 9, 0), records(9, 8, 1), records(10, 8, 2)] {
            assert!(account(&wrong, 10, 1).is_err(), "{wrong:?}");
        }
    }
}
