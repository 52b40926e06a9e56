//! Do something to many messages, and report what came of it.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::Body;
use crate::console::form::Form;
use crate::console::frame::{Page, Place, button_form};
use crate::console::pages::bulk::{fields, same};
use crate::console::parts::{Tone, counted, notice, table};
use crate::console::prose::prose;
use crate::console::visit::{Visit, act_and_show};
use crate::http::Api;
use crate::http::bulk::{self, Asked, Filter, allowed};
use crate::http::problem::Problem;
use crate::pipeline::bulk::{Action, LIMIT_MAX, Report};

/// Longest form: the ids of a page of messages, or a filter.
pub(in crate::console) const FORM_BYTES_MAX: usize = 128 * 1024;

/// `POST /console/messages/bulk`.
pub(in crate::console) async fn act(api: web::Data<Api>, request: HttpRequest, body: Body) -> HttpResponse {
    act_and_show(&api, &request, body, report).await
}

async fn report(visit: &Visit<'_>, form: &Form) -> Result<Page, Problem> {
    let asked = asked(form)?;
    let allowed = allowed(visit.api, &visit.definitions, &visit.caller, &asked).await?;
    let report = bulk::act(visit.api, &visit.caller, allowed).await?;
    // Those of the calls before, where this one goes on from there.
    let before: u64 = form.get("done").and_then(|done| done.parse().ok()).unwrap_or_default();
    let body = html! { h1 { (title(asked.action)) } (shown(visit, &asked, &report, before)) };
    Ok(Page::new(Place::Messages, title(asked.action), body, same(&asked)))
}

fn title(action: Action) -> &'static str {
    match action {
        Action::Retry => "Messages tried again",
        Action::Cancel => "Messages cancelled",
    }
}

fn asked(form: &Form) -> Result<Asked, Problem> {
    let action = form.get("action").and_then(Action::parse);
    let ids = form.pairs().filter(|(name, _)| *name == "id");
    let ids: Vec<String> = ids.map(|(_, id)| id.to_owned()).collect();
    let per_second = form.get("per_second").map(str::parse).transpose();
    let filter = Filter {
        job: form.owned("job"),
        status: form.owned("status"),
        code: form.owned("code"),
        file: form.owned("file"),
        external_id: form.owned("external_id"),
        enqueued_from: form.owned("enqueued_from"),
        enqueued_before: form.owned("enqueued_before"),
        ended_from: form.owned("ended_from"),
        ended_before: form.owned("ended_before"),
        key: form.owned("key"),
        entity: form.owned("entity"),
    };
    Ok(Asked {
        action: action.ok_or_else(|| Problem::bad("invalid_action", "the form has no such action; go back"))?,
        filter: ids.is_empty().then_some(filter),
        ids,
        dry_run: false,
        limit: Some(LIMIT_MAX),
        per_second: per_second.map_err(|_| Problem::bad("invalid_number", "so many a second is a whole number"))?,
        after: form.owned("after"),
    })
}

fn shown(visit: &Visit<'_>, asked: &Asked, report: &Report, before: u64) -> Markup {
    let done = report.done + before;
    let became = match asked.action {
        Action::Retry => "put back into their queues",
        Action::Cancel => "ended",
    };
    let tone = if report.failed.is_empty() {
        Tone::Good
    } else {
        Tone::Odd
    };
    html! {
        (notice(tone, &html! { span role="status" {
            (counted(done, "message")) " " (became) "."
            @if report.asked > 0 { " The workers of " (counted(report.asked, "message")) " end them at their next heartbeat." }
            @if !report.failed.is_empty() { " " (counted(report.failed.len() as u64, "message")) " could not be acted on." }
        } }))
        @if let Some(next) = report.next {
            (button_form(visit, "/console/messages/bulk", &html! {
                (fields(asked))
                @if let Some(rate) = asked.per_second { input type="hidden" name="per_second" value=(rate); }
                input type="hidden" name="after" value=(next);
                input type="hidden" name="done" value=(done);
                p { "There may be more: a page does a bounded number at a time." }
                div.buttons { button.main { "Go on with the rest" } }
            }))
        }
        @if !report.failed.is_empty() {
            section aria-labelledby="failed" {
                h2 #failed { "What could not be done" }
                (failures(report))
            }
        }
        p.buttons { a.button href="/console/messages" { "Messages" } a.button href="/console/dead-letters" { "Dead letters" } }
    }
}

fn failures(report: &Report) -> Markup {
    let rows = html! {
        @for failed in &report.failed {
            tr {
                td { a href={ "/console/messages/" (failed.id) } { (failed.id) } }
                td { code { (failed.code) } }
                td.text { (prose(&failed.detail)) }
            }
        }
    };
    table(
        "Messages that could not be acted on",
        &["Message", "Cause", "Why"],
        &rows,
    )
}
