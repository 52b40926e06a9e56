//! Occurrences: one row per `(job, due_at)`, so that any number of processes fire a schedule once (promise 6).
//!
//! Here: what they are, and looking at them. How they come to be is in `schedules` and `asked_runs`, how they run in
//! `occurrence_claims` and `occurrence_ends`.

use uuid::Uuid;

use super::destinations::NewExportDelivery;
use super::dialect::sql;
use super::enqueue::NewMessage;
use super::exported_packages::NewPackage;
use super::pool::{fetch_all, fetch_optional};
use super::positions::NewPosition;
use super::rows::unsigned;
use super::{Store, StoreError};
use crate::domain::ids::{ExecutionId, JobId, MessageId};
use crate::domain::message::Failure;
use crate::domain::schedule::SkipReason;
use crate::domain::time::Timestamp;

/// A due time of a schedule, or a run somebody asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Occurrence {
    /// The job.
    pub job: JobId,
    /// When it was due; for a run that was asked for, when it was asked.
    pub due_at: Timestamp,
    /// `due`, `running`, `done`, `skipped`, `failed`, `cancelled`.
    pub state: String,
    /// How it came to be: `schedule`, `run` (somebody asked for a run), `backfill`.
    pub origin: String,
    /// `schedule`, or the client that asked.
    pub trigger: String,
    /// What the client that asked said.
    pub comment: Option<String>,
    /// Whether it runs although the job is paused.
    pub forced: bool,
    /// Number of the latest claim.
    pub epoch: i64,
    /// How often it was claimed.
    pub attempt: i32,
    /// Its execution.
    pub execution: Option<ExecutionId>,
    /// The message it queued.
    pub message: Option<MessageId>,
    /// Records exported.
    pub records: Option<u64>,
    /// Why skipped or cancelled: `missed`, `paused`, `overlap`, `calendar`.
    pub reason: Option<String>,
    /// Why skipped, cancelled or failed, in a sentence; or that nothing was uploaded.
    pub note: Option<String>,
    /// Its latest run could not begin before this, where that is later than when it was due: jitter, a retry, or asked for or
    /// found later.
    pub not_before: Option<Timestamp>,
    /// When its latest run began.
    pub started_at: Option<Timestamp>,
    /// When that run had read and written everything.
    pub written_at: Option<Timestamp>,
    /// When what it wrote was durable.
    pub stored_at: Option<Timestamp>,
    /// When it ended, its message queued.
    pub finished_at: Option<Timestamp>,
}

impl Occurrence {
    /// Since when it only waits for a worker.
    #[must_use]
    pub fn may_begin_at(&self) -> Timestamp {
        self.not_before.map_or(self.due_at, |at| at.max(self.due_at))
    }
}

/// What the evaluation of a schedule decided about one due time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDecision {
    /// The due time.
    pub due_at: Timestamp,
    /// When its run may begin, if later (jitter).
    pub not_before: Option<Timestamp>,
    /// `None`: run it. Else it is recorded as skipped.
    pub skip: Option<Skip>,
}

/// Why a due time does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// The word.
    pub reason: SkipReason,
    /// The sentence.
    pub note: String,
}

/// Many due times in a row that did not run: counted instead of a row each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedRange {
    /// The first of them.
    pub first_due: Timestamp,
    /// The last of them.
    pub last_due: Timestamp,
    /// How many.
    pub occurrences: u64,
    /// Why: `missed`, `paused`, `overlap`, `calendar`.
    pub reason: String,
    /// Why, in a sentence.
    pub note: String,
    /// When that was found.
    pub recorded_at: Timestamp,
}

/// How an export run ended.
#[derive(Debug, Clone)]
pub enum ExportOutcome {
    /// Messages are queued.
    Queued {
        /// The outbound messages, in their order, each with its deliveries to destinations; at least one.
        messages: Vec<(NewMessage, Vec<NewExportDelivery>)>,
        /// Records in them.
        records: u64,
        /// Per entity: label and records.
        entities: Vec<(String, u64)>,
        /// How far its incremental entities have come.
        positions: Vec<NewPosition>,
        /// What is remarkable.
        note: Option<String>,
        /// Whether it is acknowledged once all of these have arrived: it is not collected.
        acknowledged_by_deliveries: bool,
    },
    /// A package that a client asked for is in the blob host.
    Packed {
        /// The package.
        package: NewPackage,
        /// Per entity: label and records.
        entities: Vec<(String, u64)>,
        /// How far its incremental entities have come.
        positions: Vec<NewPosition>,
        /// What is remarkable.
        note: Option<String>,
    },
    /// Nothing to upload.
    Nothing {
        /// Why.
        note: String,
        /// How far its incremental entities have come.
        positions: Vec<NewPosition>,
    },
    /// It failed for good.
    Failed(Failure),
    /// It was stopped for a later one (`overlap = "cancel_previous"`).
    Cancelled {
        /// Why.
        note: String,
    },
}

/// The columns of [`OccurrenceRow`].
pub(super) const OCCURRENCE_COLUMNS: &str = "job, due_at, state, origin, triggered_by, comment, forced, epoch, attempt, execution, message, records, reason, note, \
     not_before, started_at, written_at, stored_at, finished_at";

/// A row of `occurrences`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct OccurrenceRow {
    job: Uuid,
    due_at: i64,
    state: String,
    origin: String,
    triggered_by: String,
    comment: Option<String>,
    forced: bool,
    epoch: i64,
    attempt: i32,
    execution: Option<String>,
    message: Option<Uuid>,
    records: Option<i64>,
    reason: Option<String>,
    note: Option<String>,
    not_before: Option<i64>,
    started_at: Option<i64>,
    written_at: Option<i64>,
    stored_at: Option<i64>,
    finished_at: Option<i64>,
}

impl TryFrom<OccurrenceRow> for Occurrence {
    type Error = StoreError;

    fn try_from(row: OccurrenceRow) -> Result<Self, StoreError> {
        let due_at = Timestamp(row.due_at);
        let id = format!("{} at {due_at}", row.job);
        Ok(Self {
            job: JobId(row.job),
            due_at,
            state: row.state,
            origin: row.origin,
            trigger: row.triggered_by,
            comment: row.comment,
            forced: row.forced,
            epoch: row.epoch,
            attempt: row.attempt,
            execution: row.execution.map(ExecutionId),
            message: row.message.map(MessageId),
            records: row
                .records
                .map(|n| unsigned("occurrences", "records", &id, n))
                .transpose()?,
            reason: row.reason,
            note: row.note,
            not_before: row.not_before.map(Timestamp),
            started_at: row.started_at.map(Timestamp),
            written_at: row.written_at.map(Timestamp),
            stored_at: row.stored_at.map(Timestamp),
            finished_at: row.finished_at.map(Timestamp),
        })
    }
}

impl Store {
    /// The occurrence whose execution has this id.
    pub async fn occurrence_by_execution(&self, execution: &ExecutionId) -> Result<Option<Occurrence>, StoreError> {
        let text = format!("select {OCCURRENCE_COLUMNS} from occurrences where execution = $1");
        fetch_optional!(self.reader(), OccurrenceRow, sql(text), execution.0.as_str())?
            .map(Occurrence::try_from)
            .transpose()
    }

    /// The latest occurrences of a job, newest first.
    pub async fn occurrences(&self, job: JobId, limit: u32) -> Result<Vec<Occurrence>, StoreError> {
        let text = format!("select {OCCURRENCE_COLUMNS} from occurrences where job = $1 order by due_at desc limit $2");
        let rows: Vec<OccurrenceRow> = fetch_all!(self.reader(), OccurrenceRow, sql(text), job.0, i64::from(limit))?;
        rows.into_iter().map(Occurrence::try_from).collect()
    }

    /// The latest stretches of due times of a job that were counted, newest first.
    pub async fn missed_ranges(&self, job: JobId, limit: u32) -> Result<Vec<MissedRange>, StoreError> {
        type Row = (i64, i64, i64, String, String, i64);
        let text = "select first_due, last_due, occurrences, reason, note, recorded_at from missed_occurrences \
            where job = $1 order by first_due desc limit $2";
        let rows: Vec<Row> = fetch_all!(self.reader(), Row, text, job.0, i64::from(limit))?;
        let read = |(first_due, last_due, occurrences, reason, note, recorded_at): Row| {
            Ok(MissedRange {
                first_due: Timestamp(first_due),
                last_due: Timestamp(last_due),
                occurrences: unsigned("missed_occurrences", "occurrences", &job.to_string(), occurrences)?,
                reason,
                note,
                recorded_at: Timestamp(recorded_at),
            })
        };
        rows.into_iter().map(read).collect()
    }
}
