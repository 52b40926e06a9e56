//! How the latest runs of a job went, at a glance: a bar for each, its colour the end it came to, its height how long it took.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::console::parts::{Tone, counted, span, tone_of};
use crate::console::same::encoded;
use crate::domain::time::Timestamp;
use crate::storage::occurrences::Occurrence;

/// Heights a bar can have: the page's policy lets no element bring a height of its own.
const HEIGHTS: i64 = 8;

/// Bars of runs, given newest first; the oldest stands on the left. Nothing where there are fewer than two to compare.
pub(super) fn strip(runs: &[Occurrence], now: Timestamp) -> Markup {
    let longest = runs.iter().map(|run| took(run, now)).max().unwrap_or_default().max(1);
    html! {
        @if runs.len() > 1 {
            ol.strip aria-label={ "The latest " (runs.len()) " runs, oldest first" } {
                @for run in runs.iter().rev() { (bar(run, took(run, now), longest, now)) }
            }
        }
    }
}

fn bar(run: &Occurrence, took: i64, longest: i64, now: Timestamp) -> Markup {
    let height = (took * HEIGHTS).div_euclid(longest).clamp(0, HEIGHTS - 1) + 1;
    let class = format!("{} h{height}", tone_class(run));
    let text = said(run, now);
    html! {
        li {
            @match &run.execution {
                Some(id) => a class=(class) href={ "/console/executions/" (encoded(&id.0)) } title=(text) { span.away { (text) } },
                None => span class=(class) title=(text) { span.away { (text) } },
            }
        }
    }
}

fn tone_class(run: &Occurrence) -> &'static str {
    match tone_of(&run.state) {
        Tone::Good => "good",
        Tone::Odd => "odd",
        Tone::Bad => "bad",
        Tone::Busy => "busy",
        Tone::Quiet => "quiet",
    }
}

/// Microseconds it ran; one that still runs, until now.
fn took(run: &Occurrence, now: Timestamp) -> i64 {
    let until = run.finished_at.unwrap_or(now);
    run.started_at.map_or(0, |from| (until.micros() - from.micros()).max(0))
}

/// The same in words.
fn said(run: &Occurrence, now: Timestamp) -> String {
    let mut said = format!("{}: {}", run.due_at, run.state);
    if let Some(from) = run.started_at {
        let _ = write!(said, ", {}", span(from, run.finished_at.unwrap_or(now)));
    }
    if let Some(records) = run.records {
        let _ = write!(said, ", {}", counted(records, "record"));
    }
    if let Some(note) = &run.note {
        let _ = write!(said, ", {note}");
    }
    said
}
