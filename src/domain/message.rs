//! A message: one file or package in a job's queue.

use super::counts::Counts;
use super::ids::{BlobKey, CorrelationId, ExecutionId, JobId, MessageId};
use super::job::Direction;
use super::status::Status;
use super::time::Timestamp;

/// A SHA-256 digest of a payload's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// As RFC 9530 writes it: `sha-256=:<base64>:`.
    #[must_use]
    pub fn content_digest(&self) -> String {
        use base64::Engine as _;
        format!("sha-256=:{}:", base64::engine::general_purpose::STANDARD.encode(self.0))
    }

    /// Sixty-four lower-case hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
    }
}

/// Where a payload's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadAt {
    /// In the insert-only payload table.
    Inline,
    /// In the blob store.
    Blob(BlobKey),
}

/// How safe a message was when its enqueue was answered (promise 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On stable storage.
    Full,
    /// The store's server does not sync what it commits, or the job asked for less.
    Relaxed,
}

impl Durability {
    /// The word in columns and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Relaxed => "relaxed",
        }
    }
}

/// A message as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Its id for dequeuers (contract 3.3).
    pub correlation: CorrelationId,
    /// The queue it is in.
    pub job: JobId,
    /// Which way its job flows.
    pub direction: Direction,
    /// Where it stands.
    pub status: Status,
    /// Number of the latest lease; 0 before the first.
    pub epoch: i64,
    /// How often a worker or dequeuer took it.
    pub attempt: i32,
    /// Workers' claims since the last one that got anywhere: a long load may be interrupted often, a hopeless one not.
    pub stalled: i32,
    /// End of the running lease.
    pub lease_until: Option<Timestamp>,
    /// Not offered before this.
    pub not_before: Option<Timestamp>,
    /// Label of the entity named at enqueue (RI-1).
    pub entity: Option<String>,
    /// Company named at enqueue, lower case (RI-2).
    pub company: Option<String>,
    /// Free text of the sender, usually the file name (RI-3).
    pub external_id: Option<String>,
    /// Name of the client that enqueued it, or of the schedule that made it.
    pub enqueued_by: String,
    /// Digest of the payload.
    pub digest: Digest,
    /// Size of the payload.
    pub bytes: u64,
    /// Where the payload is.
    pub payload: PayloadAt,
    /// How safe it was when enqueue answered.
    pub durability: Durability,
    /// The message it corrects.
    pub parent: Option<MessageId>,
    /// Its execution, once one began (RI-33).
    pub execution: Option<ExecutionId>,
    /// When it was enqueued.
    pub enqueued_at: Timestamp,
    /// When it was last handed out before the current time (RI-10).
    pub last_dequeued_at: Option<Timestamp>,
    /// When work on it first began.
    pub started_at: Option<Timestamp>,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
    /// Why it failed, for the final statuses that have a reason.
    pub failure: Option<Failure>,
    /// Records by outcome.
    pub counts: Counts,
    /// Distinct rejects of this message that a descendant applied (promise 5).
    pub repaired: u64,
}

/// Why a message or run failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    /// Stable code, e.g. `too_many_errors`, `file_empty`.
    pub code: String,
    /// What happened, where, and what to do.
    pub detail: String,
}

/// The right to work on a message: handed out by a claim, void once a newer claim exists (promise 3).
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The message as of the claim; its `epoch` is this claim's.
    pub message: Message,
}

impl Claimed {
    /// The pair every guarded statement asks for.
    #[must_use]
    pub fn fence(&self) -> Fence {
        Fence {
            message: self.message.id,
            epoch: self.message.epoch,
        }
    }
}

/// A message and the epoch of the lease under which something is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// The message.
    pub message: MessageId,
    /// The lease's number.
    pub epoch: i64,
}
