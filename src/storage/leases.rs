//! Leases: extend, promote, release, lapse. Each is one guarded statement on `(id, epoch)` or a short transaction around
//! one; never select-then-update. How a lease begins is in `claims`, how an acknowledgement ends one in `acks`.
//!
//! A worker's lease ends at `lease_until`, which heartbeats move and no index names; a dequeuer's at `redeliver_at`, which
//! nobody moves.

use uuid::Uuid;

use super::dialect::sql;
use super::pool::{Tx, execute, fetch_all};
use super::transition::{WORKED, guard, must_touch, note_events, plain_step, target};
use super::{Store, StoreError};
use crate::domain::ids::{CorrelationId, JobId, MessageId};
use crate::domain::message::Fence;
use crate::domain::status::Event;
use crate::domain::time::Timestamp;

/// A worker's claim on import messages.
#[derive(Debug, Clone)]
pub struct ClaimImport<'a> {
    /// Jobs whose messages may be taken now (not paused, not waiting for an occurrence).
    pub jobs: &'a [JobId],
    /// Of those, jobs that take one message at a time, oldest first: nothing is claimed while another message of the job
    /// is leased, and only the oldest waiting message (also one in back-off) may be next.
    pub in_order: &'a [JobId],
    /// Who claims, for the operator's eyes: host, process, worker.
    pub owner: &'a str,
    /// Seconds the lease lasts without an extension.
    pub lease_seconds: i64,
    /// Most messages to take.
    pub limit: u32,
}

/// By what an acknowledgement names its message (RI-20…24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckBy {
    /// By a genuine receipt, of whichever lease.
    Receipt(Fence),
    /// By the correlation id, when no receipt came.
    Correlation(CorrelationId),
}

/// What an acknowledgement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acked {
    /// The message ended now; its epoch was raised, so every other lease is void.
    Now(MessageId),
    /// It had been acknowledged before (RI-22).
    Before(MessageId),
    /// The job has no such message.
    Unknown,
    /// It ended otherwise (cancelled, expired, dead-lettered).
    Ended(MessageId),
}

/// Most lapsed leases returned by one statement; by `release_expired` also in one transaction, so that others get a turn.
pub(super) const LAPSED_PER_TRANSACTION: usize = 1000;

/// A delivery whose time is over at `$1`.
pub(super) const LAPSED_DELIVERY: &str = "redeliver_at <= $1";
/// A worker whose time is over at `$1`.
const LAPSED_WORK: &str = "status in ('PreProcessing', 'Processing') and lease_until <= $1";

/// What a released message loses, whatever released it.
const NO_LEASE: &str = "lease_until = null, redeliver_at = null, owner = null";

impl Store {
    /// A worker's heartbeat. `false`: the lease is no longer its own, it must stop.
    pub async fn extend_lease(&self, fence: Fence, until: Timestamp) -> Result<bool, StoreError> {
        self.write(move |mut tx| async move {
            let text = format!("update messages set lease_until = $3 where id = $1 and epoch = $2 and {WORKED}");
            let rows = execute!(tx.db(), sql(text), fence.message.0, fence.epoch, until.micros())?;
            tx.commit(rows == 1).await
        })
        .await
    }

    /// Something durable was done under this lease: the message is not a hopeless one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn note_progress(&self, fence: Fence) -> Result<(), StoreError> {
        self.write(move |mut tx| async move {
            let text = format!("update messages set stalled = 0 where id = $1 and epoch = $2 and {WORKED}");
            let rows = execute!(tx.db(), sql(text), fence.message.0, fence.epoch)?;
            must_touch(&mut tx, rows, fence.message).await?;
            tx.commit(()).await
        })
        .await
    }

    /// Staging is complete: `PreProcessing` → `Processing`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn begin_processing(&self, fence: Fence, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |mut tx| async move {
            plain_step(&mut tx, fence, Event::Promote).await?;
            note_events(&mut tx, &[fence.message], None, now).await?;
            tx.commit(()).await
        })
        .await
    }

    /// Hands a claimed message back, to be offered from `not_before` on. `progressed` takes this attempt out of the count.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn release_message(
        &self,
        fence: Fence,
        not_before: Option<Timestamp>,
        progressed: bool,
        note: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let note = note.to_owned();
        self.write(move |mut tx| async move {
            let text = format!(
                "update messages set status = {}, {NO_LEASE}, not_before = $3, attempt = attempt - $4, \
                 stalled = case when $4 = 1 then 0 else stalled end \
                 where id = $1 and epoch = $2 and {}",
                target(Event::Release),
                guard(Event::Release)
            );
            let not_before = not_before.map(Timestamp::micros);
            let uncounted = i32::from(progressed);
            let rows = execute!(tx.db(), sql(text), fence.message.0, fence.epoch, not_before, uncounted)?;
            must_touch(&mut tx, rows, fence.message).await?;
            note_events(&mut tx, &[fence.message], Some(&note), now).await?;
            tx.commit(()).await
        })
        .await
    }

    /// Returns every message whose lease lapsed to its queue (status `Enqueued`; the epoch stays until the next claim
    /// raises it). Returns how many.
    pub async fn release_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut released = 0;
        for lapsed in [LAPSED_DELIVERY, LAPSED_WORK] {
            loop {
                let batch = self
                    .write(move |mut tx| async move {
                        let batch = return_to_queue(&mut tx, lapsed, now, "lease lapsed", now).await?;
                        tx.commit(batch).await
                    })
                    .await?;
                released += batch as u64;
                if batch < LAPSED_PER_TRANSACTION {
                    break;
                }
            }
        }
        Ok(released)
    }

    /// Returns every *worker's* lease (imports, occurrences) at once. Only for a store that one process owns, right after
    /// it took the lock: whoever held them is dead.
    pub async fn release_worker_leases(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.write(move |mut tx| async move {
            let ever = Timestamp(i64::MAX);
            let mut released = 0;
            loop {
                let batch = return_to_queue(&mut tx, LAPSED_WORK, ever, "its worker ended", now).await?;
                released += batch as u64;
                if batch < LAPSED_PER_TRANSACTION {
                    break;
                }
            }
            let text = "update occurrences set state = 'due', owner = null, lease_until = null where state = 'running'";
            released += execute!(tx.db(), text)?;
            tx.commit(released).await
        })
        .await
    }
}

/// Returns up to [`LAPSED_PER_TRANSACTION`] leased messages for which `lapsed` holds; in it `$1` is `lapsed_by`. How many
/// there were.
pub(super) async fn return_to_queue(
    tx: &mut Tx,
    lapsed: &str,
    lapsed_by: Timestamp,
    note: &str,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let text = format!(
        "update messages set status = {}, {NO_LEASE} where {} and id in \
         (select id from messages where {lapsed} limit {LAPSED_PER_TRANSACTION}{}) returning id",
        target(Event::Release),
        guard(Event::Release),
        tx.dialect().skip_locked(),
    );
    let rows: Vec<(Uuid,)> = fetch_all!(tx.db(), (Uuid,), sql(text), lapsed_by.micros())?;
    let ids: Vec<MessageId> = rows.into_iter().map(|(id,)| MessageId(id)).collect();
    note_events(tx, &ids, Some(note), now).await?;
    Ok(ids.len())
}
