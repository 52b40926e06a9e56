//! What time it is, as a value that is passed in.
//!
//! Nothing else in the crate asks the system for the time, so a test can move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::time::Timestamp;

/// A source of the current time. Cheap to clone; clones of a settable clock move together.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Settable(Arc<AtomicI64>),
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is moved.
    #[must_use]
    pub fn settable(at: Timestamp) -> Self {
        Self(Source::Settable(Arc::new(AtomicI64::new(at.micros()))))
    }

    /// The current time, in whole microseconds.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => chrono::Utc::now().into(),
            Source::Settable(at) => Timestamp(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a settable clock; a system clock does not move.
    pub fn set(&self, to: Timestamp) {
        if let Source::Settable(at) = &self.0 {
            at.store(to.micros(), Ordering::SeqCst);
        }
    }

    /// Moves a settable clock forward.
    pub fn advance_seconds(&self, seconds: i64) {
        self.set(self.now().plus_seconds(seconds));
    }
}
