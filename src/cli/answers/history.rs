//! What runs of export jobs did.

use serde::Deserialize;
use serde_json::Value;

use super::deliveries::Delivery;
use super::runs::Occurrence;

/// Runs, newest first.
#[derive(Debug, Clone, Deserialize)]
pub struct RunList {
    /// The runs.
    pub occurrences: Vec<RunHistory>,
}

/// A run with everything that is told of it.
#[derive(Debug, Clone, Deserialize)]
pub struct RunHistory {
    /// When it was due, and how it ended.
    #[serde(flatten)]
    pub occurrence: Occurrence,
    /// When it began.
    #[serde(default)]
    pub started_at: Option<String>,
    /// Seconds of each phase.
    #[serde(default)]
    pub phases: Phases,
    /// Records of each entity.
    #[serde(default)]
    pub entities: Vec<Entity>,
    /// Its messages.
    #[serde(default)]
    pub messages: Vec<RunMessage>,
    /// The package it made for the client that asked.
    #[serde(default)]
    pub package: Option<RunPackage>,
    /// How far changes had come.
    #[serde(default)]
    pub positions: Vec<RunPosition>,
    /// Where else its messages went.
    #[serde(default)]
    pub deliveries: Vec<Delivery>,
}

/// A package that a client asked for by the package API.
#[derive(Debug, Clone, Deserialize)]
pub struct RunPackage {
    /// What it is called.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// Until when it is kept.
    pub expires_at: String,
    /// When it was fetched.
    #[serde(default)]
    pub fetched_at: Option<String>,
}

/// Seconds of each phase; none of one that was not come to or has not ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Phases {
    /// Until a worker had room.
    #[serde(rename = "waiting_seconds")]
    pub waiting: Option<f64>,
    /// Reading and writing.
    #[serde(rename = "writing_seconds")]
    pub writing: Option<f64>,
    /// Making what was written durable.
    #[serde(rename = "storing_seconds")]
    pub storing: Option<f64>,
    /// Queuing it.
    #[serde(rename = "queuing_seconds")]
    pub queuing: Option<f64>,
}

/// Records of one entity.
#[derive(Debug, Clone, Deserialize)]
pub struct Entity {
    /// Its label.
    pub entity: String,
    /// Its records.
    pub records: u64,
}

/// A message of a run.
#[derive(Debug, Clone, Deserialize)]
pub struct RunMessage {
    /// Its id.
    pub id: String,
    /// Its status.
    pub status: String,
    /// Size of its payload.
    #[serde(default)]
    pub bytes: u64,
    /// Digest of its payload.
    #[serde(default)]
    pub digest: String,
    /// When it was acknowledged.
    #[serde(default)]
    pub acknowledged_at: Option<String>,
}

/// How far the changes of one entity had come.
#[derive(Debug, Clone, Deserialize)]
pub struct RunPosition {
    /// The entity.
    pub entity: String,
    /// Before the run.
    #[serde(default)]
    pub before: Value,
    /// After it.
    #[serde(default)]
    pub after: Value,
    /// `queued`, `delivered`, `lost`, …
    pub state: String,
}

/// Why there is nothing to collect.
#[derive(Debug, Clone, Deserialize)]
pub struct WhyEmpty {
    /// In sentences.
    pub answer: String,
}
