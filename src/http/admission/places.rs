//! Places that many clients share, and of which none has all: the others go on when it takes many, or holds its own for long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Clients remembered; past this, those that have no place are forgotten.
const CLIENTS_KEPT: usize = 1024;

/// The places. One client has at most three quarters of them, rounded up.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    of_one: usize,
    clients: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Some of the places, until dropped.
#[derive(Debug)]
pub(super) struct Place {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// What one client may take of the places, not taken yet.
#[derive(Debug)]
pub(super) struct Share(OwnedSemaphorePermit);

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(count)),
            of_one: count - count / 4,
            clients: Mutex::default(),
        }
    }

    /// So many at once or none.
    pub(super) fn take(&self, client: &str, count: u32) -> Option<Place> {
        let own = self.of(client).try_acquire_many_owned(count).ok()?;
        let all = Arc::clone(&self.all).try_acquire_many_owned(count).ok()?;
        Some(Place { _own: own, _all: all })
    }

    /// So many, however long that takes.
    pub(super) async fn wait(&self, client: &str, count: u32) -> Option<Place> {
        let share = self.wait_for_own(client, count).await?;
        self.wait_with(share, count).await
    }

    /// What a client has to wait for because of itself, before it takes anything that others wait for, too.
    pub(super) async fn wait_for_own(&self, client: &str, count: u32) -> Option<Share> {
        self.of(client).acquire_many_owned(count).await.ok().map(Share)
    }

    /// And the rest.
    pub(super) async fn wait_with(&self, Share(own): Share, count: u32) -> Option<Place> {
        let all = Arc::clone(&self.all).acquire_many_owned(count).await.ok()?;
        Some(Place { _own: own, _all: all })
    }

    fn of(&self, client: &str) -> Arc<Semaphore> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = clients.get(client) {
            return Arc::clone(own);
        }
        if clients.len() >= CLIENTS_KEPT {
            // Whoever has a place, or waits for one, holds on to it.
            clients.retain(|_, own| Arc::strong_count(own) > 1);
        }
        let own = Arc::new(Semaphore::new(self.of_one));
        clients.insert(client.to_owned(), Arc::clone(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_has_three_quarters_at_most() {
        for (count, of_one) in [(1, 1), (2, 2), (3, 3), (4, 3), (1024, 768)] {
            let places = Places::new(count);
            let taken: Vec<_> = (0..count).map_while(|_| places.take("one", 1)).collect();
            assert_eq!(taken.len(), of_one, "of {count}");
            let others: Vec<_> = (0..count).map_while(|_| places.take("other", 1)).collect();
            assert_eq!(others.len(), count - of_one, "of {count}");
            drop(taken);
            assert!(places.take("one", 1).is_some());
        }
    }

    #[test]
    fn clients_without_a_place_are_forgotten() {
        let places = Places::new(4);
        let kept = places.take("kept", 1);
        for client in 0..3 * CLIENTS_KEPT {
            assert!(places.take(&client.to_string(), 1).is_some());
        }
        let known = places.clients.lock().unwrap();
        assert!(known.len() <= CLIENTS_KEPT && known.contains_key("kept"));
        drop((known, kept));
    }

    #[tokio::test]
    async fn who_waits_has_the_next_place() {
        let places = Places::new(1);
        let first = places.take("one", 1);
        let mut waiting = Box::pin(places.wait("other", 1));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(first);
        assert!(waiting.await.is_some());
    }
}
