//! Leases: dequeue, claim, extend, release, acknowledge. Each is one guarded statement on `(id, epoch)` or a short
//! transaction around one; never select-then-update.

use super::{Store, StoreError};
use crate::domain::ids::{CorrelationId, JobId, MessageId};
use crate::domain::message::{Claimed, Fence};
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

impl Store {
    /// Hands out up to `max` waiting messages of a queue, oldest first, each under a lease with a new epoch; lapsed leases
    /// of that queue are released first. `last_dequeued_at` of the returned messages is the time of the delivery *before*
    /// this one (RI-10).
    pub async fn dequeue(
        &self,
        _job: JobId,
        _owner: &str,
        _lease_seconds: i64,
        _max: u32,
        _now: Timestamp,
    ) -> Result<Vec<Claimed>, StoreError> {
        todo!()
    }

    /// Notes that the file was fetched; only a `Dequeued` message moves (RI-18).
    pub async fn mark_downloaded(&self, _id: MessageId, _now: Timestamp) -> Result<(), StoreError> {
        todo!()
    }

    /// The connector's lenient acknowledgement (RI-20…24) within one queue.
    pub async fn ack_leniently(&self, _job: JobId, _by: AckBy, _now: Timestamp) -> Result<Acked, StoreError> {
        todo!()
    }

    /// Claims waiting import messages for a worker: status `PreProcessing`, epoch + 1, attempt + 1, `started_at` set once.
    pub async fn claim_imports(&self, _claim: ClaimImport<'_>, _now: Timestamp) -> Result<Vec<Claimed>, StoreError> {
        todo!()
    }

    /// A worker's heartbeat. `false`: the lease is no longer its own, it must stop.
    pub async fn extend_lease(&self, _fence: Fence, _until: Timestamp) -> Result<bool, StoreError> {
        todo!()
    }

    /// Staging is complete: `PreProcessing` → `Processing`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn begin_processing(&self, _fence: Fence, _now: Timestamp) -> Result<(), StoreError> {
        todo!()
    }

    /// Hands a claimed message back, to be offered from `not_before` on. `progressed` takes this attempt out of the count.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn release_message(
        &self,
        _fence: Fence,
        _not_before: Option<Timestamp>,
        _progressed: bool,
        _note: &str,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// Returns every message whose lease lapsed to its queue (status `Enqueued`; the epoch stays until the next claim
    /// raises it). Returns how many.
    pub async fn release_expired(&self, _now: Timestamp) -> Result<u64, StoreError> {
        todo!()
    }

    /// Returns every *worker's* lease (imports, occurrences) at once. Only for a store that one process owns, right after
    /// it took the lock: whoever held them is dead.
    pub async fn release_worker_leases(&self, _now: Timestamp) -> Result<u64, StoreError> {
        todo!()
    }
}
