//! `/console/messages/bulk`: what a bulk action would be done to, before it is.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::jobs::job_link;
use super::messages::{Asked as Looked, flag, rows};
use crate::console::frame::{Page, Place, button_form};
use crate::console::parts::{Tone, counted, notice, number, table};
use crate::console::same::Same;
use crate::console::visit::{Visit, show as answer};
use crate::http::Api;
use crate::http::bulk::{Asked, allowed, preview};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::pipeline::bulk::{Action, Preview};

/// `GET /console/messages/bulk?action=&id=&id=…` or `&all=true` with what messages are looked for by.
pub(in crate::console) async fn ask(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    answer(&api, &request, page).await
}

async fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let query = Query::of(visit.request);
    let action = query.get("action").as_deref().and_then(Action::parse);
    let action = action.ok_or_else(|| Problem::bad("invalid_action", "the page has no such action; go back"))?;
    let is_all = query.get("all").is_some();
    let ids = query.pairs().filter(|(name, _)| *name == "id" && !is_all);
    let ids: Vec<String> = ids.map(|(_, id)| id.to_owned()).collect();
    let filter = is_all.then(|| Looked::of(visit.request)?.filter(visit)).transpose()?;
    if filter.is_none() && ids.is_empty() {
        let detail = "no message is chosen; go back and tick some";
        return Err(Problem::bad("invalid_filter", detail));
    }
    let asked = Asked {
        action,
        ids,
        filter,
        dry_run: true,
        limit: None,
        per_second: None,
        after: None,
    };
    let allowed = allowed(visit.api, &visit.definitions, &visit.caller, &asked).await?;
    let preview = preview(visit.api, &allowed).await?;
    let title = title(action);
    let body = html! { h1 { (title) } (shown(visit, &asked, &preview)) };
    Ok(Page::new(Place::Messages, title, body, same(&asked)))
}

fn title(action: Action) -> &'static str {
    match action {
        Action::Retry => "Try messages again",
        Action::Cancel => "Cancel messages",
    }
}

fn shown(visit: &Visit<'_>, asked: &Asked, preview: &Preview) -> Markup {
    let means = match asked.action {
        Action::Retry => {
            "Each goes back into its queue, to the place it had, with its attempts counted from none. What it met before stays in its \
             history."
        }
        Action::Cancel => {
            "Each ends as Cancelled. What a worker has ends at the worker's next heartbeat, and what has landed by then stays and is \
             counted."
        }
    };
    if preview.matched == 0 {
        let none = match asked.action {
            Action::Retry => "Nothing here ended without success, or it was tried again meanwhile.",
            Action::Cancel => "Nothing here is still to end.",
        };
        return html! {
            (notice(Tone::Odd, &html! { @if preview.at_least { "Among the messages looked at there is none. " } (none) }))
            p.buttons { a.button href="/console/messages" { "Messages" } }
        };
    }
    let jobs = html! {
        @for (job, matched) in &preview.jobs { tr { td { (job_link(visit, *job)) } td.number { (number(*matched)) } } }
    };
    html! {
        p.lead { @if preview.at_least { "At least " } strong { (counted(preview.matched, "message")) } "." }
        p { (means) }
        @if preview.will_fail > 0 {
            (notice(Tone::Odd, &html! { (counted(preview.will_fail, "message")) " of these cannot be: the report will say why." }))
        }
        (table("Messages by job", &["Job", "#Messages"], &jobs))
        (confirm(visit, asked))
        section aria-labelledby="sample" {
            h2 #sample { "The first of them" }
            (rows(visit, "The first messages this is about", &preview.sample))
        }
    }
}

fn confirm(visit: &Visit<'_>, asked: &Asked) -> Markup {
    let form = html! {
        (fields(asked))
        @if asked.action == Action::Retry {
            label for="per_second" { "So many a second (empty: all at once)" }
            input #per_second name="per_second" type="number" min="1" max="100000";
        }
        div.buttons { button.main { (title(asked.action)) } a.button href="/console/messages" { "Back" } }
    };
    html! { div.stacked { (button_form(visit, "/console/messages/bulk", &form)) } }
}

/// What is asked for, as members of a form.
pub(in crate::console) fn fields(asked: &Asked) -> Markup {
    html! {
        input type="hidden" name="action" value=(asked.action.as_str());
        @for id in &asked.ids { input type="hidden" name="id" value=(id); }
        @if let Some(filter) = &asked.filter {
            @for (name, value) in filter.pairs() { input type="hidden" name=(name) value=(value); }
        }
    }
}

/// The call and the command that do the same.
pub(in crate::console) fn same(asked: &Asked) -> Same {
    let mut words = vec!["messages", asked.action.as_str()];
    let body = match &asked.filter {
        None => {
            words.extend(asked.ids.iter().map(String::as_str));
            json!({ "action": asked.action, "ids": asked.ids, "dry_run": true })
        }
        Some(filter) => {
            let members: serde_json::Map<String, Value> = filter
                .pairs()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            for (name, value) in filter.pairs() {
                words.extend([flag(name), value]);
            }
            json!({ "action": asked.action, "filter": members, "dry_run": true })
        }
    };
    let counts = [words.as_slice(), &["--dry-run"]].concat();
    Same::post("/api/v1/messages/bulk", Some(body))
        .command(&counts)
        .command(&words)
        .but(Some("Without dry_run the call acts on a bounded number of messages, and the “next” it answers is the “after” of the next call."))
}
