//! `/console/jobs/{job}`: what a job is, how it stands, when it runs and what its runs did.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::messages::rows as message_rows;
use super::runs;
use super::strip::strip;
use super::traffic;
use crate::console::actions::done;
use crate::console::frame::{Page, Place};
use crate::console::parts::{Tone, counted, empty, facts, maybe_time, notice, number, table, time, time_in};
use crate::console::prose::story;
use crate::console::same::{Same, encoded};
use crate::console::visit::{Visit, show as answer};
use crate::domain::job::{DataSource, Direction, Job};
use crate::domain::message::Message;
use crate::domain::schedule::preview::Upcoming;
use crate::domain::schedule::{Recurrence, Schedule};
use crate::domain::time::Timestamp;
use crate::http::Api;
use crate::http::auth::visible_job;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::rates::{Rates, asked_range};
use crate::http::why_empty;
use crate::storage::depths::Depth;
use crate::storage::history::Run;
use crate::storage::lately::Lately;
use crate::storage::occurrences::{MissedRange, Occurrence};
use crate::storage::pauses::Pause;

/// Due times to come.
const NEXT: usize = 10;
/// Runs as bars; runs in words, messages, and stretches of what was missed.
const BARS_MAX: u32 = 90;
const RUNS_MAX: usize = 20;
const MESSAGES_MAX: u32 = 10;
const MISSED_MAX: u32 = 3;

/// `GET /console/jobs/{job}`, by activity id or name.
pub(in crate::console) async fn show(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    answer(&api, &request, async |visit| page(visit, &name).await).await
}

/// How a job stands.
struct Seen {
    depth: Depth,
    oldest: Option<Timestamp>,
    pause: Option<Pause>,
    bars: Vec<Occurrence>,
    runs: Vec<Run>,
    missed: Vec<MissedRange>,
    messages: Vec<Message>,
    why_empty: Option<Vec<String>>,
    rates: Rates,
}

impl Seen {
    async fn of(visit: &Visit<'_>, job: &Job) -> Result<Self, Problem> {
        let range = asked_range(&Query::of(visit.request))?;
        let context = &visit.api.context;
        let store = &context.store;
        let bars = store.occurrences(job.id, BARS_MAX).await?;
        let latest = bars.iter().take(RUNS_MAX).cloned().collect();
        let wanted = Lately {
            jobs: vec![job.id],
            limit: MESSAGES_MAX,
            ..Lately::default()
        };
        let ids = store.lately(&wanted).await?;
        let mut messages = store.messages_by_id(&ids).await?;
        messages.reverse();
        let why_empty = match job.direction {
            Direction::Export => Some(why_empty::why(context, job).await?.sentences),
            Direction::Import | Direction::Relay => None,
        };
        Ok(Self {
            depth: store.depths().await?.get(&job.id).copied().unwrap_or_default(),
            oldest: store.oldest_offered(job.id).await?,
            pause: store.pause_of(job.id).await?,
            runs: store.runs(job.id, latest).await?,
            bars,
            missed: store.missed_ranges(job.id, MISSED_MAX).await?,
            messages,
            why_empty,
            rates: Rates::read(store, Some(&[job.id]), range, visit.now).await?,
        })
    }
}

async fn page(visit: &Visit<'_>, name: &str) -> Result<Page, Problem> {
    let job = visible_job(&visit.definitions, &visit.caller, name)?;
    let seen = Seen::of(visit, job).await?;
    let body = html! {
        h1 { (job.name) }
        (done(visit))
        @if let Some(pause) = &seen.pause { (paused(visit, job, pause)) }
        (buttons(visit, job, seen.pause.is_some()))
        (queue(visit, job, &seen))
        (traffic::section(&format!("/console/jobs/{}", job.id), &seen.rates))
        (definition(visit, job))
        @if let Some(schedule) = &job.schedule { (next(visit, job, schedule)) }
        @if job.direction == Direction::Export || !seen.runs.is_empty() { (history(visit, &seen)) }
        (messages(visit, job, &seen))
    };
    let path = format!("/api/v1/jobs/{}", encoded(&job.name));
    let range = seen.rates.range.as_str();
    let mut same = Same::get(path)
        .and_get(format!("/api/v1/rates?range={range}&job={}", encoded(&job.name)))
        .command(&["jobs", "show", &job.name])
        .command(&["rates", "--job", &job.name, "--range", range]);
    if job.schedule.is_some() {
        same = same.command(&["jobs", "next", &job.name, "--limit", "10"]);
    }
    if job.direction == Direction::Export {
        same = same
            .command(&["jobs", "runs", &job.name])
            .command(&["jobs", "why-empty", &job.name]);
    }
    Ok(Page::new(Place::Jobs, job.name.clone(), body, same).live(true))
}

fn paused(visit: &Visit<'_>, job: &Job, pause: &Pause) -> Markup {
    let text = html! {
        strong { "Paused" } " " (time(pause.at, visit.now)) " by " (pause.by)
        @if let Some(note) = &pause.note { ": “" (note) "”" } ". "
        @if job.direction == Direction::Import { "What is sent to it waits." } @else { "Nothing of it runs." }
    };
    notice(Tone::Odd, &text)
}

/// What may be done with the job, for whoever may use it.
fn buttons(visit: &Visit<'_>, job: &Job, is_paused: bool) -> Markup {
    let at = |action: &str| format!("/console/jobs/{}/{action}", job.id);
    let runs = job.direction == Direction::Export || (job.direction == Direction::Import && job.schedule.is_some());
    html! {
        @if visit.caller.may_use(job) && job.direction != Direction::Relay {
            p.buttons {
                @if runs { a.button.main href=(at("run")) { "Run now…" } }
                @if is_paused { a.button href=(at("resume")) { "Resume…" } } @else { a.button href=(at("pause")) { "Pause…" } }
            }
        }
    }
}

fn queue(visit: &Visit<'_>, job: &Job, seen: &Seen) -> Markup {
    let Depth { waiting, leased } = seen.depth;
    html! {
        section aria-labelledby="queue" {
            h2 #queue { "Queue" }
            div.figures {
                div { span.figure { (number(waiting)) }
                    @if job.is_collected() { " waiting" } @else { " on their way to destinations" } }
                div { span.figure { (number(leased)) } @if job.direction == Direction::Import { " being loaded" } @else { " taken" } }
                @if let Some(most) = visit.api.context.max_messages(job) { div { span.figure { (number(most)) } " at most" } }
                div { span.figure { (maybe_time(seen.oldest, visit.now)) } " oldest offered" }
            }
            @if let Some(sentences) = &seen.why_empty {
                div.why { h3 { @if waiting == 0 { "Why it is empty" } @else { "How it stands" } }
                    @for sentence in sentences { p { (story(sentence, visit.now)) } } }
            }
        }
    }
}

fn definition(visit: &Visit<'_>, job: &Job) -> Markup {
    let imported = job
        .import
        .iter()
        .flat_map(|spec| spec.entities.iter().map(|entity| &entity.entity));
    let exported = job
        .export
        .iter()
        .flat_map(|spec| spec.entities.iter().map(|entity| &entity.entity));
    let entities: Vec<&str> = imported
        .chain(exported)
        .map(|name| visit.definitions.label(name).unwrap_or(name))
        .collect();
    let destinations: Vec<&str> = job
        .export
        .iter()
        .flat_map(|spec| spec.destinations.iter().map(|destination| destination.name.as_str()))
        .collect();
    let source = match job.data_source {
        DataSource::File => "files",
        DataSource::Package => "packages",
    };
    let listed = |list: &[&str]| (!list.is_empty()).then(|| html! { (list.join(", ")) });
    let clients: Vec<&str> = job.clients.iter().map(String::as_str).collect();
    let named = [
        ("Activity id", Some(html! { code { (job.id) } })),
        ("Direction", Some(html! { (job.direction.as_str()) ", " (source) })),
        ("Entities", listed(&entities)),
        ("Company", job.company.as_ref().map(|company| html! { (company) })),
        ("Schedule", job.schedule.as_ref().map(scheduled)),
        ("Destinations", listed(&destinations)),
        (
            "Clients",
            Some(listed(&clients).unwrap_or_else(|| {
                html! {
                    @if job.sample { "a sample: dev, and operators" } @else { "none but operators" }
                }
            })),
        ),
    ];
    html! {
        section aria-labelledby="definition" {
            h2 #definition { "Definition" }
            (facts(named))
        }
    }
}

fn scheduled(schedule: &Schedule) -> Markup {
    let text = match &schedule.recurrence {
        Recurrence::Cron(pattern) => pattern.text(),
        Recurrence::Every(every) => every.text(),
    };
    html! { code { (text) } " in " (schedule.time_zone.name()) "; missed: " (schedule.missed.as_str())
    ", overlap: " (schedule.overlap.as_str()) }
}

fn next(visit: &Visit<'_>, job: &Job, schedule: &Schedule) -> Markup {
    let upcoming = schedule.preview(job.id, visit.now, NEXT);
    let rows = html! {
        @for one in &upcoming { (due(visit, schedule, one)) }
    };
    html! {
        section aria-labelledby="next" {
            h2 #next { "Next occurrences" }
            @if upcoming.is_empty() {
                (empty("There is no due time to come.", &html! { "The schedule has ended, or its calendars exclude every day." }))
            } @else {
                (table("Due times to come", &["Due", "In", "Runs", "Why"], &rows))
            }
        }
    }
}

fn due(visit: &Visit<'_>, schedule: &Schedule, one: &Upcoming) -> Markup {
    let zone = schedule.time_zone;
    html! {
        tr.skipped[one.begins_at.is_none()] {
            td { (time_in(one.due_at, zone, visit.now)) }
            td { (time(one.due_at, visit.now)) }
            td {
                @match one.begins_at {
                    None => "no",
                    Some(at) if at == one.due_at => "yes",
                    Some(at) => { "from " (time_in(at, zone, visit.now)) }
                }
            }
            td { @if let Some(reason) = &one.reason { (reason) } }
        }
    }
}

fn history(visit: &Visit<'_>, seen: &Seen) -> Markup {
    html! {
        section aria-labelledby="runs" {
            h2 #runs { "Runs" }
            @if seen.runs.is_empty() {
                (empty("It has not run.", &html! { "Its schedule or “Run now” begins a run." }))
            } @else {
                (strip(&seen.bars, visit.now))
                (runs::table_of(visit, &seen.runs))
            }
            @for range in &seen.missed {
                p.faint { (counted(range.occurrences, "due time")) " from " (time(range.first_due, visit.now)) " to "
                    (time(range.last_due, visit.now)) " did not run: " (range.note) }
            }
        }
    }
}

fn messages(visit: &Visit<'_>, job: &Job, seen: &Seen) -> Markup {
    let cure = html! { code { "tranship push FILE --job '" (job.name) "'" } " sends one." };
    let cure = match job.direction {
        Direction::Export => html! { "A run puts one here." },
        Direction::Import | Direction::Relay => cure,
    };
    html! {
        section aria-labelledby="messages" {
            h2 #messages { "Latest messages" }
            @if seen.messages.is_empty() {
                (empty("It has none.", &cure))
            } @else {
                (message_rows(visit, "Latest messages of the job", &seen.messages))
                p.more { a href={ "/console/messages?job=" (job.id) } { "All of its messages" } }
            }
        }
    }
}
