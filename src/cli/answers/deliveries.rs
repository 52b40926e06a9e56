//! Deliveries to destinations.

use serde::Deserialize;

/// A page of deliveries.
#[derive(Debug, Clone, Deserialize)]
pub struct DeliveryPage {
    /// Newest first.
    pub deliveries: Vec<Delivery>,
    /// The `before` of the next page.
    #[serde(default)]
    pub next: Option<String>,
}

/// One message on its way to one destination.
#[derive(Debug, Clone, Deserialize)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// Name of the destination.
    pub destination: String,
    /// `pending`, `delivered` or `failed`.
    pub state: String,
    /// Attempts so far.
    #[serde(default)]
    pub attempts: u64,
    /// The message.
    pub message: String,
    /// When it is tried next.
    #[serde(default)]
    pub next_attempt_at: Option<String>,
    /// What the last attempt met.
    #[serde(default)]
    pub last_answer: Option<LastAnswer>,
}

/// What an attempt met.
#[derive(Debug, Clone, Deserialize)]
pub struct LastAnswer {
    /// HTTP status, where there was an answer.
    #[serde(default)]
    pub status: Option<u16>,
    /// The beginning of the answer, or why there was none.
    #[serde(default)]
    pub detail: Option<String>,
}
