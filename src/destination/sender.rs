//! The sender: brings deliveries to their destinations, and writes down what came of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::token::Tokens;
use super::{blob, http};
use crate::config;
use crate::definitions::Definitions;
use crate::domain::destination::{Destination, DestinationKind};
use crate::domain::message::Message;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::failpoint;
use crate::outgoing::{Answer, Client, Courier, Dispatcher, count, wait_seconds};
use crate::pipeline::Context;
use crate::pipeline::telling::Done;
use crate::storage::StoreError;
use crate::storage::destinations::ExportDelivery;
use crate::storage::outbox::{Claim, DueLane, LastAnswer, Next};

/// A lease that is not extended lasts so long: a process that died is followed by another after it.
const LEASE_SECONDS: i64 = 60;
/// How often it is extended.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Brings deliveries to their destinations.
pub type Sender = Dispatcher<Destinations>;

/// How deliveries are brought to their destinations.
#[derive(Clone)]
pub struct Destinations {
    context: Context,
    definitions: watch::Receiver<Arc<Definitions>>,
    settings: config::Outgoing,
    client: Client,
    tokens: Arc<Tokens>,
}

/// What came of an attempt: how it goes on, and what is kept of it.
enum Came {
    /// An answer of a web service, or none.
    Answer(Answer),
    /// It is there.
    Written(String),
}

impl Dispatcher<Destinations> {
    /// A sender that has not begun. `wake` makes it look at once.
    #[must_use]
    pub fn new(
        context: Context,
        definitions: watch::Receiver<Arc<Definitions>>,
        settings: config::Outgoing,
        wake: Arc<Notify>,
        stopping: CancellationToken,
    ) -> Self {
        let destinations = Destinations {
            client: Client::new(&settings),
            context,
            definitions,
            settings,
            tokens: Arc::default(),
        };
        Self::begin(destinations, wake, stopping)
    }
}

impl Courier for Destinations {
    type Delivery = ExportDelivery;

    const WHAT: &'static str = "destination";

    fn context(&self) -> &Context {
        &self.context
    }

    fn settings(&self) -> &config::Outgoing {
        &self.settings
    }

    fn lease_seconds(&self) -> i64 {
        LEASE_SECONDS
    }

    fn lane(delivery: &ExportDelivery) -> &str {
        &delivery.lane
    }

    async fn due(&self, now: Timestamp) -> Result<Vec<DueLane>, StoreError> {
        self.context.store.due_export_lanes(now).await
    }

    async fn claim(&self, claim: Claim, now: Timestamp) -> Result<Vec<ExportDelivery>, StoreError> {
        self.context.store.claim_export_deliveries(claim, now).await
    }

    async fn deliver(&self, delivery: &ExportDelivery) -> Result<bool, StoreError> {
        tokio::select! {
            came = self.attempt(delivery) => {
                failpoint::reached("destination.sent");
                let settled = self.settle(delivery, came?).await;
                failpoint::reached("destination.recorded");
                settled
            }
            () = self.lease_lost(delivery) => Ok(false),
        }
    }

    async fn release(&self, delivery: &ExportDelivery, now: Timestamp) -> Result<bool, StoreError> {
        self.context.store.release_export_delivery(delivery, now).await
    }

    async fn prune(&self, delivered: Timestamp, given_up: Timestamp) -> Result<u64, StoreError> {
        self.context.store.prune_export_deliveries(delivered, given_up).await
    }
}

impl Destinations {
    /// Keeps the lease for as long as the attempt takes; returns when it is another's.
    async fn lease_lost(&self, delivery: &ExportDelivery) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let until = self.context.clock.now().plus_seconds(LEASE_SECONDS);
            match self.context.store.extend_export_delivery(delivery, until).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(delivery.id = %delivery.id, %error, "a heartbeat failed; trying again"),
            }
        }
    }

    async fn attempt(&self, delivery: &ExportDelivery) -> Result<Came, StoreError> {
        let refused = |why: &str| Ok(Came::Answer(Answer::Refused(why.to_owned())));
        if attempts(delivery) > self.settings.max_attempts {
            return refused("given up: no process that sent it lived to write down what came of it");
        }
        let definitions = Arc::clone(&self.definitions.borrow());
        let job = definitions.job(delivery.job);
        let export = job.and_then(|job| job.export.as_ref());
        let Some(destination) = export.and_then(|spec| spec.destination(&delivery.destination)) else {
            let why = format!(
                "the job's file no longer has a destination `{}`; replay it once it has",
                delivery.destination
            );
            return refused(&why);
        };
        let Some(message) = self.context.store.message(delivery.message).await? else {
            return refused("the message is no longer kept");
        };
        if message.status == Status::Cancelled {
            return refused("the message was cancelled");
        }
        let job_name = job.map_or("", |job| job.name.as_str());
        Ok(self.bring(delivery, destination, &message, job_name).await)
    }

    async fn bring(
        &self,
        delivery: &ExportDelivery,
        destination: &Destination,
        message: &Message,
        job_name: &str,
    ) -> Came {
        let began = self.context.clock.now();
        let (at, traceparent) = self.context.call_for(message);
        let came = self
            .bring_it(delivery, destination, message, (job_name, traceparent.as_deref()))
            .await;
        let failed = match &came {
            Came::Answer(answer) => answer.failure(),
            Came::Written(_) => None,
        };
        let name = "destination";
        self.context.tell_call(message, at, Done { name, began, failed }, || {
            let delivery = &delivery.destination;
            vec![
                ("job.name", job_name.to_owned().into()),
                ("destination", delivery.clone().into()),
            ]
        });
        came
    }

    async fn bring_it(
        &self,
        delivery: &ExportDelivery,
        destination: &Destination,
        message: &Message,
        (job_name, traceparent): (&str, Option<&str>),
    ) -> Came {
        let path = delivery.path.as_deref();
        match &destination.kind {
            DestinationKind::Blob { exists } => {
                let url = destination.url.as_str();
                match blob::write(&self.context, message, url, path.unwrap_or_default(), *exists).await {
                    Ok(written) => Came::Written(written),
                    Err(answer) => Came::Answer(answer),
                }
            }
            DestinationKind::Http(target) => {
                let parcel = http::Parcel {
                    message,
                    job_name,
                    destination,
                    target,
                    path,
                    traceparent,
                };
                Came::Answer(http::send(&self.context, &self.client, &self.tokens, &parcel).await)
            }
        }
    }

    async fn settle(&self, delivery: &ExportDelivery, came: Came) -> Result<bool, StoreError> {
        let now = self.context.clock.now();
        let next = self.next(delivery, &came, now);
        let (status, detail) = match came {
            Came::Answer(Answer::Status { code, excerpt, .. }) => {
                (Some(code), Some(excerpt).filter(|text| !text.is_empty()))
            }
            Came::Answer(Answer::Failed(detail) | Answer::Refused(detail)) | Came::Written(detail) => {
                (None, Some(detail))
            }
        };
        count("destination", &next, delivery.created_at, now);
        let (id, destination, message, attempt) =
            (delivery.id, &delivery.destination, delivery.message, delivery.attempt);
        match next {
            Next::Delivered => {
                tracing::info!(delivery.id = %id, message.id = %message, destination, attempt, "delivered");
            }
            Next::Again(at) => tracing::info!(
                delivery.id = %id, message.id = %message, destination, attempt, status, detail, again_at = %at,
                "not delivered; trying again"
            ),
            Next::Dead => tracing::warn!(
                delivery.id = %id, message.id = %message, destination, attempt, status, detail,
                "delivery failed; `tranship deliveries replay` sends it once more"
            ),
        }
        let answer = LastAnswer {
            at: now,
            status,
            detail,
        };
        self.context.store.settle_export_delivery(delivery, next, answer).await
    }

    /// What may go better the next time is tried again: no answer, 408, 429, 5xx. Anything else is somebody's to look at.
    fn next(&self, delivery: &ExportDelivery, came: &Came, now: Timestamp) -> Next {
        let asked = match came {
            Came::Written(_) | Came::Answer(Answer::Status { code: 200..=299, .. }) => return Next::Delivered,
            Came::Answer(Answer::Status {
                code: 408 | 429 | 500..=599,
                retry_after,
                ..
            }) => *retry_after,
            Came::Answer(Answer::Failed(_)) => None,
            Came::Answer(Answer::Status { .. } | Answer::Refused(_)) => return Next::Dead,
        };
        if attempts(delivery) >= self.settings.max_attempts {
            return Next::Dead;
        }
        Next::Again(now.plus_seconds(wait_seconds(&self.settings, delivery.attempt, asked)))
    }
}

/// Attempts of a delivery, the one under way among them.
fn attempts(delivery: &ExportDelivery) -> u32 {
    u32::try_from(delivery.attempt).unwrap_or(0)
}
