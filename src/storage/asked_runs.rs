//! Occurrences somebody asked for: a run now, and due times of the past that have none (backfill).

use std::collections::{HashMap, HashSet};

use super::dialect::{portions, sql};
use super::occurrences::{OCCURRENCE_COLUMNS, Occurrence, OccurrenceRow};
use super::package_imports::Queued;
use super::package_requests::{self, PackageRequest, Submit};
use super::pool::{Tx, fetch_optional, with_pool};
use super::projects::{ProjectChange, ToldChange, change, tell};
use super::{Store, StoreError};
use crate::domain::audit::NewEntry;
use crate::domain::ids::{ExecutionId, JobId};
use crate::domain::time::Timestamp;

/// Who asks for runs, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The client.
    pub by: String,
    /// What it said.
    pub comment: Option<String>,
    /// Whether they run although the job is paused.
    pub forced: bool,
}

impl Asked {
    /// Asked by this client, without a word.
    #[must_use]
    pub fn by(client: &str) -> Self {
        Self {
            by: client.to_owned(),
            comment: None,
            forced: false,
        }
    }
}

/// What is known of a due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It was recorded as skipped, for another reason than a calendar: it may be made up for.
    Skipped,
    /// It runs, ran, or its day is excluded.
    Recorded,
}

impl Store {
    /// Records a run somebody asked for; due at `now`, or the next free microsecond.
    pub async fn run_now(&self, job: JobId, asked: &Asked, now: Timestamp) -> Result<Occurrence, StoreError> {
        let asked = asked.clone();
        let effect = |run: &Occurrence, entry: &mut NewEntry| {
            entry.add("due_at", run.due_at.wire());
            true
        };
        self.write_audited(effect, move |tx| {
            Box::pin(async move { insert_run(tx, job, &asked, None, now).await })
        })
        .await
    }

    /// Records a run that a client asked for by the package API, with its execution, what was asked, and the change of its project
    /// that goes with it, unless it did before or the id is another's (PKG-13). Nothing is stored unless it is [`Queued::New`].
    pub async fn run_package(
        &self,
        job: JobId,
        request: &PackageRequest,
        project: Option<ProjectChange>,
    ) -> Result<Queued, StoreError> {
        let request = request.clone();
        let told = project.as_ref().map(ToldChange::of);
        let effect = move |queued: &Queued, entry: &mut NewEntry| *queued == Queued::New && tell(told, entry);
        let queued = self.write_audited(effect, move |tx| {
            Box::pin(async move {
                // First, so that of two submits with one id the second waits here.
                match package_requests::submit(tx, &request, job, None).await? {
                    Submit::New => {}
                    Submit::Repeated => return Ok(Queued::Repeated),
                    Submit::Taken => return Ok(Queued::Taken),
                }
                if let Some(project) = &project
                    && !change(tx, project, request.asked_at).await?
                {
                    return Err(StoreError::Conflict {
                        what: "project",
                        id: String::new(),
                        state: "changed".to_owned(),
                    });
                }
                let asked = Asked {
                    comment: Some(request.action.clone()),
                    ..Asked::by(&request.client)
                };
                insert_run(tx, job, &asked, Some(&request.execution), request.asked_at).await?;
                Ok(Queued::New)
            })
        });
        match queued.await {
            Err(StoreError::Conflict { what: "project", .. }) => Ok(Queued::Overtaken),
            queued => queued,
        }
    }

    /// Which of these due times of a job have an occurrence.
    pub async fn known_occurrences(
        &self,
        job: JobId,
        due: &[Timestamp],
    ) -> Result<HashMap<Timestamp, Known>, StoreError> {
        let mut known = HashMap::new();
        for portion in portions(self.dialect(), due) {
            let text = format!(
                "select due_at, state = 'skipped' and coalesce(reason, '') <> 'calendar' from occurrences \
                 where job = $1 and due_at in ({})",
                portion.list_from(2)
            );
            let rows = with_pool!(self.reader(), db: Db => {
                let mut select = sqlx::query_as::<Db, (i64, bool)>(sql(text)).bind(job.0);
                for (due, _) in portion.filled() {
                    select = select.bind(due.micros());
                }
                select.fetch_all(db).await
            })?;
            let read = |(due_at, is_skipped)| {
                let known = if is_skipped { Known::Skipped } else { Known::Recorded };
                (Timestamp(due_at), known)
            };
            known.extend(rows.into_iter().map(read));
        }
        Ok(known)
    }

    /// Records these due times to be run, oldest first and behind everything else of the job: those that have no occurrence,
    /// and with `skipped` also those that were recorded as skipped (not by a calendar). Returns those it was done for; others
    /// have their occurrence, and keep it.
    pub async fn backfill(
        &self,
        job: JobId,
        due: &[Timestamp],
        skipped: bool,
        asked: &Asked,
        now: Timestamp,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let (due, asked) = (due.to_vec(), asked.clone());
        let effect = |made: &Vec<Timestamp>, entry: &mut NewEntry| {
            entry.add("occurrences", made.len());
            !made.is_empty()
        };
        self.write_audited(effect, move |tx| {
            Box::pin(async move {
                let mut made = HashSet::new();
                for portion in portions(tx.dialect(), &due) {
                    let mut text = format!(
                        "insert into occurrences (job, due_at, state, origin, triggered_by, comment, forced, not_before) {}",
                        portion.inserted(8)
                    );
                    text += if skipped {
                        " on conflict (job, due_at) do update set state = 'due', origin = excluded.origin, \
                         triggered_by = excluded.triggered_by, comment = excluded.comment, forced = excluded.forced, \
                         reason = null, note = null, not_before = excluded.not_before, finished_at = null \
                         where occurrences.state = 'skipped' and coalesce(occurrences.reason, '') <> 'calendar'"
                    } else {
                        " on conflict (job, due_at) do nothing"
                    };
                    text += " returning due_at";
                    let rows = with_pool!(tx.db(), db: Db => {
                        let mut insert = sqlx::query_as::<Db, (i64,)>(sql(text));
                        for (due, _) in portion.filled() {
                            insert = insert.bind(job.0).bind(due.micros()).bind("due").bind("backfill");
                            insert = insert.bind(asked.by.as_str()).bind(asked.comment.as_deref()).bind(asked.forced);
                            insert = insert.bind(now.micros());
                        }
                        insert.bind(portion.count()).fetch_all(db).await
                    })?;
                    made.extend(rows.into_iter().map(|(due_at,)| Timestamp(due_at)));
                }
                Ok(due.into_iter().filter(|due| made.contains(due)).collect())
            })
        })
        .await
    }
}

/// A run somebody asked for, with its execution where that is there already.
async fn insert_run(
    tx: &mut Tx,
    job: JobId,
    asked: &Asked,
    execution: Option<&ExecutionId>,
    now: Timestamp,
) -> Result<Occurrence, StoreError> {
    let text = format!(
        "insert into occurrences (job, due_at, state, origin, triggered_by, comment, forced, execution) \
         values ($1, $2, 'due', 'run', $3, $4, $5, $6) on conflict (job, due_at) do nothing returning {OCCURRENCE_COLUMNS}"
    );
    let (by, comment) = (asked.by.as_str(), asked.comment.as_deref());
    let execution = execution.map(|id| id.0.as_str());
    let mut due_at = now.micros();
    loop {
        let text = sql(text.clone());
        let row = fetch_optional!(
            tx.db(),
            OccurrenceRow,
            text,
            job.0,
            due_at,
            by,
            comment,
            asked.forced,
            execution
        )?;
        if let Some(row) = row {
            return row.try_into();
        }
        due_at += 1;
    }
}
