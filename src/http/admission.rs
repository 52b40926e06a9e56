//! Who is let in to enqueue, decided before a body is read: what is under way at once is bounded, and so is the memory it takes. No client
//! has all of it.

mod places;

use std::sync::Arc;
use std::time::{Duration, Instant};

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
/// Block lists under way have this many bytes together.
const LISTS_BYTES: usize = 16 * 1024 * 1024;

/// The gate. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Admission {
    enqueues: Arc<Places>,
    batch_pieces: Arc<Places>,
    list_pieces: Arc<Places>,
    wait: Duration,
}

/// The right to enqueue; ends when dropped.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    _enqueue: Place,
    /// Of the bytes of batches, or of block lists.
    _pieces: Option<Place>,
}

impl Admission {
    /// A gate as wide as the settings say.
    #[must_use]
    pub fn new(queue: &config::Queue) -> Self {
        Self {
            enqueues: Arc::new(Places::new(queue.max_enqueues)),
            batch_pieces: Arc::new(Places::new(pieces(queue.batch_max_bytes) * BATCHES)),
            list_pieces: Arc::new(Places::new(pieces(LISTS_BYTES))),
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
            _pieces: None,
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
            _pieces: Some(batch),
            ..turn
        })
    }

    /// Waits to be let in with a block list of at most this many bytes, unread.
    ///
    /// # Errors
    /// 503 when the wait was too long.
    pub async fn list_in_time(&self, client: &str, bytes_max: usize) -> Result<Turn, Problem> {
        let pieces = u32::try_from(pieces(bytes_max)).unwrap_or(u32::MAX);
        let turn = self.in_time(client).await?;
        match tokio::time::timeout(self.wait, self.list_pieces.wait(client, pieces)).await {
            Ok(Some(list)) => Ok(Turn {
                _pieces: Some(list),
                ..turn
            }),
            Ok(None) | Err(_) => Err(too_long()),
        }
    }

    /// Waits to be let in, with the body unread: clients of the connector would send it again after a 429 (RI-6a).
    ///
    /// # Errors
    /// 503 when the wait was too long.
    pub async fn in_time(&self, client: &str) -> Result<Turn, Problem> {
        let enqueue = tokio::time::timeout(self.wait, self.enqueues.wait(client, 1)).await;
        Ok(Turn {
            _enqueue: enqueue.ok().flatten().ok_or_else(too_long)?,
            _pieces: None,
        })
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
        // What it is itself in the way of, first: room that it has counts for others.
        let share = tokio::time::timeout(self.wait, self.enqueues.wait_for_own(client, 1)).await;
        let share = share.ok().flatten().ok_or_else(too_long)?;
        let left = || self.wait.saturating_sub(began.elapsed());
        let room = self.room_within(context, job, left()).await?;
        let turn = tokio::time::timeout(left(), self.enqueues.wait_with(share, 1)).await;
        let turn = Turn {
            _enqueue: turn.ok().flatten().ok_or_else(too_long)?,
            _pieces: None,
        };
        Ok((turn, room))
    }

    /// Waits for room in a job's queue.
    ///
    /// # Errors
    /// 503 when the wait was too long.
    pub async fn room_in_time(&self, context: &Context, job: &Job) -> Result<Option<Room>, Problem> {
        self.room_within(context, job, self.wait).await
    }

    async fn room_within(&self, context: &Context, job: &Job, wait: Duration) -> Result<Option<Room>, Problem> {
        let room = context.room_in_time(job, wait).await;
        room.map_err(|none| {
            let is_full = matches!(none, NoRoom::Full { .. });
            let problem = Problem::from(none);
            // Clients of these surfaces take a 429 badly (RI-6a).
            let kind = if is_full { Kind::Unavailable } else { problem.kind };
            Problem { kind, ..problem }
        })
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
