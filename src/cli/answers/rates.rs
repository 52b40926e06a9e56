//! How much comes in and ends.

use serde::Deserialize;

/// Rates, and what they were made of.
#[derive(Debug, Clone, Deserialize)]
pub struct Rates {
    /// The last few minutes.
    pub per_minute: PerMinute,
    /// Of the whole range.
    pub total: Traffic,
    /// Oldest first.
    pub buckets: Vec<Bucket>,
}

/// Messages in a minute.
#[derive(Debug, Clone, Deserialize)]
pub struct PerMinute {
    /// Came in.
    pub enqueued: f64,
    /// Ended, however.
    pub ended: f64,
    /// Failed.
    pub failed: f64,
}

/// A stretch of time.
#[derive(Debug, Clone, Deserialize)]
pub struct Bucket {
    /// When it began.
    pub from: String,
    /// What was in it.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// Messages counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Traffic {
    /// Came in.
    pub enqueued: u64,
    /// Ended, however.
    pub ended: u64,
    /// Ended with rejected records.
    pub with_errors: u64,
    /// Failed.
    pub failed: u64,
    /// Were cancelled or expired.
    pub stopped: u64,
}
