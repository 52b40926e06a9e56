//! Redrive: what ended without success is tried again, one message or all that match a filter, at a rate.
//!
//! A message goes back to its own queue with its own number. The rate is kept by the queue itself: each message is offered a
//! little later than the one before, so a redrive of any size is done at once and survives any crash.

use super::Context;
use super::enqueue::Envelope;
use super::placement::place;
use crate::definitions::Definitions;
use crate::domain::ids::MessageId;
use crate::domain::job::{Direction, Job};
use crate::domain::message::{Message, PayloadAt};
use crate::domain::time::Timestamp;
use crate::storage::StoreError;
use crate::storage::redrive::{Again, EndedFilter, REDRIVABLE};

/// Messages looked at and put back in one transaction.
const PORTION: u32 = 500;
/// A dry run counts no further.
pub const COUNT_MAX: u64 = 1_000_000;

/// Why a message cannot be tried again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// It has not ended, or it ended well.
    #[error("message {id} is {status}; only one that ended without success can be tried again")]
    Status {
        /// Which.
        id: MessageId,
        /// Its status.
        status: crate::domain::status::Status,
    },
    /// Some of its records were dealt with: the others come back as a correction.
    #[error("records of message {0} were read already; correct its rejects and resubmit them instead")]
    Begun(MessageId),
    /// Its bytes are no longer kept.
    #[error("the payload of message {0} is no longer kept")]
    Gone(MessageId),
    /// Its job is no longer defined.
    #[error("the job of message {0} is not defined any more")]
    JobUnknown(MessageId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a redrive is to do.
#[derive(Debug, Clone)]
pub struct Redrive {
    /// Which messages.
    pub filter: EndedFilter,
    /// At most this many.
    pub limit: u64,
    /// Offered at this rate; none: all at once.
    pub per_second: Option<u32>,
    /// Who asked, for the history.
    pub by: String,
}

/// What a redrive did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Redriven {
    /// Messages that matched.
    pub matched: u64,
    /// Of those, put back.
    pub redriven: u64,
    /// Of those, not to be tried again: their payload or job is gone, or their records were read.
    pub passed_over: u64,
}

/// Tries one message again.
///
/// # Errors
/// [`RetryError`]; nothing has changed then.
pub async fn retry(
    context: &Context,
    definitions: &Definitions,
    message: &Message,
    by: &str,
) -> Result<(), RetryError> {
    let again = again(context, definitions, message, None).await?;
    let back = context.store.redrive(vec![again], by, context.clock.now()).await?;
    if back.is_empty() {
        return Err(RetryError::Status {
            id: message.id,
            status: message.status,
        });
    }
    Ok(())
}

/// How many messages a redrive would look at, up to [`COUNT_MAX`].
///
/// # Errors
/// [`StoreError`].
pub async fn count(context: &Context, filter: &EndedFilter, limit: u64) -> Result<u64, StoreError> {
    let most = limit.min(COUNT_MAX);
    let (mut filter, mut counted) = (filter.clone(), 0);
    while counted < most {
        let portion = u32::try_from((most - counted).min(10_000)).unwrap_or(PORTION);
        let ids = context.store.troubled(&filter, portion).await?;
        counted += ids.len() as u64;
        filter.after = ids.last().copied();
        if ids.len() < portion as usize {
            break;
        }
    }
    Ok(counted)
}

/// Puts back every message that matches, oldest first.
///
/// # Errors
/// [`StoreError`]; what was put back before stays so, and the next redrive goes on.
pub async fn redrive(context: &Context, definitions: &Definitions, asked: &Redrive) -> Result<Redriven, StoreError> {
    let now = context.clock.now();
    let mut filter = asked.filter.clone();
    let mut done = Redriven {
        matched: 0,
        redriven: 0,
        passed_over: 0,
    };
    while done.matched < asked.limit {
        let portion = u32::try_from((asked.limit - done.matched).min(PORTION.into())).unwrap_or(PORTION);
        let ids = context.store.troubled(&filter, portion).await?;
        let Some(last) = ids.last() else { break };
        filter.after = Some(*last);
        let mut portion = Vec::with_capacity(ids.len());
        for id in &ids {
            let place = done.redriven + portion.len() as u64;
            let not_before = asked.per_second.and_then(|rate| at_rate(now, place, rate));
            let Some(message) = context.store.message(*id).await? else {
                continue;
            };
            match again(context, definitions, &message, not_before).await {
                Ok(again) => portion.push(again),
                Err(RetryError::Store(error)) => return Err(error),
                Err(reason) => tracing::info!(message.id = %id, "not tried again: {reason}"),
            }
        }
        let back = context.store.redrive(portion, &asked.by, now).await?;
        done.matched += ids.len() as u64;
        done.redriven += back.len() as u64;
        done.passed_over += (ids.len() - back.len()) as u64;
    }
    Ok(done)
}

/// When the message at this place is offered; the first ones at once.
fn at_rate(now: Timestamp, place: u64, per_second: u32) -> Option<Timestamp> {
    let seconds = place / u64::from(per_second.max(1));
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX / 2_000_000);
    (seconds > 0).then(|| now.plus_seconds(seconds))
}

async fn again(
    context: &Context,
    definitions: &Definitions,
    message: &Message,
    not_before: Option<Timestamp>,
) -> Result<Again, RetryError> {
    if !REDRIVABLE.contains(&message.status) {
        return Err(RetryError::Status {
            id: message.id,
            status: message.status,
        });
    }
    if message.counts.read > 0 {
        return Err(RetryError::Begun(message.id));
    }
    let job = definitions.job(message.job).ok_or(RetryError::JobUnknown(message.id))?;
    let kept = match &message.payload {
        PayloadAt::Inline => context.store.has_inline_payload(message.id).await?,
        PayloadAt::Blob(key) => context.store.is_blob_kept(key).await?,
    };
    if !kept {
        return Err(RetryError::Gone(message.id));
    }
    Ok(Again {
        id: message.id,
        placement: placement(context, job, message, not_before),
        enqueued_at: message.enqueued_at,
    })
}

fn placement(
    context: &Context,
    job: &Job,
    message: &Message,
    not_before: Option<Timestamp>,
) -> crate::domain::message::Placement {
    let envelope = Envelope {
        entity: message.entity.clone(),
        company: message.company.clone(),
        external_id: message.external_id.clone(),
        ..Envelope::default()
    };
    let now = context.clock.now();
    let placement = place(job, &envelope, message.bytes, &context.limits.queue, now).unwrap_or_default();
    crate::domain::message::Placement {
        not_before,
        // It had its time already, and somebody wants it now.
        expires_at: None,
        group: message.group.clone(),
        max_deliveries: placement.max_deliveries.filter(|_| job.direction != Direction::Import),
        ..placement
    }
}
