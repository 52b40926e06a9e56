//! `/console/webhooks`: whom jobs tell how their messages end, and what became of it.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::jobs::job_link;
use crate::console::actions::done;
use crate::console::frame::{Page, Place};
use crate::console::parts::{Tone, badge, empty, facts, maybe_time, none, table, time};
use crate::console::prose::prose;
use crate::console::same::{Same, encoded};
use crate::console::visit::{Visit, show as answer};
use crate::domain::ids::DeliveryId;
use crate::domain::job::Job;
use crate::domain::webhook::WebhookSpec;
use crate::http::Api;
use crate::http::auth::listed_jobs;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::webhooks::{shown_url, state as read_state, visible};
use crate::storage::webhooks::{Delivery, DeliveryFilter, DeliveryState};

/// Deliveries on a page.
const PAGE: u32 = 50;

/// `GET /console/webhooks?job=&state=&before=`.
pub(in crate::console) async fn list(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    answer(&api, &request, all).await
}

/// `GET /console/webhooks/{id}`.
pub(in crate::console) async fn show(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    answer(&api, &request, async |visit| one(visit, &id).await).await
}

/// What is looked for.
struct Asked {
    job: Option<String>,
    state: Option<String>,
    before: Option<String>,
}

impl Asked {
    /// The command that lists the same.
    fn command(&self) -> Vec<&str> {
        let options = [
            ("--job", &self.job),
            ("--state", &self.state),
            ("--before", &self.before),
        ];
        let options = options
            .into_iter()
            .filter_map(|(flag, value)| Some([flag, value.as_deref()?]));
        ["webhooks", "list"].into_iter().chain(options.flatten()).collect()
    }

    fn of(request: &HttpRequest) -> Self {
        let query = Query::of(request);
        Self {
            job: query.get("job"),
            state: query.get("state"),
            before: query.get("before"),
        }
    }

    fn is_anything(&self) -> bool {
        self.job.is_some() || self.state.is_some()
    }

    /// The query of what is asked for, from this delivery on back.
    fn query(&self, before: Option<&str>) -> String {
        let asked = [
            ("job", self.job.as_deref()),
            ("state", self.state.as_deref()),
            ("before", before),
        ];
        let query: Vec<String> = asked
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))))
            .collect();
        query.join("&")
    }
}

async fn all(visit: &Visit<'_>) -> Result<Page, Problem> {
    let asked = Asked::of(visit.request);
    let before = asked.before.as_deref().map(str::parse::<DeliveryId>).transpose();
    let jobs = listed_jobs(&visit.definitions, &visit.caller, asked.job.as_deref())?;
    let filter = DeliveryFilter {
        state: asked.state.as_deref().map(read_state).transpose()?,
        before: before.map_err(|error| Problem::bad("invalid_before", error.to_string()))?,
        limit: PAGE,
        jobs: jobs.clone().unwrap_or_default(),
    };
    let deliveries = match jobs {
        None => Vec::new(),
        Some(_) => visit.api.context.store.deliveries(&filter).await?,
    };
    let next = deliveries.last().filter(|_| deliveries.len() == PAGE as usize);
    let body = html! {
        h1 { "Webhooks" }
        (subscriptions(visit))
        section aria-labelledby="deliveries" {
            h2 #deliveries { "Deliveries" }
            (search(visit, &asked))
            @if deliveries.is_empty() { (nothing(&asked)) } @else { (rows(visit, &deliveries)) }
            nav.pager aria-label="More deliveries" {
                @if asked.before.is_some() { a.button href={ "/console/webhooks?" (asked.query(None)) } { "Newest" } " " }
                @if let Some(last) = next {
                    a.button rel="next" href={ "/console/webhooks?" (asked.query(Some(&last.id.to_string()))) } { "Older" }
                }
            }
        }
    };
    let query = asked.query(asked.before.as_deref());
    let same = Same::get(if query.is_empty() {
        "/api/v1/webhooks".to_owned()
    } else {
        format!("/api/v1/webhooks?{query}")
    });
    let same = same.command(&asked.command());
    let is_live = asked.before.is_none() && !asked.is_anything();
    Ok(Page::new(Place::Webhooks, "Webhooks", body, same).live(is_live))
}

/// The jobs that tell somebody, with what their files say.
fn subscriptions(visit: &Visit<'_>) -> Markup {
    let jobs = visit.definitions.jobs.iter().filter(|job| visit.caller.may_see(job));
    let told: Vec<(&Job, &WebhookSpec)> = jobs.filter_map(|job| Some((job, job.webhook.as_ref()?))).collect();
    let rows = html! {
        @for (job, webhook) in &told {
            tr {
                td { (job_link(visit, job.id)) }
                td.text { @match &webhook.url { Some(url) => { (shown_url(url.as_str())) } None => { (none()) } } }
                td.text { (webhook.on.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ")) }
                td { @if webhook.per_message { "may name another" } @else { (none()) } }
            }
        }
    };
    html! {
        section aria-labelledby="subscriptions" {
            h2 #subscriptions { "Who is told" }
            @if told.is_empty() {
                (empty("No job tells anybody how its messages end.",
                    &html! { "A section " code { "[webhook]" } " in a job's file names a URL and a secret." }))
            } @else { (table("Jobs with a webhook", &["Job", "URL", "Told of", "Messages"], &rows)) }
        }
    }
}

fn search(visit: &Visit<'_>, asked: &Asked) -> Markup {
    let jobs = visit
        .definitions
        .jobs
        .iter()
        .filter(|job| visit.caller.may_see(job) && job.webhook.is_some());
    let is_job = |job: &Job| {
        let named = |asked: &String| asked.eq_ignore_ascii_case(&job.name) || *asked == job.id.to_string();
        asked.job.as_ref().is_some_and(named)
    };
    html! {
        form.filter method="get" action="/console/webhooks" role="search" aria-label="Deliveries" {
            div { label for="job" { "Job" } select #job name="job" {
                option value="" { "all" }
                @for job in jobs { option value=(job.id) selected[is_job(job)] { (job.name) } }
            } }
            div { label for="state" { "State" } select #state name="state" {
                option value="" { "any" }
                @for state in DeliveryState::ALL {
                    option value=(state.as_str()) selected[asked.state.as_deref() == Some(state.as_str())] { (state.as_str()) }
                }
            } }
            div.submit { button.main { "Look" } @if asked.is_anything() { " " a href="/console/webhooks" { "Clear" } } }
        }
    }
}

fn nothing(asked: &Asked) -> Markup {
    if asked.is_anything() || asked.before.is_some() {
        return empty(
            "No delivery is like this.",
            &html! { "Ask for less: " a href="/console/webhooks" { "all deliveries" } "." },
        );
    }
    empty(
        "Nothing was told yet.",
        &html! { "A delivery is made when a message of a job with a webhook ends." },
    )
}

fn rows(visit: &Visit<'_>, deliveries: &[Delivery]) -> Markup {
    let rows = html! { @for delivery in deliveries { (row(visit, delivery)) } };
    let heads = [
        "Delivery",
        "State",
        "Job",
        "#Attempts",
        "Last answer",
        "Next attempt",
        "To",
        "Made",
    ];
    table("Deliveries, newest first", &heads, &rows)
}

fn row(visit: &Visit<'_>, delivery: &Delivery) -> Markup {
    let id = delivery.id.to_string();
    html! {
        tr {
            td { a href={ "/console/webhooks/" (id) } title=(id) { (delivery.event.as_str()) " …" (id.rsplit('-').next().unwrap_or_default()) } }
            td { (standing(delivery)) }
            td { (job_link(visit, delivery.job)) }
            td.number { (delivery.attempt) }
            td { (last_answer(delivery)) }
            td { (maybe_time(next_attempt(delivery), visit.now)) }
            td.text { (shown_url(&delivery.url)) }
            td { (time(delivery.created_at, visit.now)) }
        }
    }
}

fn standing(delivery: &Delivery) -> Markup {
    match delivery.state {
        DeliveryState::Delivered => badge(Tone::Good, "delivered"),
        DeliveryState::Dead => badge(Tone::Bad, "dead"),
        DeliveryState::Pending if delivery.owner.is_some() => badge(Tone::Busy, "sending"),
        DeliveryState::Pending if delivery.attempt > 0 => badge(Tone::Odd, "pending"),
        DeliveryState::Pending => badge(Tone::Quiet, "pending"),
    }
}

fn next_attempt(delivery: &Delivery) -> Option<crate::domain::time::Timestamp> {
    let waits = delivery.state == DeliveryState::Pending && delivery.owner.is_none();
    waits.then_some(delivery.due_at)
}

/// The status of the last answer, or that none came.
fn last_answer(delivery: &Delivery) -> Markup {
    match &delivery.last {
        None => none(),
        Some(last) => html! { @match last.status { Some(status) => { (status) } None => { "none came" } } },
    }
}

async fn one(visit: &Visit<'_>, id: &str) -> Result<Page, Problem> {
    let delivery = visible(visit.api, &visit.caller, id).await?;
    let job = visit.definitions.job(delivery.job);
    let may_replay = delivery.state != DeliveryState::Pending && job.is_some_and(|job| visit.caller.may_use(job));
    let body = html! {
        h1 { "Delivery " (standing(&delivery)) }
        (done(visit))
        @if may_replay { p.buttons { a.button.main href={ "/console/webhooks/" (delivery.id) "/replay" } { "Send it once more…" } } }
        (about(visit, &delivery))
        section aria-labelledby="body" {
            h2 #body { "What is sent" }
            pre.sheet tabindex="0" { code { (pretty(&delivery.body)) } }
        }
    };
    let id = delivery.id.to_string();
    let same = Same::get(format!("/api/v1/webhooks/{id}")).command(&["webhooks", "show", &id]);
    Ok(Page::new(Place::Webhooks, "Delivery", body, same).live(delivery.state == DeliveryState::Pending))
}

fn about(visit: &Visit<'_>, delivery: &Delivery) -> Markup {
    let last = delivery.last.as_ref();
    facts([
        ("Id", Some(html! { code { (delivery.id) } })),
        ("Type", Some(html! { (delivery.event.as_str()) })),
        ("Job", Some(job_link(visit, delivery.job))),
        (
            "Message",
            delivery
                .message
                .map(|id| html! { a href={ "/console/messages/" (id) } { code { (id) } } }),
        ),
        ("URL, without its query", Some(html! { (shown_url(&delivery.url)) })),
        ("Made", Some(time(delivery.created_at, visit.now))),
        ("Attempts", Some(html! { (delivery.attempt) })),
        ("Last attempt", last.map(|last| time(last.at, visit.now))),
        ("Last answer", last.map(|_| last_answer(delivery))),
        (
            "Detail",
            last.and_then(|last| last.detail.as_ref()).map(|detail| prose(detail)),
        ),
        ("Next attempt", next_attempt(delivery).map(|at| time(at, visit.now))),
        ("Ended", delivery.finished_at.map(|at| time(at, visit.now))),
    ])
}

/// JSON with a line for each member.
fn pretty(body: &str) -> String {
    let read = serde_json::from_str::<serde_json::Value>(body);
    let pretty = read.and_then(|read| serde_json::to_string_pretty(&read));
    pretty.unwrap_or_else(|_| body.to_owned())
}
