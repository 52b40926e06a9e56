//! `/console/jobs`: every job the visitor may see.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::overview::no_jobs;
use crate::console::frame::{Page, Place};
use crate::console::parts::{Tone, badge, none, number, relative, table, time_in};
use crate::console::same::Same;
use crate::console::visit::{Visit, show as answer};
use crate::domain::ids::JobId;
use crate::domain::job::Job;
use crate::http::Api;
use crate::http::problem::Problem;
use crate::storage::depths::Depth;

/// `GET /console/jobs`.
pub(in crate::console) async fn show(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    answer(&api, &request, page).await
}

async fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let store = &visit.api.context.store;
    let (depths, pauses) = (store.depths().await?, store.pauses().await?);
    let jobs: Vec<&Job> = visit
        .definitions
        .jobs
        .iter()
        .filter(|job| visit.caller.may_see(job))
        .collect();
    let rows = html! {
        @for job in &jobs {
            (row(visit, job, depths.get(&job.id).copied().unwrap_or_default(), pauses.contains_key(&job.id)))
        }
    };
    let heads = ["Job", "Direction", "#Waiting", "#Taken", "Next by schedule", "-Paused"];
    let body = html! {
        h1 { "Jobs" }
        @if jobs.is_empty() { (no_jobs(visit)) } @else { (table("Jobs", &heads, &rows)) }
        p.faint { "A job is a file in the jobs folder, or a data project that a package brought along. The console runs and pauses jobs; to change one, change its file, or import its package again." }
    };
    let same = Same::get("/api/v1/jobs").command(&["jobs", "list"]);
    Ok(Page::new(Place::Jobs, "Jobs", body, same).live(true))
}

fn row(visit: &Visit<'_>, job: &Job, depth: Depth, is_paused: bool) -> Markup {
    let next = job.schedule.as_ref().and_then(|schedule| {
        let at = *schedule.next(visit.now, 1).first()?;
        Some((at, schedule.time_zone))
    });
    html! {
        tr {
            td { (job_link(visit, job.id)) @if job.sample { " " span.faint { "sample" } } }
            td { (job.direction.as_str()) }
            td.number { (waiting(job, depth)) }
            td.number { (number(depth.leased)) }
            td {
                @if let Some((at, zone)) = next { (relative(at, visit.now)) " " span.faint { (time_in(at, zone, visit.now)) } }
                @else { (none()) }
            }
            td { @if is_paused { (badge(Tone::Odd, "paused")) } }
        }
    }
}

/// How many messages wait; of a job that nobody collects, how many are on their way.
pub(super) fn waiting(job: &Job, depth: Depth) -> Markup {
    html! { (number(depth.waiting)) @if !job.is_collected() && depth.waiting > 0 { " " span.faint { "to destinations" } } }
}

/// A job's name, leading to its page; the id of one whose file is gone.
pub(super) fn job_link(visit: &Visit<'_>, id: JobId) -> Markup {
    html! {
        @if let Some(job) = visit.definitions.job(id) { a href={ "/console/jobs/" (job.id) } { (job.name) } }
        @else { span title="its file is gone" { (id) } }
    }
}
