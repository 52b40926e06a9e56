//! `/api/v1/jobs/{job}`: what its schedule will do, pausing and resuming it, making up for due times of the past.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono_tz::Tz;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::auth::{Caller, caller, usable_job, visible_job};
use super::body::{read_json, within};
use super::jobs::limit;
use super::problem::{Kind, Problem, Surface};
use super::query::Query;
use super::view;
use crate::domain::audit::Action;
use crate::domain::job::{Direction, Job};
use crate::domain::schedule::moment::Moment;
use crate::domain::schedule::{Missed, Schedule};
use crate::domain::time::Timestamp;
use crate::pipeline::backfill::{self, Backfill, Range};
use crate::storage::asked_runs::Asked;
use crate::storage::pauses::Pause;

/// Longest body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest note, in characters.
const NOTE_CHARS_MAX: usize = 1000;
/// Most due times one preview lists, and one backfill makes.
const LISTED_MAX: u32 = 1000;

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

/// `GET /api/v1/jobs/{job}/next?from=&limit=`: due times to come, each with whether it runs and what is special about it.
pub async fn next(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = visible_job(&definitions, &caller, &name)?;
        let limit = limit(&request, 5, LISTED_MAX)?;
        let now = api.context.clock.now();
        let pause = api.context.store.pause_of(job.id).await?;
        let upcoming: Vec<Value> = match &job.schedule {
            None => Vec::new(),
            Some(schedule) => {
                let from = Query::of(&request).get("from");
                let from = from.map(|text| moment(&text, schedule.time_zone, Moment::first));
                // What is due at this very moment is yet to come.
                let after = from.transpose()?.map_or(now, |from| Timestamp(from.0 - 1));
                let upcoming = schedule.preview(job.id, after, limit as usize);
                let shown = upcoming.iter().map(|one| view::upcoming(one, schedule.time_zone));
                shown.collect()
            }
        };
        Ok(HttpResponse::Ok().json(json!({
            "job": job.name,
            "direction": job.direction.as_str(),
            "time_zone": job.schedule.as_ref().map(|schedule| schedule.time_zone.name()),
            "paused": pause.as_ref().map(view::pause),
            "next": upcoming,
        })))
    };
    respond(listed.await)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseRequest {
    note: Option<String>,
}

/// `POST /api/v1/jobs/{job}/pause`: nothing of the job begins until it is resumed.
pub async fn pause(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let done = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = usable_job(&definitions, &caller, &name)?;
        let asked: PauseRequest = read_json(body, BODY_BYTES_MAX).await?.unwrap_or_default();
        let pause = pause_job(&api, &caller, job, asked.note).await?;
        Ok(HttpResponse::Ok().json(json!({ "job": job.name, "paused": view::pause(&pause) })))
    };
    respond(done.await)
}

/// Pauses a job, for a caller who may use it.
///
/// # Errors
/// 400 for a relay job and for what is no note, 409 for a job that is paused.
pub(crate) async fn pause_job(api: &Api, caller: &Caller, job: &Job, note: Option<String>) -> Result<Pause, Problem> {
    if job.direction == Direction::Relay {
        let detail = format!(
            "there is nothing to pause: `{}` is a relay job, which runs nothing",
            job.name
        );
        return Err(Problem::bad("wrong_direction", detail));
    }
    let note = checked_note(note)?;
    let (store, now) = (&api.context.store, api.context.clock.now());
    let audited = api.audited(
        caller,
        Action::JobPause,
        job.id,
        json!({ "job": job.name, "note": note }),
    );
    let paused = audited.pause(job.id, &caller.name, note.as_deref(), now).await?;
    let Some(pause) = store.pause_of(job.id).await? else {
        let detail = format!("`{}` was paused, and resumed at this very moment", job.name);
        return Err(Problem::new(Kind::Conflict, detail));
    };
    if !paused {
        return Err(is_paused(job, &pause, "it stays so"));
    }
    tracing::info!(job.name = %job.name, client = %caller.name, note = pause.note, "job paused");
    Ok(pause)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResumeRequest {
    missed: Option<String>,
}

/// `POST /api/v1/jobs/{job}/resume`: what was due meanwhile was missed, and is treated as the schedule or `missed` says.
pub async fn resume(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let done = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = usable_job(&definitions, &caller, &name)?;
        let asked: ResumeRequest = read_json(body, BODY_BYTES_MAX).await?.unwrap_or_default();
        resume_job(&api, &caller, job, asked.missed).await?;
        Ok(HttpResponse::Ok().json(json!({ "job": job.name, "paused": null })))
    };
    respond(done.await)
}

/// Resumes a job, for a caller who may use it.
///
/// # Errors
/// 400 for a policy that is none, 409 for a job that is not paused.
pub(crate) async fn resume_job(api: &Api, caller: &Caller, job: &Job, missed: Option<String>) -> Result<(), Problem> {
    let read = |word: String| {
        let detail = || format!("missed is `{word}`; write skip, once or all");
        Missed::parse(&word).ok_or_else(|| Problem::bad("invalid_missed", detail()))
    };
    let missed = missed.map(read).transpose()?;
    let now = api.context.clock.now();
    let detail = json!({ "job": job.name, "missed": missed.map(Missed::as_str) });
    let store = api.audited(caller, Action::JobResume, job.id, detail);
    if !store.resume(job.id, &caller.name, missed, now).await? {
        return Err(Problem::new(Kind::Conflict, format!("`{}` is not paused", job.name)));
    }
    api.wake.notify_one();
    tracing::info!(job.name = %job.name, client = %caller.name, "job resumed");
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BackfillRequest {
    from: String,
    to: String,
    limit: Option<u32>,
    note: Option<String>,
    #[serde(default)]
    skipped: bool,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    dry_run: bool,
}

/// `POST /api/v1/jobs/{job}/backfill`: 202, occurrences for due times from `from` to `to` that have none, oldest first.
pub async fn backfill(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let done = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = usable_job(&definitions, &caller, &name)?;
        let schedule = backfilled(job)?;
        let asked: BackfillRequest = read_json(body, BODY_BYTES_MAX)
            .await?
            .ok_or_else(|| Problem::bad("body_empty", "send {\"from\":…,\"to\":…,\"dry_run\":true}"))?;
        let range = range(job, schedule, &asked, api.context.clock.now())?;
        if asked.dry_run {
            let plan = backfill::plan(&api.context, &range).await?;
            return Ok(HttpResponse::Ok().json(shown(&range, &plan, true)));
        }
        if !asked.force {
            refuse_paused(&api, job, "force").await?;
        }
        let by = Asked {
            by: caller.name.clone(),
            comment: checked_note(asked.note)?,
            forced: asked.force,
        };
        let detail = json!({
            "job": job.name,
            "from": range.from,
            "to": range.to,
            "note": by.comment,
            "forced": by.forced.then_some(true),
        });
        let context = api.audited_context(&caller, Action::JobBackfill, job.id, detail);
        let made = backfill::backfill(&context, &range, &by).await?;
        api.wake.notify_one();
        tracing::info!(job.name = %job.name, client = %caller.name, occurrences = made.due.len(), "backfill asked for");
        Ok(HttpResponse::Accepted().json(shown(&range, &made, false)))
    };
    respond(done.await)
}

/// The schedule of a job whose due times may be made up for.
fn backfilled(job: &Job) -> Result<&Schedule, Problem> {
    if job.direction != Direction::Export {
        let detail = format!(
            "`{}` is no export: only exports have occurrences to make up for",
            job.name
        );
        return Err(Problem::bad("wrong_direction", detail));
    }
    job.schedule.as_ref().ok_or_else(|| {
        let detail = format!(
            "`{}` has no schedule, so there are no due times to make up for",
            job.name
        );
        Problem::bad("no_schedule", detail)
    })
}

fn range<'a>(job: &Job, schedule: &'a Schedule, asked: &BackfillRequest, now: Timestamp) -> Result<Range<'a>, Problem> {
    let from = moment(&asked.from, schedule.time_zone, Moment::first)?;
    let to = moment(&asked.to, schedule.time_zone, Moment::last)?;
    if to < from {
        return Err(Problem::bad("invalid_range", "`to` lies before `from`"));
    }
    if now < from {
        let detail = "`from` lies in the future: due times to come run by themselves";
        return Err(Problem::bad("invalid_range", detail));
    }
    Ok(Range {
        job: job.id,
        schedule,
        from,
        // What is due later runs by itself.
        to: to.min(now),
        skipped: asked.skipped,
        limit: within("limit", asked.limit, 100, 1, LISTED_MAX)? as usize,
    })
}

fn shown(range: &Range<'_>, backfill: &Backfill, dry_run: bool) -> Value {
    json!({
        "dry_run": dry_run,
        "from": range.from,
        "to": range.to,
        "occurrences": backfill.due.len(),
        "due": backfill.due,
        "recorded_before": backfill.recorded,
        "skipped_before": backfill.skipped,
        "excluded": backfill.excluded,
        "next_from": backfill.next_from,
    })
}

/// A date, a time in the zone, or an instant.
fn moment(text: &str, zone: Tz, of: impl Fn(Moment, Tz) -> Timestamp) -> Result<Timestamp, Problem> {
    Moment::parse(text).map(|moment| of(moment, zone)).ok_or_else(|| {
        let detail = format!(
            "`{text}` is not a time; write 2026-01-31, 2026-01-31T18:00 (in the job's time zone) or 2026-01-31T18:00:00Z"
        );
        Problem::bad("invalid_time", detail)
    })
}

/// A note somebody leaves: one line, not too long; an empty one is none.
///
/// # Errors
/// 400 for one that is.
pub(super) fn checked_note(note: Option<String>) -> Result<Option<String>, Problem> {
    let note = note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
    match note {
        Some(note) if note.chars().count() > NOTE_CHARS_MAX || note.chars().any(char::is_control) => {
            let detail = format!("note is one line of at most {NOTE_CHARS_MAX} characters");
            Err(Problem::bad("invalid_note", detail))
        }
        note => Ok(note),
    }
}

/// Refuses to run a paused job.
///
/// # Errors
/// 409 saying who paused it, and what to do about it.
pub(super) async fn refuse_paused(api: &Api, job: &Job, instead: &str) -> Result<(), Problem> {
    match api.context.store.pause_of(job.id).await? {
        None => Ok(()),
        Some(pause) => Err(is_paused(job, &pause, &format!("resume it first, or say `{instead}`"))),
    }
}

fn is_paused(job: &Job, pause: &Pause, what: &str) -> Problem {
    let said = pause
        .note
        .as_ref()
        .map_or_else(String::new, |note| format!(" ({note})"));
    let detail = format!(
        "`{}` is paused since {} by {}{said}; {what}",
        job.name, pause.at, pause.by
    );
    Problem::new(Kind::Conflict, detail).with_state(view::pause(pause))
}
