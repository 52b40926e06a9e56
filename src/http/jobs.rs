//! `/api/v1/jobs`: look at jobs, run them, see what ran.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::Api;
use super::auth::{Caller, caller, usable_job, visible_job};
use super::body::read_json;
use super::problem::{Kind, Problem, Surface};
use super::query::Query;
use super::schedules::{checked_note, refuse_paused};
use super::view;
use crate::domain::audit::Action;
use crate::domain::job::{Direction, Job, Origin};
use crate::storage::asked_runs::Asked;
use crate::storage::occurrences::Occurrence;
use crate::storage::projects::Deleted;

/// Stretches of missed due times shown with a job.
const MISSED_SHOWN: u32 = 3;
/// Longest body.
const BODY_BYTES_MAX: usize = 64 * 1024;

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

/// `GET /api/v1/jobs`: those the caller may see.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let now = api.context.clock.now();
        let jobs = definitions.jobs.iter().filter(|job| caller.may_see(job));
        let depths = api.context.store.depths().await?;
        let pauses = api.context.store.pauses().await?;
        let jobs: Vec<_> = jobs
            .map(|job| {
                let mut body = view::job(&definitions, job, now);
                body["queue"] = view::depth(&api.context, job, depths.get(&job.id).copied().unwrap_or_default());
                body["paused"] = pauses.get(&job.id).map(view::pause).into();
                body
            })
            .collect();
        Ok(HttpResponse::Ok().json(json!({ "jobs": jobs })))
    };
    respond(listed.await)
}

/// `GET /api/v1/jobs/{job}`, by name or activity id.
pub async fn show(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let shown = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = visible_job(&definitions, &caller, &name)?;
        let mut body = view::job(&definitions, job, api.context.clock.now());
        let depths = api.context.store.depths().await?;
        body["queue"] = view::depth(&api.context, job, depths.get(&job.id).copied().unwrap_or_default());
        body["queue"]["oldest_enqueued_at"] = json!(api.context.store.oldest_offered(job.id).await?);
        body["paused"] = api
            .context
            .store
            .pause_of(job.id)
            .await?
            .as_ref()
            .map(view::pause)
            .into();
        let occurrences = api.context.store.occurrences(job.id, 10).await?;
        body["occurrences"] = occurrences.iter().map(view::occurrence).collect();
        let missed = api.context.store.missed_ranges(job.id, MISSED_SHOWN).await?;
        body["missed"] = missed.iter().map(view::missed_range).collect();
        Ok(HttpResponse::Ok().json(body))
    };
    respond(shown.await)
}

/// `DELETE /api/v1/jobs/{job}`: a data project that a package brought along. Jobs from files go with their files.
pub async fn delete(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let deleted = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.projects.refresh().await?;
        let job = usable_job(&definitions, &caller, &name)?;
        if job.origin == Origin::File {
            let detail = format!(
                "the job `{}` is from a file: remove that from the jobs folder, and reload",
                job.name
            );
            return Err(Problem::new(Kind::Conflict, detail));
        }
        if !caller.may_create_projects() {
            let detail = format!(
                "the client `{}` may create no data projects, and delete none",
                caller.name
            );
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        let store = api.audited(&caller, Action::ProjectDelete, job.id, json!({ "job": job.name }));
        match store.delete_project(job.id).await? {
            Deleted::Done => {}
            Deleted::Missing => {
                return Err(Problem::new(
                    Kind::NotFound,
                    format!("there is no job `{name}` any more"),
                ));
            }
            Deleted::Busy => {
                let detail = format!(
                    "messages or runs of `{}` wait or are worked on: let them end, or cancel them, and delete it then",
                    job.name
                );
                return Err(Problem::new(Kind::Conflict, detail));
            }
        }
        api.projects.refresh().await?;
        tracing::info!(job.name = %job.name, client = %caller.name, "data project deleted");
        Ok(HttpResponse::NoContent().finish())
    };
    respond(deleted.await)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunRequest {
    note: Option<String>,
    #[serde(default)]
    force: bool,
}

/// `POST /api/v1/jobs/{job}/run`: 202. An export's occurrence, which runs as soon as a worker has room; of an import with a
/// schedule, how many waiting messages are offered now.
pub async fn run(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let started = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = usable_job(&definitions, &caller, &name)?;
        let asked: RunRequest = read_json(body, BODY_BYTES_MAX).await?.unwrap_or_default();
        Ok(match run_now(&api, &caller, job, asked.note, asked.force).await? {
            Started::Run(occurrence) => HttpResponse::Accepted().json(view::occurrence(&occurrence)),
            Started::Offered(offered) => HttpResponse::Accepted().json(json!({ "job": job.name, "offered": offered })),
        })
    };
    respond(started.await)
}

/// What asking for a run did.
pub(crate) enum Started {
    /// An export's occurrence is due.
    Run(Box<Occurrence>),
    /// So many waiting messages of an import with a schedule are offered now.
    Offered(u64),
}

/// Runs a job now, for a caller who may use it.
///
/// # Errors
/// 400 where there is nothing to run or the note is no note, 409 while the job is paused.
pub(crate) async fn run_now(
    api: &Api,
    caller: &Caller,
    job: &Job,
    note: Option<String>,
    forced: bool,
) -> Result<Started, Problem> {
    let note = checked_note(note)?;
    match job.direction {
        Direction::Export => run_export(api, caller, job, note, forced).await,
        Direction::Import if job.schedule.is_some() => offer_now(api, caller, job).await,
        Direction::Import => Err(nothing_to_run(
            job,
            "an import job without a schedule: its messages are processed as they come",
        )),
        Direction::Relay => Err(nothing_to_run(
            job,
            "a relay job: it only keeps messages until they are collected",
        )),
    }
}

fn nothing_to_run(job: &Job, what: &str) -> Problem {
    let detail = format!("there is nothing to run: `{}` is {what}", job.name);
    Problem::bad("wrong_direction", detail)
}

async fn run_export(
    api: &Api,
    caller: &Caller,
    job: &Job,
    comment: Option<String>,
    forced: bool,
) -> Result<Started, Problem> {
    if !forced {
        refuse_paused(api, job, "force").await?;
    }
    let asked = Asked {
        by: caller.name.clone(),
        comment,
        forced,
    };
    let detail = json!({ "job": job.name, "note": asked.comment, "forced": forced.then_some(true) });
    let store = api.audited(caller, Action::JobRun, job.id, detail);
    let occurrence = store.run_now(job.id, &asked, api.context.clock.now()).await?;
    api.wake.notify_one();
    tracing::info!(job.name = %job.name, client = %caller.name, forced, "run asked for");
    Ok(Started::Run(Box::new(occurrence)))
}

/// A paused import takes up nothing, forced or not: its messages have no way around the pause.
async fn offer_now(api: &Api, caller: &Caller, job: &Job) -> Result<Started, Problem> {
    if let Some(pause) = api.context.store.pause_of(job.id).await? {
        let detail = format!(
            "`{}` is paused by {}: nothing of it is loaded until it is resumed",
            job.name, pause.by
        );
        return Err(Problem::new(Kind::Conflict, detail).with_state(view::pause(&pause)));
    }
    let (store, id, now) = (api.context.store.clone(), job.id, api.context.clock.now());
    let entry = api.entry(caller, Action::JobRun, id, json!({ "job": job.name }));
    let offer = async move { store.offer_now(id, now).await };
    let counted = |offered: &u64| json!({ "offered": offered });
    let offered = api.audited_steps(entry, offer, counted).await?;
    api.wake.notify_one();
    tracing::info!(job.name = %job.name, client = %caller.name, offered, "run asked for");
    Ok(Started::Offered(offered))
}

/// The query's `limit`, within bounds.
///
/// # Errors
/// 400 for what is no number from 1 to `most`.
pub(super) fn limit(request: &HttpRequest, default: u32, most: u32) -> Result<u32, Problem> {
    match Query::of(request).get("limit") {
        None => Ok(default),
        Some(text) => match text.parse::<u32>() {
            Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
            _ => Err(Problem::bad(
                "invalid_limit",
                format!("limit is a number from 1 to {most}"),
            )),
        },
    }
}
