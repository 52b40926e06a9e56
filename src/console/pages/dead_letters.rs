//! `/console/dead-letters`: what ended without success, by job and cause, and redrive.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::jobs::job_link;
use crate::console::frame::{Page, Place};
use crate::console::parts::{empty, none, number, status, table};
use crate::console::same::{Same, encoded};
use crate::console::visit::{Visit, show as answer};
use crate::http::Api;
use crate::http::dead_letters::failure_groups;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::storage::failure_groups::FailureGroup;

/// `GET /console/dead-letters?job=`.
pub(in crate::console) async fn show(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    answer(&api, &request, page).await
}

async fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let job = Query::of(visit.request).get("job");
    let groups = failure_groups(visit.api, &visit.definitions, &visit.caller, job.as_deref()).await?;
    let body = html! {
        h1 { "Dead letters" }
        p.lead { "What ended without success and can be tried again, by job and cause." }
        @if groups.is_empty() {
            (empty("There is none.", &html! { "What ends with rejected records is among the "
                a href="/console/messages?status=failed" { "messages that failed" } "; it is corrected, not tried again." }))
        } @else { (shown(visit, &groups)) }
    };
    let mut path = "/api/v1/dead-letters/groups".to_owned();
    let mut words = vec!["dead-letters", "groups"];
    if let Some(job) = &job {
        path = format!("{path}?job={}", encoded(job));
        words.extend(["--job", job]);
    }
    let same = Same::get(path).command(&words);
    Ok(Page::new(Place::DeadLetters, "Dead letters", body, same).live(true))
}

fn shown(visit: &Visit<'_>, groups: &[FailureGroup]) -> Markup {
    let rows = html! { @for group in groups { (row(visit, group)) } };
    let is_cut = groups.iter().any(|group| group.at_least);
    html! {
        (table("Messages that ended without success, by job and cause", &["Job", "Ended as", "Cause", "#Messages", "What to do"], &rows))
        @if is_cut { p.faint { "Of each job and status only the latest were looked at: a number with a + is the least it can be." } }
    }
}

fn row(visit: &Visit<'_>, group: &FailureGroup) -> Markup {
    let code = group.code.as_deref();
    let query = format!(
        "job={}&status={}{}",
        group.job,
        group.status,
        code.map(|code| format!("&code={}", encoded(code))).unwrap_or_default()
    );
    let may_use = visit
        .definitions
        .job(group.job)
        .is_some_and(|job| visit.caller.may_use(job));
    let what = format!("{} of {}", code.unwrap_or("no code"), group.status);
    html! {
        tr {
            td { (job_link(visit, group.job)) }
            td { (status(group.status)) }
            td { @if let Some(code) = code { code { (code) } } @else { (none()) } }
            td.number { (number(group.count)) @if group.at_least { "+" } }
            td {
                a href={ "/console/messages?" (query) } aria-label={ "Look at " (what) } { "Look" }
                @if may_use {
                    " " a.button href={ "/console/messages/bulk?action=retry&all=true&" (query) } aria-label={ "Redrive " (what) } { "Redrive…" }
                }
            }
        }
    }
}
