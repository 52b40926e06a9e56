//! What bulk actions answer, and what ended without success.

use serde::Deserialize;

use super::Message;

/// What a bulk action would be done to.
#[derive(Debug, Clone, Deserialize)]
pub struct Counted {
    /// Messages.
    pub matched: u64,
    /// Whether there may be more.
    pub at_least: bool,
    /// Those that cannot be acted on.
    pub will_fail: u64,
    /// How many of each job.
    pub jobs: Vec<OfJob>,
    /// The first of them.
    pub sample: Vec<Message>,
}

/// Messages of one job.
#[derive(Debug, Clone, Deserialize)]
pub struct OfJob {
    /// Its name.
    pub job: String,
    /// How many.
    pub matched: u64,
}

/// What one call of a bulk action did.
#[derive(Debug, Clone, Deserialize)]
pub struct Report {
    /// Messages acted on.
    pub done: u64,
    /// Messages whose worker was asked to end them.
    pub asked: u64,
    /// Messages nothing was done to.
    pub failed: Vec<FailedMessage>,
    /// Where to go on.
    pub next: Option<String>,
}

/// A message nothing was done to.
#[derive(Debug, Clone, Deserialize)]
pub struct FailedMessage {
    /// Which.
    pub id: String,
    /// Stable code.
    pub code: String,
    /// Why.
    pub detail: String,
}

/// What ended without success, by job and cause.
#[derive(Debug, Clone, Deserialize)]
pub struct FailureGroups {
    /// The groups.
    pub groups: Vec<FailureGroup>,
}

/// Messages of one job that ended the same way for the same reason.
#[derive(Debug, Clone, Deserialize)]
pub struct FailureGroup {
    /// The job's name.
    pub job: String,
    /// How they ended.
    pub status: String,
    /// Why.
    pub code: Option<String>,
    /// How many.
    pub count: u64,
    /// Whether there may be more.
    pub at_least: bool,
}
