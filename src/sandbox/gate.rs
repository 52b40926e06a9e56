//! Holding all background work at once: nothing new begins, and what runs is told to stop and waited for.
//!
//! A worker that is stopped here hands its message back as it does when the service stops: nothing is lost, no attempt counts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio_util::sync::CancellationToken;

/// What background work passes through. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Whoever works holds it shared; who holds it alone has everybody waiting.
    lock: Arc<RwLock<()>>,
    stopping: CancellationToken,
    /// Cancelled when what runs now is to stop.
    interrupted: Mutex<CancellationToken>,
}

/// Work that is let through; its clones are parts of it.
#[derive(Debug, Clone)]
pub struct Work {
    /// Cancelled when it is to stop.
    pub stopping: CancellationToken,
    _inside: Option<Arc<OwnedRwLockReadGuard<()>>>,
}

impl Work {
    /// Work that nobody holds up.
    #[must_use]
    pub fn unheld(stopping: &CancellationToken) -> Self {
        Self {
            stopping: stopping.clone(),
            _inside: None,
        }
    }
}

/// While it lives nothing works in the background.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "held, not looked at")] OwnedRwLockWriteGuard<()>);

impl Gate {
    /// An open gate of a service that ends by this token.
    #[must_use]
    pub fn new(stopping: &CancellationToken) -> Self {
        Self(Arc::new(Inner {
            lock: Arc::default(),
            stopping: stopping.clone(),
            interrupted: Mutex::new(stopping.child_token()),
        }))
    }

    /// Waits until the gate is open. What begins is held until every clone of the answer is gone.
    pub async fn begin(&self) -> Work {
        let inside = Arc::clone(&self.0.lock).read_owned().await;
        let interrupted = self.0.interrupted.lock().unwrap_or_else(PoisonError::into_inner);
        Work {
            stopping: interrupted.clone(),
            _inside: Some(Arc::new(inside)),
        }
    }

    /// Closes the gate, stops what runs and waits for it, this long at most; `None` when it does not end.
    pub async fn hold(&self, patience: Duration) -> Option<Held> {
        self.interrupted().cancel();
        let alone = tokio::time::timeout(patience, Arc::clone(&self.0.lock).write_owned()).await;
        // What begins from now on is not what was to stop.
        *self.0.interrupted.lock().unwrap_or_else(PoisonError::into_inner) = self.0.stopping.child_token();
        alone.ok().map(Held)
    }

    fn interrupted(&self) -> CancellationToken {
        let interrupted = self.0.interrupted.lock().unwrap_or_else(PoisonError::into_inner);
        interrupted.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_runs_is_told_to_stop_and_nothing_begins_while_it_is_held() {
        let gate = Gate::new(&CancellationToken::new());
        let work = gate.begin().await;
        assert!(gate.hold(Duration::from_millis(10)).await.is_none(), "it still runs");
        assert!(work.stopping.is_cancelled());
        drop(work);
        let next = gate.begin().await;
        assert!(!next.stopping.is_cancelled(), "that was for those before");
        drop(next);
        let held = gate.hold(Duration::from_secs(5)).await.expect("nothing runs");
        let begin = tokio::time::timeout(Duration::from_millis(20), gate.begin()).await;
        assert!(begin.is_err(), "closed");
        drop(held);
        gate.begin().await;
    }
}
