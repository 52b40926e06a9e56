//! Pages for what went wrong: what happened, and what to do.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use crate::console::answer;
use crate::console::frame::{self, Page};
use crate::console::prose::prose;
use crate::console::visit::{self, Visit, theme};
use crate::http::Api;
use crate::http::problem::{Kind, Problem};

/// A page nobody knows, for whoever may know of it.
pub(in crate::console) async fn no_such_page(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let body = html! {
        h1 { "There is no such page" }
        p.lead { "Nothing stands at " code { (request.path()) } "." }
        p { "Perhaps the address was typed or cut wrongly. What there is: "
            a href="/console" { "the overview" } ", " a href="/console/jobs" { "all jobs" } ", "
            a href="/console/messages" { "all messages" } "." }
        (code(Kind::NotFound))
    };
    visit::respond(&api, &request, async |visit| {
        Ok(framed(visit, Kind::NotFound, "No such page", body))
    })
    .await
}

/// A page that is there, asked for by a method it does not have.
pub(in crate::console) async fn no_such_method(request: HttpRequest) -> HttpResponse {
    let detail = format!("{} is not a method of {}", request.method(), request.path());
    alone(&request, &Problem::new(Kind::NoSuchMethod, detail))
}

/// The page for somebody who is signed in.
pub(in crate::console) fn of(visit: &Visit<'_>, problem: &Problem) -> HttpResponse {
    framed(visit, problem.kind, title(problem.kind), text(problem))
}

fn framed(visit: &Visit<'_>, kind: Kind, title: &str, body: Markup) -> HttpResponse {
    let page = Page {
        status: kind.status(),
        title: title.to_owned(),
        place: None,
        live: false,
        body,
        same: None,
    };
    answer::page(page.status, frame::whole(visit, &page))
}

/// The page for anybody.
pub(in crate::console) fn alone(request: &HttpRequest, problem: &Problem) -> HttpResponse {
    let body = html! { main #main.narrow { (text(problem)) } };
    let markup = frame::bare(theme(request), title(problem.kind), &html! {}, &body);
    answer::page(problem.kind.status(), markup)
}

fn title(kind: Kind) -> &'static str {
    match kind.status() {
        StatusCode::NOT_FOUND => "Not here",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::CONFLICT => "Not as it stands now",
        StatusCode::GONE => "No longer kept",
        StatusCode::SERVICE_UNAVAILABLE => "Out of reach",
        StatusCode::BAD_REQUEST => "This cannot be done",
        _ => "Something went wrong",
    }
}

fn text(problem: &Problem) -> Markup {
    let mut said = problem.detail.clone();
    if let Some(first) = said.get(..1).map(str::to_uppercase) {
        said.replace_range(..1, &first);
    }
    html! {
        h1 { (title(problem.kind)) }
        p.lead { (prose(&said)) "." }
        p { (cure(problem.kind)) }
        (code(problem.kind))
    }
}

fn code(kind: Kind) -> Markup {
    html! { p.code { "Code " code { (kind.code()) } ", status " (kind.status().as_u16()) } }
}

fn cure(kind: Kind) -> Markup {
    match kind.status() {
        StatusCode::NOT_FOUND => {
            html! { "It may have ended its time here, or belong to a job that does not list you as a client. "
            a href="/console/messages" { "All messages you may see" } " · " a href="/console/jobs" { "all jobs" } }
        }
        StatusCode::FORBIDDEN => {
            html! { "A viewer may only look; acting takes the role operator, or being listed under "
            code { "clients" } " in the job's file. " a href="/console" { "Back to the overview" } }
        }
        StatusCode::CONFLICT => html! { "It moved on, perhaps while you were looking. Go back and reload the page." },
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::INTERNAL_SERVER_ERROR => {
            html! { "Try again in a few seconds. Where it stays so, the \
            service's log and " code { "tranship doctor" } " say why." }
        }
        _ => html! { a href="/console" { "Back to the overview" } },
    }
}
