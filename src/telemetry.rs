//! Logs: for people on a terminal, JSON otherwise. `RUST_LOG` filters, as everywhere. And what the process counts.

pub mod exemplars;
pub mod traces;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;
use tracing_subscriber::EnvFilter;

use crate::domain::ids::JobId;
use crate::domain::status::Status;

/// A gauge that nobody set for this long is no longer told.
const GAUGES_KEPT: Duration = Duration::from_mins(5);
/// What is logged without `RUST_LOG`.
const DEFAULT_FILTER: &str = "info,sqlx=warn,tokio_cron_scheduler=error,actix_server=warn";

/// Sets the process's log output, on standard error. Later calls change nothing.
pub fn init(terminal: bool, filter: Option<&str>) {
    let filter =
        EnvFilter::try_new(filter.unwrap_or(DEFAULT_FILTER)).unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A terminal or pipe that is gone would be told of on standard error, which is that very one: a panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // A second call in one process (tests, the demo) finds a subscriber already there, which is as wanted.
    let _ = if terminal {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}

/// What the process counted so far, to be rendered for Prometheus. The first call begins to count; the service makes it when
/// it starts.
///
/// # Panics
/// When something else in the process has begun to count.
pub fn exposition() -> &'static PrometheusHandle {
    static EXPOSITION: OnceLock<PrometheusHandle> = OnceLock::new();
    EXPOSITION.get_or_init(|| {
        let handle = PrometheusBuilder::new()
            // A job whose file is gone is told of no longer.
            .idle_timeout(MetricKindMask::GAUGE, Some(GAUGES_KEPT))
            .set_buckets(&BUCKETS)
            .expect("there are buckets")
            .install_recorder()
            .expect("nobody else in this process records metrics");
        describe();
        for kind in ["webhook", "destination"] {
            metrics::counter!("tranship_delivery_attempts_total", "kind" => kind, "outcome" => "failed").increment(0);
        }
        metrics::counter!("tranship_blob_errors_total").increment(0);
        handle
    })
}

fn describe() {
    for (name, kind, what) in METRICS {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *what),
            Kind::Gauge => metrics::describe_gauge!(*name, *what),
            Kind::Histogram => metrics::describe_histogram!(*name, *what),
        }
    }
}

/// Sorts of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Grows only.
    Counter,
    /// Stands where it stands.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// Every metric there is, with its sort and what it means; `docs/metrics.md` has the labels, and a test compares the two.
pub const METRICS: &[(&str, Kind, &str)] = &[
    (
        "tranship_build_info",
        Kind::Gauge,
        "1; the label says which version runs",
    ),
    (
        "tranship_store_up",
        Kind::Gauge,
        "1 when the service store answered this scrape, 0 when it did not",
    ),
    (
        "tranship_store_durability",
        Kind::Gauge,
        "1 for the class that enqueues are answered with unless their job asks for less",
    ),
    (
        "tranship_store_commits_total",
        Kind::Counter,
        "Transactions that the lanes of the store committed",
    ),
    (
        "tranship_store_asks_total",
        Kind::Counter,
        "What was asked of the lanes of the store: divided by the commits, how much shares one",
    ),
    (
        "tranship_store_commit_seconds",
        Kind::Histogram,
        "How long transactions of the lanes of the store took, from their beginning to the end of their commit",
    ),
    (
        "tranship_queue_messages",
        Kind::Gauge,
        "Messages of a job that have not ended: waiting, or leased",
    ),
    (
        "tranship_queue_max_messages",
        Kind::Gauge,
        "How many messages of a job there may be, waiting or leased; 0: as many as come",
    ),
    (
        "tranship_queue_oldest_seconds",
        Kind::Gauge,
        "How long the message has waited that a job offers next; 0 when it offers none",
    ),
    (
        "tranship_messages_enqueued_total",
        Kind::Counter,
        "Messages that came in",
    ),
    (
        "tranship_messages_ended_total",
        Kind::Counter,
        "Messages that ended, by final status",
    ),
    (
        "tranship_records_total",
        Kind::Counter,
        "Records of imports that ended, by outcome; what was read is applied, rejected or skipped",
    ),
    (
        "tranship_work_seconds",
        Kind::Histogram,
        "How long phases of imports and exports took",
    ),
    (
        "tranship_worker_looks_total",
        Kind::Counter,
        "How often the worker looked for work: while it lives it looks every second or so",
    ),
    (
        "tranship_lease_expiries_total",
        Kind::Counter,
        "Leases that lapsed: their holder neither ended nor extended them in time",
    ),
    (
        "tranship_occurrences_total",
        Kind::Counter,
        "Due times of schedules, by what was decided on them: to run, or why not",
    ),
    (
        "tranship_schedule_lateness_seconds",
        Kind::Histogram,
        "How long after their due time scheduled exports began",
    ),
    (
        "tranship_delivery_attempts_total",
        Kind::Counter,
        "Attempts to deliver to webhooks and destinations, by what came of them",
    ),
    (
        "tranship_delivery_seconds",
        Kind::Histogram,
        "How long deliveries took to arrive, from when they were queued",
    ),
    (
        "tranship_export_copies_total",
        Kind::Counter,
        "Exports that went on from a copy of a SQLite database, because its write-ahead log had grown too far under them",
    ),
    (
        "tranship_blob_errors_total",
        Kind::Counter,
        "Failures of the blob store, those that were tried again included",
    ),
    (
        "tranship_http_requests_total",
        Kind::Counter,
        "Requests, by route and class of status",
    ),
    (
        "tranship_http_request_seconds",
        Kind::Histogram,
        "How long requests took until their answer began",
    ),
    (
        "tranship_trace_spans_total",
        Kind::Counter,
        "Spans that were told, sent to the collector, or lost because it did not take them",
    ),
];

/// Upper bounds of the buckets of every histogram, in seconds: a commit takes milliseconds, a load may take hours.
const BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0,
];

/// How messages end without success.
const FAILURES: [Status; 3] = [
    Status::PreProcessingError,
    Status::PostProcessingFailed,
    Status::DeadLettered,
];

/// What jobs are called in metrics, which the store knows by their ids.
static JOB_NAMES: RwLock<BTreeMap<JobId, Arc<str>>> = RwLock::new(BTreeMap::new());

/// Takes note of what jobs are called, and begins to count their failures.
pub fn name_jobs<'a>(jobs: impl Iterator<Item = (JobId, &'a str)>) {
    let mut names = JOB_NAMES.write().unwrap_or_else(PoisonError::into_inner);
    for (job, name) in jobs {
        // Rates are taken of what was there before: the first failure counts only where there were none before it.
        for status in FAILURES {
            metrics::counter!("tranship_messages_ended_total", "job" => name.to_owned(), "status" => status.as_str())
                .increment(0);
        }
        names.insert(job, Arc::from(name));
    }
}

/// What a job is called; its id where nobody said.
#[must_use]
pub fn job_name(job: JobId) -> String {
    let names = JOB_NAMES.read().unwrap_or_else(PoisonError::into_inner);
    names.get(&job).map_or_else(|| job.to_string(), ToString::to_string)
}
