//! `/console/messages`: look for messages, newest first. Looking changes nothing, and touches a bounded number of rows.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::jobs::job_link;
use crate::console::frame::{Page, Place};
use crate::console::parts::{bytes, counted, empty, folded, none, number, status, table, time};
use crate::console::same::{Same, encoded};
use crate::console::visit::{Visit, show as answer};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::Message;
use crate::domain::schedule::moment::Moment;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::http::Api;
use crate::http::auth::listed_jobs;
use crate::http::bulk::Filter;
use crate::http::messages::latest;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::pipeline::find::{Found, WantedStatus};

/// Messages on a page.
const PAGE: usize = 50;

/// `GET /console/messages?job=&status=&code=&file=&from=&to=&before=`.
pub(in crate::console) async fn show(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    answer(&api, &request, page).await
}

/// What is looked for, as the form has it.
#[derive(Debug, Default)]
pub(in crate::console) struct Asked {
    job: Option<String>,
    status: Option<String>,
    code: Option<String>,
    file: Option<String>,
    from: Option<String>,
    to: Option<String>,
    entity: Option<String>,
    key: Option<String>,
    before: Option<MessageId>,
}

impl Asked {
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let query = Query::of(request);
        let before = query.get("before").map(|text| text.parse::<MessageId>()).transpose();
        let trimmed = |name: &str| query.get(name).map(|text| text.trim().to_owned());
        Ok(Self {
            job: query.get("job"),
            status: query.get("status"),
            code: trimmed("code"),
            file: trimmed("file"),
            from: query.get("from"),
            to: query.get("to"),
            entity: query.get("entity"),
            key: trimmed("key"),
            before: before.map_err(|error| Problem::bad("invalid_before", error.to_string()))?,
        })
    }

    fn fields(&self) -> [(&'static str, Option<&String>); 8] {
        [
            ("job", self.job.as_ref()),
            ("status", self.status.as_ref()),
            ("code", self.code.as_ref()),
            ("file", self.file.as_ref()),
            ("from", self.from.as_ref()),
            ("to", self.to.as_ref()),
            ("entity", self.entity.as_ref()),
            ("key", self.key.as_ref()),
        ]
    }

    fn is_anything(&self) -> bool {
        self.fields().iter().any(|(_, value)| value.is_some())
    }

    /// The page of what is asked for, from this one on back.
    fn page(&self, before: Option<MessageId>) -> String {
        let before = before.map(|id| id.to_string());
        let asked = self.fields().into_iter().chain([("before", before.as_ref())]);
        let query: Vec<String> = asked
            .filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))))
            .collect();
        format!("/console/messages?{}", query.join("&"))
    }

    /// The same as `/api/v1` has it. A job is called by its name.
    pub fn filter(&self, visit: &Visit<'_>) -> Result<Filter, Problem> {
        let job = |name: &String| {
            visit
                .definitions
                .find_job(name)
                .map_or_else(|| name.clone(), |job| job.name.clone())
        };
        let time = |text: &Option<String>, name| text.as_deref().map(|text| moment(text, name)).transpose();
        Ok(Filter {
            job: self.job.as_ref().map(job),
            status: self.status.clone(),
            code: self.code.clone(),
            file: self.file.clone(),
            enqueued_from: time(&self.from, "from")?.map(|at| at.to_string()),
            enqueued_before: time(&self.to, "to")?.map(|at| at.to_string()),
            entity: self.entity.clone(),
            key: self.key.clone(),
            ..Filter::default()
        })
    }
}

async fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let asked = Asked::of(visit.request)?;
    let filter = asked.filter(visit)?;
    let jobs = listed_jobs(&visit.definitions, &visit.caller, asked.job.as_deref())?;
    let found = match jobs {
        None => Found::default(),
        Some(jobs) => {
            latest(
                visit.api,
                &visit.definitions,
                filter.wanted(&visit.definitions, jobs)?,
                asked.before,
                PAGE,
            )
            .await?
        }
    };
    let body = html! {
        h1 { "Messages" }
        (folded(asked.is_anything(), &form(visit, &asked)))
        @if found.messages.is_empty() { (nothing(&asked, &found)) } @else { (list(visit, &asked, &found)) }
        (pager(&asked, &found))
    };
    let is_live = asked.before.is_none() && !asked.is_anything();
    Ok(Page::new(Place::Messages, "Messages", body, same(&filter)).live(is_live))
}

/// The messages; for who may do something about some, with boxes to choose them by.
fn list(visit: &Visit<'_>, asked: &Asked, found: &Found) -> Markup {
    let caption = "Messages, newest first";
    if !visit.definitions.jobs.iter().any(|job| visit.caller.may_use(job)) {
        return rows(visit, caption, &found.messages);
    }
    let body = html! { @for message in &found.messages { (row(visit, message, true)) } };
    let heads: Vec<&str> = std::iter::once("Choose").chain(HEADS).collect();
    html! {
        form method="get" action="/console/messages/bulk" {
            @for (name, value) in asked.fields() {
                @if let Some(value) = value { input type="hidden" name=(name) value=(value); }
            }
            (table(caption, &heads, &body))
            @if asked.is_anything() {
                label.check { input type="checkbox" name="all" value="true"; " All that match, on other pages too" }
            }
            div.buttons {
                button name="action" value="retry" { "Try chosen again…" }
                button name="action" value="cancel" { "Cancel chosen…" }
            }
        }
    }
}

fn moment(text: &str, name: &str) -> Result<Timestamp, Problem> {
    let found = Moment::parse(text).map(|moment| moment.first(chrono_tz::UTC));
    found.ok_or_else(|| {
        let detail = format!("`{name}` is `{text}`; write 2026-01-31 or 2026-01-31T18:00, in UTC");
        Problem::bad("invalid_time", detail)
    })
}

fn form(visit: &Visit<'_>, asked: &Asked) -> Markup {
    let jobs = visit.definitions.jobs.iter().filter(|job| visit.caller.may_see(job));
    let is_job = |id: JobId, name: &str| {
        asked
            .job
            .as_ref()
            .is_some_and(|job| job.eq_ignore_ascii_case(name) || *job == id.to_string())
    };
    let is_status = |word: &str| {
        asked
            .status
            .as_ref()
            .is_some_and(|status| status.eq_ignore_ascii_case(word))
    };
    html! {
        form.filter method="get" action="/console/messages" role="search" aria-label="Messages" {
            div { label for="job" { "Job" } select #job name="job" {
                option value="" { "all" }
                @for job in jobs { option value=(job.id) selected[is_job(job.id, &job.name)] { (job.name) } }
            } }
            div { label for="status" { "Status" } select #status name="status" {
                option value="" { "any" }
                option value=(WantedStatus::FAILED) selected[is_status(WantedStatus::FAILED)] { "failed, or with errors" }
                @for status in Status::ALL { option value=(status) selected[is_status(status.as_str())] { (status) } }
            } }
            div { label for="file" { "File or external id" } input #file name="file" value=[&asked.file]; }
            div { label for="code" { "Error code" } input #code name="code" value=[&asked.code] autocapitalize="none" spellcheck="false"; }
            div { label for="from" { "From (UTC)" } input #from name="from" type="datetime-local" value=[&asked.from]; }
            div { label for="to" { "Before (UTC)" } input #to name="to" type="datetime-local" value=[&asked.to]; }
            div { label for="entity" { "With a record of" } select #entity name="entity" {
                option value="" { "the job's entity" }
                @for entity in &visit.definitions.entities {
                    option value=(entity.label) selected[asked.entity.as_deref() == Some(&entity.label)] { (entity.label) }
                }
            } }
            div { label for="key" { "whose key is" } input #key name="key" value=[&asked.key] autocapitalize="none" spellcheck="false"; }
            div.submit { button.main { "Look" } @if asked.is_anything() { " " a href="/console/messages" { "Clear" } } }
        }
    }
}

fn nothing(asked: &Asked, found: &Found) -> Markup {
    if found.next.is_some() {
        return html! {};
    }
    if asked.is_anything() || asked.before.is_some() {
        return empty(
            "No message is like this.",
            &html! { "Ask for less: " a href="/console/messages" { "all messages" } "." },
        );
    }
    empty(
        "There are no messages yet.",
        &html! { code { "tranship push FILE --job JOB" } " sends one; an export job queues one with each run." },
    )
}

fn pager(asked: &Asked, found: &Found) -> Markup {
    html! {
        nav.pager aria-label="More messages" {
            @if found.looked_at > found.messages.len() {
                p { "Looked at " (counted(found.looked_at as u64, "message")) ", of which "
                    (counted(found.messages.len() as u64, "message")) " matched." }
            }
            @if found.unclear > 0 {
                p { "Of " (counted(found.unclear as u64, "message")) " nobody can say whether the record is in there: the payload is gone, or
                    cannot be read to its end." }
            }
            @if asked.before.is_some() { a.button href=(asked.page(None)) { "Newest" } " " }
            @if let Some(next) = found.next { a.button rel="next" href=(asked.page(Some(next))) {
                @if found.messages.len() == PAGE { "Older" } @else { "Look further back" } } }
        }
    }
}

fn same(filter: &Filter) -> Same {
    let mut query = vec![format!("limit={PAGE}")];
    let mut words = vec!["messages", "list"];
    for (name, value) in filter.pairs() {
        query.push(format!("{name}={}", encoded(value)));
        words.extend([flag(name), value]);
    }
    Same::get(format!("/api/v1/messages?{}", query.join("&"))).command(&words)
}

/// What the command line calls a member of a filter.
pub(in crate::console) fn flag(name: &str) -> &'static str {
    match name {
        "job" => "--job",
        "status" => "--status",
        "code" => "--code",
        "file" => "--file",
        "external_id" => "--external-id",
        "enqueued_from" => "--since",
        "enqueued_before" => "--until",
        "ended_from" => "--ended-since",
        "entity" => "--entity",
        "key" => "--key",
        _ => "--ended-until",
    }
}

const HEADS: [&str; 7] = [
    "File or external id",
    "Status",
    "Job",
    "#Records",
    "#Rejected",
    "#Size",
    "Enqueued",
];

/// Messages as a table.
pub(in crate::console) fn rows(visit: &Visit<'_>, caption: &str, messages: &[Message]) -> Markup {
    let rows = html! { @for message in messages { (row(visit, message, false)) } };
    table(caption, &HEADS, &rows)
}

fn row(visit: &Visit<'_>, message: &Message, with_box: bool) -> Markup {
    let id = message.id.to_string();
    let short = id.rsplit('-').next().unwrap_or_default();
    let counts = &message.counts;
    html! {
        tr {
            @if with_box {
                td { input type="checkbox" name="id" value=(id)
                    aria-label={ "Choose " (message.external_id.as_deref().unwrap_or(short)) }; }
            }
            td.text {
                a href={ "/console/messages/" (id) } title=(id) {
                    @if let Some(name) = &message.external_id { (name) } @else { "…" (short) }
                }
            }
            td { (status(message.status)) @if let Some(failure) = &message.failure { br; span.faint title=(failure.detail) { (failure.code) } } }
            td { (job_link(visit, message.job)) }
            td.number { @if counts.read > 0 { (number(counts.read)) } @else { (none()) } }
            td.number { @if counts.rejected > 0 { strong.bad { (number(counts.rejected)) } } @else { (none()) } }
            td.number { (bytes(message.bytes)) }
            td { (time(message.enqueued_at, visit.now)) }
        }
    }
}
