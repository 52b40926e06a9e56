//! Who waits for news of a message or a job, and how they are told: one listener for all of them, nothing kept for anybody who
//! is slow.
//!
//! News are hints: whoever is told looks at the store. What other processes do is not heard of here; waiters look again by
//! the clock for that.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::domain::ids::{JobId, MessageId};
use crate::pipeline::Context;
use crate::storage::Store;

/// Messages noted for a listener to a job; more, and it is told to look again.
const NOTED_MAX: usize = 1000;

/// The one listener to the store's moves. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Watch {
    store: Store,
    runtime: Handle,
    watched: Arc<Mutex<Watched>>,
}

#[derive(Debug, Default)]
struct Watched {
    /// Waiters by message, and how many.
    messages: HashMap<MessageId, (Arc<Notify>, usize)>,
    jobs: HashMap<JobId, Vec<Arc<Noted>>>,
    /// Whether the task runs that hears the store.
    listening: bool,
}

/// What a listener to a job has not looked at yet.
#[derive(Debug, Default)]
struct Noted {
    news: Mutex<News>,
    told: Notify,
}

/// What happened in a job.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct News {
    /// These messages moved, each any number of times.
    pub moved: BTreeSet<MessageId>,
    /// More happened than was kept: everything may be different.
    pub missed: bool,
}

impl Watch {
    /// Nobody waits yet.
    #[must_use]
    pub fn new(context: &Context) -> Self {
        Self {
            store: context.store.clone(),
            runtime: context.runtime.clone(),
            watched: Arc::default(),
        }
    }

    /// How long to wait before looking again without having heard anything.
    #[must_use]
    pub fn look_again_after(&self) -> Duration {
        if self.store.has_one_process() {
            // Everything that happens is heard of; this is for what nobody thought of.
            Duration::from_secs(5)
        } else {
            Duration::from_millis(500)
        }
    }

    /// Begins to wait for news of a message.
    #[must_use]
    pub fn message(&self, id: MessageId) -> MessageWatch {
        let mut watched = lock(&self.watched);
        let (notify, waiters) = watched.messages.entry(id).or_default();
        *waiters += 1;
        let notify = Arc::clone(notify);
        self.listen(&mut watched);
        MessageWatch {
            id,
            notify,
            watched: Arc::clone(&self.watched),
        }
    }

    /// Begins to listen to a job.
    #[must_use]
    pub fn job(&self, job: JobId) -> JobWatch {
        let noted = Arc::<Noted>::default();
        let mut watched = lock(&self.watched);
        watched.jobs.entry(job).or_default().push(Arc::clone(&noted));
        self.listen(&mut watched);
        JobWatch {
            job,
            noted,
            watched: Arc::clone(&self.watched),
        }
    }

    /// Makes sure that somebody hears the store while anybody waits: nobody pays for news that nobody wants.
    fn listen(&self, watched: &mut Watched) {
        if !watched.listening {
            watched.listening = true;
            // Subscribed before the caller looks, so that nothing is lost between its look and its wait.
            let moves = self.store.moves();
            self.runtime.spawn(hear(moves, Arc::clone(&self.watched)));
        }
    }
}

async fn hear(mut moves: Receiver<(JobId, MessageId)>, watched: Arc<Mutex<Watched>>) {
    loop {
        let heard = moves.recv().await;
        let mut watched = lock(&watched);
        if watched.messages.is_empty() && watched.jobs.is_empty() {
            watched.listening = false;
            return;
        }
        match heard {
            Ok((job, message)) => watched.tell(job, message),
            Err(RecvError::Lagged(_)) => watched.tell_all(),
            Err(RecvError::Closed) => return,
        }
    }
}

impl Watched {
    fn tell(&self, job: JobId, message: MessageId) {
        if let Some((notify, _)) = self.messages.get(&message) {
            notify.notify_waiters();
        }
        for noted in self.jobs.get(&job).into_iter().flatten() {
            noted.note(Some(message));
        }
    }

    fn tell_all(&self) {
        for (notify, _) in self.messages.values() {
            notify.notify_waiters();
        }
        for noted in self.jobs.values().flatten() {
            noted.note(None);
        }
    }
}

impl Noted {
    /// Notes that a message moved; none: that some did.
    fn note(&self, message: Option<MessageId>) {
        let mut news = lock(&self.news);
        news.moved.extend(message);
        if message.is_none() || news.moved.len() > NOTED_MAX {
            news.moved.clear();
            news.missed = true;
        }
        drop(news);
        self.told.notify_one();
    }
}

/// Somebody waits for news of a message.
#[derive(Debug)]
pub struct MessageWatch {
    id: MessageId,
    notify: Arc<Notify>,
    watched: Arc<Mutex<Watched>>,
}

impl MessageWatch {
    /// Ends with the next news; what happens from this call on counts, once the future was enabled or polled.
    pub fn news(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for MessageWatch {
    fn drop(&mut self) {
        let mut watched = lock(&self.watched);
        if let Some((_, waiters)) = watched.messages.get_mut(&self.id) {
            *waiters -= 1;
            if *waiters == 0 {
                watched.messages.remove(&self.id);
            }
        }
    }
}

/// Somebody listens to a job.
#[derive(Debug)]
pub struct JobWatch {
    job: JobId,
    noted: Arc<Noted>,
    watched: Arc<Mutex<Watched>>,
}

impl JobWatch {
    /// Waits for news and takes them.
    pub async fn news(&self) -> News {
        loop {
            let news = std::mem::take(&mut *lock(&self.noted.news));
            if news != News::default() {
                return news;
            }
            self.noted.told.notified().await;
        }
    }
}

impl Drop for JobWatch {
    fn drop(&mut self) {
        let mut watched = lock(&self.watched);
        if let Some(listeners) = watched.jobs.get_mut(&self.job) {
            listeners.retain(|noted| !Arc::ptr_eq(noted, &self.noted));
            if listeners.is_empty() {
                watched.jobs.remove(&self.job);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here is left half-changed by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
