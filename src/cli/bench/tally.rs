//! What a load is, the time that counts, and what its workers saw.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::latency::Latency;

/// Longest run that ends by the number of its messages; a token lives a little longer.
const COUNTED_SECONDS_MAX: u64 = 3000;
/// Ids kept for the status polls of a run.
const IDS_MAX: usize = 100_000;

/// How much, how long, and by how many at once.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Load {
    /// Clients at once, each with a connection of its own
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) clients: u16,
    /// Messages per call; 1 uses the calls for one message
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) batch: u16,
    /// Seconds that count, for each kind of work
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3000))]
    pub(super) seconds: u32,
    /// Seconds before them that do not
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=600))]
    pub(super) warm_up_seconds: u32,
    /// End after so many messages instead, without a warm-up; `fill` and `hold` need it, polls take their seconds all the same
    #[arg(long, value_name = "N")]
    pub(super) messages: Option<u64>,
    /// Bytes of a payload
    #[arg(long, default_value_t = 1024, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    pub(super) payload_bytes: u32,
}

/// The part of a run that counts, shared by its workers.
#[derive(Debug, Clone)]
pub(super) struct Window {
    from: Instant,
    to: Instant,
    /// Messages still to be taken on, where the run ends by their number.
    budget: Option<Arc<AtomicU64>>,
}

impl Window {
    /// Begins now, and ends after the load's seconds.
    pub(super) fn timed(load: &Load) -> Self {
        let from = Instant::now() + Duration::from_secs(load.warm_up_seconds.into());
        Self {
            from,
            to: from + Duration::from_secs(load.seconds.into()),
            budget: None,
        }
    }

    /// Begins now, and ends after so many messages; bounded in time all the same.
    pub(super) fn counted(messages: u64) -> Self {
        let from = Instant::now();
        Self {
            from,
            to: from + Duration::from_secs(COUNTED_SECONDS_MAX),
            budget: Some(Arc::new(AtomicU64::new(messages))),
        }
    }

    /// Whether time is up.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.to
    }

    /// How many of `wanted` messages a worker may still begin with; 0 ends it.
    pub(super) fn take(&self, wanted: u16) -> u16 {
        if self.is_over() {
            return 0;
        }
        let Some(budget) = &self.budget else { return wanted };
        let left = budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left.saturating_sub(wanted.into()))
            })
            .unwrap_or_else(|left| left);
        u16::try_from(left).map_or(wanted, |left| left.min(wanted))
    }

    /// Seconds that counted, for a run that has ended.
    pub(super) fn seconds(&self) -> f64 {
        (Instant::now().min(self.to) - self.from)
            .as_secs_f64()
            .max(f64::EPSILON)
    }

    fn holds(&self, instant: Instant) -> bool {
        (self.from..self.to).contains(&instant)
    }
}

/// What a worker saw.
#[derive(Debug)]
pub(super) struct Tally {
    window: Window,
    operations: BTreeMap<&'static str, Latency>,
    messages: u64,
    messages_total: u64,
    /// Messages this run enqueued and nobody acknowledged yet.
    pub(super) owed: u64,
    empty_leases: u64,
    throttled: u64,
    ids: Vec<String>,
}

impl Tally {
    /// Nothing seen yet.
    pub(super) fn new(window: &Window) -> Self {
        Self {
            window: window.clone(),
            operations: BTreeMap::new(),
            messages: 0,
            messages_total: 0,
            owed: 0,
            empty_leases: 0,
            throttled: 0,
            ids: Vec::new(),
        }
    }

    /// Counts an operation that began at `started` and has just ended.
    pub(super) fn operation(&mut self, name: &'static str, started: Instant) {
        let now = Instant::now();
        if self.window.holds(now) {
            self.operations.entry(name).or_default().record(now - started);
        }
    }

    /// Counts messages whose last step has just been confirmed.
    pub(super) fn done(&mut self, messages: usize) {
        self.messages_total += messages as u64;
        if self.window.holds(Instant::now()) {
            self.messages += messages as u64;
        }
    }

    /// Remembers an id for the status polls, as long as there is room.
    pub(super) fn remember(&mut self, id: &str, room: usize) {
        if self.ids.len() < room {
            self.ids.push(id.to_owned());
        }
    }

    /// Counts a lease that found nothing.
    pub(super) fn empty_lease(&mut self) {
        self.empty_leases += 1;
    }

    /// Counts a 429.
    pub(super) fn throttle(&mut self) {
        self.throttled += 1;
    }

    /// Ids each of so many workers may remember.
    pub(super) fn room_for(workers: u16) -> usize {
        IDS_MAX / usize::from(workers.max(1))
    }

    /// Adds what another worker saw.
    pub(super) fn merge(&mut self, other: Self) {
        for (name, latency) in other.operations {
            self.operations.entry(name).or_default().merge(&latency);
        }
        self.messages += other.messages;
        self.messages_total += other.messages_total;
        self.owed += other.owed;
        self.empty_leases += other.empty_leases;
        self.throttled += other.throttled;
        self.ids.extend(other.ids);
    }

    /// The ids remembered.
    pub(super) fn into_ids(self) -> Vec<String> {
        self.ids
    }

    /// The figures of a run that has ended after `seconds`.
    #[expect(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
    pub(super) fn figures(&self, work: &'static str, load: &Load, seconds: f64) -> Figures {
        let operations = self
            .operations
            .iter()
            .map(|(name, latency)| (*name, Times::of(latency)));
        Figures {
            work,
            clients: load.clients,
            batch: load.batch,
            payload_bytes: load.payload_bytes,
            seconds,
            messages: self.messages,
            messages_per_second: self.messages as f64 / seconds,
            messages_total: self.messages_total,
            empty_leases: self.empty_leases,
            throttled: self.throttled,
            operations: operations.collect(),
            fsyncs_per_message: None,
        }
    }
}

/// What one kind of work came to.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) work: &'static str,
    pub(super) clients: u16,
    pub(super) batch: u16,
    pub(super) payload_bytes: u32,
    pub(super) seconds: f64,
    pub(super) messages: u64,
    pub(super) messages_per_second: f64,
    /// With those before and after the seconds that count.
    pub(super) messages_total: u64,
    pub(super) empty_leases: u64,
    pub(super) throttled: u64,
    pub(super) operations: BTreeMap<&'static str, Times>,
    /// Only where the process that runs the service counts its fsyncs.
    pub(super) fsyncs_per_message: Option<f64>,
}

/// How long an operation took.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Times {
    pub(super) count: u64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    pub(super) max_us: u64,
}

impl Times {
    pub(super) fn of(latency: &Latency) -> Self {
        Self {
            count: latency.count(),
            p50_us: latency.quantile_us(50),
            p99_us: latency.quantile_us(99),
            max_us: latency.max_us(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_ends_by_number_begins_exactly_that_many() {
        let window = Window::counted(25);
        let taken: Vec<u16> = (0..4).map(|_| window.take(10)).collect();
        assert_eq!(taken, [10, 10, 5, 0]);
    }

    #[test]
    fn only_what_ends_inside_the_window_counts() {
        let load = Load {
            clients: 1,
            batch: 10,
            seconds: 60,
            warm_up_seconds: 600,
            messages: None,
            payload_bytes: 1,
        };
        let window = Window::timed(&load);
        let mut tally = Tally::new(&window);
        tally.operation("enqueue", Instant::now());
        tally.done(3);
        let figures = tally.figures("cycle", &load, 1.0);
        assert_eq!((figures.messages, figures.messages_total), (0, 3));
        assert!(figures.operations.is_empty());
    }
}
