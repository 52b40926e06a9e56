//! Pauses of jobs: who, when, why; until somebody resumes them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::dialect::sql;
use super::pool::{execute, fetch_all, fetch_optional};
use super::rows::corrupt;
use super::{Store, StoreError};
use crate::domain::ids::JobId;
use crate::domain::schedule::Missed;
use crate::domain::time::Timestamp;

/// A job's pause: the one it is in, or the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub at: Timestamp,
    /// The client that paused it.
    pub by: String,
    /// What it said.
    pub note: Option<String>,
    /// Until when; `None`: it is paused.
    pub resumed_at: Option<Timestamp>,
    /// The client that resumed it.
    pub resumed_by: Option<String>,
    /// What becomes of what was due meanwhile; `None`: what the schedule says.
    pub missed: Option<Missed>,
}

/// A row's pause.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct PauseColumns {
    paused_at: Option<i64>,
    paused_by: Option<String>,
    pause_note: Option<String>,
    resumed_at: Option<i64>,
    resumed_by: Option<String>,
    resumed_missed: Option<String>,
}

/// The columns of [`PauseColumns`].
pub(super) const PAUSE_COLUMNS: &str = "paused_at, paused_by, pause_note, resumed_at, resumed_by, resumed_missed";
/// Who is in a pause.
const PAUSED: &str = "paused_at is not null and resumed_at is null";

#[derive(Debug, sqlx::FromRow)]
struct PauseRow {
    job: Uuid,
    #[sqlx(flatten)]
    pause: PauseColumns,
}

impl Pause {
    /// Whether the job is paused.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.resumed_at.is_none()
    }

    pub(super) fn read(job: Uuid, columns: PauseColumns) -> Result<Option<Self>, StoreError> {
        let Some(at) = columns.paused_at else {
            return Ok(None);
        };
        let read =
            |word: String| Missed::parse(&word).ok_or_else(|| corrupt("schedules", "resumed_missed", &job, &word));
        Ok(Some(Self {
            at: Timestamp(at),
            by: columns.paused_by.unwrap_or_default(),
            note: columns.pause_note,
            resumed_at: columns.resumed_at.map(Timestamp),
            resumed_by: columns.resumed_by,
            missed: columns.resumed_missed.map(read).transpose()?,
        }))
    }
}

impl Store {
    /// Pauses a job. `false`: it is paused already, and stays so as it is.
    pub async fn pause(&self, job: JobId, by: &str, note: Option<&str>, now: Timestamp) -> Result<bool, StoreError> {
        let (by, note) = (by.to_owned(), note.map(str::to_owned));
        let paused = self.write_audited(|paused, _| *paused, move |tx| {
            Box::pin(async move {
                // A job without a schedule, or with one that was never evaluated, has no row yet.
                let text = "insert into schedules (job, pattern, evaluated_to, paused_at, paused_by, pause_note) \
                    values ($1, '', $2, $2, $3, $4) on conflict (job) do update set paused_at = excluded.paused_at, \
                    paused_by = excluded.paused_by, pause_note = excluded.pause_note, resumed_at = null, resumed_by = null, \
                    resumed_missed = null where schedules.paused_at is null or schedules.resumed_at is not null";
                let rows = execute!(tx.db(), text, job.0, now.micros(), by.as_str(), note.as_deref())?;
                Ok(rows == 1)
            })
        });
        let paused = paused.await;
        self.memory().forget_paused();
        paused
    }

    /// Ends a job's pause; `missed` says what becomes of what was due meanwhile, where it is not what the schedule says.
    /// `false`: it is not paused.
    pub async fn resume(
        &self,
        job: JobId,
        by: &str,
        missed: Option<Missed>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let by = by.to_owned();
        let resumed = self.write_audited(
            |resumed, _| *resumed,
            move |tx| {
                Box::pin(async move {
                    // A clock that went back must not make a pause that ends before it began.
                    let text = format!(
                        "update schedules set resumed_at = case when paused_at > $2 then paused_at else $2 end, \
                     resumed_by = $3, resumed_missed = $4 where job = $1 and {PAUSED}"
                    );
                    let missed = missed.map(Missed::as_str);
                    Ok(execute!(tx.db(), sql(text), job.0, now.micros(), by.as_str(), missed)? == 1)
                })
            },
        );
        let resumed = resumed.await;
        self.memory().forget_paused();
        resumed
    }

    /// The pause a job is in.
    pub async fn pause_of(&self, job: JobId) -> Result<Option<Pause>, StoreError> {
        let text = format!("select {PAUSE_COLUMNS} from schedules where job = $1 and {PAUSED}");
        let row = fetch_optional!(self.reader(), PauseColumns, sql(text), job.0)?;
        Ok(row.map(|columns| Pause::read(job.0, columns)).transpose()?.flatten())
    }

    /// The pauses of all jobs that are in one.
    pub async fn pauses(&self) -> Result<HashMap<JobId, Pause>, StoreError> {
        let text = format!("select job, {PAUSE_COLUMNS} from schedules where {PAUSED}");
        let rows: Vec<PauseRow> = fetch_all!(self.reader(), PauseRow, sql(text))?;
        let mut pauses = HashMap::new();
        for row in rows {
            let pause = Pause::read(row.job, row.pause)?;
            pauses.extend(pause.map(|pause| (JobId(row.job), pause)));
        }
        Ok(pauses)
    }

    /// Which jobs are paused, as of a second ago at most: what other processes pause and resume is known by then.
    pub async fn paused_jobs(&self) -> Result<Arc<HashSet<JobId>>, StoreError> {
        if let Some(paused) = self.memory().paused() {
            return Ok(paused);
        }
        let paused = Arc::new(self.pauses().await?.into_keys().collect());
        self.memory().remember_paused(&paused);
        Ok(paused)
    }
}
