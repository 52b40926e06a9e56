//! What a process tells the store of itself, beside its work: what it counted, and, where others are, that it lives.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::pipeline::Context;
use crate::storage::processes::BEAT_SECONDS;

/// How often what was counted is written down; nothing is where nothing happened.
const WRITE_TRAFFIC_EVERY: Duration = Duration::from_secs(5);
/// How often it says that it lives.
const BEAT_EVERY: Duration = Duration::from_secs(BEAT_SECONDS.unsigned_abs());

/// Writes down what came in and ended, until the service stops.
pub(super) async fn write_traffic(context: Context, stopping: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(WRITE_TRAFFIC_EVERY) => {}
            () = stopping.cancelled() => return,
        }
        write(&context).await;
    }
}

/// Says that the process lives, until the service stops. The only process of a SQLite store has nobody to tell.
pub(super) async fn beat(context: Context, stopping: CancellationToken) {
    loop {
        let process = context.pulse.process(context.clock.now());
        if let Err(error) = context.store.beat(process).await {
            tracing::warn!(%error, "could not say that this process lives; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(BEAT_EVERY) => {}
            () = stopping.cancelled() => return,
        }
    }
}

/// The last of it, when everything else has stopped.
pub(super) async fn last(context: &Context) {
    write(context).await;
    if !context.store.has_one_process()
        && let Err(error) = context.store.forget_process(context.pulse.id()).await
    {
        tracing::warn!(%error, "could not say that this process stops; others will miss it");
    }
}

async fn write(context: &Context) {
    if let Err(error) = context.store.write_traffic().await {
        tracing::warn!(%error, "what came in and ended could not be written down for the charts; trying again");
    }
}
