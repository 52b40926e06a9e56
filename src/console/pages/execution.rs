//! `/console/executions/{id}`: the load of a message, or the run of an export (PKG-15a leads here).

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::jobs::job_link;
use super::message::{deliveries, entity_table};
use super::progress;
use super::runs::{message_list, phases};
use crate::console::frame::{Page, Place};
use crate::console::parts::{empty, facts, number, span, state, status, table, time};
use crate::console::prose::{maybe_prose, story};
use crate::console::same::{Same, encoded};
use crate::console::visit::{Visit, show as answer};
use crate::domain::job::Direction;
use crate::domain::message::Message;
use crate::http::Api;
use crate::http::history::find_execution;
use crate::http::problem::Problem;
use crate::storage::executions::Execution;
use crate::storage::history::Run;
use crate::storage::messages::MessageEvent;

/// `GET /console/executions/{id}`.
pub(in crate::console) async fn show(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    answer(&api, &request, async |visit| page(visit, &id).await).await
}

async fn page(visit: &Visit<'_>, id: &str) -> Result<Page, Problem> {
    let (execution, run) = find_execution(visit.api, &visit.caller, id).await?;
    let load = match &run {
        Some(_) => None,
        None => Load::of(visit, &execution).await?,
    };
    let body = html! {
        h1 { "Execution"
            @if let Some(run) = &run { " " (state(&run.occurrence.state)) }
            @if let Some(load) = &load { " " (status(load.message.status)) } }
        @if let Some(run) = &run { (under_way(visit, run)) }
        @if let Some(load) = &load { (progress::section(visit.now, &load.message, Some(&execution), &load.events)) }
        (about(visit, &execution, run.as_ref()))
        @match &run {
            Some(run) => (of_export(visit, run)),
            None => (of_load(visit, &execution)),
        }
    };
    let same = Same::get(format!("/api/v1/executions/{}", encoded(&execution.id.0)));
    let same = match (&execution.message, visit.definitions.job(execution.job)) {
        (Some(message), _) if run.is_none() => same.command(&["messages", "show", &message.to_string()]),
        (_, Some(job)) => same.command(&["jobs", "runs", &job.name]),
        _ => same,
    };
    let title = format!("Execution {}", execution.id.0);
    Ok(Page::new(Place::Jobs, title, body, same).live(execution.finished_at.is_none()))
}

/// The message that an execution loads, as long as it is kept.
struct Load {
    message: Message,
    events: Vec<MessageEvent>,
}

impl Load {
    async fn of(visit: &Visit<'_>, execution: &Execution) -> Result<Option<Self>, Problem> {
        let store = &visit.api.context.store;
        let Some(id) = execution.message else { return Ok(None) };
        let Some(message) = store.message(id).await? else {
            return Ok(None);
        };
        let events = store.message_events(id).await?;
        Ok(Some(Self { message, events }))
    }
}

/// What a run does right now.
fn under_way(visit: &Visit<'_>, run: &Run) -> Markup {
    let occurrence = &run.occurrence;
    let (what, since) = match (occurrence.started_at, occurrence.written_at, occurrence.stored_at) {
        (_, _, Some(at)) => ("It puts what it stored on the queue, since ", Some(at)),
        (_, Some(at), None) => ("It stores what it wrote, since ", Some(at)),
        (at, None, None) => ("It reads records and writes them, since ", at),
    };
    html! {
        @if occurrence.state == "running" {
            @if let Some(since) = since { p.lead { (what) (time(since, visit.now)) "." } }
        }
    }
}

fn about(visit: &Visit<'_>, execution: &Execution, run: Option<&Run>) -> Markup {
    let message = execution.message.as_ref();
    let took = execution
        .finished_at
        .map(|end| html! { (span(execution.started_at, end)) });
    let occurrence = run.map(|run| &run.occurrence);
    let trigger = occurrence.map(|one| {
        html! { (one.trigger) @if let Some(comment) = &one.comment { ": “" (comment) "”" } }
    });
    let named = [
        ("Execution", Some(html! { code { (execution.id.0) } })),
        ("Job", Some(job_link(visit, execution.job))),
        (
            "Message",
            message.map(|id| html! { a href={ "/console/messages/" (id) } { (id) } }),
        ),
        ("Due", occurrence.map(|one| time(one.due_at, visit.now))),
        ("Trigger", trigger),
        ("Started", Some(time(execution.started_at, visit.now))),
        ("Ended", execution.finished_at.map(|at| time(at, visit.now))),
        ("Took", took),
        (
            "Note",
            occurrence
                .and_then(|one| one.note.as_deref())
                .map(|note| story(note, visit.now)),
        ),
    ];
    html! { section aria-labelledby="about" { h2 #about { "About it" } (facts(named)) } }
}

fn of_load(visit: &Visit<'_>, execution: &Execution) -> Markup {
    let job = visit.definitions.job(execution.job);
    let direction = job.map_or(Direction::Import, |job| job.direction);
    html! {
        section aria-labelledby="phases" {
            h2 #phases { "Phases" }
            @if execution.entities.is_empty() {
                (empty("No entity was begun.", &html! { "The message's page says how it stands." }))
            } @else { (entity_table(direction, &execution.entities)) }
        }
    }
}

fn of_export(visit: &Visit<'_>, run: &Run) -> Markup {
    let rows = html! {
        @for (label, records) in &run.entities { tr { td { (label) } td.number { (number(*records)) } } }
    };
    let positions = html! {
        @for (entity, position) in &run.positions {
            tr {
                td { (visit.definitions.label(entity).unwrap_or(entity)) }
                td.number { (position.number) }
                td { (position.state.as_str()) }
                td.text { (maybe_prose(position.note.as_deref())) }
            }
        }
    };
    html! {
        section aria-labelledby="phases" {
            h2 #phases { "Phases" }
            p.phases { @for (name, took) in phases(&run.occurrence) { span { (name) " " (took) } } }
            (table("Entities", &["Entity", "#Exported"], &rows))
        }
        section aria-labelledby="messages" {
            h2 #messages { "Messages" }
            @if run.messages.is_empty() {
                (empty("It queued none.", &story(run.occurrence.note.as_deref().unwrap_or("It is not over, or failed."), visit.now)))
            } @else { (message_list(run)) }
        }
        @if !run.positions.is_empty() {
            section aria-labelledby="positions" {
                h2 #positions { "Positions" }
                (table("Positions of incremental entities", &["Entity", "#Number", "State", "Note"], &positions))
            }
        }
        (deliveries(visit, &run.deliveries))
    }
}
