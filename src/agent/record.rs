//! What the journal remembers: files on their way out, deliveries on their way in, runs that were asked for.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::ids::ParcelId;
use crate::domain::time::Timestamp;

/// The state of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A file that is sent.
    Parcel(Parcel),
    /// A message that is collected.
    Delivery(Arrival),
    /// An export that was started.
    Run(Run),
    /// How far a schedule was evaluated.
    Due {
        /// Whose.
        flow: String,
        /// Everything due until here was seen to.
        until: Timestamp,
    },
}

impl Record {
    /// Which thing it is the state of.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Parcel(parcel) => format!("parcel {}", parcel.id),
            Self::Delivery(arrival) => format!("delivery {} {}", arrival.flow, arrival.id),
            Self::Run(run) => format!("run {}", run.execution),
            Self::Due { flow, .. } => format!("due {flow}"),
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn flow(&self) -> &str {
        match self {
            Self::Parcel(parcel) => &parcel.flow,
            Self::Delivery(arrival) => &arrival.flow,
            Self::Run(run) => &run.flow,
            Self::Due { flow, .. } => flow,
        }
    }

    /// Whether nothing more has to be done.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self {
            Self::Parcel(parcel) => parcel.stage == Stage::Over,
            Self::Delivery(arrival) => arrival.stage == ArrivalStage::Acknowledged,
            Self::Run(run) => run.stage == RunStage::Over,
            Self::Due { .. } => false,
        }
    }

    /// Whether it is of interest when it is over.
    #[must_use]
    pub fn is_remembered(&self) -> bool {
        matches!(self, Self::Delivery(_))
    }
}

/// A file on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// The same for every attempt to send it.
    pub id: ParcelId,
    /// Whose it is.
    pub flow: String,
    /// What it was called when it was picked: its external identifier.
    pub name: String,
    /// Where it was picked.
    pub source: PathBuf,
    /// How it was recognised there.
    pub mark: Mark,
    /// Where it is while it is worked on.
    pub held: PathBuf,
    /// The execution's id, of packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
    /// How far it came.
    #[serde(flatten)]
    pub stage: Stage,
}

/// A file's identity at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its size.
    pub bytes: u64,
    /// Its time of change, in nanoseconds since 1970.
    pub modified: i64,
    /// Its number in the file system.
    pub inode: u64,
}

/// How far a parcel came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// Chosen; on its way from `source` to `held`.
    Picked,
    /// At `held`, and perhaps sent.
    Sending {
        /// SHA-256 of its bytes, in hexadecimal digits.
        digest: String,
        /// Its size.
        bytes: u64,
    },
    /// A package that was uploaded, and perhaps submitted.
    Uploaded {
        /// As in [`Stage::Sending`].
        digest: String,
        /// As in [`Stage::Sending`].
        bytes: u64,
        /// Where to.
        blob_url: String,
    },
    /// The server has it.
    Sent {
        /// What the server calls it: the message, or the execution.
        message: String,
    },
    /// It has ended.
    Ended(Ending),
    /// On its way from `held` to where it stays.
    Moving {
        /// Where that is.
        to: PathBuf,
        /// How it ended.
        ending: Ending,
    },
    /// It failed, lies there, and nothing is sent until it does not.
    Stopped {
        /// Where.
        place: PathBuf,
        /// How it ended.
        ending: Ending,
    },
    /// Nothing more is to be done.
    Over,
}

/// How a file ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The server's word for it; `Refused` for one it did not take.
    pub status: String,
    /// What it is called there, as far as it came to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why it counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A message on its way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Its correlation id, or the execution's id of an export.
    pub id: String,
    /// Whose it is.
    pub flow: String,
    /// Where it was put together, under a name of the agent's own.
    pub staged: PathBuf,
    /// Where it stays.
    pub file: PathBuf,
    /// SHA-256 of what was downloaded, in hexadecimal digits.
    pub digest: String,
    /// What the dequeue answered: the acknowledgement sends it back (RI-20).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub receipt: String,
    /// How far it came.
    pub stage: ArrivalStage,
}

/// How far an arrival came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArrivalStage {
    /// On its way from `staged` to `file`; it has arrived when nothing is at `staged`. Perhaps acknowledged.
    Storing,
    /// At `file`; the server refused the acknowledgement and offers the message again.
    Unacknowledged,
    /// Done.
    Acknowledged,
}

/// An export of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id, of the agent's making.
    pub execution: String,
    /// Whose it is.
    pub flow: String,
    /// Everything due until here was seen to by it.
    pub until: Timestamp,
    /// How far it came.
    pub stage: RunStage,
}

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStage {
    /// To be started, and perhaps started.
    Asked,
    /// Its package is stored, or it failed.
    Over,
}
