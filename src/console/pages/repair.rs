//! `/console/messages/{id}/repair`: the rejected records of a message as a grid, to be corrected in place and sent back.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use crate::console::frame::{Page, Place, button_form};
use crate::console::parts::{Tone, badge, bytes, counted, notice, number};
use crate::console::prose::prose;
use crate::console::same::Same;
use crate::console::visit::{Visit, show as answer};
use crate::domain::ids::MessageId;
use crate::domain::message::Message;
use crate::domain::reject::{RecordCode, RecordError};
use crate::http::Api;
use crate::http::messages::correctable;
use crate::http::problem::{Kind, Problem};
use crate::http::query::Query;
use crate::http::rejects::{self, runs};
use crate::pipeline::rejects::{Bounds, Cell, ErrorFiles, RejectTable, RejectedRecord};
use crate::storage::executions::EntityRun;

/// What a page holds: its form must stay within [`FORM_BYTES_MAX`].
const BOUNDS: Bounds = Bounds {
    records: 50,
    cells: 3000,
    bytes: 256 * 1024,
};
/// Longest form that a page sends: three times its text, as forms are encoded, and the names of its fields.
pub(in crate::console) const FORM_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Payloads up to this size are read again for a page.
const PAYLOAD_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// And for so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest text that is edited here, in bytes.
const CELL_BYTES_MAX: usize = 16 * 1024;
/// Lines of a text that are shown without scrolling.
const LINES_MAX: usize = 6;

/// Which records a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) struct At {
    /// Of the entity with this number.
    pub entity_no: i32,
    /// Those after this one.
    pub after: u64,
}

/// `GET /console/messages/{id}/repair?entity=&after=`.
pub(in crate::console) async fn show(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    answer(&api, &request, async |visit| page(visit, &id).await).await
}

async fn page(visit: &Visit<'_>, id: &str) -> Result<Page, Problem> {
    let (message, _) = correctable(visit.api, &visit.definitions, &visit.caller, id).await?;
    let runs = with_rejects(runs(visit.api, &message).await?);
    let query = Query::of(visit.request);
    let first = runs.first().map_or(0, |run| run.entity_no);
    let number = |name: &str| query.number(name).map(Option::unwrap_or_default);
    let at = At {
        entity_no: match query.get("entity") {
            Some(_) => i32::try_from(number("entity")?).unwrap_or(-1),
            None => first,
        },
        after: u64::try_from(number("after")?).unwrap_or(0),
    };
    let read = match files(visit, &message).await {
        Ok(files) => table(visit, &message, files, at).await,
        Err(problem) => Err(problem),
    };
    let body = html! {
        h1 { "Correct and send back" }
        p { "Rejected from " a href={ "/console/messages/" (message.id) } { (message.external_id.as_deref().unwrap_or("this message")) } "." }
        (tabs(&message, &runs, at))
        @match &read {
            Ok(table) if !table.records.is_empty() => (grid(visit, &message, table, at)),
            Ok(_) => (elsewhere(&message, "There are no rejected records here.")),
            Err(problem) => (elsewhere(&message, &problem.detail)),
        }
    };
    let id = message.id.to_string();
    let same = Same::post_file(format!("/api/v1/messages/{id}/resubmit"), "rejects.csv")
        .command(&["messages", "rejects", &id, "--out", "rejects.csv"])
        .command(&["messages", "resubmit", &id, "rejects.csv", "--wait"]);
    Ok(Page::new(Place::Messages, "Correct and send back", body, same))
}

/// The entities that have rejects.
fn with_rejects(mut runs: Vec<EntityRun>) -> Vec<EntityRun> {
    runs.retain(|run| run.staging_errors + run.target_errors > 0);
    runs
}

/// The rejects of a message that is not too long to be read again for a page.
pub(in crate::console) async fn files(visit: &Visit<'_>, message: &Message) -> Result<ErrorFiles, Problem> {
    if message.bytes > PAYLOAD_BYTES_MAX {
        let detail = format!(
            "the payload has {} bytes; one of more than {PAYLOAD_BYTES_MAX} bytes is not read again to be corrected here",
            message.bytes
        );
        return Err(Problem::new(Kind::Conflict, detail));
    }
    Ok(rejects::find(visit.api, message.clone(), None, None).await?.files)
}

/// The records of one page.
///
/// # Errors
/// [`Problem`] where the payload cannot be read, or not soon.
pub(in crate::console) async fn table(
    visit: &Visit<'_>,
    message: &Message,
    files: ErrorFiles,
    at: At,
) -> Result<RejectTable, Problem> {
    // Not on this thread: all of the payload before the records is read.
    let runtime = &visit.api.context.runtime;
    let mut reading = runtime.spawn(async move { Box::pin(files.table(at.entity_no, at.after, BOUNDS)).await });
    let Ok(read) = tokio::time::timeout(PATIENCE, &mut reading).await else {
        reading.abort();
        let detail = format!(
            "reading the payload again takes longer than {} seconds",
            PATIENCE.as_secs()
        );
        return Err(Problem::new(Kind::Unavailable, detail));
    };
    let read = read.map_err(|_| Problem::new(Kind::Internal, "reading the payload again broke off"))?;
    read?.ok_or_else(|| {
        let detail = format!("message {} has no entity number {}", message.id, at.entity_no);
        Problem::new(Kind::NotFound, detail)
    })
}

/// Whether a cell can go through a form and come back as it was.
pub(in crate::console) fn is_editable(cell: &Cell) -> bool {
    let is_shown = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    cell.is_exact && cell.text.len() <= CELL_BYTES_MAX && cell.text.chars().all(is_shown)
}

/// What the field of a cell is called.
pub(in crate::console) fn field(record: u64, column: usize) -> String {
    format!("c{record}.{column}")
}

fn tabs(message: &Message, runs: &[EntityRun], at: At) -> Markup {
    html! {
        @if runs.len() > 1 {
            nav.tabs aria-label="Entities" {
                @for run in runs {
                    a href={ "/console/messages/" (message.id) "/repair?entity=" (run.entity_no) }
                        aria-current=[(run.entity_no == at.entity_no).then_some("page")] {
                        (run.label) " " span.faint { (number(run.staging_errors + run.target_errors)) }
                    }
                }
            }
        }
    }
}

fn elsewhere(message: &Message, why: &str) -> Markup {
    html! {
        (notice(Tone::Odd, &html! { "Nothing can be corrected here: " (prose(why)) }))
        p { "The rejects file has the records in the format they came in. Correct it, leave " code { "_reject_id" }
            " as it is, and send it back with " code { "tranship messages resubmit" } "." }
        p.buttons { a.button.main href={ "/console/messages/" (message.id) "/rejects" } download { "Download rejects" }
            a.button href={ "/console/messages/" (message.id) } { "Back" } }
        p.faint { "The payload has " (bytes(message.bytes)) "." }
    }
}

fn grid(visit: &Visit<'_>, message: &Message, table: &RejectTable, at: At) -> Markup {
    let form = html! {
        input type="hidden" name="entity" value=(at.entity_no);
        input type="hidden" name="after" value=(at.after);
        // The same page sent twice is one correction.
        input type="hidden" name="key" value=(MessageId::generate());
        p { "What you change is sent, with the rest of its record. Tick a record to send it as it is. All others stay rejected, "
            "and the message itself stays as it was: the correction becomes a message of its own." }
        (cells(table))
        @if is_superseded(table) {
            label.check { input type="checkbox" name="force" value="true";
                " Let them count even where something newer wrote their keys" }
        }
        div.buttons { button.main { "Send back" } a.button href={ "/console/messages/" (message.id) } { "Back" } }
    };
    html! {
        (button_form(visit, &format!("/console/messages/{}/repair", message.id), &form))
        nav.pager aria-label="More records" {
            p { (counted(table.records.len() as u64, "record")) " on this page; each page is sent by itself." }
            @if at.after > 0 { a.button href={ "/console/messages/" (message.id) "/repair?entity=" (at.entity_no) } { "First" } " " }
            @if let Some(next) = table.next {
                a.button rel="next" href={ "/console/messages/" (message.id) "/repair?entity=" (at.entity_no) "&after=" (next) } { "Next" }
            }
        }
    }
}

fn is_superseded(table: &RejectTable) -> bool {
    let mut errors = table.records.iter().flat_map(|record| &record.errors);
    errors.any(|error| error.code == RecordCode::Superseded)
}

fn cells(table: &RejectTable) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Rejected records" {
            table.grid {
                caption.away { "Rejected records as they were written, to be corrected; the cells at fault are marked" }
                thead { tr {
                    th scope="col" { "Send" } th scope="col" { "Record" } th scope="col" { "What is wrong" }
                    @for (_, name) in &table.columns { th scope="col" { (name) } }
                } }
                tbody { @for record in &table.records { (row(table, record)) } }
            }
        }
    }
}

fn row(table: &RejectTable, record: &RejectedRecord) -> Markup {
    let no = record.reject.record;
    html! {
        tr {
            td { @if record.cells.is_some() {
                input type="checkbox" name="send" value=(no) aria-label={ "Send record " (no) " as it is" };
            } }
            th.number scope="row" { (number(no))
                @if let Some(child) = record.repaired_by { br; a href={ "/console/messages/" (child) } { (badge(Tone::Good, "repaired")) } } }
            td.text { @for (at, error) in record.errors.iter().enumerate() {
                div id={ "e" (no) "-" (at) } { code { (error.code.as_str()) } " " (prose(&error.reason)) }
            } }
            @match &record.cells {
                Some(cells) => {
                    @for ((column, name), cell) in table.columns.iter().zip(cells) {
                        (editor(record, (*column, name), cell))
                    }
                }
                None => {
                    td.text colspan=(table.columns.len().max(1)) { "It cannot be read as cells. "
                        "Correct it in the downloaded rejects: its text stands there as it was sent." }
                }
            }
        }
    }
}

fn editor(record: &RejectedRecord, (column, name): (usize, &str), cell: &Cell) -> Markup {
    let no = record.reject.record;
    let faults: Vec<String> = (0..)
        .zip(&record.errors)
        .filter(|(_, error)| is_about(error, column, name))
        .map(|(at, _): (usize, _)| format!("e{no}-{at}"))
        .collect();
    let described = (!faults.is_empty()).then(|| faults.join(" "));
    let invalid = described.is_some().then_some("true");
    let id = format!("c{no}-{column}");
    let lines = cell.text.lines().count();
    html! {
        td.fault[invalid.is_some()] {
            @if !is_editable(cell) {
                span.faint id=(id) { "(" (bytes(cell.text.len() as u64)) " that no form can carry; sent as it is)" }
            } @else {
                label.away for=(id) { (name) " of record " (no) }
                @if cell.text.contains(['\r', '\n']) {
                    // Browsers drop a line break right behind the tag.
                    textarea id=(id) name=(field(no, column)) rows=(lines.min(LINES_MAX)) spellcheck="false" aria-invalid=[invalid]
                        aria-describedby=[&described] { "\n" (cell.text) }
                } @else {
                    input id=(id) name=(field(no, column)) value=(cell.text) size=(size(&cell.text)) spellcheck="false" autocomplete="off"
                        aria-invalid=[invalid] aria-describedby=[&described];
                }
            }
        }
    }
}

/// Whether an error is about this column. Its position counts from 1, as in the payload.
fn is_about(error: &RecordError, column: usize, name: &str) -> bool {
    match error.column {
        Some(at) => usize::try_from(at).is_ok_and(|at| at == column + 1),
        None => error
            .field
            .as_deref()
            .is_some_and(|field| field.eq_ignore_ascii_case(name)),
    }
}

/// As wide as the text, within reason.
fn size(text: &str) -> usize {
    text.chars().count().clamp(6, 40)
}
