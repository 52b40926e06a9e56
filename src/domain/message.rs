//! A message: one file or package in a job's queue.

use super::counts::Counts;
use super::ids::{BlobKey, CorrelationId, ExecutionId, JobId, MessageId};
use super::job::Direction;
use super::status::Status;
use super::time::Timestamp;
use super::trace::TraceContext;

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

    /// Reads [`Digest::hex`]; capitals will do.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Self(bytes))
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

/// What an `Enqueued` message waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Its turn: it is offered.
    Ready,
    /// Its time: a delay or a back-off runs.
    Delayed,
    /// The messages before it in its group.
    Behind,
}

impl Wait {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ready, Self::Delayed, Self::Behind];

    /// The word in columns and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Delayed => "delayed",
            Self::Behind => "behind",
        }
    }

    /// The one with this word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|wait| wait.as_str() == text)
    }
}

/// Where in its queue a message stands, fixed when it is enqueued.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// Lanes of one job take turns.
    pub lane: String,
    /// The group in which it keeps its order; none: any order.
    pub group: Option<String>,
    /// From -100 to 100; more is sooner.
    pub priority: i32,
    /// Not offered before this.
    pub not_before: Option<Timestamp>,
    /// It expires when nobody took it by then.
    pub expires_at: Option<Timestamp>,
    /// Deliveries after which it is a dead letter; none: never.
    pub max_deliveries: Option<i32>,
    /// Whether its group waits for an operator once it is a dead letter.
    pub block_on_dead_letter: bool,
}

/// One step of priority is worth this much waiting: a message of priority 0 overtakes one of priority 1 that came this
/// much later, so nothing waits for ever.
const PRIORITY_STEP_MICROS: i64 = 60 * 1_000_000;

impl Placement {
    /// The sort key of a message enqueued at `now`: lower is sooner, and waiting is worth as much as priority.
    #[must_use]
    pub fn rank(&self, now: Timestamp) -> i64 {
        now.micros()
            .saturating_sub(i64::from(self.priority) * PRIORITY_STEP_MICROS)
    }

    /// What the message waits for first, if nothing of its group is before it.
    #[must_use]
    pub fn first_wait(&self, now: Timestamp) -> Wait {
        if self.not_before.is_some_and(|at| at > now) {
            Wait::Delayed
        } else {
            Wait::Ready
        }
    }
}

/// A message as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Its id for dequeuers (contract 3.3): computed from its own.
    pub correlation: CorrelationId,
    /// The queue it is in.
    pub job: JobId,
    /// Which way its job flows.
    pub direction: Direction,
    /// Where it stands.
    pub status: Status,
    /// What it waits for while it is `Enqueued`.
    pub wait: Option<Wait>,
    /// The group in which it keeps its order.
    pub group: Option<String>,
    /// Number of the latest lease; 0 before the first.
    pub epoch: i64,
    /// How often a worker or dequeuer took it.
    pub attempt: i32,
    /// Workers' claims since the last one that got anywhere: a long load may be interrupted often, a hopeless one not.
    pub stalled: i32,
    /// Who holds the running lease.
    pub owner: Option<String>,
    /// End of the running lease.
    pub lease_until: Option<Timestamp>,
    /// Not offered before this.
    pub not_before: Option<Timestamp>,
    /// It expires when nobody took it by then.
    pub expires_at: Option<Timestamp>,
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
    /// Whether its records land even where something newer wrote their keys.
    pub forced: bool,
    /// The trace it is part of, where it is another's.
    pub traceparent: Option<TraceContext>,
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
    /// What its first failed attempt met.
    pub first_error: Option<String>,
    /// What its latest failed attempt met.
    pub last_error: Option<String>,
    /// Records by outcome.
    pub counts: Counts,
    /// Distinct rejects of this message that a descendant applied (promise 5).
    pub repaired: u64,
}

impl Message {
    /// Its span, which all its steps are children of.
    #[must_use]
    pub fn trace(&self) -> TraceContext {
        TraceContext::of_message(self.id, self.traceparent)
    }

    /// As it was when its enqueue was answered: what a replay of the enqueue answers, whatever became of it since.
    #[must_use]
    pub fn as_enqueued(self) -> Self {
        Self {
            status: Status::Enqueued,
            wait: None,
            epoch: 0,
            attempt: 0,
            stalled: 0,
            owner: None,
            lease_until: None,
            execution: None,
            last_dequeued_at: None,
            started_at: None,
            finished_at: None,
            failure: None,
            first_error: None,
            last_error: None,
            counts: Counts::default(),
            repaired: 0,
            ..self
        }
    }
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
