//! The sweep: removes blobs whose upload died.

use super::Context;
use super::payload::PayloadError;
use crate::failpoint;

/// Most blobs removed in one pass.
const BLOBS_PER_PASS: u32 = 100;

/// Moves uploads without a recent heartbeat to `dead` and deletes the blobs of dead uploads, and of nothing else. Returns
/// how many were removed. Safe to run anywhere, any number of times.
///
/// # Errors
/// [`PayloadError`] when store or blob store failed; what is left is swept by the next pass.
pub async fn sweep_uploads(context: &Context) -> Result<usize, PayloadError> {
    let now = context.clock.now();
    let stale_before = now.plus_seconds(-i64::from(context.limits.queue.upload_stale_seconds));
    let dead = context.store.dead_uploads(stale_before, now, BLOBS_PER_PASS).await?;
    let mut removed = 0;
    for key in &dead {
        failpoint::reached("sweep.marked_dead");
        // One blob that cannot be deleted must not keep the others.
        match context.blobs.delete(key).await {
            Ok(()) => {
                failpoint::reached("sweep.blob_deleted");
                context.store.forget_upload(key).await?;
                failpoint::reached("sweep.row_deleted");
                tracing::info!(blob = %key, "removed the blob of a dead upload");
                removed += 1;
            }
            Err(error) => {
                tracing::warn!(blob = %key, %error, "the blob of a dead upload cannot be deleted; trying again");
                // To the end of the line: a hundred of them must not keep the others.
                context.store.postpone_upload(key, now).await?;
            }
        }
    }
    Ok(removed)
}
