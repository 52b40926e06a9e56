//! Deliver: hand messages out under a lease, wait for one, take a failed delivery back.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Context;
use crate::domain::ids::JobId;
use crate::domain::job::Job;
use crate::domain::message::Fence;
use crate::domain::time::Timestamp;
use crate::storage::claims::{Delivered, LeaseAsk};
use crate::storage::steps::{Reject, Step};
use crate::storage::{Store, StoreError};

/// Another process's message, and what the clock brings up, is seen after this long.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What a dequeuer asks for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Who asks.
    pub owner: String,
    /// At most this many messages.
    pub max: u32,
    /// How long the lease lasts.
    pub lease_seconds: u32,
    /// Whether small payloads come along.
    pub payloads: bool,
    /// How long to wait while there is none.
    pub wait: Duration,
}

/// Hands out messages, waiting for the first up to `wish.wait`. While it waits it holds no connection of the store's.
///
/// # Errors
/// [`StoreError`].
pub async fn lease(
    context: &Context,
    job: JobId,
    wish: Wish,
    draining: &CancellationToken,
) -> Result<Vec<Delivered>, StoreError> {
    let until = tokio::time::Instant::now() + wish.wait;
    let offers = context.store.offers(job);
    loop {
        // Registered before looking, so that an offer between look and wait is not lost.
        let offered = offers.notified();
        tokio::pin!(offered);
        offered.as_mut().enable();
        let ask = LeaseAsk {
            job,
            owner: wish.owner.clone(),
            lease_seconds: i64::from(wish.lease_seconds),
            max: wish.max,
            payloads: wish.payloads,
            now: context.clock.now(),
        };
        let delivered = context.store.lease(ask).await?;
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        if !delivered.is_empty() || left.is_zero() || draining.is_cancelled() {
            return Ok(delivered);
        }
        tokio::select! {
            () = offered => {}
            () = tokio::time::sleep(left.min(LOOK_AGAIN_AFTER)) => {}
            () = draining.cancelled() => {}
        }
    }
}

/// The step for a failed delivery: offered again after the job's back-off, by how often it failed in a row.
///
/// # Errors
/// [`StoreError`].
pub async fn reject(
    job: &Job,
    fence: Fence,
    reason: String,
    dead_letter: bool,
    store: &Store,
    now: Timestamp,
) -> Result<Step, StoreError> {
    let failures = store.message(fence.message).await?.map_or(1, |message| message.attempt);
    let spread = f64::from(rand_byte(fence)) / 255.0;
    let wait = job.queue.retry.wait_micros(failures, spread);
    Ok(Step::Reject(Reject {
        fence,
        reason,
        not_before: Some(Timestamp(now.micros().saturating_add(wait))),
        dead_letter,
    }))
}

/// Spreads messages that failed together: any byte that differs between them and between their attempts will do.
fn rand_byte(fence: Fence) -> u8 {
    let mut hash = 0x811c_9dc5_u32;
    for byte in fence.message.as_bytes().iter().chain(&fence.epoch.to_le_bytes()) {
        hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    hash.to_be_bytes()[0]
}
