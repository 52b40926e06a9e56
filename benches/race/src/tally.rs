//! The load every contender gets, and what one worker saw of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::latency::Latency;

/// What to do, the same for every contender.
#[derive(Debug, Clone, clap::Args)]
pub struct Load {
    /// Clients at once
    #[arg(long, default_value_t = 64, global = true)]
    pub clients: usize,
    /// Messages per call
    #[arg(long, default_value_t = 1, global = true)]
    pub batch: usize,
    /// Seconds that count
    #[arg(long, default_value_t = 10.0, global = true)]
    pub seconds: f64,
    /// Seconds before them that do not
    #[arg(long, default_value_t = 2.0, global = true)]
    pub warm_up_seconds: f64,
    /// Bytes of a payload
    #[arg(long, default_value_t = 1024, global = true)]
    pub payload_bytes: usize,
}

impl Load {
    /// The window, beginning now with the warm-up.
    pub fn window(&self) -> Window {
        let from = Instant::now() + Duration::from_secs_f64(self.warm_up_seconds);
        Window {
            from,
            to: from + Duration::from_secs_f64(self.seconds),
        }
    }

    /// A payload of printable bytes, for queues of bytes.
    pub fn payload(&self) -> String {
        "0123456789abcdef".chars().cycle().take(self.payload_bytes).collect()
    }
}

/// The time that counts.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    from: Instant,
    to: Instant,
}

impl Window {
    /// Whether the load is to end.
    pub fn is_over(self) -> bool {
        Instant::now() >= self.to
    }

    /// When it ends.
    pub fn end(self) -> tokio::time::Instant {
        self.to.into()
    }

    fn holds(self, instant: Instant) -> bool {
        (self.from..self.to).contains(&instant)
    }
}

/// What one worker saw.
#[derive(Debug)]
pub struct Tally {
    window: Window,
    operations: BTreeMap<&'static str, Latency>,
    messages: u64,
    messages_total: u64,
    empty_reads: u64,
}

impl Tally {
    pub fn new(window: Window) -> Self {
        Self {
            window,
            operations: BTreeMap::new(),
            messages: 0,
            messages_total: 0,
            empty_reads: 0,
        }
    }

    /// Counts an operation that began at `started` and has just ended.
    pub fn operation(&mut self, name: &'static str, started: Instant) {
        let now = Instant::now();
        if self.window.holds(now) {
            self.operations.entry(name).or_default().record(now - started);
        }
    }

    /// Counts messages whose acknowledgement has just been confirmed.
    pub fn acknowledged(&mut self, messages: usize) {
        self.messages_total += messages as u64;
        if self.window.holds(Instant::now()) {
            self.messages += messages as u64;
        }
    }

    /// Counts a read that found nothing.
    pub fn empty_read(&mut self) {
        self.empty_reads += 1;
    }

    pub fn merge(&mut self, other: Self) {
        for (name, latency) in other.operations {
            self.operations.entry(name).or_default().merge(&latency);
        }
        self.messages += other.messages;
        self.messages_total += other.messages_total;
        self.empty_reads += other.empty_reads;
    }

    /// The one JSON line; `extra` is the contender's own.
    #[expect(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
    pub fn report(&self, contender: &str, load: &Load, extra: Value) -> Value {
        let operations: serde_json::Map<String, Value> = self
            .operations
            .iter()
            .map(|(name, latency)| {
                let times = json!({"count": latency.count(), "p50_us": latency.quantile_us(50),
                    "p99_us": latency.quantile_us(99), "max_us": latency.max_us()});
                ((*name).to_owned(), times)
            })
            .collect();
        json!({
            "contender": contender,
            "clients": load.clients,
            "batch": load.batch,
            "payload_bytes": load.payload_bytes,
            "seconds": load.seconds,
            "messages": self.messages,
            "messages_per_second": self.messages as f64 / load.seconds,
            "messages_total": self.messages_total,
            "empty_reads": self.empty_reads,
            "operations": operations,
            "errors": 0,
            "extra": extra,
        })
    }
}

/// Adds up what the workers saw; the first error ends the run, because a contender that fails is not measured.
pub async fn gather(mut workers: tokio::task::JoinSet<anyhow::Result<Tally>>, window: Window) -> anyhow::Result<Tally> {
    let mut all = Tally::new(window);
    while let Some(worker) = workers.join_next().await {
        all.merge(worker??);
    }
    Ok(all)
}
