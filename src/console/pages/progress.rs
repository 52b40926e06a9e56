//! How far a load is that runs: which entity is read or lands, how many records so far, how fast.

use maud::{Markup, html};

use crate::console::parts::{counted, number, relative};
use crate::domain::message::Message;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::storage::executions::{EntityRun, Execution};
use crate::storage::messages::MessageEvent;

/// Seconds before which a rate says little.
const RATE_AFTER_SECONDS: i64 = 2;
/// What a phase is called while it runs (RI-27).
const RUNNING: &str = "Executing";

/// The progress of a message that is being loaded; of any other, nothing. Workers tell the store once a second at most.
pub(super) fn section(
    now: Timestamp,
    message: &Message,
    execution: Option<&Execution>,
    events: &[MessageEvent],
) -> Markup {
    let is_loaded = matches!(message.status, Status::PreProcessing | Status::Processing);
    let Some(execution) = execution.filter(|_| is_loaded) else {
        return html! {};
    };
    // Of several attempts, this one's.
    let landing_since = events
        .iter()
        .rfind(|event| event.status == Status::Processing)
        .map_or(execution.started_at, |event| event.at);
    let (landing, reading): (Vec<_>, Vec<_>) = execution
        .entities
        .iter()
        .filter(|run| run.target_status == RUNNING || run.staging_status == RUNNING)
        .partition(|run| run.target_status == RUNNING);
    html! {
        section aria-labelledby="progress" {
            h2 #progress { "Progress" }
            @for run in &reading { (read(run, execution.started_at, now)) }
            @for run in &landing { (landed(run, landing_since, now)) }
            @if reading.is_empty() && landing.is_empty() {
                p { "Begun " (relative(execution.started_at, now)) "; nothing was told of its records yet." }
            }
        }
    }
}

/// Nobody knows how many records a file has before its end.
fn read(run: &EntityRun, since: Timestamp, now: Timestamp) -> Markup {
    html! {
        p { (run.label) ": " (counted(run.staging_records, "record")) " read and checked so far"
            (rate(run.staging_records, since, now)) "." }
    }
}

fn landed(run: &EntityRun, since: Timestamp, now: Timestamp) -> Markup {
    let good = run.staging_records.saturating_sub(run.staging_errors);
    let done = run.counts.applied() + run.target_errors;
    let of = format!(
        "{}: {} of {} have landed",
        run.label,
        number(done),
        counted(good, "good record")
    );
    html! {
        p { (of) (rate(done, since, now)) "." br;
            progress max=(good.max(1)) value=(done.min(good)) aria-label=(of) {} }
    }
}

fn rate(records: u64, since: Timestamp, now: Timestamp) -> Markup {
    let seconds = now.seconds_since(since);
    html! {
        @if seconds >= RATE_AFTER_SECONDS && records > 0 {
            ", about " (number(records / seconds.unsigned_abs())) " a second"
        }
    }
}
