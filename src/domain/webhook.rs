//! Webhooks: what a job's file says about telling others how its messages end, and the words they are told in.

use std::path::PathBuf;

use serde_json::{Value, json};
use url::Url;

use super::ids::JobId;
use super::message::Message;
use super::status::Status;
use super::time::Timestamp;

/// A job's section `[webhook]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSpec {
    /// Where outcomes are sent; `None` only with `per_message`: then nobody is told of messages that name no webhook.
    pub url: Option<Url>,
    /// Where that stands, `jobs/in.toml:12`; for messages.
    pub url_place: Option<String>,
    /// Where the secret is that signs them; the secret itself is in no definition.
    pub secret: SecretSource,
    /// The final statuses that are told.
    pub on: Vec<Status>,
    /// Whether a message may name a webhook of its own, in place of the job's.
    pub per_message: bool,
}

/// Where a secret is read from, each time something is signed: a new one needs no restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

/// What a delivery tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// A message came to its end.
    Finished,
    /// Nothing: somebody wants to see whether deliveries arrive.
    Ping,
}

impl EventType {
    const ALL: [Self; 2] = [Self::Finished, Self::Ping];

    /// The word in columns, and the `type` of the body.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "message.finished",
            Self::Ping => "ping",
        }
    }

    /// The type with this word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == text)
    }
}

/// The body that tells how a message ended. `base`: what links begin with, empty where no public address is known.
#[must_use]
pub fn finished_body(message: &Message, job_name: &str, base: &str) -> String {
    let own = format!("{base}/api/v1/messages/{}", message.id);
    let of_rejects = |what: &str| (message.counts.rejected > 0).then(|| format!("{own}/{what}"));
    let data = json!({
        "id": message.id,
        "job": job_name,
        "job_id": message.job,
        "status": message.status,
        "entity": message.entity,
        "company": message.company,
        "external_id": message.external_id,
        "failure": message.failure,
        "records": message.counts.shown(message.repaired),
        "links": { "self": own, "errors": of_rejects("errors"), "rejects": of_rejects("rejects") },
    });
    body(
        EventType::Finished,
        message.finished_at.unwrap_or(message.enqueued_at),
        &data,
    )
}

/// The body of a ping.
#[must_use]
pub fn ping_body(job: JobId, job_name: &str, asked_by: &str, now: Timestamp) -> String {
    let data = json!({ "job": job_name, "job_id": job, "asked_by": asked_by });
    body(EventType::Ping, now, &data)
}

fn body(event: EventType, at: Timestamp, data: &Value) -> String {
    json!({ "type": event.as_str(), "timestamp": at, "data": data }).to_string()
}
