//! Redrive: what ended without success is tried again; one message here, many in [`super::bulk`].
//!
//! A message goes back to its own queue with its own number. A rate is kept by the queue itself: each message is offered a
//! little later than the one before, so that it survives any crash.

use super::Context;
use super::enqueue::Envelope;
use super::placement::place;
use crate::definitions::Definitions;
use crate::domain::ids::MessageId;
use crate::domain::job::{Direction, Job};
use crate::domain::message::{Message, PayloadAt};
use crate::domain::time::Timestamp;
use crate::storage::StoreError;
use crate::storage::erase::Erased;
use crate::storage::redrive::{Again, REDRIVABLE};

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
    /// Its bytes were withdrawn.
    #[error("the payload of message {id} was erased by {} at {}, for it held a person's data", .erased.by, .erased.at.wire())]
    Erased {
        /// Which.
        id: MessageId,
        /// When and by whom.
        erased: Erased,
    },
    /// Its job is no longer defined.
    #[error("the job of message {0} is not defined any more")]
    JobUnknown(MessageId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RetryError {
    /// Stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Status { .. } => "not_retryable",
            Self::Begun(_) => "records_read",
            Self::Gone(_) => "payload_gone",
            Self::Erased { .. } => "payload_erased",
            Self::JobUnknown(_) => "job_unknown",
            Self::Store(_) => "unavailable",
        }
    }
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

/// When the message at this place is offered; the first ones at once.
pub(super) fn at_rate(now: Timestamp, place: u64, per_second: u32) -> Option<Timestamp> {
    let seconds = place / u64::from(per_second.max(1));
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX / 2_000_000);
    (seconds > 0).then(|| now.plus_seconds(seconds))
}

/// What puts a message back, if it can be tried again.
pub(super) async fn again(
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
        let id = message.id;
        let erased = context.store.erased(id).await?;
        return Err(erased.map_or(RetryError::Gone(id), |erased| RetryError::Erased { id, erased }));
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
