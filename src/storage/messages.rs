//! Messages and their payloads: insert, find, list.

use bytes::Bytes;

use super::{Store, StoreError};
use crate::domain::ids::{BlobKey, JobId, MessageId};
use crate::domain::job::Direction;
use crate::domain::message::{Digest, Durability, Message};
use crate::domain::status::Status;
use crate::domain::time::Timestamp;

/// A message about to be stored.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its id, made before the payload was stored.
    pub id: MessageId,
    /// The queue.
    pub job: JobId,
    /// Which way the job flows.
    pub direction: Direction,
    /// Label of the entity, where the sender named one.
    pub entity: Option<String>,
    /// Company, lower case.
    pub company: Option<String>,
    /// The sender's free text.
    pub external_id: Option<String>,
    /// Client or schedule.
    pub enqueued_by: String,
    /// Digest of the payload.
    pub digest: Digest,
    /// Size of the payload.
    pub bytes: u64,
    /// Where the payload is.
    pub payload: NewPayload,
    /// How safe it will be once the insert returns.
    pub durability: Durability,
    /// The message it corrects.
    pub parent: Option<MessageId>,
}

/// A payload about to be stored with its message.
#[derive(Debug, Clone)]
pub enum NewPayload {
    /// Goes into the payload table.
    Inline(Bytes),
    /// Is in the blob store already, under an upload row that the insert moves to `used`.
    Blob(BlobKey),
}

/// Which messages to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Of these jobs only; empty: of every job.
    pub jobs: Vec<JobId>,
    /// In this status only.
    pub status: Option<Status>,
    /// Enqueued before this one (keyset paging by the queue's own sequence).
    pub before: Option<MessageId>,
    /// At most this many.
    pub limit: u32,
}

/// One line of a message's history.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MessageEvent {
    /// When.
    pub at: Timestamp,
    /// The status it got.
    pub status: Status,
    /// Under which lease.
    pub epoch: i64,
    /// What else is worth knowing.
    pub note: Option<String>,
}

impl Store {
    /// Stores a message and its payload in one transaction; a blob's upload row moves from `open` to `used` in the same
    /// transaction (promise 1).
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the upload row is no longer open: the sweep won, the blob is gone, nothing is stored.
    pub async fn insert_message(&self, _new: NewMessage, _now: Timestamp) -> Result<Message, StoreError> {
        todo!()
    }

    /// The message of this id.
    pub async fn message(&self, _id: MessageId) -> Result<Option<Message>, StoreError> {
        todo!()
    }

    /// The message of this job with this correlation id.
    pub async fn message_by_correlation(
        &self,
        _job: JobId,
        _correlation: crate::domain::ids::CorrelationId,
    ) -> Result<Option<Message>, StoreError> {
        todo!()
    }

    /// The message whose current execution has this id.
    pub async fn message_by_execution(
        &self,
        _execution: &crate::domain::ids::ExecutionId,
    ) -> Result<Option<Message>, StoreError> {
        todo!()
    }

    /// Messages, newest first.
    pub async fn messages(&self, _filter: &MessageFilter) -> Result<Vec<Message>, StoreError> {
        todo!()
    }

    /// Direct children (resubmissions) of a message, oldest first.
    pub async fn children(&self, _parent: MessageId) -> Result<Vec<MessageId>, StoreError> {
        todo!()
    }

    /// A message's history, oldest first.
    pub async fn message_events(&self, _id: MessageId) -> Result<Vec<MessageEvent>, StoreError> {
        todo!()
    }

    /// The bytes of an inline payload.
    pub async fn inline_payload(&self, _id: MessageId) -> Result<Option<Vec<u8>>, StoreError> {
        todo!()
    }
}
