//! Executions and record errors: what a load or an export did, per entity and phase.

use super::{Store, StoreError};
use crate::domain::counts::Counts;
use crate::domain::ids::{ExecutionId, JobId, MessageId};
use crate::domain::message::{Failure, Fence};
use crate::domain::reject::{RecordCode, RecordError, RejectId};
use crate::domain::status::Event;
use crate::domain::time::Timestamp;

/// The run of a job over one message or one occurrence.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// Its id.
    pub id: ExecutionId,
    /// The job.
    pub job: JobId,
    /// The message it loads or made.
    pub message: Option<MessageId>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Per entity, in order.
    pub entities: Vec<EntityRun>,
}

/// One entity of an execution. Phase statuses are RI-27 words.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityRun {
    /// Position, from 0.
    pub entity_no: i32,
    /// Label on the wire.
    pub label: String,
    /// Company it ran under.
    pub company: Option<String>,
    /// `NotStarted`, `Executing`, `Finished`, `Error`, `NotRun`, `Canceled`.
    pub staging_status: String,
    /// Records read from the source.
    pub staging_records: u64,
    /// Records rejected before the target was touched.
    pub staging_errors: u64,
    /// Same words.
    pub target_status: String,
    /// Records by outcome, target phase included.
    pub counts: Counts,
    /// Records the target itself rejected.
    pub target_errors: u64,
    /// When work on the entity began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// A record error with the reject it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredError {
    /// The reject: one per record.
    pub reject: RejectId,
    /// 0 for the first error of the record: counting these counts records.
    pub ordinal: i32,
    /// The reject this record came back from, when it is a correction.
    pub origin: Option<RejectId>,
    /// What is wrong.
    pub error: RecordError,
}

/// Record errors of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorGroup {
    /// Code.
    pub code: RecordCode,
    /// Field, where the error has one.
    pub field: Option<String>,
    /// How many errors.
    pub count: u64,
    /// The first of them.
    pub sample: StoredError,
}

/// How an import ended.
#[derive(Debug, Clone)]
pub struct ImportOutcome {
    /// `Finish`, `FinishWithErrors`, `Fail` or `Cancel`.
    pub event: Event,
    /// Totals over all entities; must be conserved.
    pub counts: Counts,
    /// Per entity.
    pub entities: Vec<EntityRun>,
    /// Why, when it failed as a whole.
    pub failure: Option<Failure>,
    /// Rejects of ancestors that this load applied.
    pub repaired: Vec<RejectId>,
}

impl Store {
    /// Creates the execution of a claimed message once, or returns the one it has: it keeps its id across crashes.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn begin_execution(
        &self,
        _fence: Fence,
        _id: ExecutionId,
        _now: Timestamp,
    ) -> Result<Execution, StoreError> {
        todo!()
    }

    /// Writes one entity's progress.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn save_entity_run(
        &self,
        _fence: Fence,
        _execution: &ExecutionId,
        _run: &EntityRun,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// Stores record errors; those already there stay as they are, so a rerun adds nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn save_record_errors(&self, _fence: Fence, _errors: &[StoredError]) -> Result<(), StoreError> {
        todo!()
    }

    /// Ends an import in one transaction: final status, counts, execution, entities, and `repaired` of every ancestor whose
    /// rejects were applied (a reject of a reject counts for its origin too).
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch, or when the counts are not conserved (promise 4).
    pub async fn finish_import(
        &self,
        _fence: Fence,
        _outcome: ImportOutcome,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// The execution of this id.
    pub async fn execution(&self, _id: &ExecutionId) -> Result<Option<Execution>, StoreError> {
        todo!()
    }

    /// Record errors of a message in order of entity, record and ordinal, after the given place.
    pub async fn record_errors(
        &self,
        _message: MessageId,
        _after: Option<(i32, u64, i32)>,
        _limit: u32,
    ) -> Result<Vec<StoredError>, StoreError> {
        todo!()
    }

    /// Record errors of a message by code and field, most frequent first.
    pub async fn error_groups(&self, _message: MessageId, _limit: u32) -> Result<Vec<ErrorGroup>, StoreError> {
        todo!()
    }
}
