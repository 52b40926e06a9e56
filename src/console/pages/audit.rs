//! `/console/audit`: who did what, and whether the log of it is whole.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use serde_json::Value;

use crate::console::frame::{Page, Place};
use crate::console::parts::{Tone, badge, empty, facts, folded, none, notice, number, table, time};
use crate::console::same::{Same, encoded};
use crate::console::visit::{Visit, show as answer};
use crate::domain::audit::{Action, Target};
use crate::http::Api;
use crate::http::audit::{filter, job_of};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::storage::audit::{AuditEntry, Verified};

/// Entries on a page.
const PAGE: u32 = 50;
/// Entries verified for one page.
const VERIFIED_MAX: u64 = 50_000;
/// What may be asked for, as `/api/v1/audit` names it.
const ASKED: [&str; 5] = ["actor", "action", "target", "from", "before"];

/// `GET /console/audit?actor=&action=&target=&from=&before=&before_entry=`.
pub(in crate::console) async fn show(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    answer(&api, &request, page).await
}

/// `GET /console/audit/verify?after=`.
pub(in crate::console) async fn verify(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    answer(&api, &request, verified).await
}

/// The query of what is asked for, from this entry on back.
fn query_of(query: &Query, before_entry: Option<i64>) -> String {
    let asked = ASKED.into_iter().filter_map(|name| Some((name, query.get(name)?)));
    let before = before_entry.map(|seq| ("before_entry", seq.to_string()));
    let all: Vec<String> = asked
        .chain(before)
        .map(|(name, value)| format!("{name}={}", encoded(&value)))
        .collect();
    all.join("&")
}

async fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let query = Query::of(visit.request);
    let filter = filter(&visit.definitions, &visit.caller, &query)?;
    let entries = visit.api.context.store.audit_entries(&filter, PAGE).await?;
    let next = entries.last().filter(|_| entries.len() == PAGE as usize);
    let is_asked = ASKED.iter().any(|name| query.get(name).is_some());
    let body = html! {
        h1 { "Audit" }
        @if filter.without_access {
            p.faint { "What was done to jobs, messages and deliveries. Who may do what, and signing in, is for admins." }
        }
        (chain(visit).await?)
        (folded(is_asked, &search(&query, filter.without_access, is_asked)))
        @if entries.is_empty() { (nothing(is_asked || filter.before.is_some())) } @else { (rows(visit, &entries)) }
        nav.pager aria-label="More entries" {
            @if filter.before.is_some() { a.button href={ "/console/audit?" (query_of(&query, None)) } { "Newest" } " " }
            @if let Some(last) = next {
                a.button rel="next" href={ "/console/audit?" (query_of(&query, Some(last.link.seq))) } { "Older" }
            }
        }
    };
    let asked = query_of(&query, filter.before);
    let path = if asked.is_empty() {
        "/api/v1/audit".to_owned()
    } else {
        format!("/api/v1/audit?{asked}")
    };
    Ok(Page::new(Place::Audit, "Audit", body, same(&query, path)))
}

/// The call, and the command with the same filters.
fn same(query: &Query, path: String) -> Same {
    let asked = ASKED.map(|name| (format!("--{name}"), query.get(name)));
    let mut words = vec!["audit", "list"];
    for (flag, value) in &asked {
        if let Some(value) = value {
            words.extend([flag.as_str(), value.as_str()]);
        }
    }
    Same::get(path).command(&words)
}

/// Where the chain ends, and the way to look whether it is whole.
async fn chain(visit: &Visit<'_>) -> Result<Markup, Problem> {
    if !visit.caller.is_admin() {
        return Ok(html! {});
    }
    let head = visit.api.context.store.audit_head().await?;
    Ok(html! {
        @if let Some(head) = head {
            section.why aria-labelledby="chain" {
                h2 #chain { "Chain" }
                p { "Ends with entry " (number(head.seq.unsigned_abs())) ", " code { (head.hex()) } }
                p { a href="/console/audit/verify" { "Recompute it" } }
            }
        }
    })
}

fn search(query: &Query, without_access: bool, is_asked: bool) -> Markup {
    let (action, field) = (query.get("action"), |name: &str| query.get(name));
    let actions = Action::ALL
        .iter()
        .filter(|action| !(without_access && action.is_about_access()));
    html! {
        form.filter method="get" action="/console/audit" role="search" aria-label="Audit" {
            div { label for="action" { "Action" } select #action name="action" {
                option value="" { "any" }
                @for known in actions {
                    option value=(known.as_str()) selected[action.as_deref() == Some(known.as_str())] { (known.as_str()) }
                }
            } }
            div { label for="actor" { "Who" } input #actor name="actor" value=[field("actor")]; }
            div { label for="target" { "To what (job, id, name)" } input #target name="target" value=[field("target")]; }
            div { label for="from" { "From (UTC)" } input #from name="from" type="datetime-local" value=[field("from")]; }
            div { label for="before" { "Before (UTC)" } input #before name="before" type="datetime-local" value=[field("before")]; }
            div.submit { button.main { "Look" } @if is_asked { " " a href="/console/audit" { "Clear" } } }
        }
    }
}

fn nothing(is_asked: bool) -> Markup {
    if is_asked {
        return empty(
            "No entry is like this.",
            &html! { "Ask for less: " a href="/console/audit" { "all entries" } "." },
        );
    }
    empty(
        "Nothing was done yet.",
        &html! { "Whatever operators do here, over the API or on the command line is told here. Looking is not." },
    )
}

fn rows(visit: &Visit<'_>, entries: &[AuditEntry]) -> Markup {
    let rows = html! { @for entry in entries { (row(visit, entry)) } };
    table(
        "Entries, newest first",
        &["#Entry", "When", "Who", "Action", "To what", "Outcome", "Detail"],
        &rows,
    )
}

fn row(visit: &Visit<'_>, entry: &AuditEntry) -> Markup {
    let link = &entry.link;
    let tone = match link.outcome.as_str() {
        "done" => Tone::Good,
        "failed" => Tone::Bad,
        _ => Tone::Quiet,
    };
    html! {
        tr {
            td.number title=(entry.hex()) { (number(link.seq.unsigned_abs())) }
            td { (time(entry.at(), visit.now)) }
            td { (link.actor) br; span.faint { (link.surface.replace('_', " ")) } }
            td { (link.action) }
            td.text { (target(visit, entry)) }
            td { (badge(tone, &link.outcome)) }
            td.text { (detail(entry)) }
        }
    }
}

/// What it was done to, leading to its page where there is one.
fn target(visit: &Visit<'_>, entry: &AuditEntry) -> Markup {
    let link = &entry.link;
    let id = &link.target;
    let path = |folder: &str| format!("/console/{folder}/{}", encoded(id));
    let job = job_of(&visit.definitions, entry);
    let is_job_there = id.parse().ok().and_then(|id| visit.definitions.job(id)).is_some();
    match Action::parse(&link.action).map(Action::target) {
        Some(Target::Job) => html! {
            @let name = job.as_ref().unwrap_or(id);
            @if is_job_there { a href=(path("jobs")) { (name) } } @else { (name) }
        },
        Some(Target::Message) => html! {
            a href=(path("messages")) title=(id) { "…" (id.rsplit('-').next().unwrap_or_default()) }
            @if let Some(job) = job { " of " (job) }
        },
        Some(Target::Webhook) => {
            html! { a href=(path("webhooks")) title=(id) { "…" (id.rsplit('-').next().unwrap_or_default()) } }
        }
        _ => html! { (id) },
    }
}

/// The details, a name and a value each.
fn detail(entry: &AuditEntry) -> Markup {
    let detail = entry.detail();
    let Value::Object(members) = &detail else {
        return html! { (entry.link.detail) };
    };
    // The job is named as the target.
    let shown: Vec<String> = members
        .iter()
        .filter(|(name, _)| *name != "job")
        .map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name}: {value}")
        })
        .collect();
    if shown.is_empty() {
        none()
    } else {
        html! { (shown.join("; ")) }
    }
}

async fn verified(visit: &Visit<'_>) -> Result<Page, Problem> {
    visit.caller.must_be_admin("verify the audit log")?;
    let after = Query::of(visit.request).get("after").map(|text| text.parse::<i64>());
    let after = after
        .transpose()
        .map_err(|_| Problem::bad("invalid_after", "after is the number of an entry"))?;
    let found = visit.api.context.store.verify_audit(after, VERIFIED_MAX).await?;
    let body = html! {
        h1 { "Audit: the chain" }
        (said(&found))
        (facts([
            ("Entries looked at", Some(html! { (number(found.checked)) })),
            ("The first", found.first.map(|seq| html! { (number(seq.unsigned_abs())) })),
            ("The last", found.head.as_ref().map(|head| html! { (number(head.seq.unsigned_abs())) })),
            ("Its hash", found.head.as_ref().map(|head| html! { code { (head.hex()) } })),
        ]))
        p.pager { "Kept elsewhere, number and hash of the last one show later whether the end was cut off." }
        p.buttons {
            @if let Some(next) = found.next { a.button.main href={ "/console/audit/verify?after=" (next) } { "Go on" } " " }
            a.button href="/console/audit" { "All entries" }
        }
    };
    let path = match after {
        None => "/api/v1/audit/verify".to_owned(),
        Some(after) => format!("/api/v1/audit/verify?after={after}"),
    };
    Ok(Page::new(
        Place::Audit,
        "The chain",
        body,
        Same::get(path).command(&["audit", "verify"]),
    ))
}

fn said(found: &Verified) -> Markup {
    if let Some(fault) = &found.fault {
        let text = html! { strong { "Entry " (fault.seq) } " " (fault.what) ". Somebody wrote into the table past the service, or the "
        "store was put together from two backups." };
        return notice(Tone::Bad, &text);
    }
    let whole = html! { "Every entry fits: " (number(found.checked)) " recomputed." };
    notice(Tone::Good, &whole)
}
