//! Claiming occurrences: which one runs next, under whose lease, and which are not run any more.

use std::collections::HashSet;

use uuid::Uuid;

use super::dialect::{sql, try_job_lock};
use super::leases::Heartbeat;
use super::occurrences::{OCCURRENCE_COLUMNS, Occurrence, OccurrenceRow};
use super::pool::{Tx, execute, fetch_all, fetch_optional};
use super::runs::{close_execution, insert_execution};
use super::{Store, StoreError};
use crate::domain::ids::{ExecutionId, JobId};
use crate::domain::time::Timestamp;

/// Occurrences looked at by one statement of each sort.
const PAGE: usize = 100;
/// Occurrence `o` was to be stopped, and no worker has it.
const CANCELLED: &str =
    "o.cancel_asked is not null and (o.state = 'due' or (o.state = 'running' and o.lease_until <= $1))";

/// A claim on occurrences.
struct Claim {
    owner: String,
    until: Timestamp,
    execution: ExecutionId,
    now: Timestamp,
}

impl Store {
    /// Claims the oldest due occurrence of these jobs (one running at a time per job, none of a paused one unless it is
    /// forced, backfills after all others), or one whose worker died: epoch + 1, and an execution unless it has one, whose id
    /// `execution` makes.
    pub async fn claim_occurrence(
        &self,
        jobs: &[JobId],
        owner: &str,
        lease_seconds: i64,
        execution: impl Fn(JobId) -> ExecutionId + Send + 'static,
        now: Timestamp,
    ) -> Result<Option<Occurrence>, StoreError> {
        if !self.has_open_occurrences().await? {
            return Ok(None);
        }
        let jobs: HashSet<JobId> = jobs.iter().copied().collect();
        let (owner, until) = (owner.to_owned(), now.plus_seconds(lease_seconds));
        self.write(move |tx| {
            Box::pin(async move {
                let mut may_end_cancelled = true;
                let mut page = 0;
                loop {
                    let found = claimable(tx, page, now).await?;
                    if may_end_cancelled && found.iter().any(|found| found.is_cancelled) {
                        end_cancelled(tx, now).await?;
                        // What another process has in hand is ended by it.
                        may_end_cancelled = false;
                        continue;
                    }
                    // Others are of jobs that only another process knows.
                    for Claimable { job, due_at, .. } in
                        found.iter().filter(|it| !it.is_cancelled && jobs.contains(&it.job))
                    {
                        if !try_job_lock(tx, *job).await? {
                            continue;
                        }
                        let claim = Claim {
                            owner: owner.clone(),
                            until,
                            execution: execution(*job),
                            now,
                        };
                        if let Some(claimed) = take(tx, &claim, *job, *due_at).await? {
                            return Ok(Some(claimed));
                        }
                    }
                    if found.len() < PAGE {
                        break;
                    }
                    page += 1;
                }
                Ok(None)
            })
        })
        .await
    }

    /// Whether anything is due or running, of any job. Mostly nothing is, and an idle worker asks twice a second: this is one read,
    /// and not a transaction of the writer.
    async fn has_open_occurrences(&self) -> Result<bool, StoreError> {
        let text = "select 1 where exists (select 1 from occurrences where state = 'due') \
            or exists (select 1 from occurrences where state = 'running')";
        let found: Option<(i32,)> = fetch_optional!(self.reader(), (i32,), text)?;
        Ok(found.is_some())
    }

    /// A worker's heartbeat: keeps its lease, and tells it what it must know.
    pub async fn extend_occurrence(&self, claimed: &Occurrence, until: Timestamp) -> Result<Heartbeat, StoreError> {
        let claimed = claimed.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let text = "update occurrences set lease_until = $4 \
                where job = $1 and due_at = $2 and epoch = $3 and state = 'running' returning cancel_asked";
                let (job, due_at) = (claimed.job.0, claimed.due_at.micros());
                let held = fetch_optional!(
                    tx.db(),
                    (Option<String>,),
                    text,
                    job,
                    due_at,
                    claimed.epoch,
                    until.micros()
                )?;
                Ok(match held {
                    None => Heartbeat::Lost,
                    Some((None,)) => Heartbeat::Held,
                    Some((Some(why),)) => Heartbeat::CancelAsked(why),
                })
            })
        })
        .await
    }
}

/// Ends what was to be stopped and whose worker died or handed it back.
async fn end_cancelled(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    let dialect = tx.dialect();
    let text = format!(
        "update occurrences set state = 'cancelled', reason = 'overlap', note = cancel_asked, cancel_asked = null, \
         not_before = null, owner = null, lease_until = null, epoch = epoch + 1, finished_at = $1 \
         where (job, due_at) in (select o.job, o.due_at from occurrences o where {CANCELLED} \
         order by o.job limit {PAGE}{}) returning execution",
        dialect.skip_locked()
    );
    let ended: Vec<(Option<String>,)> = fetch_all!(tx.db(), (Option<String>,), sql(text), now.micros())?;
    close_executions(tx, ended, now).await
}

/// Notes when these executions ended.
pub(super) async fn close_executions(
    tx: &mut Tx,
    executions: Vec<(Option<String>,)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    for execution in executions.into_iter().filter_map(|(execution,)| execution) {
        close_execution(tx, &ExecutionId(execution), None, now).await?;
    }
    Ok(())
}

/// An occurrence that may be claimed, or one that is only to be ended.
struct Claimable {
    job: JobId,
    due_at: Timestamp,
    /// It was to be stopped, and no worker has it.
    is_cancelled: bool,
}

/// What may be claimed now, a page of each sort: those to be ended, those whose worker died, those that are due, backfills;
/// oldest first.
///
/// Of one job's schedule, or of one backfill, the oldest must run before the next: one that waits for its next attempt or
/// its jitter holds those behind it up.
async fn claimable(tx: &mut Tx, page: usize, now: Timestamp) -> Result<Vec<Claimable>, StoreError> {
    type Row = (i32, Uuid, i64);
    let portion = format!("order by o.due_at, o.job limit {PAGE} offset {}", page * PAGE);
    let sorted = |sort: u8, condition: &str| {
        format!(
            "select * from (select {sort} as sort, o.job as job, o.due_at as due_at from occurrences o \
             where {condition} {portion}) as sort_{sort}"
        )
    };
    let due = |origin: &str| {
        format!(
            "o.state = 'due' and o.origin {origin} 'backfill' and o.cancel_asked is null \
             and (o.not_before is null or o.not_before <= $1) \
             and not exists (select 1 from occurrences r where r.job = o.job and r.state = 'running') \
             and (o.forced or not exists (select 1 from schedules s \
             where s.job = o.job and s.paused_at is not null and s.resumed_at is null)) \
             and not exists (select 1 from occurrences e where e.job = o.job and e.state = 'due' \
             and e.due_at < o.due_at and e.origin = o.origin and e.origin <> 'run' and e.forced = o.forced)"
        )
    };
    let text = format!(
        "{} union all {} union all {} union all {} order by 1, 3, 2",
        sorted(0, CANCELLED),
        sorted(
            1,
            "o.state = 'running' and o.lease_until <= $1 and o.cancel_asked is null"
        ),
        sorted(2, &due("<>")),
        sorted(3, &due("="))
    );
    let rows: Vec<Row> = fetch_all!(tx.db(), Row, sql(text), now.micros())?;
    let read = |(sort, job, due_at): Row| Claimable {
        job: JobId(job),
        due_at: Timestamp(due_at),
        is_cancelled: sort == 0,
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Takes one occurrence, if it is still to be had now that its job is locked, and creates its execution once.
async fn take(tx: &mut Tx, claim: &Claim, job: JobId, due_at: Timestamp) -> Result<Option<Occurrence>, StoreError> {
    let text = format!(
        "update occurrences set state = 'running', epoch = epoch + 1, attempt = attempt + 1, owner = $4, lease_until = $5, \
         started_at = $3, written_at = null, stored_at = null, execution = coalesce(execution, $6) where job = $1 and due_at = $2 and \
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
