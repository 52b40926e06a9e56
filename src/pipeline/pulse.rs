//! How this process is: when its worker looked for work last, and how much it does now.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::domain::ids::CorrelationId;
use crate::domain::time::Timestamp;
use crate::storage::processes::Process;

/// The worker has not looked yet.
const NEVER: i64 = i64::MIN;

/// What a process knows of itself.
#[derive(Debug)]
pub struct Pulse {
    id: Uuid,
    owner: Arc<str>,
    listener: String,
    started_at: Timestamp,
    slots: usize,
    /// What its worker has room for; who works holds a permit.
    room: Arc<Semaphore>,
    looked_at: AtomicI64,
}

impl Pulse {
    /// A process that has just started, whose worker does so much at once.
    #[must_use]
    pub fn new(owner: Arc<str>, listener: String, slots: usize, now: Timestamp) -> Self {
        Self {
            id: CorrelationId::generate().0,
            owner,
            listener,
            started_at: now,
            slots,
            room: Arc::new(Semaphore::new(slots)),
            looked_at: AtomicI64::new(NEVER),
        }
    }

    /// Its id, another one after every start.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// What its worker has room for.
    #[must_use]
    pub fn room(&self) -> Arc<Semaphore> {
        Arc::clone(&self.room)
    }

    /// Its worker looks for work.
    pub fn look(&self, now: Timestamp) {
        self.looked_at.store(now.micros(), Ordering::Relaxed);
    }

    /// As others are told of it.
    #[must_use]
    pub fn process(&self, now: Timestamp) -> Process {
        let looked_at = self.looked_at.load(Ordering::Relaxed);
        Process {
            id: self.id,
            owner: self.owner.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listener: self.listener.clone(),
            slots: self.slots as u64,
            busy: self.slots.saturating_sub(self.room.available_permits()) as u64,
            started_at: self.started_at,
            looked_at: (looked_at != NEVER).then_some(Timestamp(looked_at)),
            seen_at: now,
        }
    }
}
