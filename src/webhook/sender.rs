//! The sender: looks for deliveries that are due, claims what it has room for, sends, writes down what came of it.
//!
//! Whatever a destination does, it holds only its own places: destinations with the fewest attempts under way come first. It
//! shares nothing with the worker, so a receiver that does not answer keeps no message waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::post::{Answer, Poster, Signed};
use super::secret::Secrets;
use super::wait_seconds;
use crate::config;
use crate::definitions::Definitions;
use crate::domain::time::Timestamp;
use crate::domain::webhook::EventType;
use crate::pipeline::Context;
use crate::storage::StoreError;
use crate::storage::webhooks::{ClaimDeliveries, Delivery, LastAnswer, Next};

/// Longest wait between looks at what is due; the look is one read.
const POLL: Duration = Duration::from_secs(1);
/// A lease lasts as long as an attempt may, and this much more: to write down what came of it, and for clocks that differ.
const LEASE_MARGIN_SECONDS: i64 = 30;
/// How long attempts under way may go on once the service stops; then they are handed back.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// Seconds between two removals of what is no longer kept.
const PRUNE_EVERY_SECONDS: i64 = 3600;
const DAY_SECONDS: i64 = 86_400;

/// Sends deliveries. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    context: Context,
    definitions: watch::Receiver<Arc<Definitions>>,
    settings: config::Webhooks,
    poster: Poster,
    wake: Arc<Notify>,
    stopping: CancellationToken,
    places: Arc<Places>,
    running: TaskTracker,
}

impl Sender {
    /// A sender that has not begun. `wake` makes it look at once.
    #[must_use]
    pub fn new(
        context: Context,
        definitions: watch::Receiver<Arc<Definitions>>,
        settings: config::Webhooks,
        wake: Arc<Notify>,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            poster: Poster::new(&settings),
            context,
            definitions,
            settings,
            wake,
            stopping,
            places: Arc::default(),
            running: TaskTracker::new(),
        }
    }

    /// Sends until told to stop, then hands back what is not done.
    pub async fn run(self) {
        let mut pruned_at = self.context.clock.now();
        while !self.stopping.is_cancelled() {
            // Registered before looking, so that a wake-up between look and wait is not lost.
            let woken = self.wake.notified();
            match self.claim_and_spawn().await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => tracing::warn!(%error, "looking for webhook deliveries failed; trying again"),
            }
            let now = self.context.clock.now();
            if now.seconds_since(pruned_at) >= PRUNE_EVERY_SECONDS {
                pruned_at = now;
                self.prune(now).await;
            }
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(POLL) => {}
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
        let queue = &self.context.limits.queue;
        let days_ago = |days: u32| now.plus_seconds(-i64::from(days) * DAY_SECONDS);
        let (delivered, dead) = (days_ago(queue.retention_days), days_ago(queue.idempotency_days));
        match self.context.store.prune_deliveries(delivered, dead).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "old webhook deliveries removed"),
            Err(error) => tracing::warn!(%error, "old webhook deliveries could not be removed; trying again later"),
        }
    }

    /// Claims as much as there is room for. Returns how many deliveries were started.
    async fn claim_and_spawn(&self) -> Result<usize, StoreError> {
        if self.places.free(self.settings.concurrency) == 0 {
            // Woken by the end of an attempt.
            return Ok(0);
        }
        let now = self.context.clock.now();
        let mut due = self.context.store.due_destinations(now).await?;
        due.sort_by_key(|due| (self.places.taken(&due.destination), due.due_at));
        let mut started = 0;
        for due in due {
            let own = self
                .settings
                .concurrency_per_host
                .saturating_sub(self.places.taken(&due.destination));
            let limit = own.min(self.places.free(self.settings.concurrency));
            if limit == 0 {
                continue;
            }
            let lease = i64::from(self.settings.timeout_seconds) + LEASE_MARGIN_SECONDS;
            let claim = ClaimDeliveries {
                destination: due.destination,
                limit,
                owner: self.context.owner.to_string(),
                until: now.plus_seconds(lease),
            };
            for delivery in self.context.store.claim_deliveries(claim, now).await? {
                started += 1;
                let place = Places::take(&self.places, &delivery.destination);
                let sender = self.clone();
                self.running.spawn(async move {
                    sender.deliver(&delivery).await;
                    drop(place);
                    sender.wake.notify_one();
                });
            }
        }
        Ok(started)
    }

    /// One attempt, from the claim to what is written down.
    async fn deliver(&self, delivery: &Delivery) {
        let stopped = async {
            self.stopping.cancelled().await;
            tokio::time::sleep(STOP_GRACE).await;
        };
        let settled = tokio::select! {
            answer = self.attempt(delivery) => self.settle(delivery, answer).await,
            () = stopped => self.context.store.release_delivery(delivery, self.context.clock.now()).await,
        };
        match settled {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(webhook.id = %delivery.id, "lost the lease; another process sends the delivery");
            }
            // Its lease lapses, and it is sent again under the same id.
            Err(error) => tracing::warn!(webhook.id = %delivery.id, %error, "could not write down how a delivery went"),
        }
    }

    async fn attempt(&self, delivery: &Delivery) -> Answer {
        if attempts(delivery) > self.settings.max_attempts {
            return Answer::Refused("given up: no process that sent it lived to write down what came of it".to_owned());
        }
        let webhook = self
            .definitions
            .borrow()
            .job(delivery.job)
            .and_then(|job| job.webhook.clone());
        let Some(webhook) = webhook else {
            return Answer::Failed("the job's file no longer has a [webhook] section to sign with".to_owned());
        };
        let secrets = tokio::task::spawn_blocking(move || Secrets::read(&webhook.secret)).await;
        let secrets = match secrets.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(secrets) => secrets,
            Err(flaw) => return Answer::Failed(format!("nothing to sign with: {flaw}")),
        };
        let id = delivery.id.to_string();
        let timestamp = self.context.clock.now().micros().div_euclid(1_000_000);
        let signature = secrets.signature(&id, timestamp, &delivery.body);
        let signed = Signed {
            url: &delivery.url,
            id,
            timestamp,
            signature,
            body: delivery.body.clone(),
        };
        self.poster.post(signed).await
    }

    async fn settle(&self, delivery: &Delivery, answer: Answer) -> Result<bool, StoreError> {
        let now = self.context.clock.now();
        let next = self.next(delivery, &answer, now);
        let (status, detail) = match answer {
            Answer::Status { code, excerpt, .. } => (Some(code), Some(excerpt).filter(|text| !text.is_empty())),
            Answer::Failed(detail) | Answer::Refused(detail) => (None, Some(detail)),
        };
        let (id, destination, attempt) = (delivery.id, &delivery.destination, delivery.attempt);
        match next {
            Next::Delivered => tracing::debug!(webhook.id = %id, destination, attempt, "webhook delivered"),
            Next::Again(at) => tracing::info!(
                webhook.id = %id, destination, attempt, status, detail, again_at = %at, "webhook not delivered; trying again"
            ),
            Next::Dead => tracing::warn!(
                webhook.id = %id, destination, attempt, status, detail,
                "webhook given up; POST /api/v1/webhooks/{id}/replay sends it once more"
            ),
        }
        let answer = LastAnswer {
            at: now,
            status,
            detail,
        };
        self.context.store.settle_delivery(delivery, next, answer).await
    }

    /// Everything but 2xx is tried again, except what says itself that it is in vain.
    fn next(&self, delivery: &Delivery, answer: &Answer, now: Timestamp) -> Next {
        let asked = match answer {
            Answer::Status { code: 200..=299, .. } => return Next::Delivered,
            // Gone: the receiver wants no more of this (Standard Webhooks).
            Answer::Status { code: 410, .. } | Answer::Refused(_) => return Next::Dead,
            Answer::Status { retry_after, .. } => retry_after.unwrap_or(0).min(self.settings.retry_cap_seconds),
            Answer::Failed(_) => 0,
        };
        // Who sends a ping looks at its answer.
        if delivery.event == EventType::Ping || attempts(delivery) >= self.settings.max_attempts {
            return Next::Dead;
        }
        let wait = wait_seconds(&self.settings, delivery.attempt, chance()).max(asked.into());
        Next::Again(now.plus_seconds(wait))
    }
}

/// Attempts of a delivery, the one under way among them.
fn attempts(delivery: &Delivery) -> u32 {
    u32::try_from(delivery.attempt).unwrap_or(0)
}

/// Without randomness waits are only less spread.
fn chance() -> u16 {
    let mut bytes = [0; 2];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u16::from_le_bytes(bytes),
        Err(_) => 0,
    }
}

/// How many attempts are under way, by destination.
#[derive(Debug, Default)]
struct Places(Mutex<HashMap<String, usize>>);

/// One attempt's place, given back when dropped.
struct Place {
    places: Arc<Places>,
    destination: String,
}

impl Places {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<String, usize>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn taken(&self, destination: &str) -> usize {
        self.with(|taken| taken.get(destination).copied().unwrap_or(0))
    }

    fn free(&self, of: usize) -> usize {
        of.saturating_sub(self.with(|taken| taken.values().sum()))
    }

    fn take(places: &Arc<Self>, destination: &str) -> Place {
        places.with(|taken| *taken.entry(destination.to_owned()).or_default() += 1);
        Place {
            places: Arc::clone(places),
            destination: destination.to_owned(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.with(|taken| {
            if let Some(count) = taken.get_mut(&self.destination) {
                *count -= 1;
                if *count == 0 {
                    taken.remove(&self.destination);
                }
            }
        });
    }
}
