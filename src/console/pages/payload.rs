//! A message's payload: its beginning as a page, at `/console/messages/{id}/preview`, and all of it as a download. Neither changes the
//! message.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use actix_web::http::header::{CONTENT_DISPOSITION, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use tokio::sync::Semaphore;

use crate::console::answer::harden;
use crate::console::frame::{Page, Place};
use crate::console::parts::{Tone, bytes, counted, empty, notice, number};
use crate::console::prose::prose;
use crate::console::same::Same;
use crate::console::visit::{Visit, respond, show as answer};
use crate::domain::message::{Message, PayloadAt};
use crate::http::Api;
use crate::http::messages::visible;
use crate::http::payload::{self, Fetch};
use crate::http::problem::{Kind, Problem};
use crate::http::query::Query;
use crate::pipeline::preview::{self, Cell, Preview, Row, Shown, Table, Text};

/// Records on the page, and on the page of the message where its payload is at hand.
const RECORDS: usize = 20;
const RECORDS_INLINE: usize = 5;
/// Characters of a value that are shown; its hint has more.
const VALUE_CHARS_MAX: usize = 60;
/// Files of a package that have a tab.
const TABS_MAX: usize = 60;
/// A page is read for so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many payloads are looked at at once; who comes later waits, as long as patience lasts.
static AT_ONCE: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(4)));

/// `GET /console/messages/{id}/payload`: a download, never shown as a page.
pub(in crate::console) async fn download(
    api: web::Data<Api>,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    respond(&api, &request, async |visit| {
        let message = visible(visit.api, &visit.caller, &id).await?;
        let name = format!("attachment; filename=\"payload-{}\"", message.id);
        let mut answer = payload::send(visit.api, message, Fetch::Look).await?;
        if !answer.headers().contains_key(CONTENT_DISPOSITION)
            && let Ok(name) = HeaderValue::from_str(&name)
        {
            answer.headers_mut().insert(CONTENT_DISPOSITION, name);
        }
        Ok(harden(answer))
    })
    .await
}

/// `GET /console/messages/{id}/preview?file=`.
pub(in crate::console) async fn show(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    answer(&api, &request, async |visit| page(visit, &id).await).await
}

async fn page(visit: &Visit<'_>, id: &str) -> Result<Page, Problem> {
    let message = visible(visit.api, &visit.caller, id).await?;
    let asked = Query::of(visit.request).number("file")?.unwrap_or_default();
    let at = usize::try_from(asked).unwrap_or(usize::MAX);
    let seen = match look(visit, &message, at, RECORDS).await {
        Err(problem) if problem.kind == Kind::NotFound => return Err(problem),
        seen => seen,
    };
    let own = format!("/console/messages/{}", message.id);
    let body = html! {
        h1 { "Payload" }
        p { "Of " a href=(own) { (message.external_id.as_deref().unwrap_or("this message")) } ", " (bytes(message.bytes)) ", "
            code { (message.digest.content_digest()) } }
        p.buttons { a.button.main href={ (own) "/payload" } download { "Download payload" } a.button href=(own) { "Back" } }
        @match &seen {
            Ok(preview) => { (tabs(&message, &preview.files, at)) (shown(preview)) }
            Err(problem) => (nothing(&problem.detail)),
        }
    };
    let id = message.id.to_string();
    let same = Same::get(format!("/api/v1/messages/{id}/payload"))
        .command(&["messages", "show", &id])
        .but(Some("The call answers with the whole payload, as it was sent."));
    Ok(Page::new(Place::Messages, "Payload", body, same))
}

/// What the page of a message shows of its payload, where that is small enough to stand in the message's own database.
pub(super) async fn inline(visit: &Visit<'_>, message: &Message) -> Option<Preview> {
    if message.payload != PayloadAt::Inline || message.bytes == 0 {
        return None;
    }
    look(visit, message, 0, RECORDS_INLINE).await.ok()
}

/// The same as a section.
pub(super) fn section(message: &Message, preview: Option<&Preview>) -> Markup {
    let preview = preview.filter(|preview| !matches!(preview.shown, Shown::Binary | Shown::Nothing(_)));
    html! {
        @if let Some(preview) = preview {
            section aria-labelledby="payload" {
                h2 #payload { "Payload" }
                (shown(preview))
                @if goes_on(preview) {
                    p.more { a href={ "/console/messages/" (message.id) "/preview" } { "Look at more of the payload" } }
                }
            }
        }
    }
}

fn goes_on(preview: &Preview) -> bool {
    preview.files.len() > 1 || matches!(&preview.shown, Shown::Table(table) if table.more)
}

/// Reads the beginning of one of its files.
async fn look(visit: &Visit<'_>, message: &Message, file: usize, most: usize) -> Result<Preview, Problem> {
    let (context, definitions) = (visit.api.context.clone(), Arc::clone(&visit.definitions));
    let (runtime, id, message) = (context.runtime.clone(), message.id, message.clone());
    // Not on this thread: a workbook is unpacked.
    let mut reading = runtime.spawn(async move {
        let _place = Arc::clone(&AT_ONCE).acquire_owned().await;
        Box::pin(preview::of(&context, &definitions, &message, file, most)).await
    });
    let Ok(read) = tokio::time::timeout(PATIENCE, &mut reading).await else {
        reading.abort();
        let detail = format!("reading the payload takes longer than {} seconds", PATIENCE.as_secs());
        return Err(Problem::new(Kind::Unavailable, detail));
    };
    let read = read.map_err(|_| Problem::new(Kind::Internal, "reading the payload broke off"))?;
    read?.ok_or_else(|| {
        let detail = format!("the payload of message {id} has no file number {file}");
        Problem::new(Kind::NotFound, detail)
    })
}

fn tabs(message: &Message, files: &[String], at: usize) -> Markup {
    html! {
        @if files.len() > 1 {
            nav.tabs aria-label="Files" {
                @for (number, label) in files.iter().enumerate().take(TABS_MAX) {
                    a href={ "/console/messages/" (message.id) "/preview?file=" (number) }
                        aria-current=[(number == at).then_some("page")] { (label) }
                }
                @if files.len() > TABS_MAX { span.faint { "and " (counted((files.len() - TABS_MAX) as u64, "other")) } }
            }
        } @else if let [label] = files { h2 { (label) } }
    }
}

fn shown(preview: &Preview) -> Markup {
    match &preview.shown {
        Shown::Table(table) => records(table),
        Shown::Text(text) => beginning(text),
        Shown::Binary => empty(
            "It is no text.",
            &html! { "Nobody here knows what its bytes mean. Download it, and check it against the digest." },
        ),
        Shown::Nothing(reason) => nothing(reason),
    }
}

fn nothing(reason: &str) -> Markup {
    notice(Tone::Odd, &html! { "It cannot be shown: " (prose(reason)) "." })
}

fn beginning(text: &Text) -> Markup {
    if text.text.is_empty() {
        return empty("It is empty.", &html! { "There are no bytes in it." });
    }
    html! {
        pre.sheet tabindex="0" aria-label="The beginning of the payload" role="region" { code { (text.text) } }
        @if text.is_cut { p.faint { "Its first " (bytes(text.text.len() as u64)) "." } }
    }
}

fn records(table: &Table) -> Markup {
    let count = table.records.len() as u64;
    html! {
        @if !table.records.is_empty() { (grid(table)) }
        @match &table.fault {
            Some(reason) => {
                (notice(Tone::Odd, &html! { "It cannot be read "
                    @if count == 0 { "to its first record" } @else { "beyond record " (number(table.records.last().map_or(0, |row| row.record))) }
                    ": " (prose(reason)) "." }))
                @if let Some(text) = &table.beginning { (beginning(text)) }
            }
            None if count == 0 => (empty("It has no records.", &columns(table))),
            None => p.faint {
                @if table.more { "The first " (counted(count, "record")) "." } @else { (counted(count, "record")) ", all there are." }
                @if table.more_columns > 0 { " " (counted(table.more_columns as u64, "column")) " more than stand here." }
            },
        }
    }
}

fn columns(table: &Table) -> Markup {
    let names: Vec<&str> = table.columns.iter().map(|name| name.text.as_str()).collect();
    html! { @if names.is_empty() { "Nor does it name any columns." } @else { "Its columns: " (names.join(", ")) "." } }
}

fn grid(table: &Table) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="The first records" {
            table {
                caption.away { "The first records of the payload as they are written" }
                thead { tr {
                    th.number scope="col" { "Record" }
                    @for name in &table.columns { th scope="col" title=[hint(name)] { (cut(name, "(no name)")) } }
                } }
                tbody { @for row in &table.records { (line(table, row)) } }
            }
        }
    }
}

fn line(table: &Table, row: &Row) -> Markup {
    html! {
        tr {
            th.number scope="row" { (number(row.record)) }
            @match &row.cells {
                Ok(cells) => { @for cell in cells { td.cell title=[hint(cell)] { (cut(cell, "")) } } }
                Err(reason) => td.text.fault colspan=(table.columns.len().max(1)) { "It cannot be read: " (prose(reason)) },
            }
        }
    }
}

/// A value on one line, cut; signs stand for what would break it.
fn cut(cell: &Cell, if_empty: &str) -> String {
    if cell.text.is_empty() {
        return if_empty.to_owned();
    }
    let sign = |c: char| match c {
        '\n' => '⏎',
        '\t' => '⇥',
        '\r' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let mut shown: String = cell.text.chars().take(VALUE_CHARS_MAX).map(sign).collect();
    if is_long(cell) {
        shown.push('…');
    }
    shown
}

/// All of a value that is cut, as far as it is kept.
fn hint(cell: &Cell) -> Option<String> {
    let more = if cell.is_cut { "…" } else { "" };
    is_long(cell).then(|| format!("{}{more}", cell.text))
}

fn is_long(cell: &Cell) -> bool {
    cell.is_cut || cell.text.chars().nth(VALUE_CHARS_MAX).is_some()
}
