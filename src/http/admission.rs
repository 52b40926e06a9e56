//! Who is let in to enqueue, decided before a body is read: what is under way at once is bounded, and so is the memory it takes. No client
//! has all of it.

mod places;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::places::{Place, Places};
use super::problem::{Kind, Problem};
use crate::config;
use crate::domain::job::Job;
use crate::pipeline::Context;
use crate::pipeline::room::{NoRoom, Room};

/// Bodies of batches are counted in pieces of this many bytes.
const PIECE_BYTES: usize = 1024;
/// Batches under way hold this many times the largest one together.
const BATCHES: usize = 4;
/// Block lists under way have this many bytes together; one of unknown or greater length counts as all of them.
const LISTS_BYTES: usize = 16 * 1024 * 1024;

/// The gate. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Admission {
    enqueues: Arc<Places>,
    batch_pieces: Arc<Places>,
    list_pieces: Arc<Semaphore>,
    wait: Duration,
}

/// The right to enqueue; ends when dropped.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    _enqueue: Place,
    _batch: Option<Place>,
    _list: Option<OwnedSemaphorePermit>,
}

impl Admission {
    /// A gate as wide as the settings say.
    #[must_use]
    pub fn new(queue: &config::Queue) -> Self {
        Self {
            enqueues: Arc::new(Places::new(queue.max_enqueues)),
            batch_pieces: Arc::new(Places::new(pieces(queue.batch_max_bytes) * BATCHES)),
            list_pieces: Arc::new(Semaphore::new(pieces(LISTS_BYTES))),
            wait: Duration::from_secs(queue.admit_wait_seconds.into()),
        }
    }

    /// Lets a client in at once or not at all.
    ///
    /// # Errors
    /// 429.
    pub fn at_once(&self, client: &str) -> Result<Turn, Problem> {
        Ok(Turn {
            _enqueue: self.enqueues.take(client, 1).ok_or_else(full)?,
            _batch: None,
            _list: None,
        })
    }

    /// The same for a batch with a body of at most this many bytes.
    ///
    /// # Errors
    /// 429.
    pub fn batch_at_once(&self, client: &str, bytes_max: usize) -> Result<Turn, Problem> {
        let pieces = u32::try_from(pieces(bytes_max)).unwrap_or(u32::MAX);
        let turn = self.at_once(client)?;
        let batch = self.batch_pieces.take(client, pieces).ok_or_else(full)?;
        Ok(Turn {
            _batch: Some(batch),
            ..turn
        })
    }

    /// Waits to be let in with a block list of this many bytes, unread.
    ///
    /// # Errors
    /// 503 when the wait was too long.
    pub async fn list_in_time(&self, client: &str, bytes: u64) -> Result<Turn, Problem> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(LISTS_BYTES);
        let pieces = u32::try_from(pieces(bytes)).unwrap_or(u32::MAX);
        let turn = self.in_time(client).await?;
        let waiting = Arc::clone(&self.list_pieces).acquire_many_owned(pieces);
        match tokio::time::timeout(self.wait, waiting).await {
            Ok(Ok(list)) => Ok(Turn {
                _list: Some(list),
                ..turn
            }),
            Ok(Err(_)) | Err(_) => Err(too_long()),
        }
    }

    /// Waits to be let in, with the body unread: clients of the connector would send it again after a 429 (RI-6a).
    ///
    /// # Errors
    /// 503 when the wait was too long.
    pub async fn in_time(&self, client: &str) -> Result<Turn, Problem> {
        self.within(client, self.wait).await
    }

    /// The same for one more message of a job: waits until there is room in its queue, and only then takes a turn, which others may need.
    ///
    /// # Errors
    /// 503 when the wait was too long.
    pub async fn in_time_for(
        &self,
        context: &Context,
        client: &str,
        job: &Job,
    ) -> Result<(Turn, Option<Room>), Problem> {
        let began = Instant::now();
        let room = self.room_in_time(context, job).await?;
        let turn = self.within(client, self.wait.saturating_sub(began.elapsed())).await?;
        Ok((turn, room))
    }

    /// Waits for room in a job's queue.
    ///
    /// # Errors
    /// 503 when the wait was too long.
    pub async fn room_in_time(&self, context: &Context, job: &Job) -> Result<Option<Room>, Problem> {
        let room = context.room_in_time(job, self.wait).await;
        room.map_err(|none| {
            let is_full = matches!(none, NoRoom::Full { .. });
            let problem = Problem::from(none);
            // Clients of these surfaces take a 429 badly (RI-6a).
            let kind = if is_full { Kind::Unavailable } else { problem.kind };
            Problem { kind, ..problem }
        })
    }

    async fn within(&self, client: &str, wait: Duration) -> Result<Turn, Problem> {
        match tokio::time::timeout(wait, self.enqueues.wait(client)).await {
            Ok(Some(enqueue)) => Ok(Turn {
                _enqueue: enqueue,
                _batch: None,
                _list: None,
            }),
            Ok(None) | Err(_) => Err(too_long()),
        }
    }
}

fn too_long() -> Problem {
    Problem::new(
        Kind::Unavailable,
        "as much is being enqueued as the service takes at once, of everybody or of this client; nothing was stored, send it again later",
    )
}

fn pieces(bytes: usize) -> usize {
    bytes.div_ceil(PIECE_BYTES).max(1)
}

fn full() -> Problem {
    Problem::new(
        Kind::QueueFull,
        "as much is being enqueued as the service takes at once, of everybody or of this client; nothing was stored, send it again later",
    )
}
