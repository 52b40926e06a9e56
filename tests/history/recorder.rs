//! Takes down what clients do, by one clock.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::history::{Deed, Moment, Record};

/// Collects the records of all clients.
pub struct Recorder {
    began: Instant,
    calls: AtomicUsize,
    records: Mutex<Vec<Record>>,
}

/// A request under way.
#[derive(Clone, Copy)]
pub struct Call {
    client: usize,
    number: usize,
    began: Moment,
}

impl Recorder {
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            calls: AtomicUsize::new(0),
            records: Mutex::default(),
        }
    }

    /// The moment it is.
    pub fn now(&self) -> Moment {
        self.began.elapsed()
    }

    /// A request begins.
    pub fn begin(&self, client: usize) -> Call {
        Call {
            client,
            number: self.calls.fetch_add(1, Ordering::Relaxed),
            began: self.now(),
        }
    }

    /// A request is over, with what it meant: for a batch an item each.
    pub fn end(&self, call: Call, ended: Option<Moment>, deeds: impl IntoIterator<Item = Deed>) {
        let mut records = self.records.lock().expect("no client fails while it writes");
        records.extend(deeds.into_iter().map(|deed| Record {
            client: call.client,
            call: call.number,
            began: call.began,
            ended,
            deed,
        }));
    }

    /// Everything recorded.
    pub fn take(&self) -> Vec<Record> {
        std::mem::take(&mut self.records.lock().expect("no client fails while it writes"))
    }
}
