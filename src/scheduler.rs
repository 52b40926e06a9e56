//! The scheduler: once a second, evaluate what is due and record it; never do the work.
//!
//! `tokio-cron-scheduler` is the alarm clock only. Occurrences are computed in the job's own zone over the half-open interval
//! (last evaluated, now] and recorded under the unique `(job, due_at)`, so any number of processes fire each once (promise
//! 6). A tick that comes late, twice or not at all changes nothing about which occurrences there are. A second in which
//! nothing is due costs no statement, however many schedules there are.

mod alarm;
mod decide;
mod evaluate;
mod upcoming;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_cron_scheduler::JobSchedulerError;

use crate::definitions::Definitions;
use crate::pipeline::Context;
use crate::storage::StoreError;
pub use alarm::Alarm;
use upcoming::Upcoming;

/// Longest tick.
const TICK_MAX: Duration = Duration::from_mins(2);

/// Evaluates schedules. Cheap to clone.
#[derive(Clone)]
pub struct Scheduler {
    context: Context,
    definitions: watch::Receiver<Arc<Definitions>>,
    wake: Arc<Notify>,
    upcoming: Arc<tokio::sync::Mutex<Upcoming>>,
}

impl Scheduler {
    /// A scheduler that has not begun.
    #[must_use]
    pub fn new(context: Context, definitions: watch::Receiver<Arc<Definitions>>, wake: Arc<Notify>) -> Self {
        Self {
            context,
            definitions,
            wake,
            upcoming: Arc::default(),
        }
    }

    /// Sets the alarm clock: an evaluation every second, skipped while the previous one still runs.
    ///
    /// # Errors
    /// [`JobSchedulerError`] when the alarm clock cannot be set.
    pub async fn start(&self) -> Result<Alarm, JobSchedulerError> {
        let scheduler = self.clone();
        let busy = Arc::new(tokio::sync::Mutex::new(()));
        Alarm::set(move || {
            let Ok(alone) = Arc::clone(&busy).try_lock_owned() else {
                return;
            };
            let scheduler = scheduler.clone();
            tokio::spawn(async move {
                let _alone = alone;
                // A store that does not answer must not end all ticks to come.
                if tokio::time::timeout(TICK_MAX, scheduler.tick()).await.is_err() {
                    tracing::warn!("a tick got no answer from the store; trying again");
                }
            });
        })
        .await
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

    /// Has the next tick look at every schedule: what it knew of when each is due holds no more, since the clock jumped or the
    /// store was emptied.
    pub async fn look_again(&self) {
        *self.upcoming.lock().await = Upcoming::default();
    }

    /// Evaluates every schedule up to now. Returns how many occurrences were recorded to run.
    ///
    /// # Errors
    /// [`StoreError`]; what was not recorded is found by the next evaluation.
    pub async fn evaluate_due(&self) -> Result<usize, StoreError> {
        let definitions = Arc::clone(&self.definitions.borrow());
        let mut upcoming = self.upcoming.lock().await;
        upcoming.follow(&definitions);
        let recorded = evaluate::evaluate(&self.context, &mut upcoming).await;
        // Also what was recorded before a failure waits for a worker.
        if !matches!(recorded, Ok(0)) {
            self.wake.notify_one();
        }
        recorded
    }
}
