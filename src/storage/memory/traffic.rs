//! What came in and ended since it was last written down: counted after each commit, so that no commit costs more for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::News;
use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;
use crate::domain::traffic::{Range, Traffic};

/// Messages by job and the minute they came in or ended in.
pub(in crate::storage) type Counted = BTreeMap<(JobId, Timestamp), Traffic>;

/// What is not written down yet.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counted>);

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transaction is committed.
    pub(super) fn count(&self, news: &News) {
        if news.enqueued.is_empty() && news.ended.is_empty() {
            return;
        }
        let mut counted = self.lock();
        for (job, at) in &news.enqueued {
            counted.entry((*job, Range::Hour.bucket_of(*at))).or_default().enqueued += 1;
        }
        for ended in &news.ended {
            let minute = Range::Hour.bucket_of(ended.at);
            counted.entry((ended.job, minute)).or_default().count_end(ended.status);
        }
    }

    /// All of it: the caller writes it down, or gives it back.
    pub(super) fn take(&self) -> Counted {
        std::mem::take(&mut self.lock())
    }

    /// It could not be written down.
    pub(super) fn give_back(&self, left: Counted) {
        let mut counted = self.lock();
        for (place, traffic) in left {
            let sum = counted.entry(place).or_default();
            *sum = sum.plus(traffic);
        }
    }
}
