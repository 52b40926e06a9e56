//! `/console`: what is wrong, in ten seconds. Queues, what failed lately, schedules, who works.

use std::collections::{BTreeMap, HashMap};

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::failures::{self, Failures};
use super::jobs::{job_link, waiting};
use super::processes::Processes;
use super::traffic;
use crate::console::frame::{Page, Place};
use crate::console::parts::{Tone, badge, counted, empty, none, notice, number, relative, table, time, time_in};
use crate::console::same::Same;
use crate::console::visit::{Visit, show as answer};
use crate::domain::ids::JobId;
use crate::domain::job::Job;
use crate::domain::message::Durability;
use crate::domain::time::Timestamp;
use crate::http::Api;
use crate::http::auth::listed_jobs;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::rates::{Rates, asked_range};
use crate::storage::depths::Depth;
use crate::storage::occurrences::Occurrence;
use crate::storage::pauses::Pause;

/// Most jobs and due times in a table.
const ROWS_MAX: usize = 25;
/// What is due and not recorded, or recorded and not begun, for this long is late.
const LATE_SECONDS: i64 = 60;

/// `GET /console`.
pub(in crate::console) async fn show(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    answer(&api, &request, page).await
}

async fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let seen = Seen::of(visit).await?;
    let range = seen.rates.range.as_str();
    let same = Same::get("/api/v1/jobs")
        .and_get(format!("/api/v1/rates?range={range}"))
        .and_get("/api/v1/processes")
        .command(&["jobs", "list"])
        .command(&["messages", "list"])
        .command(&["rates", "--range", range])
        .command(&["processes"]);
    let body = html! {
        h1 { "Overview" }
        (warnings(visit, &seen))
        (queues(visit, &seen))
        (failures::section(visit, &seen.failures))
        (traffic::section("/console", &seen.rates))
        (schedules(visit, &seen))
        (seen.processes.section(visit))
    };
    Ok(Page::new(Place::Overview, "Overview", body, same).live(true))
}

/// Everything the page shows.
struct Seen<'v> {
    jobs: Vec<&'v Job>,
    depths: BTreeMap<JobId, Depth>,
    oldest: HashMap<JobId, Timestamp>,
    pauses: HashMap<JobId, Pause>,
    failures: Failures,
    rates: Rates,
    /// The last run of each job with a schedule.
    runs: HashMap<JobId, Occurrence>,
    /// How far its schedule was evaluated.
    evaluated_to: HashMap<JobId, Timestamp>,
    processes: Processes,
}

impl<'v> Seen<'v> {
    async fn of(visit: &'v Visit<'_>) -> Result<Self, Problem> {
        let range = asked_range(&Query::of(visit.request))?;
        let store = &visit.api.context.store;
        let jobs: Vec<&Job> = visit
            .definitions
            .jobs
            .iter()
            .filter(|job| visit.caller.may_see(job))
            .collect();
        let depths = store.depths().await?;
        let mut oldest = HashMap::new();
        for job in jobs
            .iter()
            .filter(|job| depths.get(&job.id).is_some_and(|depth| depth.waiting > 0))
        {
            oldest.extend(store.oldest_offered(job.id).await?.map(|since| (job.id, since)));
        }
        let scheduled: Vec<JobId> = jobs
            .iter()
            .filter(|job| job.schedule.is_some())
            .map(|job| job.id)
            .collect();
        let mut runs = HashMap::new();
        for job in &scheduled {
            runs.extend(store.occurrences(*job, 1).await?.into_iter().map(|last| (*job, last)));
        }
        let marks = store.marks(&scheduled).await?;
        let listed = listed_jobs(&visit.definitions, &visit.caller, None)?;
        Ok(Self {
            failures: Failures::of(visit, &jobs).await?,
            rates: Rates::read(store, listed.as_deref(), range, visit.now).await?,
            pauses: store.pauses().await?,
            evaluated_to: marks.into_iter().map(|(job, mark)| (job, mark.evaluated_to)).collect(),
            jobs,
            depths,
            oldest,
            runs,
            processes: Processes::of(visit).await?,
        })
    }

    fn depth(&self, job: JobId) -> Depth {
        self.depths.get(&job).copied().unwrap_or_default()
    }

    /// Since when a job's schedule waits for something that should have happened.
    fn late_since(&self, job: &Job, now: Timestamp) -> Option<Timestamp> {
        let limit = now.plus_seconds(-LATE_SECONDS);
        if self.pauses.contains_key(&job.id) {
            return None;
        }
        let waits = self.runs.get(&job.id).filter(|run| run.state == "due");
        let waits = waits.map(Occurrence::may_begin_at);
        let schedule = job.schedule.as_ref()?;
        let evaluated_to = *self.evaluated_to.get(&job.id)?;
        let unseen = schedule.due_between(evaluated_to, limit, 1).first().copied();
        waits.filter(|since| *since < limit).or(unseen)
    }
}

fn warnings(visit: &Visit<'_>, seen: &Seen<'_>) -> Markup {
    let late: Vec<_> = seen
        .jobs
        .iter()
        .filter_map(|job| Some((job, seen.late_since(job, visit.now)?)))
        .collect();
    let durability = visit.api.context.store.durability();
    html! {
        @if !*visit.api.ready.borrow() {
            (notice(Tone::Odd, &html! { "The service is stopping: it finishes what it has begun." }))
        }
        (seen.processes.warnings(visit))
        @if durability.class != Durability::Full {
            (notice(Tone::Odd, &html! { "The store's server does not keep what it commits through a power cut ("
                (durability.weakened_by.join(", ")) "): every answer says durability = relaxed." }))
        }
        @for (job, since) in late {
            (notice(Tone::Bad, &html! { (job_link(visit, job.id)) " is late: what was due "
                (time(since, visit.now)) " has not begun. Is a worker running, and has it room?" }))
        }
    }
}

fn queues(visit: &Visit<'_>, seen: &Seen<'_>) -> Markup {
    let is_busy = |job: &Job| seen.depth(job.id) != Depth::default() || seen.pauses.contains_key(&job.id);
    let mut shown: Vec<&Job> = seen.jobs.iter().copied().filter(|job| is_busy(job)).collect();
    shown.sort_by_key(|job| seen.oldest.get(&job.id).copied().unwrap_or(visit.now));
    let idle = seen.jobs.len() - shown.len();
    let rows = html! {
        @for job in shown.iter().take(ROWS_MAX) {
            @let depth = seen.depth(job.id);
            tr {
                td { (job_link(visit, job.id)) }
                td { (job.direction.as_str()) }
                td.number { (waiting(job, depth)) }
                td.number { (number(depth.leased)) }
                td { @if let Some(since) = seen.oldest.get(&job.id) { (time(*since, visit.now)) } @else { (none()) } }
                td { @if seen.pauses.contains_key(&job.id) { (badge(Tone::Odd, "paused")) } }
            }
        }
    };
    let heads = ["Job", "Direction", "#Waiting", "#Taken", "Oldest that waits", "-Paused"];
    html! {
        section aria-labelledby="queues" {
            h2 #queues { "Queues" }
            @if seen.jobs.is_empty() {
                (no_jobs(visit))
            } @else if shown.is_empty() {
                (empty("All queues are empty.", &html! { "What is pushed or exported shows here until it is loaded or collected. "
                    a href="/console/jobs" { (counted(idle as u64, "job")) } }))
            } @else {
                (table("Queues that are not empty, and paused jobs", &heads, &rows))
                @if shown.len() > ROWS_MAX || idle > 0 {
                    p.more { a href="/console/jobs" { (counted(seen.jobs.len() as u64, "job")) } " in all" }
                }
            }
        }
    }
}

/// What is said to somebody who sees no job.
pub(super) fn no_jobs(visit: &Visit<'_>) -> Markup {
    if visit.definitions.jobs.is_empty() {
        return empty(
            "There are no jobs yet.",
            &html! { code { "tranship init FILE" } " writes one from a sample file; " code { "kill -HUP" } " lets the service read it." },
        );
    }
    empty(
        "No job lists you as a client.",
        &html! { "A job's file says under " code { "clients" } " who may use it; a viewer or operator sees every job." },
    )
}

fn schedules(visit: &Visit<'_>, seen: &Seen<'_>) -> Markup {
    let mut due: Vec<(Timestamp, &Job)> = seen
        .jobs
        .iter()
        .filter_map(|job| Some((*job.schedule.as_ref()?.next(visit.now, 1).first()?, *job)))
        .collect();
    due.sort_by_key(|(at, _)| *at);
    let rows = html! {
        @for (at, job) in due.iter().take(ROWS_MAX) {
            @let zone = job.schedule.as_ref().map_or(chrono_tz::UTC, |schedule| schedule.time_zone);
            tr {
                td { (job_link(visit, job.id)) }
                td { (relative(*at, visit.now)) br; span.faint { (time_in(*at, zone, visit.now)) } }
                td {
                    @if seen.pauses.contains_key(&job.id) { (badge(Tone::Odd, "paused")) }
                    @else if let Some(run) = seen.runs.get(&job.id) { (crate::console::parts::state(&run.state)) }
                    @else { (none()) }
                }
            }
        }
    };
    html! {
        section aria-labelledby="schedules" {
            h2 #schedules { "Next by schedule" }
            @if due.is_empty() {
                (empty("Nothing is scheduled.", &html! { "A job's " code { "[schedule]" } " says when it runs." }))
            } @else {
                (table("Jobs by when they are due next", &["Job", "Due", "Last run"], &rows))
            }
        }
    }
}
