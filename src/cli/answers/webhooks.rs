//! Deliveries to webhooks.

use serde::Deserialize;

use super::deliveries::LastAnswer;

/// A page of deliveries.
#[derive(Debug, Clone, Deserialize)]
pub struct WebhookPage {
    /// Newest first.
    pub deliveries: Vec<Webhook>,
    /// The `before` of the next page.
    #[serde(default)]
    pub next: Option<String>,
}

/// One event on its way to one webhook.
#[derive(Debug, Clone, Deserialize)]
pub struct Webhook {
    /// Its id: the `webhook-id` of every attempt.
    pub id: String,
    /// `message.finished` or `ping`.
    #[serde(rename = "type")]
    pub event: String,
    /// The job's name.
    pub job: String,
    /// The message it tells of.
    #[serde(default)]
    pub message: Option<String>,
    /// Where it goes, without the query.
    pub url: String,
    /// `pending`, `delivered` or `dead`.
    pub state: String,
    /// Attempts so far.
    #[serde(default)]
    pub attempts: u64,
    /// When it is tried next.
    #[serde(default)]
    pub next_attempt_at: Option<String>,
    /// What the last attempt met.
    #[serde(default)]
    pub last_answer: Option<LastAnswer>,
}
