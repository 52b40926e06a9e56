//! Which jobs are paused, for a worker that asks with every look at its queues.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::ids::JobId;

/// How long what was read is believed: this long another process's pause may go unnoticed.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// What was read last.
#[derive(Debug, Default)]
pub(super) struct Paused(Option<(Instant, Arc<HashSet<JobId>>)>);

impl Paused {
    /// The jobs that are paused, unless that was read too long ago.
    pub(super) fn known(&self) -> Option<Arc<HashSet<JobId>>> {
        let fresh = self.0.as_ref().filter(|(read, _)| read.elapsed() < BELIEVED_FOR);
        fresh.map(|(_, jobs)| Arc::clone(jobs))
    }

    pub(super) fn remember(&mut self, jobs: Arc<HashSet<JobId>>) {
        self.0 = Some((Instant::now(), jobs));
    }

    /// This process pauses or resumes one.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}
