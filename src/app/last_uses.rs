//! Writes when clients were last let in, beside their requests.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::http::last_uses::LastUses;
use crate::storage::Store;

/// How often there is a look at whether there is anything to write. Of each client there is at most once a minute.
const WRITE_EVERY: Duration = Duration::from_secs(10);

/// Writes them until the service stops, and once more then.
pub(super) async fn keep(uses: Arc<LastUses>, store: Store, stopping: CancellationToken) {
    loop {
        let is_over = tokio::select! {
            () = tokio::time::sleep(WRITE_EVERY) => false,
            () = stopping.cancelled() => true,
        };
        if let Err(error) = uses.write(&store).await {
            tracing::warn!(%error, "when clients were last let in could not be written; trying again");
        }
        if is_over {
            return;
        }
    }
}
