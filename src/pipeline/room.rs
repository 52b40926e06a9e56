//! Room in queues: how many messages may be in one, waiting or handed out (`max_messages`), asked before a body is read.
//!
//! What is there the store has counted; what this process has let in and not yet answered counts as well, so one process never goes
//! past the bound. Several do by what the others let in at the same moment: never by more than each of them takes at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Context;
use crate::domain::ids::JobId;
use crate::domain::job::Job;
use crate::storage::StoreError;

/// A queue that was full is believed to be for this long: whoever comes back at once costs no statement.
const FULL_FOR: Duration = Duration::from_millis(250);
/// How often it is asked on behalf of who waits.
const ASKED_EVERY: Duration = Duration::from_millis(500);

/// What is on its way into queues that have a bound. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Rooms(Arc<Mutex<HashMap<JobId, Coming>>>);

/// What is on its way into one queue.
#[derive(Debug, Default)]
struct Coming {
    messages: u64,
    /// How many there were when there was no room for one more, and when that was.
    full: Option<(u64, Instant)>,
}

/// Room for messages that are on their way; kept until they are stored or given up.
#[derive(Debug)]
#[must_use]
pub struct Room {
    rooms: Rooms,
    job: JobId,
    messages: u64,
}

/// Why there is no room.
#[derive(Debug, thiserror::Error)]
pub enum NoRoom {
    /// As many are there as may be.
    #[error(
        "{there} messages are in the queue of `{job}`, waiting or handed out, and no more than {most} may be (max_messages); nothing was \
         stored: send it again when some of them are done"
    )]
    Full {
        /// The job's name.
        job: String,
        /// How many are there.
        there: u64,
        /// How many may be.
        most: u64,
    },
    /// More at once than may be there at all.
    #[error(
        "the batch has {messages} messages, and the queue of `{job}` takes no more than {most} at all (max_messages): send less at once"
    )]
    Never {
        /// The job's name.
        job: String,
        /// How many came.
        messages: u64,
        /// How many may be there.
        most: u64,
    },
    /// It cannot be told.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Context {
    /// How many messages may be in a job's queue, where that is bounded.
    #[must_use]
    pub fn max_messages(&self, job: &Job) -> Option<u64> {
        let most = job.queue.max_messages.unwrap_or(self.limits.queue.max_messages);
        (most > 0 && job.export.is_none()).then_some(most.into())
    }

    /// Room for so many more messages of a job, at once or not at all. Nothing is asked where there is no bound.
    ///
    /// # Errors
    /// [`NoRoom`]
    pub async fn room(&self, job: &Job, messages: u64) -> Result<Option<Room>, NoRoom> {
        let Some(most) = self.max_messages(job) else {
            return Ok(None);
        };
        if messages > most {
            return Err(NoRoom::Never {
                job: job.name.clone(),
                messages,
                most,
            });
        }
        let full = |there| NoRoom::Full {
            job: job.name.clone(),
            there,
            most,
        };
        // Counted before it is asked what is there: what was stored in between is counted twice for a moment, and never not at all.
        let (room, coming) = self.rooms.enter(job.id, messages, Instant::now()).map_err(full)?;
        let there = self.store.depth(job.id).await?.all();
        if there + coming > most {
            if there >= most {
                self.rooms.note_full(job.id, there, Instant::now());
            }
            return Err(full(there));
        }
        Ok(Some(room))
    }

    /// Room for one more message, for as long as somebody waits for it.
    ///
    /// # Errors
    /// [`NoRoom`] when there was none all the time.
    pub async fn room_in_time(&self, job: &Job, patience: Duration) -> Result<Option<Room>, NoRoom> {
        let until = Instant::now() + patience;
        loop {
            match self.room(job, 1).await {
                Err(NoRoom::Full { .. }) if Instant::now() + ASKED_EVERY <= until => {
                    tokio::time::sleep(ASKED_EVERY).await;
                }
                decided => return decided,
            }
        }
    }
}

impl Rooms {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Coming>> {
        // Nothing in here is left half-changed by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts messages in, and says how many are on their way with them; how many are there, where the queue was full a moment ago.
    fn enter(&self, job: JobId, messages: u64, now: Instant) -> Result<(Room, u64), u64> {
        let mut jobs = self.lock();
        let coming = jobs.entry(job).or_default();
        if let Some((there, since)) = coming.full
            && now.duration_since(since) < FULL_FOR
        {
            return Err(there);
        }
        coming.full = None;
        coming.messages += messages;
        let room = Room {
            rooms: self.clone(),
            job,
            messages,
        };
        Ok((room, coming.messages))
    }

    fn note_full(&self, job: JobId, there: u64, now: Instant) {
        self.lock().entry(job).or_default().full = Some((there, now));
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut jobs = self.rooms.lock();
        if let Some(coming) = jobs.get_mut(&self.job) {
            coming.messages = coming.messages.saturating_sub(self.messages);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_is_counted_until_it_is_stored_or_given_up() {
        let (rooms, job, now) = (Rooms::default(), JobId::generate(), Instant::now());
        let enter = |job, messages| rooms.enter(job, messages, now).expect("room");
        let (first, coming) = enter(job, 2);
        assert_eq!(coming, 2);
        let (second, coming) = enter(job, 3);
        assert_eq!(coming, 5);
        assert_eq!(enter(JobId::generate(), 1).1, 1, "each job has its own");
        drop(first);
        assert_eq!(enter(job, 1).1, 4);
        drop(second);
        assert_eq!(enter(job, 1).1, 1);
    }

    #[test]
    fn a_full_queue_is_believed_to_be_for_a_moment() {
        let (rooms, job, now) = (Rooms::default(), JobId::generate(), Instant::now());
        rooms.note_full(job, 7, now);
        assert_eq!(rooms.enter(job, 1, now).err(), Some(7));
        assert_eq!(rooms.enter(job, 1, now + FULL_FOR).expect("looked at again").1, 1);
    }
}
