//! How occurrences come to be: the mark up to which a schedule has been evaluated, and runs that somebody asked for.

use super::dialect::sql;
use super::occurrences::{DueDecision, OCCURRENCE_COLUMNS, Occurrence, OccurrenceRow};
use super::pool::{Tx, execute, fetch_optional};
use super::{Store, StoreError};
use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;

const MARK: &str = "select pattern, evaluated_to from schedules where job = $1";

impl Store {
    /// Up to when this job's schedule has been evaluated under `pattern`. The first call with a pattern stores `now` and
    /// returns it, so that neither a new job nor a changed schedule has a past.
    pub async fn evaluated_to(&self, job: JobId, pattern: &str, now: Timestamp) -> Result<Timestamp, StoreError> {
        let stored: Option<(String, i64)> = fetch_optional!(self.reader(), (String, i64), MARK, job.0)?;
        if let Some((_, mark)) = stored.filter(|(of, _)| of == pattern) {
            return Ok(Timestamp(mark));
        }
        let pattern = pattern.to_owned();
        self.write(move |tx| {
            Box::pin(async move {
                // Another process may have been first with the same pattern: its mark stands.
                let text = "insert into schedules (job, pattern, evaluated_to) values ($1, $2, $3) on conflict (job) \
                do update set pattern = excluded.pattern, evaluated_to = excluded.evaluated_to \
                where schedules.pattern <> excluded.pattern";
                execute!(tx.db(), text, job.0, pattern.as_str(), now.micros())?;
                let stored: Option<(String, i64)> = fetch_optional!(tx.db(), (String, i64), MARK, job.0)?;
                Ok(stored.map_or(now, |(_, mark)| Timestamp(mark)))
            })
        })
        .await
    }

    /// Records what was decided for `(from, to]` under `pattern` and moves the mark, in one transaction guarded by the mark
    /// still being at `from` and of that pattern. `false`: another process was first, nothing was written.
    pub async fn record_due(
        &self,
        job: JobId,
        pattern: &str,
        from: Timestamp,
        to: Timestamp,
        decisions: &[DueDecision],
    ) -> Result<bool, StoreError> {
        let (pattern, decisions) = (pattern.to_owned(), decisions.to_vec());
        self.write(move |tx| {
            Box::pin(async move {
                let text =
                    "update schedules set evaluated_to = $4 where job = $1 and pattern = $2 and evaluated_to = $3";
                let is_first = execute!(tx.db(), text, job.0, pattern.as_str(), from.micros(), to.micros())? == 1;
                if is_first {
                    for decision in &decisions {
                        record(tx, job, decision, to).await?;
                    }
                }
                Ok(is_first)
            })
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
        self.write(move |tx| {
            Box::pin(async move {
                let text = format!(
                    "insert into occurrences (job, due_at, state, triggered_by) values ($1, $2, 'due', $3) \
                 on conflict (job, due_at) do nothing returning {OCCURRENCE_COLUMNS}"
                );
                let mut due_at = now.micros();
                loop {
                    let row = fetch_optional!(tx.db(), OccurrenceRow, sql(text.clone()), job.0, due_at, by.as_str())?;
                    if let Some(row) = row {
                        return row.try_into();
                    }
                    due_at += 1;
                }
            })
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
