//! Under which origin a transaction writes what it counts: one that no other transaction has at the time.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::storage::depths::Slot;

/// Transactions of one process at a time, far more than there are.
const AT_ONCE: i64 = 1 << 16;

/// The origins of one process.
#[derive(Debug)]
pub(super) struct Origins {
    /// This process among all that ever were.
    first: i64,
    started: Instant,
    taken: Mutex<BTreeSet<i64>>,
}

impl Default for Origins {
    fn default() -> Self {
        let random = RandomState::new().hash_one(std::process::id());
        // Positive, and never 0: that is what was added up.
        let process = (random >> 18).cast_signed().max(1);
        Self {
            first: process * AT_ONCE,
            started: Instant::now(),
            taken: Mutex::default(),
        }
    }
}

/// An origin, until it is dropped.
#[derive(Debug)]
pub(in crate::storage) struct Origin {
    origins: Arc<Origins>,
    number: i64,
}

impl Origin {
    pub(super) fn take(origins: &Arc<Origins>) -> Self {
        let mut taken = origins.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (0..AT_ONCE).find(|number| !taken.contains(number)).unwrap_or(0);
        taken.insert(number);
        Self {
            origins: Arc::clone(origins),
            number,
        }
    }

    /// Where to write now.
    pub(in crate::storage) fn slot(&self) -> Slot {
        Slot {
            origin: self.origins.first + self.number,
            second: i64::try_from(self.origins.started.elapsed().as_secs()).unwrap_or(i64::MAX),
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let mut taken = self.origins.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_transactions_have_one_origin_at_a_time() {
        let (one, another) = (Arc::<Origins>::default(), Arc::<Origins>::default());
        let first = Origin::take(&one);
        let second = Origin::take(&one);
        let elsewhere = Origin::take(&another);
        let all = BTreeSet::from([&first, &second, &elsewhere].map(|origin| origin.slot().origin));
        assert_eq!(all.len(), 3);
        let freed = first.slot().origin;
        drop(first);
        assert_eq!(Origin::take(&one).slot().origin, freed);
    }
}
