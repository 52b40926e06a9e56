//! Tidying: what is kept long enough goes, from the store first and then, by the sweep, from the blob store.

use std::time::Duration;

use super::Context;
use super::payload::PayloadError;
use super::sweep::sweep_uploads;
use crate::storage::housekeeping::{Removed, Retention};

/// Rounds in one go; what is left waits for the next one.
const ROUNDS_MAX: usize = 200;
/// Between two rounds, so that others get a turn.
const PAUSE: Duration = Duration::from_millis(20);

/// Removes what is over. Safe to run anywhere, any number of times.
///
/// # Errors
/// [`PayloadError`] when store or blob store failed; what is left goes in the next round.
pub async fn tidy(context: &Context) -> Result<Removed, PayloadError> {
    let queue = &context.limits.queue;
    let now = context.clock.now();
    let ago = |days: u32| now.plus_seconds(-i64::from(days) * 86_400);
    let keep = Retention {
        payloads: ago(queue.retention_days),
        failed_payloads: ago(queue.failed_retention_days),
        messages: ago(queue.idempotency_days),
    };
    let mut total = Removed {
        days: context.store.turn_days(keep, now).await?,
        ..Removed::default()
    };
    total.rows += prune_audit(context).await?;
    for _ in 0..ROUNDS_MAX {
        let removed = context.store.tidy(keep, now).await?;
        let swept = sweep_uploads(context).await?;
        total.rows += removed.rows;
        total.blobs += removed.blobs;
        if removed == Removed::default() && swept == 0 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(total)
}

/// Removes entries of the audit log that the settings do not want to keep; by themselves they stay for ever.
async fn prune_audit(context: &Context) -> Result<u64, PayloadError> {
    let (days, now) = (context.limits.audit.keep_days, context.clock.now());
    let mut pruned = 0;
    if days == 0 {
        return Ok(pruned);
    }
    let before = now.plus_seconds(-i64::from(days) * 86_400);
    for _ in 0..ROUNDS_MAX {
        match context.store.prune_audit(before, now).await? {
            0 => break,
            rows => pruned += rows,
        }
    }
    Ok(pruned)
}
