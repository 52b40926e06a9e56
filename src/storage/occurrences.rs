//! Occurrences: one row per `(job, due_at)`, so that any number of processes fire a schedule once (promise 6).

use super::messages::NewMessage;
use super::{Store, StoreError};
use crate::domain::ids::{ExecutionId, JobId};
use crate::domain::message::{Failure, Message};
use crate::domain::time::Timestamp;

/// A due time of a schedule, or a run somebody asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Occurrence {
    /// The job.
    pub job: JobId,
    /// When it was due; for a run that was asked for, when it was asked.
    pub due_at: Timestamp,
    /// `due`, `running`, `done`, `skipped`, `failed`.
    pub state: String,
    /// `schedule`, or the client that asked.
    pub trigger: String,
    /// Number of the latest claim.
    pub epoch: i64,
    /// How often it was claimed.
    pub attempt: i32,
    /// Its execution.
    pub execution: Option<ExecutionId>,
    /// The message it queued.
    pub message: Option<crate::domain::ids::MessageId>,
    /// Records exported.
    pub records: Option<u64>,
    /// Why skipped or failed, or that nothing was uploaded.
    pub note: Option<String>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// What the evaluation of a schedule decided about one due time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDecision {
    /// The due time.
    pub due_at: Timestamp,
    /// `None`: run it. `Some(reason)`: record it as skipped.
    pub skip: Option<String>,
}

/// How an export run ended.
#[derive(Debug, Clone)]
pub enum ExportOutcome {
    /// A message is queued.
    Queued {
        /// The outbound message.
        message: Box<NewMessage>,
        /// Records in it.
        records: u64,
        /// Per entity: label and records.
        entities: Vec<(String, u64)>,
    },
    /// Nothing to upload.
    Nothing {
        /// Why.
        note: String,
    },
    /// It failed for good.
    Failed(Failure),
}

impl Store {
    /// Up to when this job's schedule has been evaluated. The first call stores `now` and returns it, so that a new job
    /// has no past.
    pub async fn evaluated_to(&self, _job: JobId, _now: Timestamp) -> Result<Timestamp, StoreError> {
        todo!()
    }

    /// Records what was decided for `(from, to]` and moves the mark, in one transaction guarded by the mark still being at
    /// `from`. `false`: another process was first, nothing was written.
    pub async fn record_due(
        &self,
        _job: JobId,
        _from: Timestamp,
        _to: Timestamp,
        _decisions: &[DueDecision],
    ) -> Result<bool, StoreError> {
        todo!()
    }

    /// Whether an occurrence of the job is due or running.
    pub async fn has_open_occurrence(&self, _job: JobId) -> Result<bool, StoreError> {
        todo!()
    }

    /// Records a run somebody asked for; due at `now`, or the next free microsecond.
    pub async fn run_now(&self, _job: JobId, _by: &str, _now: Timestamp) -> Result<Occurrence, StoreError> {
        todo!()
    }

    /// Claims the oldest due occurrence of these jobs (one running at a time per job), or one whose worker died: epoch + 1,
    /// and an execution of the given id unless it has one.
    pub async fn claim_occurrence(
        &self,
        _jobs: &[JobId],
        _owner: &str,
        _lease_seconds: i64,
        _execution: ExecutionId,
        _now: Timestamp,
    ) -> Result<Option<Occurrence>, StoreError> {
        todo!()
    }

    /// A worker's heartbeat. `false`: no longer its own.
    pub async fn extend_occurrence(&self, _claimed: &Occurrence, _until: Timestamp) -> Result<bool, StoreError> {
        todo!()
    }

    /// Ends a claimed occurrence and queues its message in the same transaction; the upload row moves to `used` in it too.
    /// Returns the message queued.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn finish_occurrence(
        &self,
        _claimed: &Occurrence,
        _outcome: ExportOutcome,
        _now: Timestamp,
    ) -> Result<Option<Message>, StoreError> {
        todo!()
    }

    /// Hands a claimed occurrence back, to be tried again from `not_before` on.
    pub async fn release_occurrence(
        &self,
        _claimed: &Occurrence,
        _not_before: Option<Timestamp>,
        _note: &str,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// The latest occurrences of a job, newest first.
    pub async fn occurrences(&self, _job: JobId, _limit: u32) -> Result<Vec<Occurrence>, StoreError> {
        todo!()
    }
}
