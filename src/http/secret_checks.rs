//! Checking and making client secrets: it is meant to be slow and takes memory, and anybody may ask for it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Kind, Problem};

/// Requests that wait for their turn; one more is told to come back.
const WAITING_MAX: usize = 256;

/// Whose turn it is. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SecretChecks {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// The right to one check; ends when dropped.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl SecretChecks {
    /// So many at once.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(at_once)),
            places: Arc::new(Semaphore::new(at_once + WAITING_MAX)),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// 503 where too many wait already.
    pub async fn turn(&self) -> Result<Turn, Problem> {
        let busy = || {
            Problem::new(
                Kind::Unavailable,
                "too many secrets are being checked; try again in a few seconds",
            )
        };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| busy())?;
        Ok(Turn {
            _turn: turn,
            _place: place,
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn few_are_checked_at_once_and_few_wait() {
        let checks = SecretChecks::new(2);
        let (first, second) = (checks.turn().await, checks.turn().await);
        assert!(first.is_ok() && second.is_ok());
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(checks.turn())).collect();
        assert!(waiting.iter_mut().all(|one| one.as_mut().now_or_never().is_none()));
        let refused = checks.turn().now_or_never().expect("answered at once");
        let refused = refused.expect_err("one too many");
        assert_eq!(refused.kind, Kind::Unavailable);
        drop(first);
        assert!(waiting[0].as_mut().now_or_never().expect("its turn").is_ok());
        drop(waiting);
        drop(second);
        assert!(checks.turn().await.is_ok(), "places are given back");
    }
}
