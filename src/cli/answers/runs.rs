//! Schedules, and what became of their occurrences.

use serde::Deserialize;

use crate::cli::Exit;

/// When a job runs.
#[derive(Debug, Clone, Deserialize)]
pub struct Schedule {
    /// Cron fields.
    #[serde(default)]
    pub cron: Option<String>,
    /// Distance of due times.
    #[serde(default)]
    pub every: Option<String>,
    /// Zone they are read in.
    #[serde(default)]
    pub time_zone: String,
    /// Policy for missed occurrences.
    #[serde(default)]
    pub missed: String,
    /// Policy for overlapping ones.
    #[serde(default)]
    pub overlap: String,
    /// A run begins up to this much later than it is due.
    #[serde(default)]
    pub jitter_seconds: u32,
    /// The next due times.
    #[serde(default)]
    pub next: Vec<String>,
}

impl Schedule {
    /// What recurs, as it was written.
    #[must_use]
    pub fn recurrence(&self) -> String {
        let every = self.every.as_ref().map(|every| format!("every {every}"));
        every.or_else(|| self.cron.clone()).unwrap_or_default()
    }
}

/// A job's pause.
#[derive(Debug, Clone, Deserialize)]
pub struct Pause {
    /// Since when.
    pub at: String,
    /// Who paused it.
    pub by: String,
    /// What it said.
    #[serde(default)]
    pub note: Option<String>,
}

/// What a job's schedule will do.
#[derive(Debug, Clone, Deserialize)]
pub struct Preview {
    /// The job.
    pub job: String,
    /// `import`, `export` or `relay`.
    #[serde(default)]
    pub direction: String,
    /// The pause it is in.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// Due times to come; none: it has no schedule, or one that is over.
    pub next: Vec<Upcoming>,
    /// Zone of its schedule, if it has one.
    #[serde(default)]
    pub time_zone: Option<String>,
}

/// A due time to come.
#[derive(Debug, Clone, Deserialize)]
pub struct Upcoming {
    /// When it is due.
    pub due_at: String,
    /// The same on the clock of the schedule's zone.
    #[serde(default)]
    pub local: String,
    /// Whether it runs.
    pub runs: bool,
    /// When its run begins.
    #[serde(default)]
    pub begins_at: Option<String>,
    /// What is special about it.
    #[serde(default)]
    pub note: Option<String>,
}

/// What a backfill made, or would make.
#[derive(Debug, Clone, Deserialize)]
pub struct Backfill {
    /// The due times.
    pub due: Vec<String>,
    /// Due times that have an occurrence already.
    #[serde(default)]
    pub recorded_before: u64,
    /// Those of them that were skipped.
    #[serde(default)]
    pub skipped_before: u64,
    /// Due times on excluded days.
    #[serde(default)]
    pub excluded: u64,
    /// Where to go on.
    #[serde(default)]
    pub next_from: Option<String>,
}

/// What came of asking for a run.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Run {
    /// An export runs.
    Occurrence(Occurrence),
    /// Waiting messages of an import are offered.
    Offered {
        /// How many.
        offered: u64,
    },
}

/// One due time of a schedule, or a run somebody asked for.
#[derive(Debug, Clone, Deserialize, serde::Serialize)]
pub struct Occurrence {
    /// When it was due.
    pub due_at: String,
    /// `due`, `running`, `done`, `skipped`, `failed` or `cancelled`.
    pub state: String,
    /// `schedule`, or the client that asked.
    #[serde(default)]
    pub trigger: String,
    /// The message it queued.
    #[serde(default)]
    pub message: Option<String>,
    /// Records exported.
    #[serde(default)]
    pub records: Option<u64>,
    /// What the client that asked said.
    #[serde(default)]
    pub comment: Option<String>,
    /// Why skipped, cancelled or failed.
    #[serde(default)]
    pub note: Option<String>,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<String>,
}

impl Occurrence {
    /// Whether the run is over.
    #[must_use]
    pub fn ended(&self) -> bool {
        !matches!(self.state.as_str(), "due" | "running")
    }

    /// How a command that waited for this run ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if matches!(self.state.as_str(), "failed" | "cancelled") {
            Exit::MessageFailed
        } else {
            Exit::Ok
        }
    }
}

/// Due times in a row that did not run and were counted.
#[derive(Debug, Clone, Deserialize)]
pub struct MissedRange {
    /// The first of them.
    pub first_due: String,
    /// The last of them.
    pub last_due: String,
    /// How many.
    pub occurrences: u64,
    /// Why.
    #[serde(default)]
    pub note: String,
}
