//! Logs: for people on a terminal, JSON otherwise. `RUST_LOG` filters, as everywhere. And what the process counts.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;
use tracing_subscriber::EnvFilter;

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
            .install_recorder()
            .expect("nobody else in this process records metrics");
        describe();
        handle
    })
}

fn describe() {
    metrics::describe_counter!(
        "tranship_store_commits_total",
        "Transactions that the lanes of the store committed"
    );
    metrics::describe_counter!(
        "tranship_store_asks_total",
        "What was asked of the lanes of the store: divided by the commits, how much shares one"
    );
    metrics::describe_counter!(
        "tranship_export_copies_total",
        "Exports that went on from a copy of a SQLite database, because its write-ahead log had grown too far under them"
    );
    metrics::describe_gauge!(
        "tranship_store_durability",
        "1 for the class that enqueues are answered with unless their job asks for less"
    );
    metrics::describe_gauge!(
        "tranship_queue_messages",
        "Messages of a job that have not ended: waiting, or leased"
    );
    metrics::describe_gauge!(
        "tranship_queue_oldest_seconds",
        "How long the message has waited that a job offers next; 0 when it offers none"
    );
}
