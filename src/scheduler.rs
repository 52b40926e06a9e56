//! The scheduler: once a second, evaluate what is due and record it; never do the work.
//!
//! `tokio-cron-scheduler` is the alarm clock only. Occurrences are computed in the job's own zone over the half-open interval
//! (last evaluated, now] and recorded under the unique `(job, due_at)`, so any number of processes fire each once (promise
//! 6). A tick that comes late, twice or not at all changes nothing about which occurrences there are.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_cron_scheduler::{Job as Tick, JobScheduler, JobSchedulerError};

use crate::definitions::Definitions;
use crate::domain::job::{Direction, Job, Missed, Overlap, Schedule};
use crate::domain::schedule::due_between;
use crate::domain::time::Timestamp;
use crate::pipeline::Context;
use crate::storage::StoreError;
use crate::storage::occurrences::DueDecision;

/// An occurrence found later than this was missed, not merely late.
const MISSED_AFTER_SECONDS: i64 = 60;
/// Longest tick.
const TICK_MAX: Duration = Duration::from_mins(2);
/// Most occurrences taken from one evaluation; the rest follows with the next tick.
const OCCURRENCES_PER_EVALUATION: usize = 1000;

/// Evaluates schedules. Cheap to clone.
#[derive(Clone)]
pub struct Scheduler {
    context: Context,
    definitions: watch::Receiver<Arc<Definitions>>,
    wake: Arc<Notify>,
}

impl Scheduler {
    /// A scheduler that has not begun.
    #[must_use]
    pub fn new(context: Context, definitions: watch::Receiver<Arc<Definitions>>, wake: Arc<Notify>) -> Self {
        Self {
            context,
            definitions,
            wake,
        }
    }

    /// Sets the alarm clock: an evaluation every second, skipped while the previous one still runs.
    ///
    /// # Errors
    /// [`JobSchedulerError`] when the alarm clock cannot be set.
    pub async fn start(&self) -> Result<JobScheduler, JobSchedulerError> {
        let alarm = JobScheduler::new().await?;
        let scheduler = self.clone();
        let busy = Arc::new(tokio::sync::Mutex::new(()));
        let tick = Tick::new_repeated_async(Duration::from_secs(1), move |_, _| {
            let (scheduler, busy) = (scheduler.clone(), Arc::clone(&busy));
            Box::pin(async move {
                let Ok(_alone) = busy.try_lock() else { return };
                // A store that does not answer must not end all ticks to come.
                if tokio::time::timeout(TICK_MAX, scheduler.tick()).await.is_err() {
                    tracing::warn!("a tick got no answer from the store; trying again");
                }
            })
        })?;
        alarm.add(tick).await?;
        alarm.start().await?;
        Ok(alarm)
    }

    /// What happens every second: release lapsed leases, evaluate what is due.
    pub async fn tick(&self) {
        match self.context.store.release_expired(self.context.clock.now()).await {
            Ok(0) => {}
            Ok(released) => {
                tracing::warn!(released, "leases ran out; their messages are offered again");
                self.wake.notify_one();
            }
            Err(error) => tracing::warn!(%error, "releasing lapsed leases failed; trying again"),
        }
        if let Err(error) = self.evaluate_due().await {
            tracing::warn!(%error, "evaluating schedules failed; trying again");
        }
    }

    /// Evaluates every schedule up to now. Returns how many occurrences were recorded to run.
    ///
    /// # Errors
    /// [`StoreError`]; what was not recorded is found by the next evaluation.
    pub async fn evaluate_due(&self) -> Result<usize, StoreError> {
        let definitions = Arc::clone(&self.definitions.borrow());
        let mut recorded = 0;
        // An import's messages were given their due time when they came.
        for job in definitions.jobs.iter().filter(|job| job.direction == Direction::Export) {
            if let Some(schedule) = &job.schedule {
                recorded += self.evaluate(job, schedule).await?;
            }
        }
        if recorded > 0 {
            self.wake.notify_one();
        }
        Ok(recorded)
    }

    async fn evaluate(&self, job: &Job, schedule: &Schedule) -> Result<usize, StoreError> {
        let now = self.context.clock.now();
        let pattern = format!("{} {}", schedule.cron, schedule.time_zone.name());
        let from = self.context.store.evaluated_to(job.id, &pattern, now).await?;
        let mut due = due_between(schedule, from, now, OCCURRENCES_PER_EVALUATION + 1);
        let truncated = due.len() > OCCURRENCES_PER_EVALUATION;
        due.truncate(OCCURRENCES_PER_EVALUATION);
        // Nothing due, or the clock went back: the mark stays, and the next look covers the same time again.
        let Some(last) = due.last().copied() else { return Ok(0) };
        let to = if truncated { last } else { now };
        let busy = schedule.overlap == Overlap::Skip && self.context.store.has_open_occurrence(job.id).await?;
        let decisions = decide(schedule, &due, truncated, now, busy);
        let run = decisions.iter().filter(|d| d.skip.is_none()).count();
        if !self
            .context
            .store
            .record_due(job.id, &pattern, from, to, &decisions)
            .await?
        {
            return Ok(0);
        }
        tracing::info!(job.name = %job.name, due = decisions.len(), run, "schedule evaluated");
        Ok(run)
    }
}

/// What to do about each due time, by the job's policies for missed and overlapping runs. `truncated`: later ones follow
/// with the next evaluation.
fn decide(schedule: &Schedule, due: &[Timestamp], truncated: bool, now: Timestamp, busy: bool) -> Vec<DueDecision> {
    let missed = |at: Timestamp| now.seconds_since(at) > MISSED_AFTER_SECONDS;
    let latest = due.last().copied().filter(|_| !truncated);
    due.iter()
        .map(|&due_at| {
            let reason = match schedule.missed {
                _ if busy => Some("the previous run was still going (overlap = skip)"),
                Missed::Skip if missed(due_at) => Some("missed while nothing was running (missed = skip)"),
                Missed::Once if Some(due_at) != latest && missed(due_at) => {
                    Some("missed; the latest due time runs for it (missed = once)")
                }
                Missed::Skip | Missed::Once | Missed::All => None,
            };
            DueDecision {
                due_at,
                skip: reason.map(str::to_owned),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(missed: Missed) -> Schedule {
        Schedule {
            cron: "* * * * *".to_owned(),
            time_zone: chrono_tz::UTC,
            missed,
            overlap: Overlap::Skip,
        }
    }

    fn run(missed: Missed, busy: bool) -> Vec<bool> {
        let now = Timestamp(0).plus_seconds(10_000);
        let due: Vec<Timestamp> = [1000, 5000, 9990].map(|s| Timestamp(0).plus_seconds(s)).to_vec();
        decide(&schedule(missed), &due, false, now, busy)
            .iter()
            .map(|d| d.skip.is_none())
            .collect()
    }

    #[test]
    fn what_was_missed_follows_the_policy() {
        assert_eq!(run(Missed::Skip, false), [false, false, true]);
        assert_eq!(run(Missed::Once, false), [false, false, true]);
        assert_eq!(run(Missed::All, false), [true, true, true]);
    }

    #[test]
    fn when_all_were_missed_once_runs_the_latest() {
        let now = Timestamp(0).plus_seconds(100_000);
        let due = [Timestamp(0), Timestamp(0).plus_seconds(60)];
        let runs = |truncated| {
            let decisions = decide(&schedule(Missed::Once), &due, truncated, now, false);
            decisions.iter().map(|d| d.skip.is_none()).collect::<Vec<_>>()
        };
        assert_eq!(runs(false), [false, true]);
        assert_eq!(runs(true), [false, false], "the latest is among those that follow");
    }

    #[test]
    fn a_run_still_going_skips_what_is_due_and_says_so() {
        assert_eq!(run(Missed::All, true), [false, false, false]);
    }
}
