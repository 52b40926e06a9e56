//! What a correction changed of the records it stands for.

use std::time::Duration;

use maud::{Markup, html};

use crate::console::parts::{counted, none, number, table};
use crate::console::visit::Visit;
use crate::domain::message::Message;
use crate::pipeline::rejects::Changes;

/// Payloads up to this size are read again for it, and for so long.
const REREAD_BYTES_MAX: u64 = 8 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(2);
/// Records looked at, changes shown, and characters of a value.
const RECORDS_MAX: usize = 50;
const CHANGES_MAX: usize = 200;
const VALUE_CHARS_MAX: usize = 200;

/// Reads it; nothing where the message corrects none, or that cannot be told soon.
pub(super) async fn of(visit: &Visit<'_>, message: &Message) -> Option<Changes> {
    let context = &visit.api.context;
    let parent = context.store.message(message.parent?).await.ok().flatten()?;
    if message.bytes > REREAD_BYTES_MAX || parent.bytes > REREAD_BYTES_MAX {
        return None;
    }
    let (context, definitions) = (context.clone(), visit.definitions.clone());
    let both = (parent, message.clone());
    // Not on this thread: all of both may be read.
    let mut reading = visit
        .api
        .context
        .runtime
        .spawn(async move { Box::pin(Changes::between(&context, &definitions, both, RECORDS_MAX)).await });
    let read = tokio::time::timeout(PATIENCE, &mut reading).await;
    if read.is_err() {
        reading.abort();
    }
    read.ok()?.ok()?.ok()?
}

/// A row for each change.
pub(super) fn shown(changes: Option<&Changes>) -> Markup {
    let Some(changes) = changes.filter(|changes| !changes.records.is_empty()) else {
        return html! {};
    };
    let all = changes
        .records
        .iter()
        .flat_map(|(reject, changes)| changes.iter().map(move |change| (reject, change)));
    let rows = html! {
        @for (reject, change) in all.clone().take(CHANGES_MAX) {
            tr {
                td.number { (number(reject.record)) }
                td { (change.column) }
                td.text { del { (value(change.before.as_deref())) } }
                td.text { ins { (value(change.after.as_deref())) } }
            }
        }
    };
    let unchanged = changes.records.iter().filter(|(_, changes)| changes.is_empty()).count();
    let is_cut = changes.more || all.clone().nth(CHANGES_MAX).is_some();
    html! {
        section aria-labelledby="corrected" {
            h2 #corrected { "What was corrected" }
            @if all.clone().next().is_some() {
                (table("What was corrected, by record of the message it corrects", &["#Record", "Column", "Before", "Now"], &rows))
            }
            p.faint {
                @if unchanged > 0 { (counted(unchanged as u64, "record")) " sent back as they were. " }
                @if is_cut { "Only the first changes are shown." }
            }
        }
    }
}

fn value(text: Option<&str>) -> Markup {
    match text {
        None => none(),
        Some("") => html! { "(empty)" },
        Some(text) => {
            let cut: String = text.chars().take(VALUE_CHARS_MAX).collect();
            html! { (cut) @if cut.len() < text.len() { "…" } }
        }
    }
}
