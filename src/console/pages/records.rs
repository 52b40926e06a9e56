//! The first rejected records of a message, with the cell at fault marked: as the source wrote them where that is delimited text
//! and soon read, else what the store knows of each.

use std::collections::BTreeMap;
use std::time::Duration;

use maud::{Markup, html};
use tokio::sync::mpsc;

use crate::console::parts::{Tone, badge, counted, maybe, number, table};
use crate::console::prose::prose;
use crate::console::visit::Visit;
use crate::domain::ids::MessageId;
use crate::domain::job::FileFormat;
use crate::domain::message::Message;
use crate::domain::reject::RejectId;
use crate::format::csv_read::{CsvOptions, CsvReader};
use crate::format::mapping::REJECT_ID_COLUMN;
use crate::format::record::{RecordReader as _, Step};
use crate::http::problem::Problem;
use crate::http::rejects;
use crate::pipeline::rejects::{ErrorFile, Form};
use crate::storage::executions::StoredError;

/// Records shown, and errors read for them.
const RECORDS_MAX: usize = 20;
const ERRORS_MAX: u32 = 60;
/// Payloads up to this size are read again to show the records as they were written.
const REREAD_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// As much of the rejects file is read, and for so long.
const READ_BYTES_MAX: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(2);
/// Characters of a value, and columns, that are shown.
const VALUE_CHARS_MAX: usize = 80;
const COLUMNS_MAX: usize = 60;

/// The first rejected records of a message.
#[derive(Default)]
pub(super) struct Rejected {
    errors: Vec<StoredError>,
    /// Of them those that were repaired since, and by which message.
    repairs: BTreeMap<RejectId, MessageId>,
    written: Option<Written>,
}

/// Records as the source wrote them.
struct Written {
    columns: Vec<String>,
    /// The reject's id, then the cells.
    records: Vec<(String, Vec<String>)>,
}

/// Reads them.
///
/// # Errors
/// [`Problem`] when the store cannot be read. A payload that cannot be is passed over.
pub(super) async fn rejected(visit: &Visit<'_>, message: &Message) -> Result<Rejected, Problem> {
    if message.counts.rejected == 0 {
        return Ok(Rejected::default());
    }
    let store = &visit.api.context.store;
    let errors = store.record_errors(message.id, None, ERRORS_MAX).await?;
    let repairs = match message.repaired {
        0 => BTreeMap::new(),
        _ => store.repairs_of(message.id, &errors).await?,
    };
    let read = tokio::time::timeout(PATIENCE, written(visit, message)).await;
    Ok(Rejected {
        errors,
        repairs,
        written: read.ok().flatten(),
    })
}

async fn written(visit: &Visit<'_>, message: &Message) -> Option<Written> {
    if message.bytes > REREAD_BYTES_MAX {
        return None;
    }
    let found = rejects::find(visit.api, message.clone(), None, None).await.ok()?;
    let file = found.files.rejects_unpacked().await.ok()?;
    let Form::File(FileFormat::Csv { delimiter }) = file.form() else {
        return None;
    };
    let limits = &visit.api.context.limits.file;
    let options = CsvOptions {
        delimiter,
        max_field_bytes: limits.max_field_bytes,
        max_record_bytes: limits.max_record_bytes,
        max_columns: limits.max_columns,
    };
    read(&begin_of(visit, file).await, options)
}

/// The first bytes of the file.
async fn begin_of(visit: &Visit<'_>, file: ErrorFile) -> Vec<u8> {
    let (out, mut chunks) = mpsc::channel(1);
    // It ends when nobody reads on.
    let writing = visit
        .api
        .context
        .runtime
        .spawn(async move { Box::pin(file.write(&out)).await });
    let mut begin = Vec::new();
    while let Some(Ok(chunk)) = chunks.recv().await {
        begin.extend_from_slice(&chunk);
        if begin.len() >= READ_BYTES_MAX {
            break;
        }
    }
    drop(chunks);
    writing.abort();
    begin
}

fn read(bytes: &[u8], options: CsvOptions) -> Option<Written> {
    let mut reader = CsvReader::new(options);
    reader.feed(bytes);
    if bytes.len() < READ_BYTES_MAX {
        reader.finish();
    }
    let names = reader.header().ok()??;
    let id_at = names.iter().position(|name| name == REJECT_ID_COLUMN)?;
    let mut records = Vec::new();
    while records.len() < RECORDS_MAX {
        let Step::Record(record) = reader.step() else { break };
        let mut cells: Vec<String> = record
            .cells
            .iter()
            .map(|cell| String::from_utf8_lossy(cell).into_owned())
            .collect();
        let id = cells.get(id_at)?.clone();
        cells.drain(..cells.len().min(OWN_COLUMNS));
        records.push((id, cells));
    }
    let columns = names.into_iter().skip(OWN_COLUMNS).collect();
    (!records.is_empty()).then_some(Written { columns, records })
}

/// `_reject_id` and `_error` stand before the source's own columns.
const OWN_COLUMNS: usize = 2;

/// The records as a table.
pub(super) fn table_of(rejected: &Rejected, in_all: u64) -> Markup {
    if rejected.errors.is_empty() {
        return html! {};
    }
    let (shown, rows) = match &rejected.written {
        Some(written) => (written.records.len(), as_written(written, rejected)),
        None => as_known(rejected),
    };
    html! {
        section aria-labelledby="rejected" {
            h2 #rejected { "Rejected records" }
            (rows)
            @if in_all > shown as u64 { p.faint { "The first " (shown) " of " (counted(in_all, "rejected record")) "." } }
        }
    }
}

/// That a record was repaired, and the message that did it.
fn repaired(rejected: &Rejected, reject: RejectId) -> Markup {
    html! {
        @if let Some(child) = rejected.repairs.get(&reject) {
            br; a href={ "/console/messages/" (child) } { (badge(Tone::Good, "repaired")) }
        }
    }
}

fn as_written(written: &Written, rejected: &Rejected) -> Markup {
    let errors = || rejected.errors.iter();
    let of = |id: &str| -> Vec<&StoredError> { errors().filter(|error| error.reject.to_string() == id).collect() };
    let mut heads = vec!["#Record", "What is wrong"];
    // A name of the source that begins with our mark is still a name.
    heads.extend(
        written
            .columns
            .iter()
            .take(COLUMNS_MAX)
            .map(|name| name.trim_start_matches('#')),
    );
    let rows = html! {
        @for (id, cells) in &written.records {
            @let errors = of(id);
            tr {
                td.number { @if let Some(first) = errors.first() { (number(first.error.place.record)) (repaired(rejected, first.reject)) } }
                td.text { @for error in &errors { div { code { (error.error.code.as_str()) } " " (prose(&error.error.reason)) } } }
                @for (at, cell) in cells.iter().take(COLUMNS_MAX).enumerate() {
                    @let faulty = errors.iter().any(|error| fault_at(cells, error) == Some(at));
                    td.cell.fault[faulty] { @if faulty { mark { (shown(cell)) } } @else { (shown(cell)) } }
                }
            }
        }
    };
    table(
        "Rejected records as they were written; the cells at fault are marked",
        &heads,
        &rows,
    )
}

/// Which cell an error is about. Its column counts those of the payload: where that is a corrected rejects file, two more.
fn fault_at(cells: &[String], stored: &StoredError) -> Option<usize> {
    let column = stored.error.column? as usize;
    let places = [column.checked_sub(1), column.checked_sub(1 + OWN_COLUMNS)];
    let value = stored.error.value.as_deref().unwrap_or_default().trim();
    let holds = |at: &usize| {
        cells
            .get(*at)
            .is_some_and(|cell| cell.trim().starts_with(value.trim_end_matches('…')))
    };
    let holding = places.into_iter().flatten().find(holds);
    holding.or(places[0].filter(|at| *at < cells.len()))
}

fn shown(cell: &str) -> String {
    if cell.is_empty() {
        return "(empty)".to_owned();
    }
    let mut text: String = cell.chars().take(VALUE_CHARS_MAX).collect();
    if text.len() < cell.len() {
        text.push('…');
    }
    text
}

fn as_known(rejected: &Rejected) -> (usize, Markup) {
    let errors = &rejected.errors;
    let mut records = Vec::new();
    for error in errors {
        if !records.contains(&error.reject) {
            records.push(error.reject);
        }
    }
    records.truncate(RECORDS_MAX);
    let rows = html! {
        @for stored in errors.iter().filter(|error| records.contains(&error.reject)) {
            @let error = &stored.error;
            tr {
                td.number { (number(error.place.record)) @if stored.ordinal == 0 { (repaired(rejected, stored.reject)) } }
                td.number { @if error.place.line > 0 { (number(error.place.line)) } }
                td { (maybe(error.field.as_deref())) }
                td.cell.fault { @if let Some(value) = &error.value { mark { (shown(value)) } } }
                td { code { (error.code.as_str()) } }
                td.text { (prose(&error.reason)) }
            }
        }
    };
    let heads = ["#Record", "#Line", "Field", "Value", "Cause", "What is wrong"];
    (
        records.len(),
        table("Rejected records; the values at fault are marked", &heads, &rows),
    )
}
