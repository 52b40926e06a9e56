//! `tranship bench`: how fast this service is here, beside what its disk charges for durability.
//!
//! Owns: the load of a relay job, of an import and of an export over HTTP, and what is printed about them. Rates differ from machine to machine, so every
//! figure stands beside a calibration of fsync. Refuses: peers, which `scripts/bench` races against.

mod export;
mod fsync;
mod http;
mod import;
mod latency;
mod report;
mod service;
mod tally;
mod wire;
mod work;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::connection::{Secret, name_or_id, service_url};
use super::screen::Screen;
use super::{Exit, Failure};
use fsync::Sampler;
use report::{Disk, Report};
use service::Embedded;
use tally::{Load, Times};
use wire::Wire;
use work::{Plan, Work};

/// Fsyncs timed before the load.
const CALIBRATION_FSYNCS: u32 = 200;
/// Pause between fsyncs timed during the load.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// Measure how fast the service is here
#[derive(Debug, clap::Subcommand)]
pub enum Bench {
    /// Load a relay job over HTTP: enqueue, lease, acknowledge, and poll
    Queue(Box<Queue>),
    /// Land generated sales orders in a table: over HTTP, staged, checked, promoted
    Import(Box<import::Import>),
    /// Export generated sales orders: read in one snapshot, written, packed and stored, then collected over HTTP
    Export(Box<export::Export>),
}

impl Bench {
    /// Whether answers are to be JSON.
    pub(super) fn json(&self) -> bool {
        match self {
            Self::Queue(queue) => queue.json,
            Self::Import(import) => import.json,
            Self::Export(export) => export.json,
        }
    }

    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        match self {
            Self::Queue(queue) => queue.run(screen).await,
            Self::Import(import) => import.run(screen).await,
            Self::Export(export) => export.run(screen).await,
        }
    }
}

/// Load a relay job over HTTP: enqueue, lease, acknowledge, and poll
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --url it starts a service of its own in a temporary folder and removes it afterwards. With --url the job should be
the bench's own: a message that no bench sent is given back and ends the run. Races against other queues: scripts/bench.")]
pub struct Queue {
    /// Address of a running service, plain http; without it the bench starts its own
    #[arg(long, value_name = "URL", value_parser = service_url, requires_all = ["client_id", "client_secret", "job"])]
    url: Option<Url>,
    /// Name of the client to sign in as
    #[arg(long, env = "TRANSHIP_CLIENT_ID", value_name = "NAME", visible_alias = "client")]
    client_id: Option<String>,
    /// Its secret; better in the environment than here, where other users can see it
    #[arg(
        long,
        env = "TRANSHIP_CLIENT_SECRET",
        hide_env_values = true,
        value_name = "SECRET",
        visible_alias = "secret"
    )]
    client_secret: Option<Secret>,
    /// The relay job
    #[arg(long, value_name = "JOB", value_parser = name_or_id, requires = "url")]
    job: Option<String>,
    /// Folder whose fsyncs are timed, and where a service of its own lives
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// An empty PostgreSQL database for a service of its own, instead of SQLite
    #[arg(long, value_name = "URL", conflicts_with = "url")]
    store: Option<String>,
    /// What to do, one after the other
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Work::Cycle, Work::Status, Work::Live])]
    work: Vec<Work>,
    #[command(flatten)]
    load: Load,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Where the counter of `scripts/bench` writes how often this process called fsync
    #[arg(long, env = "TRANSHIP_BENCH_FSYNCS", hide = true, value_name = "FILE")]
    fsync_counts: Option<PathBuf>,
}

impl Queue {
    async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        if self.load.messages.is_none() && self.work.iter().any(|work| matches!(work, Work::Fill | Work::Hold)) {
            return Err(Failure::usage(
                "fill and hold need --messages: they add to a queue until that many are in it",
            ));
        }
        if let (Some(url), Some(client), Some(secret), Some(job)) =
            (&self.url, &self.client_id, &self.client_secret, &self.job)
        {
            let target = service::sign_in(url, client, secret.reveal()).await?;
            let report = self.measure(screen, target, job, self.folder.as_deref(), None).await?;
            report.print(screen);
            return Ok(Exit::Ok);
        }
        let parent = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        let embedded = Embedded::start(&parent, self.store.as_deref()).await?;
        screen.note(format!("A service of its own in {}", embedded.folder.display()));
        let target = service::sign_in(&embedded.url, &embedded.client, &embedded.secret).await;
        let report = match target {
            Ok(target) => {
                let counts = self.fsync_counts.as_deref();
                self.measure(screen, target, service::JOB, Some(&embedded.folder), counts)
                    .await
            }
            Err(failure) => Err(failure),
        };
        // Whatever was measured, the service ends and its folder goes.
        let stopped = embedded.stop().await;
        report?.print(screen);
        stopped.map(|()| Exit::Ok)
    }

    /// All kinds of work one after the other, between two looks at the disk.
    async fn measure(
        &self,
        screen: &Screen,
        target: http::Target,
        job: &str,
        folder: Option<&Path>,
        fsync_counts: Option<&Path>,
    ) -> Result<Report, Failure> {
        let before = folder.map(calibrated).transpose()?;
        let mut plan = Plan {
            target,
            wire: Wire::new(job, self.load.payload_bytes),
            load: self.load.clone(),
            ids: Vec::new(),
        };
        let mut runs = Vec::new();
        let mut during = None;
        for work in &self.work {
            screen.note(format!("{} …", work.name()));
            let sampler = folder.map(|folder| Sampler::start(folder, SAMPLE_EVERY)).transpose();
            let sampler = sampler.map_err(|error| Failure::failed(format!("cannot time fsyncs: {error}")))?;
            let counted = fsync_counts.and_then(report::fsyncs);
            let shared = Arc::new(plan);
            let (tally, seconds) = work::run(*work, &shared).await?;
            plan = Arc::into_inner(shared).ok_or_else(|| Failure::failed("a client of the bench did not end"))?;
            let mut figures = tally.figures(work.name(), &plan.load, seconds);
            figures.fsyncs_per_message = counted
                .zip(fsync_counts.and_then(report::fsyncs))
                .and_then(|(from, to)| report::per_message(to.saturating_sub(from), figures.messages_total));
            if let Some(sampler) = sampler {
                let seen = sampler
                    .finish()
                    .map_err(|error| Failure::failed(format!("cannot time fsyncs: {error}")))?;
                during.get_or_insert_with(|| Times::of(&seen));
            }
            plan.ids.extend(tally.into_ids());
            runs.push(figures);
        }
        let disk = before.zip(during).map(|(before, during)| Disk { before, during });
        Ok(Report {
            build: report::BUILD,
            runs,
            disk,
        })
    }
}

/// What an fsync costs in a folder while nothing else is going on.
fn calibrated(folder: &Path) -> Result<Times, Failure> {
    fsync::calibrate(folder, CALIBRATION_FSYNCS)
        .map(|latency| Times::of(&latency))
        .map_err(|error| Failure::file("time fsyncs in", folder, &error))
}

#[cfg(test)]
mod tests;
