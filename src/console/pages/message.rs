//! `/console/messages/{id}`: what happened to a message, record by record where it matters.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::changes;
use super::jobs::job_link;
use super::records::{self, Rejected};
use super::{payload, progress};
use crate::console::actions::done;
use crate::console::answer::harden;
use crate::console::frame::{Page, Place};
use crate::console::parts::{
    Tone, bytes, counted, facts, maybe_time, none, notice, number, span, state, status, table, time, tone,
};
use crate::console::prose::{maybe_prose, prose, story};
use crate::console::same::{Same, encoded};
use crate::console::visit::{Visit, respond, show as answer};
use crate::domain::counts::Counts;
use crate::domain::ids::MessageId;
use crate::domain::job::Direction;
use crate::domain::message::{Message, Wait};
use crate::domain::status::Status;
use crate::http::Api;
use crate::http::messages::visible;
use crate::http::problem::{Kind, Problem};
use crate::http::rejects;
use crate::pipeline::preview::Preview;
use crate::pipeline::rejects::Changes;
use crate::storage::destinations::ExportDelivery;
use crate::storage::executions::{EntityRun, ErrorGroup, Execution};
use crate::storage::messages::MessageEvent;
use crate::storage::redrive::REDRIVABLE;

/// Causes, and corrections, that are shown.
const CAUSES_MAX: u32 = 20;
const CHILDREN_MAX: usize = 20;

/// `GET /console/messages/{id}`.
pub(in crate::console) async fn show(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    answer(&api, &request, async |visit| page(visit, &id).await).await
}

/// `GET /console/messages/{id}/rejects`: the rejected records in the source's format, to be corrected.
pub(in crate::console) async fn rejects(
    api: web::Data<Api>,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    respond(&api, &request, async |visit| {
        let message = visible(visit.api, &visit.caller, &id).await?;
        let id = message.id;
        let found = rejects::find(visit.api, message, None, None).await?;
        if found.records == 0 {
            return Err(Problem::new(
                Kind::NotFound,
                format!("message {id} has no rejected records"),
            ));
        }
        let file = found.files.rejects().await?;
        Ok(harden(rejects::answer(visit.api, file, &format!("rejects-{id}"))))
    })
    .await
}

/// Everything the page shows.
struct Seen {
    message: Message,
    events: Vec<MessageEvent>,
    execution: Option<Execution>,
    causes: Vec<ErrorGroup>,
    rejected: Rejected,
    children: Vec<MessageId>,
    deliveries: Vec<ExportDelivery>,
    changes: Option<Changes>,
    preview: Option<Preview>,
}

impl Seen {
    async fn of(visit: &Visit<'_>, id: &str) -> Result<Self, Problem> {
        let store = &visit.api.context.store;
        let message = visible(visit.api, &visit.caller, id).await?;
        let execution = match &message.execution {
            Some(id) => store.execution(id).await?,
            None => None,
        };
        let is_import = message.direction == Direction::Import;
        Ok(Self {
            events: store.message_events(message.id).await?,
            causes: if is_import {
                store.error_groups(message.id, CAUSES_MAX).await?
            } else {
                Vec::new()
            },
            rejected: records::rejected(visit, &message).await?,
            changes: changes::of(visit, &message).await,
            preview: payload::inline(visit, &message).await,
            children: if is_import {
                store.children(message.id).await?
            } else {
                Vec::new()
            },
            deliveries: if is_import {
                Vec::new()
            } else {
                store.export_deliveries_of(&[message.id]).await?
            },
            execution,
            message,
        })
    }
}

async fn page(visit: &Visit<'_>, id: &str) -> Result<Page, Problem> {
    let seen = Seen::of(visit, id).await?;
    let message = &seen.message;
    let title = message
        .external_id
        .clone()
        .unwrap_or_else(|| format!("Message {}", message.id));
    let body = html! {
        h1 { (title) " " (status(message.status)) }
        (done(visit))
        (standing(visit, message))
        (buttons(visit, message))
        (progress::section(visit.now, message, seen.execution.as_ref(), &seen.events))
        (counts(message))
        (changes::shown(seen.changes.as_ref()))
        (rejects_of(visit, &seen))
        (entities(&seen.message, seen.execution.as_ref()))
        (payload::section(message, seen.preview.as_ref()))
        (about(visit, &seen))
        (timeline(visit, &seen.events))
        (deliveries(visit, &seen.deliveries))
    };
    let own = format!("/api/v1/messages/{}", message.id);
    let id = message.id.to_string();
    let mut same = Same::get(own).command(&["messages", "show", &id]);
    if message.counts.rejected > 0 {
        same = same
            .command(&["messages", "rejects", &id, "--out", "rejects.csv"])
            .command(&["messages", "resubmit", &id, "rejects.csv", "--wait"]);
    }
    Ok(Page::new(Place::Messages, title, body, same).live(!message.status.is_final()))
}

/// What it waits for, or why it ended.
fn standing(visit: &Visit<'_>, message: &Message) -> Markup {
    if let Some(failure) = &message.failure {
        return notice(
            tone(message.status),
            &html! { strong { (failure.code) } ": " (story(&failure.detail, visit.now)) },
        );
    }
    let waits = match (message.status, message.wait) {
        (Status::Enqueued, Some(Wait::Delayed)) => {
            html! { "It waits until " (maybe_time(message.not_before, visit.now)) "." }
        }
        (Status::Enqueued, Some(Wait::Behind)) => html! { "It waits for those before it in its group "
        code { (message.group.as_deref().unwrap_or_default()) } "." },
        (Status::Enqueued, _) => html! { "It waits for its turn." },
        (Status::Dequeued | Status::Downloaded | Status::PreProcessing | Status::Processing, _) => html! { "Held by "
        code { (message.owner.as_deref().unwrap_or("somebody")) } ", whose lease ends " (maybe_time(message.lease_until, visit.now)) "." },
        _ => return html! {},
    };
    html! {
        p.lead { (waits) }
        @if let Some(error) = &message.last_error { (notice(Tone::Odd, &html! { "Its last attempt met: " (story(error, visit.now)) })) }
    }
}

fn buttons(visit: &Visit<'_>, message: &Message) -> Markup {
    let at = |what: &str| format!("/console/messages/{}/{what}", message.id);
    let job = visit.definitions.job(message.job);
    let may_use = job.is_some_and(|job| visit.caller.may_use(job));
    let can_retry = REDRIVABLE.contains(&message.status) && message.counts.read == 0;
    html! {
        p.buttons {
            @if may_use && can_retry { a.button.main href=(at("retry")) { "Try again…" } }
            @if may_use && !message.status.is_final() { a.button href=(at("cancel")) { "Cancel…" } }
            a.button href=(at("preview")) { "Look at the payload" }
            a.button href=(at("payload")) download { "Download payload" }
            @if message.counts.rejected > 0 { a.button href=(at("rejects")) download { "Download rejects" } }
        }
    }
}

/// Numbers that add up (promise 4).
fn counts(message: &Message) -> Markup {
    let Counts {
        read,
        rejected,
        skipped,
        ..
    } = message.counts;
    let applied = message.counts.applied();
    html! {
        @if read > 0 {
            section aria-labelledby="records" {
                h2 #records { "Records" }
                div.figures.sum {
                    div { span.figure { (number(read)) } " read" }
                    span aria-hidden="true" { "=" }
                    div.good { span.figure { (number(applied)) } " applied" }
                    span aria-hidden="true" { "+" }
                    div.bad[rejected > 0] { span.figure { (number(rejected)) } " rejected" }
                    span aria-hidden="true" { "+" }
                    div { span.figure { (number(skipped)) } " skipped" }
                }
                p.faint { "Applied: " (detail(&message.counts)) "."
                    @if message.repaired > 0 { " " (counted(message.repaired, "reject")) " repaired since by corrections." } }
            }
        }
    }
}

fn detail(counts: &Counts) -> String {
    let parts = [
        ("inserted", counts.inserted),
        ("updated", counts.updated),
        ("unchanged", counts.unchanged),
        ("deleted", counts.deleted),
    ];
    let parts: Vec<String> = parts
        .iter()
        .map(|(name, count)| format!("{} {name}", number(*count)))
        .collect();
    parts.join(", ")
}

fn rejects_of(visit: &Visit<'_>, seen: &Seen) -> Markup {
    let rows = html! {
        @for cause in &seen.causes {
            tr {
                td { code { (cause.code.as_str()) } }
                td { @if let Some(field) = &cause.field { (field) } @else { (none()) } }
                td.number { (number(cause.count)) }
                td.number { @if cause.distinct_values > 0 { (number(cause.distinct_values)) } @else { (none()) } }
                td.text { (prose(&cause.sample.error.reason)) }
            }
        }
    };
    let may_repair = visit
        .definitions
        .job(seen.message.job)
        .is_some_and(|job| visit.caller.may_use(job));
    html! {
        @if !seen.causes.is_empty() {
            section aria-labelledby="causes" {
                h2 #causes { "What went wrong, by cause" }
                (table("Causes, most frequent first", &["Cause", "Field", "#Errors", "#Values", "For example"], &rows))
            }
        }
        (records::table_of(&seen.rejected, seen.message.counts.rejected))
        @if seen.message.counts.rejected > 0 && seen.message.status.is_final() && may_repair {
            section aria-labelledby="repair" {
                h2 #repair { "To repair them" }
                p { "Correct them here and send them back. Or download the rejects, correct them, leave " code { "_reject_id" }
                    " as it is, and send the file back with " code { "tranship messages resubmit" }
                    ". The correction becomes a child of this message; this one stays as it is." }
                p.buttons { a.button.main href={ "/console/messages/" (seen.message.id) "/repair" } { "Correct and send back…" } }
            }
        }
    }
}

fn entities(message: &Message, execution: Option<&Execution>) -> Markup {
    let Some(execution) = execution.filter(|execution| !execution.entities.is_empty()) else {
        return html! {};
    };
    html! {
        section aria-labelledby="phases" {
            h2 #phases { "Phases" }
            (entity_table(message.direction, &execution.entities))
        }
    }
}

/// What each entity of an export came to.
fn exported_table(runs: &[EntityRun]) -> Markup {
    let rows = html! {
        @for run in runs { tr { td { (run.label) } td { (state(&run.target_status)) } td.number { (number(run.counts.read)) } } }
    };
    table("Entities", &["Entity", "State", "#Exported"], &rows)
}

/// What each entity came to, phase by phase. An export has no target: its records are written to a file.
pub(super) fn entity_table(direction: Direction, runs: &[EntityRun]) -> Markup {
    if direction == Direction::Export {
        return exported_table(runs);
    }
    let rows = html! {
        @for run in runs {
            tr {
                td { (run.label) @if let Some(company) = &run.company { " " span.faint { (company) } }
                    @for warning in &run.warnings { br; span.faint { "! " (prose(warning)) } } }
                td { (state(&run.staging_status)) }
                td.number { (number(run.staging_records)) }
                td.number { (number(run.staging_errors)) }
                td { (state(&run.target_status)) }
                td.number { (number(run.counts.inserted)) }
                td.number { (number(run.counts.updated)) }
                td.number { (number(run.counts.unchanged)) }
                td.number { (number(run.counts.deleted)) }
                td.number { (number(run.target_errors)) }
                td.number { (number(run.counts.skipped)) }
            }
        }
    };
    let heads = [
        "Entity",
        "Staging",
        "#Records",
        "#Rejected",
        "Target",
        "#Inserted",
        "#Updated",
        "#Unchanged",
        "#Deleted",
        "#Refused",
        "#Skipped",
    ];
    table("Entities and their phases", &heads, &rows)
}

fn about(visit: &Visit<'_>, seen: &Seen) -> Markup {
    let message = &seen.message;
    let link = |id: &MessageId| html! { a href={ "/console/messages/" (id) } { (id) } };
    let execution = message.execution.as_ref().map(|id| {
        html! { a href={ "/console/executions/" (encoded(&id.0)) } { (id.0) } }
    });
    let children = (!seen.children.is_empty()).then(|| {
        html! { ul.plain { @for child in seen.children.iter().take(CHILDREN_MAX) { li { (link(child)) } } }
            @if seen.children.len() > CHILDREN_MAX { "and " (counted((seen.children.len() - CHILDREN_MAX) as u64, "other")) } }
    });
    let optional = |text: &Option<String>| text.as_ref().map(|text| html! { (text) });
    let at = |at| Some(at).flatten().map(|at| time(at, visit.now));
    let named = [
        ("Message", Some(html! { code { (message.id) } })),
        (
            "Job",
            Some(html! { (job_link(visit, message.job)) ", " (message.direction.as_str()) }),
        ),
        ("Entity", optional(&message.entity)),
        ("Company", optional(&message.company)),
        ("External id", optional(&message.external_id)),
        ("Sent by", Some(html! { (message.enqueued_by) })),
        ("Size", Some(bytes(message.bytes))),
        ("Digest", Some(html! { code { (message.digest.content_digest()) } })),
        ("Durability", Some(html! { (message.durability.as_str()) })),
        ("Enqueued", at(Some(message.enqueued_at))),
        ("Started", at(message.started_at)),
        ("Ended", at(message.finished_at)),
        ("Attempts", (message.attempt > 0).then(|| html! { (message.attempt) })),
        ("Corrects", message.parent.as_ref().map(link)),
        ("Corrected by", children),
        ("Execution", execution),
    ];
    html! {
        section aria-labelledby="about" {
            h2 #about { "About it" }
            (facts(named))
        }
    }
}

fn timeline(visit: &Visit<'_>, events: &[MessageEvent]) -> Markup {
    html! {
        section aria-labelledby="history" {
            h2 #history { "History" }
            ol.timeline {
                @for (at, event) in events.iter().enumerate() {
                    li class=(tone(event.status).class()) {
                        (status(event.status)) " " (time(event.at, visit.now))
                        @if let Some(before) = at.checked_sub(1).and_then(|at| events.get(at)) {
                            " " span.faint { "after " (span(before.at, event.at)) }
                        }
                        @if event.epoch > 0 { " " span.faint { "lease " (event.epoch) } }
                        @if let Some(note) = &event.note { p { (story(note, visit.now)) } }
                    }
                }
            }
        }
    }
}

/// What a message was sent to besides the queue.
pub(super) fn deliveries(visit: &Visit<'_>, deliveries: &[ExportDelivery]) -> Markup {
    let rows = html! {
        @for delivery in deliveries {
            tr {
                td { (delivery.destination) }
                td { (state(delivery.state.as_str())) }
                td.number { (delivery.attempt) }
                td { (maybe_time(delivery.finished_at, visit.now)) }
                td.text {
                    @if let Some(last) = &delivery.last {
                        @if let Some(status) = last.status { (status) " " }
                        (maybe_prose(last.detail.as_deref()))
                    } @else { (none()) }
                }
            }
        }
    };
    html! {
        @if !deliveries.is_empty() {
            section aria-labelledby="deliveries" {
                h2 #deliveries { "Deliveries" }
                (table("Destinations", &["Destination", "State", "#Attempts", "Arrived", "Last answer"], &rows))
            }
        }
    }
}
