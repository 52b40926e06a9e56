//! Which processes serve the store.

use serde::Deserialize;

/// All of them.
#[derive(Debug, Clone, Deserialize)]
pub struct ProcessList {
    /// By name.
    pub processes: Vec<Process>,
}

/// One of them.
#[derive(Debug, Clone, Deserialize)]
pub struct Process {
    /// Host, process and port.
    #[serde(rename = "process")]
    pub name: String,
    /// `idle`, `at_work`, `hangs` or `gone`.
    pub state: String,
    /// Of the program.
    pub version: Option<String>,
    /// How much its worker does at once.
    pub slots: Option<u64>,
    /// How much of it is taken.
    pub busy: Option<u64>,
    /// When it started.
    pub started_at: Option<String>,
    /// When it was heard of last.
    pub seen_at: Option<String>,
    /// What it has.
    pub work: Vec<Work>,
}

/// Something that is worked on.
#[derive(Debug, Clone, Deserialize)]
pub struct Work {
    /// Name of its job.
    pub job: Option<String>,
    /// The message that is loaded; none: an export that runs.
    pub message: Option<String>,
}
