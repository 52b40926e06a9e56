//! The sender: signs and sends webhook deliveries, and writes down what came of it.

use std::sync::Arc;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::secret::Secrets;
use crate::config;
use crate::definitions::Definitions;
use crate::domain::time::Timestamp;
use crate::domain::webhook::EventType;
use crate::failpoint;
use crate::outgoing::{Answer, Client, Courier, Dispatcher, count, wait_seconds};
use crate::pipeline::Context;
use crate::pipeline::telling::Done;
use crate::storage::StoreError;
use crate::storage::outbox::{Claim, DueLane, LastAnswer, Next};
use crate::storage::webhooks::Delivery;

/// A lease lasts as long as an attempt may, and this much more: to write down what came of it, and for clocks that differ.
const LEASE_MARGIN_SECONDS: i64 = 30;

/// Sends webhooks.
pub type Sender = Dispatcher<Webhooks>;

/// How webhooks are sent.
#[derive(Clone)]
pub struct Webhooks {
    context: Context,
    definitions: watch::Receiver<Arc<Definitions>>,
    settings: config::Outgoing,
    client: Client,
}

impl Dispatcher<Webhooks> {
    /// A sender that has not begun. `wake` makes it look at once.
    #[must_use]
    pub fn new(
        context: Context,
        definitions: watch::Receiver<Arc<Definitions>>,
        settings: config::Outgoing,
        wake: Arc<Notify>,
        stopping: CancellationToken,
    ) -> Self {
        let webhooks = Webhooks {
            client: Client::new(&settings),
            context,
            definitions,
            settings,
        };
        Self::begin(webhooks, wake, stopping)
    }
}

impl Courier for Webhooks {
    type Delivery = Delivery;

    const WHAT: &'static str = "webhook";

    fn context(&self) -> &Context {
        &self.context
    }

    fn settings(&self) -> &config::Outgoing {
        &self.settings
    }

    fn lease_seconds(&self) -> i64 {
        i64::from(self.settings.timeout_seconds) + LEASE_MARGIN_SECONDS
    }

    fn lane(delivery: &Delivery) -> &str {
        &delivery.destination
    }

    async fn due(&self, now: Timestamp) -> Result<Vec<DueLane>, StoreError> {
        self.context.store.due_destinations(now).await
    }

    async fn claim(&self, claim: Claim, now: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        self.context.store.claim_deliveries(claim, now).await
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        let answer = self.attempt(delivery).await;
        failpoint::reached("webhook.sent");
        let settled = self.settle(delivery, answer).await;
        failpoint::reached("webhook.recorded");
        settled
    }

    async fn release(&self, delivery: &Delivery, now: Timestamp) -> Result<bool, StoreError> {
        self.context.store.release_delivery(delivery, now).await
    }

    async fn prune(&self, delivered: Timestamp, given_up: Timestamp) -> Result<u64, StoreError> {
        self.context.store.prune_deliveries(delivered, given_up).await
    }
}

impl Webhooks {
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
        match secrets.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(secrets) => self.call(delivery, &secrets).await,
            Err(flaw) => Answer::Failed(format!("nothing to sign with: {flaw}")),
        }
    }

    /// One call, in the trace of the message it tells of, while that is kept.
    async fn call(&self, delivery: &Delivery, secrets: &Secrets) -> Answer {
        let began = self.context.clock.now();
        let message = match delivery.message {
            Some(id) => self.context.store.message(id).await.ok().flatten(),
            None => None,
        };
        let Some(message) = message else {
            return self.post(delivery, secrets, None).await;
        };
        let (at, traceparent) = self.context.call_for(&message);
        let answer = self.post(delivery, secrets, traceparent).await;
        let failed = answer.failure();
        let name = "webhook";
        self.context.tell_call(&message, at, Done { name, began, failed }, || {
            vec![("delivery.id", delivery.id.to_string().into())]
        });
        answer
    }

    async fn post(&self, delivery: &Delivery, secrets: &Secrets, traceparent: Option<String>) -> Answer {
        let id = delivery.id.to_string();
        let timestamp = self.context.clock.now().micros().div_euclid(1_000_000);
        let signature = secrets.signature(&id, timestamp, &delivery.body);
        let request = match self.client.request(Method::POST, &delivery.url).await {
            Ok(request) => request,
            Err(answer) => return answer,
        };
        let request = match traceparent {
            Some(trace) => request.header("traceparent", trace),
            None => request,
        };
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(delivery.body.clone());
        Client::send(request).await
    }

    async fn settle(&self, delivery: &Delivery, answer: Answer) -> Result<bool, StoreError> {
        let now = self.context.clock.now();
        let next = self.next(delivery, &answer, now);
        let (status, detail) = match answer {
            Answer::Status { code, excerpt, .. } => (Some(code), Some(excerpt).filter(|text| !text.is_empty())),
            Answer::Failed(detail) | Answer::Refused(detail) => (None, Some(detail)),
        };
        count("webhook", &next, delivery.created_at, now);
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
            Answer::Status { retry_after, .. } => *retry_after,
            Answer::Failed(_) => None,
        };
        // Who sends a ping looks at its answer.
        if delivery.event == EventType::Ping || attempts(delivery) >= self.settings.max_attempts {
            return Next::Dead;
        }
        let wait = wait_seconds(&self.settings, delivery.attempt, asked);
        Next::Again(now.plus_seconds(wait))
    }
}

/// Attempts of a delivery, the one under way among them.
fn attempts(delivery: &Delivery) -> u32 {
    u32::try_from(delivery.attempt).unwrap_or(0)
}
