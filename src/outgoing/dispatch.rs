//! The dispatcher: looks for deliveries that are due, claims what it has room for, has them sent.
//!
//! Whatever a receiver does, it holds only its own places: receivers with the fewest attempts under way come first. It
//! shares nothing with the worker, so a receiver that does not answer keeps no message waiting.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config;
use crate::domain::time::Timestamp;
use crate::pipeline::Context;
use crate::sandbox::gate::Work;
use crate::storage::StoreError;
use crate::storage::outbox::{Claim, DueLane};

/// Longest wait between looks at what is due; the look is one read.
const POLL: Duration = Duration::from_secs(1);
/// The same once nothing was due for a while: whoever queues something wakes this process, so what a look finds is a second
/// attempt, or what another process left behind.
const QUIET_POLL: Duration = Duration::from_secs(5);
/// Looks in a row that find nothing before it is quiet.
const QUIET_AFTER: u32 = 1;
/// How long attempts under way may go on once the service stops; then they are handed back.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// Seconds between two removals of what is no longer kept.
const PRUNE_EVERY_SECONDS: i64 = 3600;
const DAY_SECONDS: i64 = 86_400;

/// What is carried, and how: one outbox of the store.
pub trait Courier: Clone + Send + Sync + 'static {
    /// A claimed delivery.
    type Delivery: Send + Sync + 'static;

    /// What it is called in the log.
    const WHAT: &'static str;

    /// What it works with.
    fn context(&self) -> &Context;

    /// How it sends.
    fn settings(&self) -> &config::Outgoing;

    /// How long a claim is good for without another word, in seconds.
    fn lease_seconds(&self) -> i64;

    /// What a delivery shares a bound on attempts at once with.
    fn lane(delivery: &Self::Delivery) -> &str;

    /// Where something may be sent to now.
    fn due(&self, now: Timestamp) -> impl Future<Output = Result<Vec<DueLane>, StoreError>> + Send;

    /// Claims deliveries.
    fn claim(
        &self,
        claim: Claim,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Self::Delivery>, StoreError>> + Send;

    /// One attempt, from the claim to what is written down. `false`: the lease was lost.
    fn deliver(&self, delivery: &Self::Delivery) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Hands a delivery back as if it had not been claimed.
    fn release(
        &self,
        delivery: &Self::Delivery,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes deliveries that arrived before `delivered`, and those given up before `given_up`; how many rows went.
    fn prune(&self, delivered: Timestamp, given_up: Timestamp) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// Has deliveries sent. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher<C> {
    courier: C,
    wake: Arc<Notify>,
    stopping: CancellationToken,
    places: Arc<Places>,
    running: TaskTracker,
}

impl<C: Courier> Dispatcher<C> {
    /// A dispatcher that has not begun. `wake` makes it look at once.
    #[must_use]
    pub fn begin(courier: C, wake: Arc<Notify>, stopping: CancellationToken) -> Self {
        Self {
            courier,
            wake,
            stopping,
            places: Arc::default(),
            running: TaskTracker::new(),
        }
    }

    fn now(&self) -> Timestamp {
        self.courier.context().clock.now()
    }

    /// Sends until told to stop, then hands back what is not done.
    pub async fn run(self) {
        let (mut pruned_at, mut idle) = (self.now(), 0);
        while !self.stopping.is_cancelled() {
            // Registered before looking, so that a wake-up between look and wait is not lost.
            let woken = self.wake.notified();
            match self.claim_and_spawn().await {
                Ok(0) => idle += 1,
                Ok(_) => {
                    idle = 0;
                    continue;
                }
                Err(error) => tracing::warn!(%error, "looking for {} deliveries failed; trying again", C::WHAT),
            }
            let now = self.now();
            if now.seconds_since(pruned_at) >= PRUNE_EVERY_SECONDS {
                pruned_at = now;
                self.prune(now).await;
            }
            let poll = if idle > QUIET_AFTER { QUIET_POLL } else { POLL };
            tokio::select! {
                () = woken => idle = 0,
                () = tokio::time::sleep(poll) => {}
                () = self.stopping.cancelled() => {}
            }
        }
        self.running.close();
        self.running.wait().await;
    }

    /// Sends everything that is due now until nothing is. For tests and one-shot use.
    ///
    /// # Errors
    /// [`StoreError`] when claiming fails.
    pub async fn run_until_idle(&self) -> Result<(), StoreError> {
        loop {
            let claimed = self.claim_and_spawn().await?;
            self.running.close();
            self.running.wait().await;
            self.running.reopen();
            if claimed == 0 {
                return Ok(());
            }
        }
    }

    /// Removes what is no longer kept: what arrived goes with payloads, what was given up with ids and statuses.
    async fn prune(&self, now: Timestamp) {
        let queue = &self.courier.context().limits.queue;
        let days_ago = |days: u32| now.plus_seconds(-i64::from(days) * DAY_SECONDS);
        let (delivered, given_up) = (days_ago(queue.retention_days), days_ago(queue.idempotency_days));
        match self.courier.prune(delivered, given_up).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "old {} deliveries removed", C::WHAT),
            Err(error) => tracing::warn!(%error, "old {} deliveries could not be removed; trying again later", C::WHAT),
        }
    }

    /// Claims as much as there is room for. Returns how many deliveries were started.
    async fn claim_and_spawn(&self) -> Result<usize, StoreError> {
        let settings = self.courier.settings();
        if self.places.free(settings.concurrency) == 0 {
            // Woken by the end of an attempt.
            return Ok(0);
        }
        let work = self.courier.context().begin_work(&self.stopping).await;
        let now = self.now();
        let mut due = self.courier.due(now).await?;
        due.sort_by_key(|due| (self.places.taken(&due.lane), due.due_at));
        let mut started = 0;
        for due in due {
            let own = settings
                .concurrency_per_host
                .saturating_sub(self.places.taken(&due.lane));
            let limit = own.min(self.places.free(settings.concurrency));
            if limit == 0 {
                continue;
            }
            let claim = Claim {
                lane: due.lane,
                limit,
                owner: self.courier.context().owner.to_string(),
                until: now.plus_seconds(self.courier.lease_seconds()),
            };
            for delivery in self.courier.claim(claim, now).await? {
                started += 1;
                self.spawn(delivery, work.clone());
            }
        }
        Ok(started)
    }

    fn spawn(&self, delivery: C::Delivery, work: Work) {
        let place = Places::take(&self.places, C::lane(&delivery));
        let dispatcher = self.clone();
        self.running.spawn(async move {
            dispatcher.deliver(&delivery, &work).await;
            drop(place);
            dispatcher.wake.notify_one();
        });
    }

    async fn deliver(&self, delivery: &C::Delivery, work: &Work) {
        let stopped = async {
            work.stopping.cancelled().await;
            tokio::time::sleep(STOP_GRACE).await;
        };
        let settled = tokio::select! {
            settled = self.courier.deliver(delivery) => settled,
            () = stopped => self.courier.release(delivery, self.now()).await,
        };
        let lane = C::lane(delivery);
        match settled {
            Ok(true) => {}
            Ok(false) => tracing::warn!(lane, "lost the lease; another process sends the {} delivery", C::WHAT),
            // Its lease lapses, and it is sent again under the same id.
            Err(error) => tracing::warn!(lane, %error, "could not write down how a {} delivery went", C::WHAT),
        }
    }
}

/// How many attempts are under way, by lane.
#[derive(Debug, Default)]
struct Places(Mutex<HashMap<String, usize>>);

/// One attempt's place, given back when dropped.
struct Place {
    places: Arc<Places>,
    lane: String,
}

impl Places {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<String, usize>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn taken(&self, lane: &str) -> usize {
        self.with(|taken| taken.get(lane).copied().unwrap_or(0))
    }

    fn free(&self, of: usize) -> usize {
        of.saturating_sub(self.with(|taken| taken.values().sum()))
    }

    fn take(places: &Arc<Self>, lane: &str) -> Place {
        places.with(|taken| *taken.entry(lane.to_owned()).or_default() += 1);
        Place {
            places: Arc::clone(places),
            lane: lane.to_owned(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.with(|taken| {
            if let Some(count) = taken.get_mut(&self.lane) {
                *count -= 1;
                if *count == 0 {
                    taken.remove(&self.lane);
                }
            }
        });
    }
}
