//! How occurrences come to be: the mark up to which a schedule has been evaluated, and runs that somebody asked for.

use super::dialect::sql;
use super::occurrences::{DueDecision, OCCURRENCE_COLUMNS, Occurrence, OccurrenceRow};
use super::pool::{Tx, execute, fetch_optional};
use super::{Store, StoreError};
use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;

const MARK: &str = "select evaluated_to from schedules where job = $1";

impl Store {
    /// Up to when this job's schedule has been evaluated. The first call stores `now` and returns it, so that a new job
    /// has no past.
    pub async fn evaluated_to(&self, job: JobId, now: Timestamp) -> Result<Timestamp, StoreError> {
        if let Some((mark,)) = fetch_optional!(self.reader(), (i64,), MARK, job.0)? {
            return Ok(Timestamp(mark));
        }
        self.write(move |mut tx| async move {
            let text = "insert into schedules (job, evaluated_to) values ($1, $2) on conflict (job) do nothing";
            execute!(tx.db(), text, job.0, now.micros())?;
            let (mark,) = fetch_optional!(tx.db(), (i64,), MARK, job.0)?.unwrap_or((now.micros(),));
            tx.commit(Timestamp(mark)).await
        })
        .await
    }

    /// Records what was decided for `(from, to]` and moves the mark, in one transaction guarded by the mark still being at
    /// `from`. `false`: another process was first, nothing was written.
    pub async fn record_due(
        &self,
        job: JobId,
        from: Timestamp,
        to: Timestamp,
        decisions: &[DueDecision],
    ) -> Result<bool, StoreError> {
        let decisions = decisions.to_vec();
        self.write(move |mut tx| async move {
            let text = "update schedules set evaluated_to = $3 where job = $1 and evaluated_to = $2";
            let is_first = execute!(tx.db(), text, job.0, from.micros(), to.micros())? == 1;
            if is_first {
                for decision in &decisions {
                    record(&mut tx, job, decision, to).await?;
                }
            }
            tx.commit(is_first).await
        })
        .await
    }

    /// Whether an occurrence of the job is due or running.
    pub async fn has_open_occurrence(&self, job: JobId) -> Result<bool, StoreError> {
        let text = "select 1 from occurrences where job = $1 and state in ('due', 'running') limit 1";
        let open: Option<(i32,)> = fetch_optional!(self.reader(), (i32,), text, job.0)?;
        Ok(open.is_some())
    }

    /// Records a run somebody asked for; due at `now`, or the next free microsecond.
    pub async fn run_now(&self, job: JobId, by: &str, now: Timestamp) -> Result<Occurrence, StoreError> {
        let by = by.to_owned();
        self.write(move |mut tx| async move {
            let text = format!(
                "insert into occurrences (job, due_at, state, triggered_by) values ($1, $2, 'due', $3) \
                 on conflict (job, due_at) do nothing returning {OCCURRENCE_COLUMNS}"
            );
            let mut due_at = now.micros();
            loop {
                let row = fetch_optional!(tx.db(), OccurrenceRow, sql(text.clone()), job.0, due_at, by.as_str())?;
                if let Some(row) = row {
                    return tx.commit(row.try_into()?).await;
                }
                due_at += 1;
            }
        })
        .await
    }
}

async fn record(tx: &mut Tx, job: JobId, decision: &DueDecision, decided_at: Timestamp) -> Result<(), StoreError> {
    // A run somebody asked for in this very microsecond is this occurrence too.
    let text = "insert into occurrences (job, due_at, state, triggered_by, note, finished_at) \
        values ($1, $2, $3, 'schedule', $4, $5) on conflict (job, due_at) do nothing";
    let (state, finished_at) = match decision.skip {
        None => ("due", None),
        Some(_) => ("skipped", Some(decided_at.micros())),
    };
    execute!(
        tx.db(),
        text,
        job.0,
        decision.due_at.micros(),
        state,
        decision.skip.as_deref(),
        finished_at
    )?;
    Ok(())
}
