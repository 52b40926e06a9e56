//! What time it is, as a value that is passed in.
//!
//! Nothing else in the crate asks the system for the time, so a test can move it, and the sandbox too: there the clock runs and
//! jumps. What sleeps does not sleep shorter for that: who waits for a time listens to [`Clock::jumps`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::watch;

use crate::domain::time::Timestamp;

/// A source of the current time. Cheap to clone; clones move together.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
    /// How far it is ahead of its source, where it may be.
    ahead: Option<Arc<Ahead>>,
}

#[derive(Debug, Clone)]
enum Source {
    System,
    Settable(Arc<AtomicI64>),
}

#[derive(Debug)]
struct Ahead {
    micros: AtomicI64,
    jumps: watch::Sender<()>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::of(Source::System)
    }

    /// A clock that stands still until it is moved.
    #[must_use]
    pub fn settable(at: Timestamp) -> Self {
        Self::of(Source::Settable(Arc::new(AtomicI64::new(at.micros()))))
    }

    fn of(source: Source) -> Self {
        Self { source, ahead: None }
    }

    /// The same clock, so many microseconds ahead of what it was, and able to jump.
    #[must_use]
    pub fn able_to_jump(&self, ahead_micros: i64) -> Self {
        Self {
            source: self.source.clone(),
            ahead: Some(Arc::new(Ahead {
                micros: AtomicI64::new(ahead_micros),
                jumps: watch::Sender::new(()),
            })),
        }
    }

    /// The current time, in whole microseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.real().micros().saturating_add(self.ahead_micros()))
    }

    /// The time of the source: what it would be had the clock never jumped.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn real(&self) -> Timestamp {
        match &self.source {
            Source::System => chrono::Utc::now().into(),
            Source::Settable(at) => Timestamp(at.load(Ordering::SeqCst)),
        }
    }

    /// How far it is ahead of its source, in microseconds.
    #[must_use]
    pub fn ahead_micros(&self) -> i64 {
        let ahead = self.ahead.as_ref();
        ahead.map_or(0, |ahead| ahead.micros.load(Ordering::SeqCst))
    }

    /// From here on it is this far ahead of its source, and whoever listens is told; a clock that cannot jump does not.
    pub fn jump(&self, ahead_micros: i64) {
        if let Some(ahead) = &self.ahead {
            ahead.micros.store(ahead_micros, Ordering::SeqCst);
            ahead.jumps.send_replace(());
        }
    }

    /// Changes with every jump; `None` where there are none.
    #[must_use]
    pub fn jumps(&self) -> Option<watch::Receiver<()>> {
        self.ahead.as_ref().map(|ahead| ahead.jumps.subscribe())
    }

    /// Moves a settable clock; a system clock does not move.
    pub fn set(&self, to: Timestamp) {
        if let Source::Settable(at) = &self.source {
            at.store(to.micros(), Ordering::SeqCst);
        }
    }

    /// Moves a settable clock forward.
    pub fn advance_seconds(&self, seconds: i64) {
        self.set(self.real().plus_seconds(seconds));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_that_jumps_goes_on_running_and_tells_its_listeners() {
        let source = Clock::settable(Timestamp(1_000));
        let clock = source.able_to_jump(0);
        let mut jumps = clock.jumps().expect("it can jump");
        clock.clone().jump(5_000);
        jumps.changed().await.expect("told");
        assert_eq!(clock.now(), Timestamp(6_000));
        source.set(Timestamp(2_000));
        assert_eq!((clock.now(), clock.real()), (Timestamp(7_000), Timestamp(2_000)));
        // Its source knows nothing of it.
        source.jump(9);
        assert_eq!(source.now(), Timestamp(2_000));
        assert!(source.jumps().is_none());
    }
}
