//! Run, pause and resume a job.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::html;
use serde_json::json;

use super::{Body, asking};
use crate::console::frame::{Page, Place};
use crate::console::parts::time;
use crate::console::same::{Same, encoded};
use crate::console::visit::{Visit, act, show};
use crate::domain::job::{Direction, Job};
use crate::http::Api;
use crate::http::auth::usable_job;
use crate::http::jobs::{Started, run_now};
use crate::http::problem::Problem;
use crate::http::schedules::{pause_job, resume_job};

fn at(job: &Job) -> String {
    format!("/console/jobs/{}", job.id)
}

fn call(job: &Job, action: &str) -> String {
    format!("/api/v1/jobs/{}/{action}", encoded(&job.name))
}

fn page(title: &str, body: maud::Markup, same: Same) -> Page {
    Page::new(Place::Jobs, title, body, same)
}

/// `GET /console/jobs/{job}/run`.
pub(in crate::console) async fn ask_run(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    show(&api, &request, async |visit| run_page(visit, &name).await).await
}

async fn run_page(visit: &Visit<'_>, name: &str) -> Result<Page, Problem> {
    let job = usable_job(&visit.definitions, &visit.caller, name)?;
    let pause = visit.api.context.store.pause_of(job.id).await?;
    let (action, is_export) = (format!("{}/run", at(job)), job.direction == Direction::Export);
    let inside = html! {
        @if is_export {
            p { "An export run begins as soon as a worker has room, whatever the schedule says." }
            label for="note" { "Why (kept in the history)" }
            input #note name="note" maxlength="1000" autofocus;
            @if pause.is_some() {
                label.check { input type="checkbox" name="force" value="true" required; " The job is paused: run it all the same" }
            }
        } @else {
            p { "What waits for the schedule is offered to the workers now." }
        }
    };
    let body = html! { h1 { "Run " (job.name) } (asking(visit, &action, &at(job), "Run now", &inside)) };
    let asked = is_export.then(|| json!({ "note": "why" }));
    let same = Same::post(call(job, "run"), asked).command(&["jobs", "run", &job.name, "--wait"]);
    Ok(page("Run a job", body, same))
}

/// `POST /console/jobs/{job}/run`.
pub(in crate::console) async fn run(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: Body,
) -> HttpResponse {
    act(&api, &request, body, async |visit, form| {
        let job = usable_job(&visit.definitions, &visit.caller, &name)?;
        let forced = form.get("force") == Some("true");
        let word = match run_now(visit.api, &visit.caller, job, form.owned("note"), forced).await? {
            Started::Run(_) => "run",
            Started::Offered(_) => "offered",
        };
        Ok(format!("{}?done={word}", at(job)))
    })
    .await
}

/// `GET /console/jobs/{job}/pause`.
pub(in crate::console) async fn ask_pause(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    show(&api, &request, async |visit| pause_page(visit, &name)).await
}

fn pause_page(visit: &Visit<'_>, name: &str) -> Result<Page, Problem> {
    let job = usable_job(&visit.definitions, &visit.caller, name)?;
    let inside = html! {
        p { "Nothing of the job begins until it is resumed. What runs goes on to its end; what is sent to it is taken and waits." }
        label for="note" { "Why (whoever looks at the job sees it)" }
        input #note name="note" maxlength="1000" autofocus;
    };
    let form = asking(visit, &format!("{}/pause", at(job)), &at(job), "Pause", &inside);
    let body = html! { h1 { "Pause " (job.name) } (form) };
    let same = Same::post(call(job, "pause"), Some(json!({ "note": "why" })));
    Ok(page(
        "Pause a job",
        body,
        same.command(&["jobs", "pause", &job.name, "--note", "why"]),
    ))
}

/// `POST /console/jobs/{job}/pause`.
pub(in crate::console) async fn pause(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: Body,
) -> HttpResponse {
    act(&api, &request, body, async |visit, form| {
        let job = usable_job(&visit.definitions, &visit.caller, &name)?;
        pause_job(visit.api, &visit.caller, job, form.owned("note")).await?;
        Ok(format!("{}?done=paused", at(job)))
    })
    .await
}

/// `GET /console/jobs/{job}/resume`.
pub(in crate::console) async fn ask_resume(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    show(&api, &request, async |visit| resume_page(visit, &name).await).await
}

async fn resume_page(visit: &Visit<'_>, name: &str) -> Result<Page, Problem> {
    let job = usable_job(&visit.definitions, &visit.caller, name)?;
    let pause = visit.api.context.store.pause_of(job.id).await?;
    let policy = job.schedule.as_ref().map(|schedule| schedule.missed.as_str());
    let inside = html! {
        @if let Some(pause) = &pause { p { "Paused " (time(pause.at, visit.now)) " by " (pause.by) "." } }
        @if let Some(policy) = policy {
            label for="missed" { "What was due meanwhile" }
            select #missed name="missed" {
                option value="" { "as the schedule says: " (policy) }
                option value="skip" { "skip: none of it runs" }
                option value="once" { "once: one run for all of it" }
                option value="all" { "all: a run for each" }
            }
        } @else { p { "What was sent meanwhile is taken up now." } }
    };
    let form = asking(visit, &format!("{}/resume", at(job)), &at(job), "Resume", &inside);
    let body = html! { h1 { "Resume " (job.name) } (form) };
    let asked = policy.map(|policy| json!({ "missed": policy }));
    let same = Same::post(call(job, "resume"), asked).command(&["jobs", "resume", &job.name]);
    Ok(page("Resume a job", body, same))
}

/// `POST /console/jobs/{job}/resume`.
pub(in crate::console) async fn resume(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: Body,
) -> HttpResponse {
    act(&api, &request, body, async |visit, form| {
        let job = usable_job(&visit.definitions, &visit.caller, &name)?;
        resume_job(visit.api, &visit.caller, job, form.owned("missed")).await?;
        Ok(format!("{}?done=resumed", at(job)))
    })
    .await
}
