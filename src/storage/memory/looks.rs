//! When to look at the whole of something again, instead of at what is remembered of it.
//!
//! While a transaction is held open elsewhere, PostgreSQL keeps every index entry of what left the queue, and a look at the
//! whole walks over all of them. So it may take a share of the time and no more, however long it has become.

use std::time::{Duration, Instant};

/// A look at the whole is due after this long at the earliest…
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// … and takes at most one part in this many of the time.
const SHARE: u32 = 50;

/// Looks at the whole of one thing.
#[derive(Debug, Default)]
pub(super) struct Looks {
    last: Option<Instant>,
    again_after: Duration,
    /// At the earliest, where that is later than for others.
    seldom: Duration,
}

impl Looks {
    /// Looks for what hardly ever is there: this long after one another at least.
    pub(super) fn seldom(seldom: Duration) -> Self {
        Self {
            seldom,
            ..Self::default()
        }
    }

    /// Whether it is time for one: nobody has looked, or not for long enough.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.last
            .is_none_or(|last| now.saturating_duration_since(last) >= self.again_after)
    }

    /// One that began then is over.
    pub(super) fn looked(&mut self, begun: Instant) {
        let now = Instant::now();
        self.last = Some(now);
        self.again_after = (now.saturating_duration_since(begun) * SHARE)
            .max(AGAIN_AFTER)
            .max(self.seldom);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_took_long_is_not_repeated_soon() {
        let mut looks = Looks::default();
        let begun = Instant::now();
        assert!(looks.is_due(begun));
        looks.looked(begun);
        let quick = looks.again_after;
        assert!(!looks.is_due(Instant::now()) && looks.is_due(Instant::now() + quick));
        looks.looked(
            Instant::now()
                .checked_sub(Duration::from_secs(10))
                .expect("the machine runs longer"),
        );
        assert!(!looks.is_due(Instant::now() + Duration::from_secs(490)));
        assert!(looks.is_due(Instant::now() + Duration::from_secs(520)));
    }
}
