//! `/console/messages`: look for messages, newest first. Looking changes nothing, and touches a bounded number of rows.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::jobs::job_link;
use crate::console::frame::{Page, Place};
use crate::console::parts::{bytes, counted, empty, none, number, status, table, time};
use crate::console::same::{Same, encoded};
use crate::console::visit::{Visit, show as answer};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::Message;
use crate::domain::schedule::moment::Moment;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::http::Api;
use crate::http::auth::listed_jobs;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::storage::StoreError;
use crate::storage::lately::Lately;

/// Messages on a page.
const PAGE: usize = 50;
/// Messages looked at for one page, whatever is looked for.
const LOOKED_AT_MAX: u32 = 2000;
/// Of them read at once.
const READ_AT_ONCE: usize = 200;
/// The word for every status but `Acked`, `Processed`, `Cancelled` and those before the end.
const FAILED: &str = "failed";

/// `GET /console/messages?job=&status=&from=&to=&external_id=&before=`.
pub(in crate::console) async fn show(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    answer(&api, &request, page).await
}

/// What is looked for.
#[derive(Debug, Default)]
struct Asked {
    job: Option<String>,
    status: Option<String>,
    from: Option<String>,
    to: Option<String>,
    external_id: Option<String>,
    before: Option<MessageId>,
}

impl Asked {
    fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let query = Query::of(request);
        let before = query.get("before").map(|text| text.parse::<MessageId>()).transpose();
        Ok(Self {
            job: query.get("job"),
            status: query.get("status"),
            from: query.get("from"),
            to: query.get("to"),
            external_id: query.get("external_id").map(|text| text.trim().to_owned()),
            before: before.map_err(|error| Problem::bad("invalid_before", error.to_string()))?,
        })
    }

    fn is_anything(&self) -> bool {
        let asked = [&self.job, &self.status, &self.from, &self.to, &self.external_id];
        asked.iter().any(|asked| asked.is_some())
    }

    /// The page of what is asked for, from this one on back.
    fn page(&self, before: Option<MessageId>) -> String {
        let before = before.map(|id| id.to_string());
        let asked = [
            ("job", &self.job),
            ("status", &self.status),
            ("from", &self.from),
            ("to", &self.to),
            ("external_id", &self.external_id),
            ("before", &before),
        ];
        let query: Vec<String> = asked
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_ref()?))))
            .collect();
        format!("/console/messages?{}", query.join("&"))
    }
}

/// A status that was asked for.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Any,
    Failed,
    One(Status),
}

impl Wanted {
    fn parse(text: Option<&str>) -> Result<Self, Problem> {
        let Some(text) = text else { return Ok(Self::Any) };
        if text == FAILED {
            return Ok(Self::Failed);
        }
        let found = Status::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(text));
        found.map(Self::One).ok_or_else(|| {
            Problem::bad(
                "invalid_status",
                format!("`{text}` is not a status; the list on the page has them all"),
            )
        })
    }

    /// Whether the index of what ended badly has all of them.
    fn is_troubled(self) -> bool {
        match self {
            Self::Any => false,
            Self::Failed => true,
            Self::One(status) => status.is_final() && !matches!(status, Status::Acked | Status::Processed),
        }
    }

    fn takes(self, status: Status) -> bool {
        match self {
            Self::Any => true,
            Self::Failed => is_failure(status),
            Self::One(wanted) => wanted == status,
        }
    }
}

/// Whether somebody should look at it: a message that was cancelled, or only checked, ended as somebody wanted.
pub(super) fn is_failure(status: Status) -> bool {
    status.is_final()
        && !matches!(
            status,
            Status::Acked | Status::Processed | Status::Staged | Status::Cancelled
        )
}

/// A page of what was found.
struct Found {
    messages: Vec<Message>,
    /// How many were looked at for it.
    looked_at: usize,
    /// The one to go on before, unless the end was reached.
    next: Option<MessageId>,
}

async fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let asked = Asked::of(visit.request)?;
    let wanted = Wanted::parse(asked.status.as_deref())?;
    let jobs = listed_jobs(&visit.definitions, &visit.caller, asked.job.as_deref())?;
    let found = match jobs {
        None => Found {
            messages: Vec::new(),
            looked_at: 0,
            next: None,
        },
        Some(jobs) => find(visit, &asked, wanted, jobs).await?,
    };
    let body = html! {
        h1 { "Messages" }
        (filter(visit, &asked))
        @if found.messages.is_empty() { (nothing(&asked, &found)) } @else { (rows(visit, "Messages, newest first", &found.messages)) }
        (pager(&asked, &found))
    };
    let is_live = asked.before.is_none() && !asked.is_anything();
    Ok(Page::new(Place::Messages, "Messages", body, same(visit, &asked, wanted)).live(is_live))
}

async fn find(visit: &Visit<'_>, asked: &Asked, wanted: Wanted, mut jobs: Vec<JobId>) -> Result<Found, Problem> {
    let troubled = wanted.is_troubled();
    if troubled && jobs.is_empty() {
        jobs = visit.definitions.jobs.iter().map(|job| job.id).collect();
    }
    let to = asked.to.as_deref().map(|text| moment(text, "to")).transpose()?;
    // All that was enqueued at this time or later has an id that is not smaller.
    let to = to.map(MessageId::first_at);
    let narrow = matches!(wanted, Wanted::Any) && asked.external_id.is_none();
    let look = Lately {
        jobs,
        troubled,
        from: asked.from.as_deref().map(|text| moment(text, "from")).transpose()?,
        before: [asked.before, to].into_iter().flatten().min(),
        limit: if narrow {
            1 + u32::try_from(PAGE).unwrap_or(0)
        } else {
            LOOKED_AT_MAX
        },
    };
    if look.troubled && look.jobs.is_empty() {
        return Ok(Found {
            messages: Vec::new(),
            looked_at: 0,
            next: None,
        });
    }
    let external_id = asked.external_id.as_ref().map(|text| text.to_lowercase());
    let takes = |message: &Message| {
        let named = |text: &String| {
            let has = message.external_id.as_ref().map(|id| id.to_lowercase());
            has.is_some_and(|has| has.contains(text.as_str()))
        };
        wanted.takes(message.status) && external_id.as_ref().is_none_or(named)
    };
    Ok(look_through(visit, &look, takes).await?)
}

/// Reads what the index says, a few at a time, until a page is full.
async fn look_through(visit: &Visit<'_>, look: &Lately, takes: impl Fn(&Message) -> bool) -> Result<Found, StoreError> {
    let store = &visit.api.context.store;
    let ids = store.lately(look).await?;
    let mut found = Found {
        messages: Vec::new(),
        looked_at: 0,
        // There may be more than were looked at.
        next: ids.last().copied().filter(|_| ids.len() == look.limit as usize),
    };
    for chunk in ids.chunks(READ_AT_ONCE) {
        let mut messages = store.messages_by_id(chunk).await?;
        messages.reverse();
        for message in messages {
            if !takes(&message) {
                found.looked_at += 1;
                continue;
            }
            if found.messages.len() == PAGE {
                found.next = found.messages.last().map(|last| last.id);
                return Ok(found);
            }
            found.looked_at += 1;
            found.messages.push(message);
        }
    }
    Ok(found)
}

fn moment(text: &str, name: &str) -> Result<Timestamp, Problem> {
    let found = Moment::parse(text).map(|moment| moment.first(chrono_tz::UTC));
    found.ok_or_else(|| {
        let detail = format!("`{name}` is `{text}`; write 2026-01-31 or 2026-01-31T18:00, in UTC");
        Problem::bad("invalid_time", detail)
    })
}

fn filter(visit: &Visit<'_>, asked: &Asked) -> Markup {
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
                option value=(FAILED) selected[is_status(FAILED)] { "failed, or with errors" }
                @for status in Status::ALL { option value=(status) selected[is_status(status.as_str())] { (status) } }
            } }
            div { label for="external_id" { "File or external id" } input #external_id name="external_id" value=[&asked.external_id]; }
            div { label for="from" { "From (UTC)" } input #from name="from" type="datetime-local" value=[&asked.from]; }
            div { label for="to" { "Before (UTC)" } input #to name="to" type="datetime-local" value=[&asked.to]; }
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
            @if asked.before.is_some() { a.button href=(asked.page(None)) { "Newest" } " " }
            @if let Some(next) = found.next { a.button rel="next" href=(asked.page(Some(next))) {
                @if found.messages.len() == PAGE { "Older" } @else { "Look further back" } } }
        }
    }
}

fn same(visit: &Visit<'_>, asked: &Asked, wanted: Wanted) -> Same {
    let job = asked.job.as_deref().and_then(|job| visit.definitions.find_job(job));
    let status = match wanted {
        Wanted::One(status) => Some(status.as_str()),
        Wanted::Any | Wanted::Failed => None,
    };
    let (mut query, mut words) = (vec![format!("limit={PAGE}")], vec!["messages", "list"]);
    for (name, flag, value) in [
        ("job", "--job", job.map(|job| job.name.as_str())),
        ("status", "--status", status),
    ] {
        if let Some(value) = value {
            query.push(format!("{name}={}", encoded(value)));
            words.extend([flag, value]);
        }
    }
    let is_more =
        asked.from.is_some() || asked.to.is_some() || asked.external_id.is_some() || matches!(wanted, Wanted::Failed);
    Same::get(format!("/api/v1/messages?{}", query.join("&")))
        .command(&words)
        .but(is_more.then_some("These list by job and by one status; the page looks closer."))
}

/// Messages as a table.
pub(super) fn rows(visit: &Visit<'_>, caption: &str, messages: &[Message]) -> Markup {
    let rows = html! { @for message in messages { (row(visit, message)) } };
    let heads = [
        "File or external id",
        "Status",
        "Job",
        "#Records",
        "#Rejected",
        "#Size",
        "Enqueued",
    ];
    table(caption, &heads, &rows)
}

fn row(visit: &Visit<'_>, message: &Message) -> Markup {
    let id = message.id.to_string();
    let short = id.rsplit('-').next().unwrap_or_default();
    let counts = &message.counts;
    html! {
        tr {
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
