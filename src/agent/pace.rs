//! How long to wait: short while something moves, longer while nothing does, and ever longer while something is broken.

use std::time::Duration;

use super::config::Retry;
use super::trouble::Trouble;

/// Shortest pause between two looks at something that is worked on.
const SHORTEST: Duration = Duration::from_millis(100);

/// What a pass over a folder came to.
#[derive(Debug, Default)]
pub struct Passed {
    /// Something moved.
    pub moved: bool,
    /// Something is left that will be over by itself.
    pub left: bool,
    /// What was in the way of everything.
    pub trouble: Option<Trouble>,
    /// What was in the way of one file only.
    pub aside: Option<Trouble>,
}

/// The pauses of one folder.
#[derive(Debug)]
pub struct Pace {
    retry: Retry,
    poll: Duration,
    failures: u32,
    quiet: Duration,
}

impl Pace {
    /// Nothing has failed yet.
    #[must_use]
    pub fn new(retry: Retry, poll: Duration) -> Self {
        Self {
            retry,
            poll,
            failures: 0,
            quiet: SHORTEST,
        }
    }

    /// The pause after a pass. `dice` is from 0 to 1: agents that failed together do not come back together.
    pub fn pause(&mut self, passed: &Passed, dice: f64) -> Duration {
        if let Some(trouble) = &passed.trouble {
            self.failures = self.failures.saturating_add(1);
            let grown = self
                .retry
                .first
                .saturating_mul(1 << (self.failures - 1).min(20))
                .min(self.retry.cap);
            // Never sooner than it was asked for.
            return grown
                .mul_f64(0.5 + dice / 2.0)
                .max(trouble.retry_after.unwrap_or_default());
        }
        self.failures = 0;
        self.quiet = match (passed.moved, passed.left) {
            (true, _) => SHORTEST,
            (false, true) => (self.quiet * 2).min(self.poll),
            (false, false) => self.poll,
        };
        self.quiet
    }
}

/// A number from 0 to 1.
#[must_use]
pub fn dice() -> f64 {
    let mut bytes = [0; 4];
    // Without chance everybody waits half the time: no harm.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::trouble::Kind;
    use super::*;

    #[test]
    fn failures_are_waited_out_longer_and_longer_and_as_long_as_the_server_asks() {
        let retry = Retry {
            first: Duration::from_secs(1),
            cap: Duration::from_mins(1),
            attempts_max: 3,
        };
        let mut pace = Pace::new(retry, Duration::from_secs(10));
        let failed = |retry_after| Passed {
            trouble: Some(Trouble {
                retry_after,
                ..Trouble::new(Kind::Away, "gone")
            }),
            ..Passed::default()
        };
        let waits: Vec<u64> = (0..8).map(|_| pace.pause(&failed(None), 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pace.pause(&failed(None), 0.0).as_secs(), 30);
        assert_eq!(pace.pause(&failed(Some(Duration::from_secs(90))), 0.3).as_secs(), 90);
        let quiet = Passed {
            left: true,
            ..Passed::default()
        };
        let looks: Vec<u128> = (0..9).map(|_| pace.pause(&quiet, 0.0).as_millis()).collect();
        assert_eq!(looks, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
        assert_eq!(pace.pause(&failed(None), 1.0).as_secs(), 1, "the count began anew");
    }
}
