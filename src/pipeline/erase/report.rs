//! What an erasure found and erased.

use crate::domain::ids::{JobId, MessageId};
use crate::domain::job::Job;
use crate::domain::message::Message;

/// Messages named in a report, of each kind.
pub const NAMED_MAX: usize = 1000;

/// A message that is told of.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Named {
    /// Its id.
    pub id: MessageId,
    /// Its job's name.
    pub job: String,
    /// Its status.
    pub status: String,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How many there are, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Told {
    /// All of them.
    pub count: u64,
    /// The first thousand.
    pub messages: Vec<Named>,
}

impl Told {
    pub(super) fn add(&mut self, message: &Message, job: &Job, why: Option<String>) {
        self.count += 1;
        if self.messages.len() < NAMED_MAX {
            self.messages.push(Named {
                id: message.id,
                job: job.name.clone(),
                status: message.status.to_string(),
                why,
            });
        }
    }
}

/// What was found and erased; of a dry run, what would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Messages looked at.
    pub looked_at: u64,
    /// Messages whose payload was withdrawn.
    pub withdrawn: Told,
    /// Messages that hold the person and have not ended: nothing was erased of them.
    pub waiting: Told,
    /// Messages whose payload cannot be read to the end, so that nobody can say whether they hold the person.
    pub unclear: Told,
    /// Record errors that were blanked.
    pub record_errors: u64,
    /// Notes of runs and bodies of webhooks that were blanked.
    pub notes: u64,
    /// Messages with record errors whose payload is gone, and that quote none of the values: nobody can say whose they are.
    pub unmatched: Told,
    /// Rows deleted from staging.
    pub staging_rows: u64,
    /// Rows deleted from the table of last writes.
    pub last_writes: u64,
    /// Rows that stay in the change table until every export went on past them.
    pub tracked_changes: u64,
    /// Rows in the target: deleted if that was wanted, else they stay.
    pub target_rows: u64,
    /// Jobs that do not look into what they carry: their messages were not looked at.
    pub relay_jobs: Vec<String>,
    /// Jobs that have messages and no definition: their messages were not looked at.
    pub unknown_jobs: Vec<JobId>,
    /// Whether everything deleted is out of SQLite's write-ahead logs.
    pub logs_emptied: bool,
    /// Blobs left to the sweep of a running service.
    pub blobs_left: bool,
}

impl Report {
    /// Whether something of the person is left that a further run could erase.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.waiting.count == 0 && self.unclear.count == 0 && self.unmatched.count == 0
    }
}
