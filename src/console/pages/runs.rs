//! Runs of export jobs, as rows of a table.

use maud::{Markup, html};

use crate::console::parts::{badge, bytes, none, number, span, state, status, table, time, tone};
use crate::console::prose::maybe_story;
use crate::console::same::encoded;
use crate::console::visit::Visit;
use crate::domain::time::Timestamp;
use crate::storage::history::Run;
use crate::storage::occurrences::Occurrence;

/// The phases of a run, one after the other.
pub(super) fn phases(occurrence: &Occurrence) -> Vec<(&'static str, String)> {
    let Occurrence {
        started_at,
        written_at,
        stored_at,
        finished_at,
        ..
    } = occurrence;
    let queued_at = finished_at.filter(|_| occurrence.message.is_some());
    let steps: [(&str, Option<Timestamp>, Option<Timestamp>); 4] = [
        ("waited", Some(occurrence.may_begin_at()), *started_at),
        ("wrote", *started_at, *written_at),
        ("stored", *written_at, *stored_at),
        ("queued", *stored_at, queued_at),
    ];
    steps
        .into_iter()
        .filter_map(|(name, from, to)| Some((name, span(from?, to?))))
        .collect()
}

/// Runs, newest first.
pub(super) fn table_of(visit: &Visit<'_>, runs: &[Run]) -> Markup {
    let rows = html! { @for run in runs { (row(visit, run)) } };
    let heads = [
        "Due", "State", "Trigger", "Phases", "#Records", "#Size", "Messages", "Note",
    ];
    table("Runs, newest first", &heads, &rows)
}

fn row(visit: &Visit<'_>, run: &Run) -> Markup {
    let occurrence = &run.occurrence;
    let size: u64 = run.messages.iter().map(|message| message.bytes).sum();
    html! {
        tr {
            td {
                @if let Some(id) = &occurrence.execution {
                    a href={ "/console/executions/" (encoded(&id.0)) } { (time(occurrence.due_at, visit.now)) }
                } @else { (time(occurrence.due_at, visit.now)) }
            }
            td { (state(&occurrence.state)) }
            td { (occurrence.trigger) @if let Some(comment) = &occurrence.comment { br; span.faint { "“" (comment) "”" } } }
            td.phases { @for (name, took) in phases(occurrence) { span { (name) " " (took) } } }
            td.number { @if let Some(records) = occurrence.records { (number(records)) } @else { (none()) } }
            td.number { @if run.messages.is_empty() { (none()) } @else { (bytes(size)) } }
            td { (messages(run)) }
            td.text { (maybe_story(occurrence.note.as_deref(), visit.now)) }
        }
    }
}

fn messages(run: &Run) -> Markup {
    html! {
        @for message in &run.messages {
            a href={ "/console/messages/" (message.id) } { (badge(tone(message.status), message.status.as_str())) } " "
        }
        @if run.messages.is_empty() { (none()) }
    }
}

/// The messages of a run, one a line.
pub(super) fn message_list(run: &Run) -> Markup {
    html! {
        ul.plain {
            @for message in &run.messages {
                li { (status(message.status)) " " a href={ "/console/messages/" (message.id) } {
                    (message.external_id.clone().unwrap_or_else(|| message.id.to_string())) } " " (bytes(message.bytes)) }
            }
        }
    }
}
