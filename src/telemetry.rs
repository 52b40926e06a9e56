//! Logs: for people on a terminal, JSON otherwise. `RUST_LOG` filters, as everywhere.

use tracing_subscriber::EnvFilter;

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
