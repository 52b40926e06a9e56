//! What a service does over and over until it stops.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::pipeline::projects::Projects;
use crate::pipeline::{Context, tidy};
use crate::telemetry;

/// Seconds between two rounds of housekeeping.
const TIDY_EVERY_SECONDS: u64 = 60;
/// Seconds to the first one: a start has better things to do.
const FIRST_TIDY_SECONDS: u64 = 5;
/// How often other processes' data projects are looked for.
const FOLLOW_PROJECTS_EVERY: Duration = Duration::from_secs(1);
/// How often durations that were counted are added to their histograms.
const SUM_UP_EVERY: Duration = Duration::from_secs(5);

/// Housekeeping, over and over.
pub(super) async fn tidy(context: Context, stopping: CancellationToken) {
    let mut wait = Duration::from_secs(FIRST_TIDY_SECONDS);
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stopping.cancelled() => return,
        }
        wait = Duration::from_secs(TIDY_EVERY_SECONDS);
        if let Err(error) = tidy::tidy(&context).await {
            tracing::warn!(%error, "housekeeping failed; trying again");
        }
    }
}

/// Each duration that is counted is kept by itself until somebody reads the metrics, and perhaps nobody ever does.
pub(super) async fn sum_up(stopping: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SUM_UP_EVERY) => telemetry::exposition().run_upkeep(),
            () = stopping.cancelled() => return,
        }
    }
}

/// Other processes create projects, too.
pub(super) async fn follow_projects(projects: Projects, stopping: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(FOLLOW_PROJECTS_EVERY) => {}
            () = stopping.cancelled() => return,
        }
        if let Err(error) = projects.refresh().await {
            tracing::warn!(%error, "the data projects in the store could not be looked at; trying again");
        }
    }
}
