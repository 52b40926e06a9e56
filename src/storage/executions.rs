//! Executions: what a load or an export did, per entity and phase. The words of it, and how they are read; `runs` writes
//! them, `record_errors` and `finish` the rest.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::pool::{fetch_all, fetch_optional};
use super::rows::{CountsRow, corrupt, unsigned};
use super::{Store, StoreError};
use crate::domain::counts::Counts;
use crate::domain::ids::{ExecutionId, JobId, MessageId};
use crate::domain::message::Failure;
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
    /// Rows deleted from the target before the first record landed. They are no records, and count in nothing else.
    pub truncated: u64,
    /// When work on the entity began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What somebody may want to look at although nothing failed.
    pub warnings: Vec<String>,
}

impl EntityRun {
    /// An exported entity: every record read is a record written into the file.
    #[must_use]
    pub fn exported(entity_no: i32, label: String, status: &str, records: u64) -> Self {
        Self {
            entity_no,
            label,
            company: None,
            staging_status: status.to_owned(),
            staging_records: records,
            staging_errors: 0,
            target_status: status.to_owned(),
            counts: Counts {
                read: records,
                inserted: records,
                ..Counts::default()
            },
            target_errors: 0,
            truncated: 0,
            started_at: None,
            finished_at: None,
            warnings: Vec::new(),
        }
    }
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
    /// Whether the target refused the record; otherwise it was rejected before the target was touched. The same for all errors
    /// of a record.
    pub by_target: bool,
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
    /// How many values they have between them; 0 where the errors are not about a value.
    pub distinct_values: u64,
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

/// A row of `executions`.
#[derive(Debug, sqlx::FromRow)]
struct ExecutionRow {
    id: String,
    job: Uuid,
    message: Option<Uuid>,
    started_at: i64,
    finished_at: Option<i64>,
}

/// A row of `execution_entities`.
#[derive(Debug, sqlx::FromRow)]
struct EntityRunRow {
    entity_no: i32,
    label: String,
    company: Option<String>,
    staging_status: String,
    staging_records: i64,
    staging_errors: i64,
    target_status: String,
    #[sqlx(flatten)]
    counts: CountsRow,
    target_errors: i64,
    truncated: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    warnings: String,
}

impl EntityRunRow {
    fn read(self, execution: &str) -> Result<EntityRun, StoreError> {
        const TABLE: &str = "execution_entities";
        let id = format!("{execution}/{}", self.entity_no);
        let count = |column, value| unsigned(TABLE, column, &id, value);
        Ok(EntityRun {
            entity_no: self.entity_no,
            staging_records: count("staging_records", self.staging_records)?,
            staging_errors: count("staging_errors", self.staging_errors)?,
            counts: self.counts.read(TABLE, &id)?,
            target_errors: count("target_errors", self.target_errors)?,
            truncated: count("truncated", self.truncated)?,
            label: self.label,
            company: self.company,
            staging_status: self.staging_status,
            target_status: self.target_status,
            started_at: self.started_at.map(Timestamp),
            finished_at: self.finished_at.map(Timestamp),
            warnings: serde_json::from_str(&self.warnings)
                .map_err(|_| corrupt(TABLE, "warnings", &id, "no list of texts"))?,
        })
    }
}

const EXECUTION: &str = "select id, job, message, started_at, finished_at from executions where id = $1";
const ENTITY_RUNS: &str = "select entity_no, label, company, staging_status, staging_records, staging_errors, \
    target_status, records_read, inserted, updated, unchanged, deleted, rejected, skipped, target_errors, truncated, \
    started_at, finished_at, warnings from execution_entities where execution = $1 order by entity_no";

const ENTITY_RUNS_AFTER: &str = "select execution, entity_no, label, company, staging_status, staging_records, staging_errors, \
    target_status, records_read, inserted, updated, unchanged, deleted, rejected, skipped, target_errors, truncated, \
    started_at, finished_at, warnings from execution_entities where execution > $1 and execution <= $2 \
    order by execution, entity_no";

#[derive(Debug, sqlx::FromRow)]
struct RunOfExecution {
    execution: String,
    #[sqlx(flatten)]
    run: EntityRunRow,
}

impl Store {
    /// The execution of this id.
    pub async fn execution(&self, id: &ExecutionId) -> Result<Option<Execution>, StoreError> {
        let Some(row) = fetch_optional!(self.reader(), ExecutionRow, EXECUTION, id.0.as_str())? else {
            return Ok(None);
        };
        let runs: Vec<EntityRunRow> = fetch_all!(self.reader(), EntityRunRow, ENTITY_RUNS, id.0.as_str())?;
        let entities = runs
            .into_iter()
            .map(|run| run.read(&row.id))
            .collect::<Result<_, _>>()?;
        Ok(Some(Execution {
            id: ExecutionId(row.id),
            job: JobId(row.job),
            message: row.message.map(MessageId),
            started_at: Timestamp(row.started_at),
            finished_at: row.finished_at.map(Timestamp),
            entities,
        }))
    }

    /// So many executions with ids behind this one, in the order of their ids.
    pub async fn executions_after(&self, after: &str, limit: u32) -> Result<Vec<Execution>, StoreError> {
        let text =
            "select id, job, message, started_at, finished_at from executions where id > $1 order by id limit $2";
        let rows: Vec<ExecutionRow> = fetch_all!(self.reader(), ExecutionRow, text, after, i64::from(limit))?;
        let Some(last) = rows.last() else { return Ok(Vec::new()) };
        let runs: Vec<RunOfExecution> = fetch_all!(
            self.reader(),
            RunOfExecution,
            ENTITY_RUNS_AFTER,
            after,
            last.id.as_str()
        )?;
        let mut entities: BTreeMap<String, Vec<EntityRun>> = BTreeMap::new();
        for RunOfExecution { execution, run } in runs {
            let run = run.read(&execution)?;
            entities.entry(execution).or_default().push(run);
        }
        let execution = |row: ExecutionRow| Execution {
            entities: entities.remove(&row.id).unwrap_or_default(),
            id: ExecutionId(row.id),
            job: JobId(row.job),
            message: row.message.map(MessageId),
            started_at: Timestamp(row.started_at),
            finished_at: row.finished_at.map(Timestamp),
        };
        Ok(rows.into_iter().map(execution).collect())
    }
}
