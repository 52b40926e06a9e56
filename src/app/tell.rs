//! What a process tells the store of itself, beside its work: what it counted.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::pipeline::Context;

/// How often what was counted is written down; nothing is where nothing happened.
const WRITE_TRAFFIC_EVERY: Duration = Duration::from_secs(5);

/// Writes down what came in and ended, until the service stops.
pub(super) async fn write_traffic(context: Context, stopping: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(WRITE_TRAFFIC_EVERY) => {}
            () = stopping.cancelled() => return,
        }
        say(&context).await;
    }
}

/// The last of it, when everything else has stopped.
pub(super) async fn last(context: &Context) {
    say(context).await;
}

async fn say(context: &Context) {
    if let Err(error) = context.store.write_traffic().await {
        tracing::warn!(%error, "what came in and ended could not be written down for the charts; trying again");
    }
}
