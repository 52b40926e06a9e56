//! Occurrences: one row per `(job, due_at)`, so that any number of processes fire a schedule once (promise 6).
//!
//! Here: running them. How they come to be is in `schedules`.

use uuid::Uuid;

use super::dialect::{placeholders, sql, try_job_lock};
use super::enqueue::{NewMessage, insert};
use super::executions::EntityRun;
use super::pool::{Tx, execute, fetch_all, fetch_optional, with_pool};
use super::positions::{self, NewPosition};
use super::rows::{stored, unsigned};
use super::runs::{close_execution, insert_execution, write_entity_run};
use super::{Store, StoreError};
use crate::domain::counts::Counts;
use crate::domain::ids::{ExecutionId, JobId, MessageId};
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
    pub message: Option<MessageId>,
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
}

/// The columns of [`OccurrenceRow`].
pub(super) const OCCURRENCE_COLUMNS: &str =
    "job, due_at, state, triggered_by, epoch, attempt, execution, message, records, note, finished_at";

/// A row of `occurrences`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct OccurrenceRow {
    job: Uuid,
    due_at: i64,
    state: String,
    triggered_by: String,
    epoch: i64,
    attempt: i32,
    execution: Option<String>,
    message: Option<Uuid>,
    records: Option<i64>,
    note: Option<String>,
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
            trigger: row.triggered_by,
            epoch: row.epoch,
            attempt: row.attempt,
            execution: row.execution.map(ExecutionId),
            message: row.message.map(MessageId),
            records: row
                .records
                .map(|n| unsigned("occurrences", "records", &id, n))
                .transpose()?,
            note: row.note,
            finished_at: row.finished_at.map(Timestamp),
        })
    }
}

/// A claim on occurrences.
struct Claim {
    owner: String,
    until: Timestamp,
    execution: ExecutionId,
    now: Timestamp,
}

impl Store {
    /// Claims the oldest due occurrence of these jobs (one running at a time per job), or one whose worker died: epoch + 1,
    /// and an execution unless it has one, whose id `execution` makes.
    pub async fn claim_occurrence(
        &self,
        jobs: &[JobId],
        owner: &str,
        lease_seconds: i64,
        execution: impl Fn(JobId) -> ExecutionId + Send + 'static,
        now: Timestamp,
    ) -> Result<Option<Occurrence>, StoreError> {
        let jobs = jobs.to_vec();
        let (owner, until) = (owner.to_owned(), now.plus_seconds(lease_seconds));
        self.write(move |tx| {
            Box::pin(async move {
                for (job, due_at) in claimable(tx, &jobs, now).await? {
                    if !try_job_lock(tx, job).await? {
                        continue;
                    }
                    let claim = Claim {
                        owner: owner.clone(),
                        until,
                        execution: execution(job),
                        now,
                    };
                    if let Some(claimed) = take(tx, &claim, job, due_at).await? {
                        return Ok(Some(claimed));
                    }
                }
                Ok(None)
            })
        })
        .await
    }

    /// A worker's heartbeat. `false`: no longer its own.
    pub async fn extend_occurrence(&self, claimed: &Occurrence, until: Timestamp) -> Result<bool, StoreError> {
        let claimed = claimed.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let text = "update occurrences set lease_until = $4 \
                where job = $1 and due_at = $2 and epoch = $3 and state = 'running'";
                let (job, due_at) = (claimed.job.0, claimed.due_at.micros());
                let rows = execute!(tx.db(), text, job, due_at, claimed.epoch, until.micros())?;
                Ok(rows == 1)
            })
        })
        .await
    }

    /// Ends a claimed occurrence and queues its message in the same transaction; the upload row moves to `used` in it too.
    /// Returns the message queued.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn finish_occurrence(
        &self,
        claimed: &Occurrence,
        outcome: ExportOutcome,
        now: Timestamp,
    ) -> Result<Option<Message>, StoreError> {
        let claimed = claimed.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let queued = finish(tx, &claimed, outcome, now).await?;
                Ok(queued)
            })
        })
        .await
    }

    /// Hands a claimed occurrence back, to be tried again from `not_before` on. Not `counted`: the attempt never was, as
    /// when the service stopped during it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn release_occurrence(
        &self,
        claimed: &Occurrence,
        not_before: Option<Timestamp>,
        counted: bool,
        note: &str,
    ) -> Result<(), StoreError> {
        let (claimed, note) = (claimed.clone(), note.to_owned());
        self.write(move |tx| Box::pin(async move {
            let text = "update occurrences set state = 'due', owner = null, lease_until = null, not_before = $4, note = $5, \
                attempt = attempt - $6 where job = $1 and due_at = $2 and epoch = $3 and state = 'running'";
            let (job, due_at) = (claimed.job.0, claimed.due_at.micros());
            let not_before = not_before.map(Timestamp::micros);
            let uncounted = i32::from(!counted);
            let note = note.as_str();
            let rows = execute!(tx.db(), text, job, due_at, claimed.epoch, not_before, note, uncounted)?;
            must_touch(tx, rows, &claimed).await?;
            Ok(())
        }))
        .await
    }

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
}

/// What may be claimed now, oldest first: of each job its running one if that one's lease lapsed, else what is due.
async fn claimable(tx: &mut Tx, jobs: &[JobId], now: Timestamp) -> Result<Vec<(JobId, Timestamp)>, StoreError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "select o.job, min(o.due_at) from occurrences o where o.job in ({}) and \
         ((o.state = 'running' and o.lease_until <= $1) \
         or (o.state = 'due' and (o.not_before is null or o.not_before <= $1) and not exists \
         (select 1 from occurrences r where r.job = o.job and r.state = 'running'))) group by o.job order by 2",
        placeholders(2, jobs.len())
    );
    let rows = with_pool!(tx.db(), db: Db => {
        let mut select = sqlx::query_as::<Db, (Uuid, i64)>(sql(text)).bind(now.micros());
        for job in jobs {
            select = select.bind(job.0);
        }
        select.fetch_all(db).await
    })?;
    Ok(rows
        .into_iter()
        .map(|(job, due_at)| (JobId(job), Timestamp(due_at)))
        .collect())
}

/// Takes one occurrence, if it is still to be had now that its job is locked, and creates its execution once.
async fn take(tx: &mut Tx, claim: &Claim, job: JobId, due_at: Timestamp) -> Result<Option<Occurrence>, StoreError> {
    let text = format!(
        "update occurrences set state = 'running', epoch = epoch + 1, attempt = attempt + 1, owner = $4, lease_until = $5, \
         not_before = null, execution = coalesce(execution, $6) where job = $1 and due_at = $2 and \
         ((state = 'running' and lease_until <= $3) or (state = 'due' and not exists \
         (select 1 from occurrences r where r.job = $1 and r.state = 'running'))) returning {OCCURRENCE_COLUMNS}"
    );
    // The row points at its execution, which must be there first; an occurrence that has one already leaves this unused.
    insert_execution(tx, &claim.execution, job, None, claim.now).await?;
    let row = fetch_optional!(
        tx.db(),
        OccurrenceRow,
        sql(text),
        job.0,
        due_at.micros(),
        claim.now.micros(),
        claim.owner.as_str(),
        claim.until.micros(),
        claim.execution.0.as_str()
    )?;
    let claimed = row.map(Occurrence::try_from).transpose()?;
    if claimed.as_ref().and_then(|claimed| claimed.execution.as_ref()) != Some(&claim.execution) {
        execute!(
            tx.db(),
            "delete from executions where id = $1",
            claim.execution.0.as_str()
        )?;
    }
    Ok(claimed)
}

async fn finish(
    tx: &mut Tx,
    claimed: &Occurrence,
    outcome: ExportOutcome,
    now: Timestamp,
) -> Result<Option<Message>, StoreError> {
    let (state, records, note) = match &outcome {
        ExportOutcome::Queued { records, note, .. } => ("done", Some(*records), note.clone()),
        ExportOutcome::Nothing { note, .. } => ("done", Some(0), Some(note.clone())),
        ExportOutcome::Failed(failure) => ("failed", None, Some(format!("{}: {}", failure.code, failure.detail))),
    };
    // First of all the guard: it locks the row, so that nobody claims the occurrence while its message is queued.
    let text = "update occurrences set state = $4, owner = null, lease_until = null, records = $5, note = $6, \
        finished_at = $7 where job = $1 and due_at = $2 and epoch = $3 and state = 'running'";
    let (job, due_at) = (claimed.job.0, claimed.due_at.micros());
    let rows = execute!(
        tx.db(),
        text,
        job,
        due_at,
        claimed.epoch,
        state,
        records.map(stored),
        note.as_deref(),
        now.micros()
    )?;
    must_touch(tx, rows, claimed).await?;
    let execution = claimed.execution.as_ref();
    let mut queued = None;
    let positions = match &outcome {
        ExportOutcome::Queued { positions, .. } | ExportOutcome::Nothing { positions, .. } => positions.clone(),
        ExportOutcome::Failed(_) => Vec::new(),
    };
    if let ExportOutcome::Queued { message, entities, .. } = outcome {
        let message = insert(tx, *message, execution.map(|id| id.0.as_str()), now).await?;
        let text = "update occurrences set message = $3 where job = $1 and due_at = $2";
        execute!(tx.db(), text, job, due_at, message.id.0)?;
        if let Some(execution) = execution {
            for (entity_no, (label, records)) in (0..).zip(entities) {
                write_entity_run(tx, execution, &exported(entity_no, label, records, now)).await?;
            }
        }
        queued = Some(message);
    }
    let messages: Vec<_> = queued.iter().map(|message| message.id).collect();
    positions::insert(tx, claimed.job, claimed.due_at, &messages, &positions, now).await?;
    if let Some(execution) = execution {
        close_execution(tx, execution, queued.as_ref().map(|message| message.id), now).await?;
    }
    Ok(queued)
}

/// An exported entity: every record read is a record written into the file.
fn exported(entity_no: i32, label: String, records: u64, now: Timestamp) -> EntityRun {
    EntityRun {
        entity_no,
        label,
        company: None,
        staging_status: "Finished".to_owned(),
        staging_records: records,
        staging_errors: 0,
        target_status: "Finished".to_owned(),
        counts: Counts {
            read: records,
            inserted: records,
            ..Counts::default()
        },
        target_errors: 0,
        truncated: 0,
        started_at: None,
        finished_at: Some(now),
        warnings: Vec::new(),
    }
}

async fn must_touch(tx: &mut Tx, rows: u64, claimed: &Occurrence) -> Result<(), StoreError> {
    if rows == 1 {
        return Ok(());
    }
    let text = "select state, epoch from occurrences where job = $1 and due_at = $2";
    let found: Option<(String, i64)> =
        fetch_optional!(tx.db(), (String, i64), text, claimed.job.0, claimed.due_at.micros())?;
    Err(StoreError::Conflict {
        what: "occurrence",
        id: format!("{} at {}", claimed.job, claimed.due_at),
        state: found.map_or_else(
            || "unknown".to_owned(),
            |(state, epoch)| format!("{state}, lease {epoch}"),
        ),
    })
}
