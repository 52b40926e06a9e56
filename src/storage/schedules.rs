//! How a schedule's occurrences come to be: the mark up to which it has been evaluated, and what was decided beyond it.
//!
//! All of it set-wise, a portion of jobs at a time: thousands of schedules may be due at the same second.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::dialect::{Portion, portions, sql};
use super::occurrence_claims::close_executions;
use super::occurrences::{DueDecision, MissedRange};
use super::pauses::{PAUSE_COLUMNS, Pause, PauseColumns};
use super::pool::{Tx, with_pool};
use super::rows::stored;
use super::{Store, StoreError};
use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;

/// What became of runs that stood in the way of a later one.
const CANCELLED_NOTE: &str = "a later occurrence was due (overlap = cancel_previous)";

/// How far a job's schedule has been evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The schedule it was evaluated under: another one has no past.
    pub pattern: String,
    /// Up to when.
    pub evaluated_to: Timestamp,
    /// The job's pause: the one it is in, or the last one.
    pub pause: Option<Pause>,
}

#[derive(Debug, sqlx::FromRow)]
struct MarkRow {
    job: Uuid,
    pattern: String,
    evaluated_to: i64,
    #[sqlx(flatten)]
    pause: PauseColumns,
}

/// What the evaluation of one job's schedule came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// The job.
    pub job: JobId,
    /// The schedule's identity.
    pub pattern: String,
    /// The mark it was evaluated from.
    pub from: Timestamp,
    /// The mark it was evaluated to.
    pub to: Timestamp,
    /// Whether the job was paused, as far as the evaluation knew.
    pub paused: bool,
    /// What was decided, a row each.
    pub decisions: Vec<DueDecision>,
    /// What did not run and is only counted.
    pub missed: Vec<MissedRange>,
    /// Whether runs that are not over are to be stopped, and those that wait to be left out.
    pub cancels_previous: bool,
}

impl Store {
    /// The marks of these jobs, as far as they have one.
    pub async fn marks(&self, jobs: &[JobId]) -> Result<HashMap<JobId, Mark>, StoreError> {
        let mut marks = HashMap::with_capacity(jobs.len());
        for portion in portions(self.dialect(), jobs) {
            let text = format!(
                "select job, pattern, evaluated_to, {PAUSE_COLUMNS} from schedules where job in ({})",
                portion.list_from(1)
            );
            let rows = with_pool!(self.reader(), db: Db => {
                let mut select = sqlx::query_as::<Db, MarkRow>(sql(text));
                for (job, _) in portion.filled() {
                    select = select.bind(job.0);
                }
                select.fetch_all(db).await
            })?;
            for row in rows {
                let mark = Mark {
                    pattern: row.pattern,
                    evaluated_to: Timestamp(row.evaluated_to),
                    pause: Pause::read(row.job, row.pause)?,
                };
                marks.insert(JobId(row.job), mark);
            }
        }
        Ok(marks)
    }

    /// Sets the marks of schedules that are new or another to `now`, so that neither has a past. What another process set for
    /// the same schedule meanwhile stands.
    pub async fn begin_schedules(&self, schedules: &[(JobId, String)], now: Timestamp) -> Result<(), StoreError> {
        let mut schedules = schedules.to_vec();
        // In one order for everybody: two processes begin the same ones.
        schedules.sort_unstable();
        self.write(move |tx| {
            Box::pin(async move {
                for portion in portions(tx.dialect(), &schedules) {
                    let text = format!(
                        "insert into schedules (job, pattern, evaluated_to) {} on conflict (job) \
                         do update set pattern = excluded.pattern, evaluated_to = excluded.evaluated_to \
                         where schedules.pattern <> excluded.pattern",
                        portion.inserted(3)
                    );
                    with_pool!(tx.db(), db: Db => {
                        let mut insert = sqlx::query::<Db>(sql(text));
                        for ((job, pattern), _) in portion.filled() {
                            insert = insert.bind(job.0).bind(pattern.as_str()).bind(now.micros());
                        }
                        insert.bind(portion.count()).execute(db).await.map(|_| ())
                    })?;
                }
                Ok(())
            })
        })
        .await
    }

    /// How many occurrences of these jobs are due or running, backfills left out; jobs without one are not named.
    pub async fn open_occurrences(&self, jobs: &[JobId]) -> Result<HashMap<JobId, u32>, StoreError> {
        let mut open = HashMap::new();
        for portion in portions(self.dialect(), jobs) {
            let list = portion.list_from(1);
            // Each half by its partial index: the history of a job may be long.
            let text = format!(
                "select job, count(*) from (select job from occurrences where state = 'due' and origin <> 'backfill' \
                 and job in ({list}) union all select job from occurrences where state = 'running' \
                 and origin <> 'backfill' and job in ({list})) as open group by job"
            );
            let rows = with_pool!(self.reader(), db: Db => {
                let mut select = sqlx::query_as::<Db, (Uuid, i64)>(sql(text));
                for (job, _) in portion.filled() {
                    select = select.bind(job.0);
                }
                select.fetch_all(db).await
            })?;
            let counted = |(job, count): (Uuid, i64)| (JobId(job), u32::try_from(count).unwrap_or(u32::MAX));
            open.extend(rows.into_iter().map(counted));
        }
        Ok(open)
    }

    /// Records what was decided and moves the marks, in one transaction, each job guarded by its mark still being where the
    /// evaluation began. Which jobs it was done for: of the others another process has been, or is, the first.
    pub async fn record_due(&self, evaluated: Vec<Evaluated>, now: Timestamp) -> Result<HashSet<JobId>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let mut recorded = HashSet::new();
                for portion in portions(tx.dialect(), &evaluated) {
                    recorded.extend(move_marks(tx, &portion).await?);
                }
                let first = |one: &&Evaluated| recorded.contains(&one.job);
                let mine: Vec<&Evaluated> = evaluated.iter().filter(first).collect();
                cancel_previous(tx, &mine, now).await?;
                insert_decisions(tx, &mine, now).await?;
                insert_missed(tx, &mine, now).await?;
                Ok(recorded)
            })
        })
        .await
    }
}

/// Moves the marks of a portion; the jobs whose mark was where it had to be.
async fn move_marks(tx: &mut Tx, portion: &Portion<'_, Evaluated>) -> Result<Vec<JobId>, StoreError> {
    // Locked in one order, and passed over where another process is at it: nobody waits for anybody.
    let text = format!(
        "select job from schedules where job in ({}) order by job{}",
        portion.list_from(1),
        tx.dialect().skip_locked()
    );
    let locked = with_pool!(tx.db(), db: Db => {
        let mut select = sqlx::query_as::<Db, (Uuid,)>(sql(text));
        for (one, _) in portion.filled() {
            select = select.bind(one.job.0);
        }
        select.fetch_all(db).await
    })?;
    let locked: HashSet<Uuid> = locked.into_iter().map(|(job,)| job).collect();
    let text = format!(
        "update schedules set evaluated_to = given.column4 from (values {}) as given where job = given.column1 \
         and pattern = given.column2 and evaluated_to = given.column3 \
         and (paused_at is not null and resumed_at is null) = given.column5 returning job",
        portion.values(5)
    );
    let moved = with_pool!(tx.db(), db: Db => {
        let mut update = sqlx::query_as::<Db, (Uuid,)>(sql(text));
        for (one, _) in portion.filled() {
            let job = if locked.contains(&one.job.0) { one.job.0 } else { Uuid::nil() };
            update = update.bind(job).bind(one.pattern.as_str()).bind(one.from.micros()).bind(one.to.micros()).bind(one.paused);
        }
        update.fetch_all(db).await
    })?;
    Ok(moved.into_iter().map(|(job,)| JobId(job)).collect())
}

/// Asks what runs to stop, and leaves out what waits, for the jobs that want it so. Backfills are nobody's previous run.
async fn cancel_previous(tx: &mut Tx, evaluated: &[&Evaluated], now: Timestamp) -> Result<(), StoreError> {
    let jobs: Vec<JobId> = evaluated
        .iter()
        .filter(|one| one.cancels_previous)
        .map(|one| one.job)
        .collect();
    for portion in portions(tx.dialect(), &jobs) {
        let waiting = format!(
            "update occurrences set state = case when execution is null then 'skipped' else 'cancelled' end, reason = 'overlap', \
             note = $2, not_before = null, finished_at = $1 where state = 'due' and origin <> 'backfill' \
             and job in ({}) returning execution",
            portion.list_from(3)
        );
        let ended = with_pool!(tx.db(), db: Db => {
            let mut update = sqlx::query_as::<Db, (Option<String>,)>(sql(waiting)).bind(now.micros()).bind(CANCELLED_NOTE);
            for (job, _) in portion.filled() {
                update = update.bind(job.0);
            }
            update.fetch_all(db).await
        })?;
        close_executions(tx, ended, now).await?;
        let running = format!(
            "update occurrences set cancel_asked = $1 where state = 'running' and origin <> 'backfill' \
             and cancel_asked is null and job in ({})",
            portion.list_from(2)
        );
        with_pool!(tx.db(), db: Db => {
            let mut update = sqlx::query::<Db>(sql(running)).bind(CANCELLED_NOTE);
            for (job, _) in portion.filled() {
                update = update.bind(job.0);
            }
            update.execute(db).await.map(|_| ())
        })?;
    }
    Ok(())
}

async fn insert_decisions(tx: &mut Tx, evaluated: &[&Evaluated], now: Timestamp) -> Result<(), StoreError> {
    let of = |one: &&Evaluated| {
        let job = one.job;
        one.decisions.clone().into_iter().map(move |decision| (job, decision))
    };
    let decisions: Vec<(JobId, DueDecision)> = evaluated.iter().flat_map(of).collect();
    for portion in portions(tx.dialect(), &decisions) {
        // A run somebody asked for in this very microsecond is this occurrence too.
        let text = format!(
            "insert into occurrences (job, due_at, state, origin, triggered_by, not_before, reason, note, finished_at) {} \
             on conflict (job, due_at) do nothing",
            portion.inserted(9)
        );
        with_pool!(tx.db(), db: Db => {
            let mut insert = sqlx::query::<Db>(sql(text));
            for ((job, decision), _) in portion.filled() {
                let skip = decision.skip.as_ref();
                insert = insert
                    .bind(job.0)
                    .bind(decision.due_at.micros())
                    .bind(if skip.is_some() { "skipped" } else { "due" })
                    .bind("schedule")
                    .bind("schedule")
                    .bind(decision.not_before.filter(|_| skip.is_none()).map(Timestamp::micros))
                    .bind(skip.map(|skip| skip.reason.as_str()))
                    .bind(skip.map(|skip| skip.note.as_str()))
                    .bind(skip.map(|_| now.micros()));
            }
            insert.bind(portion.count()).execute(db).await.map(|_| ())
        })?;
    }
    Ok(())
}

async fn insert_missed(tx: &mut Tx, evaluated: &[&Evaluated], now: Timestamp) -> Result<(), StoreError> {
    let of = |one: &&Evaluated| {
        let job = one.job;
        one.missed.clone().into_iter().map(move |range| (job, range))
    };
    let ranges: Vec<(JobId, MissedRange)> = evaluated.iter().flat_map(of).collect();
    for portion in portions(tx.dialect(), &ranges) {
        let text = format!(
            "insert into missed_occurrences (job, first_due, last_due, occurrences, reason, note, recorded_at) {} \
             on conflict (job, first_due) do nothing",
            portion.inserted(7)
        );
        with_pool!(tx.db(), db: Db => {
            let mut insert = sqlx::query::<Db>(sql(text));
            for ((job, range), _) in portion.filled() {
                insert = insert
                    .bind(job.0)
                    .bind(range.first_due.micros())
                    .bind(range.last_due.micros())
                    .bind(stored(range.occurrences))
                    .bind(range.reason.as_str())
                    .bind(range.note.as_str())
                    .bind(now.micros());
            }
            insert.bind(portion.count()).execute(db).await.map(|_| ())
        })?;
    }
    Ok(())
}
