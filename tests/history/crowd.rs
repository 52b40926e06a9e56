//! Clients that do as they please: each a task with dice of its own, until the run is over.
//!
//! Owns what clients do and how often. Refuses to know whether the service did well.

mod acting;
mod forging;
mod offering;
mod taking;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use crate::client::{Client, Held, Offer};
use crate::history::Queue;
use crate::support::chance::Chance;

/// Most messages a queue shall hold: past it clients take before they offer.
const WAITING_MAX: i64 = 300;
/// Most messages one client holds.
const HELD_MAX: usize = 20;
/// Receipts and keys a client remembers to come back to.
const REMEMBERED_MAX: usize = 30;
/// Longest rest between two requests.
const REST: Duration = Duration::from_millis(60);

/// A queue and how many messages it holds, by what clients heard.
pub struct Busy {
    pub queue: Queue,
    waiting: AtomicI64,
}

impl Busy {
    pub fn new(queue: &Queue) -> Self {
        Self {
            queue: queue.clone(),
            waiting: AtomicI64::new(0),
        }
    }

    fn came(&self, messages: usize) {
        let messages = i64::try_from(messages).expect("few");
        self.waiting.fetch_add(messages, Ordering::Relaxed);
    }

    fn went(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    fn is_full(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > WAITING_MAX
    }
}

/// One of the crowd.
pub struct Person {
    client: Client,
    processes: usize,
    chance: Chance,
    queues: Arc<[Busy]>,
    held: Vec<Held>,
    /// Leases it is done with, one way or another.
    old: Vec<Held>,
    /// What it offered with a key, and where.
    keyed: Vec<(usize, Offer)>,
    offers: usize,
}

impl Person {
    pub fn new(client: Client, processes: usize, chance: Chance, queues: &Arc<[Busy]>) -> Self {
        Self {
            client,
            processes,
            chance,
            queues: Arc::clone(queues),
            held: Vec::new(),
            old: Vec::new(),
            keyed: Vec::new(),
            offers: 0,
        }
    }

    /// Does one thing after the other.
    pub async fn live(mut self, over: Arc<AtomicBool>) {
        while !over.load(Ordering::Relaxed) {
            self.client.process = self.chance.below(self.processes);
            self.client.patience = self.patience();
            match self.chance.below(100) {
                0..30 => self.offer().await,
                30..58 => self.take().await,
                58..92 => self.act_on_held().await,
                92..98 => self.act_on_old().await,
                _ => self.forge().await,
            }
            tokio::time::sleep(self.chance.up_to(REST)).await;
        }
    }

    /// Now and then it hangs up before an answer can have come; else it waits, though not for ever.
    fn patience(&mut self) -> Duration {
        if self.chance.one_in(25) {
            self.chance.up_to(Duration::from_millis(100))
        } else {
            Duration::from_secs(2) + self.chance.up_to(Duration::from_secs(6))
        }
    }

    fn any_queue(&mut self) -> usize {
        self.chance.below(self.queues.len())
    }

    fn queue_of(&self, held: &Held) -> &Busy {
        let queue = self.queues.iter().find(|busy| busy.queue.name == held.lease.queue);
        queue.expect("a lease is of a queue there is")
    }

    /// Something to come back to.
    fn is_done_with(&mut self, held: Held) {
        if self.old.len() == REMEMBERED_MAX {
            self.old.swap_remove(self.chance.below(REMEMBERED_MAX));
        }
        self.old.push(held);
    }
}
