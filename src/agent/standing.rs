//! How each folder stands, in a file for whoever asks (`tranship agent --status`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::write_whole;
use crate::domain::time::Timestamp;

/// The file.
const FILE: &str = "standing.json";

/// How one folder stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Files that ended well since the agent began to count.
    pub done: u64,
    /// Files that did not.
    pub failed: u64,
    /// The last that ended well.
    pub last_done: Option<Event>,
    /// What went wrong last.
    pub last_failure: Option<Event>,
    /// Why it does not go on at the moment.
    pub waits: Option<Wait>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What, in a sentence.
    pub what: String,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Until when; without one until somebody does something.
    pub until: Option<Timestamp>,
    /// What for.
    pub why: String,
}

/// All of them.
#[derive(Debug)]
pub struct Standings {
    path: PathBuf,
    flows: BTreeMap<String, Standing>,
}

impl Standings {
    /// Those of the last life.
    #[must_use]
    pub fn open(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join(FILE),
            flows: Self::peek(state_dir),
        }
    }

    /// What the file says. It only informs: one that cannot be read says nothing.
    #[must_use]
    pub fn peek(state_dir: &Path) -> BTreeMap<String, Standing> {
        let text = std::fs::read(state_dir.join(FILE)).ok();
        text.and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// Changes one and writes them all.
    ///
    /// # Errors
    /// The disk's.
    pub fn change(&mut self, flow: &str, change: impl FnOnce(&mut Standing)) -> std::io::Result<()> {
        let standing = self.flows.entry(flow.to_owned()).or_default();
        let before = standing.clone();
        change(standing);
        if *standing == before && self.path.exists() {
            return Ok(());
        }
        write_whole(&self.path, &serde_json::to_vec_pretty(&self.flows)?)
    }
}
