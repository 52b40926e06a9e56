//! `/api/v1`: stop a message, try it again, redrive what ended without success, unblock a group.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::auth::{Caller, caller, listed_jobs, usable_job, visible_job};
use super::body::{read_json, within};
use super::jobs::limit;
use super::problem::{Kind, Problem, Surface};
use super::query::Query;
use super::view;
use crate::definitions::Definitions;
use crate::domain::audit::Action;
use crate::domain::ids::MessageId;
use crate::domain::job::Job;
use crate::domain::message::Message;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::pipeline::redrive::{self, Redrive, Redriven, RetryError};
use crate::storage::cancel::Cancelled;
use crate::storage::redrive::{EndedFilter, REDRIVABLE};

/// Longest body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Most messages or groups one answer lists.
const LISTED_MAX: u32 = 200;
/// Most messages one redrive puts back.
const REDRIVE_MAX: u32 = 1_000_000;

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

/// The message of this id and its job, if the caller may use it.
pub(crate) async fn usable<'d>(
    api: &Api,
    definitions: &'d Definitions,
    caller: &Caller,
    id: &str,
) -> Result<(Message, &'d Job), Problem> {
    let unknown = || Problem::new(Kind::NotFound, format!("there is no message {id}"));
    let parsed: MessageId = id.parse().map_err(|_| unknown())?;
    let message = api.context.store.message(parsed).await?.ok_or_else(unknown)?;
    let job = definitions
        .job(message.job)
        .filter(|job| caller.may_see(job))
        .ok_or_else(unknown)?;
    usable_job(definitions, caller, &job.id.to_string())?;
    Ok((message, job))
}

/// `POST /api/v1/messages/{id}/cancel`: 200 when it ended, 202 when its worker was asked to end it.
pub async fn cancel(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let done = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let (message, _) = usable(&api, &definitions, &caller, &id).await?;
        Ok(match cancel_message(&api, &caller, &message).await? {
            Stopped::Now => HttpResponse::Ok().json(json!({ "id": message.id, "status": Status::Cancelled })),
            Stopped::Asked => HttpResponse::Accepted().json(json!({
                "id": message.id,
                "status": message.status,
                "detail": "a worker has it; it ends at its next heartbeat",
            })),
        })
    };
    respond(done.await)
}

/// What asking for a message to be cancelled did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It ended.
    Now,
    /// Its worker was asked to end it.
    Asked,
}

/// Cancels a message that the caller may use.
///
/// # Errors
/// 409 for one that has ended.
pub(crate) async fn cancel_message(api: &Api, caller: &Caller, message: &Message) -> Result<Stopped, Problem> {
    let now = api.context.clock.now();
    let detail = json!({ "job": job_name(&api.definitions(), message) });
    let store = api.audited(caller, Action::MessageCancel, message.id, detail);
    match store.cancel(message.id, &caller.name, now).await? {
        Cancelled::Now => Ok(Stopped::Now),
        Cancelled::Asked => Ok(Stopped::Asked),
        Cancelled::Ended(standing) => {
            let detail = format!("message {} has ended already: {}", standing.id, standing.status);
            Err(Problem::new(Kind::Conflict, detail))
        }
        Cancelled::Unknown => Err(Problem::new(
            Kind::NotFound,
            format!("there is no message {}", message.id),
        )),
    }
}

/// `POST /api/v1/messages/{id}/retry`: a message that ended without success goes back into its queue.
pub async fn retry(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let done = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let (message, _) = usable(&api, &definitions, &caller, &id).await?;
        retry_message(&api, &definitions, &caller, &message).await?;
        Ok(HttpResponse::Ok().json(json!({ "id": message.id, "status": Status::Enqueued })))
    };
    respond(done.await)
}

/// Puts a message that the caller may use, and that ended without success, back into its queue.
///
/// # Errors
/// 409 for one that cannot be tried again, 410 where its payload is gone.
pub(crate) async fn retry_message(
    api: &Api,
    definitions: &Definitions,
    caller: &Caller,
    message: &Message,
) -> Result<(), Problem> {
    let detail = json!({ "job": job_name(definitions, message), "status": message.status });
    let context = api.audited_context(caller, Action::MessageRetry, message.id, detail);
    redrive::retry(&context, definitions, message, &caller.name).await?;
    api.wake.notify_one();
    Ok(())
}

/// The name of a message's job, for the audit log.
pub(crate) fn job_name<'d>(definitions: &'d Definitions, message: &Message) -> Option<&'d str> {
    definitions.job(message.job).map(|job| job.name.as_str())
}

impl From<RetryError> for Problem {
    fn from(error: RetryError) -> Self {
        match error {
            RetryError::Store(error) => error.into(),
            RetryError::Gone(_) => Self::new(Kind::Gone, error.to_string()),
            RetryError::Status { .. } | RetryError::Begun(_) | RetryError::JobUnknown(_) => {
                Self::new(Kind::Conflict, error.to_string())
            }
        }
    }
}

/// Which messages to redrive, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RedriveRequest {
    job: String,
    status: Option<String>,
    code: Option<String>,
    ended_from: Option<String>,
    ended_before: Option<String>,
    limit: Option<u32>,
    per_second: Option<u32>,
    #[serde(default)]
    dry_run: bool,
}

/// `POST /api/v1/dead-letters/redrive`: what matches goes back to the queue it came from, at a rate; or is only counted.
pub async fn redrive(api: web::Data<Api>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    let done = async {
        let caller = caller(&api, &request).await?;
        let asked: RedriveRequest = read_json(body, BODY_BYTES_MAX)
            .await?
            .ok_or_else(|| Problem::bad("body_empty", "send {\"job\":…,\"dry_run\":true}"))?;
        let definitions = api.definitions();
        let job = usable_job(&definitions, &caller, &asked.job)?;
        let most = u64::from(within("limit", asked.limit, REDRIVE_MAX, 1, REDRIVE_MAX)?);
        let filter = EndedFilter {
            jobs: vec![job.id],
            status: Some(troubled_status(asked.status.as_deref())?),
            code: asked.code.clone(),
            ended_from: asked.ended_from.as_deref().map(time).transpose()?,
            ended_before: asked.ended_before.as_deref().map(time).transpose()?,
            after: None,
        };
        if asked.dry_run {
            let matched = redrive::count(&api.context, &filter, most).await?;
            return Ok(HttpResponse::Ok().json(json!({ "dry_run": true, "matched": matched })));
        }
        let redrive = Redrive {
            filter,
            limit: most,
            per_second: asked
                .per_second
                .map(|rate| within("per_second", Some(rate), 1, 1, 100_000))
                .transpose()?,
            by: caller.name.clone(),
        };
        let entry = api.entry(&caller, Action::DeadLettersRedrive, job.id, told(job, &redrive));
        // On a task of its own: a caller that goes away does not stop it half-way through a portion.
        let (context, definitions) = (api.context.clone(), Arc::clone(&definitions));
        let work = async move { redrive::redrive(&context, &definitions, &redrive).await };
        let counted = |done: &Redriven| json!({ "redriven": done.redriven, "passed_over": done.passed_over });
        let done = api.audited_steps(entry, work, counted).await?;
        api.wake.notify_one();
        Ok(HttpResponse::Ok().json(json!({
            "dry_run": false,
            "matched": done.matched,
            "redriven": done.redriven,
            "passed_over": done.passed_over,
        })))
    };
    respond(done.await)
}

/// What the audit log tells of a redrive.
fn told(job: &Job, redrive: &Redrive) -> Value {
    let filter = &redrive.filter;
    json!({
        "job": job.name,
        "status": filter.status,
        "code": filter.code,
        "ended_from": filter.ended_from,
        "ended_before": filter.ended_before,
        "limit": redrive.limit,
        "per_second": redrive.per_second,
    })
}

fn troubled_status(text: Option<&str>) -> Result<Status, Problem> {
    let Some(text) = text else {
        return Ok(Status::DeadLettered);
    };
    let found = REDRIVABLE
        .into_iter()
        .find(|status| status.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let all = REDRIVABLE.map(Status::as_str).join(", ");
        Problem::bad(
            "invalid_status",
            format!("`{text}` cannot be tried again; write one of {all}"),
        )
    })
}

/// A time as RFC 3339 writes it.
///
/// # Errors
/// 400 naming what was sent.
pub(super) fn time(text: &str) -> Result<Timestamp, Problem> {
    let parsed = chrono::DateTime::parse_from_rfc3339(text);
    parsed.map(|at| Timestamp(at.timestamp_micros())).map_err(|_| {
        let detail = format!("`{text}` is not a time; write it as 2026-01-31T18:00:00Z");
        Problem::bad("invalid_time", detail)
    })
}

/// `GET /api/v1/dead-letters?job=&status=&code=&after=&limit=`: oldest first; `next` is the `after` of the next page.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let query = Query::of(&request);
        let Some(jobs) = listed_jobs(&definitions, &caller, query.get("job").as_deref())? else {
            return Ok(HttpResponse::Ok().json(json!({ "messages": [], "next": null })));
        };
        let after = query.get("after").map(|text| text.parse::<MessageId>()).transpose();
        let after = after.map_err(|error| Problem::bad("invalid_after", error.to_string()))?;
        let limit = limit(&request, 50, LISTED_MAX)?;
        let filter = EndedFilter {
            jobs,
            status: Some(troubled_status(query.get("status").as_deref())?),
            code: query.get("code"),
            after,
            ..EndedFilter::default()
        };
        let ids = api.context.store.troubled(&filter, limit).await?;
        let next = ids.last().filter(|_| ids.len() == limit as usize);
        // Asked for at once, they are read by one statement.
        let found = try_join_all(ids.iter().map(|id| api.context.store.message(*id))).await?;
        let messages: Vec<Value> = found.iter().flatten().map(|m| view::summary(&definitions, m)).collect();
        Ok(HttpResponse::Ok().json(json!({ "messages": messages, "next": next })))
    };
    respond(listed.await)
}

/// `GET /api/v1/jobs/{job}/groups?limit=`: groups that are blocked, or whose head is out or waits.
pub async fn groups(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = visible_job(&definitions, &caller, &name)?;
        let groups = api
            .context
            .store
            .groups(job.id, limit(&request, 50, LISTED_MAX)?)
            .await?;
        let groups: Vec<Value> = groups
            .iter()
            .map(|group| {
                json!({
                    "key": group.key,
                    "blocked": group.blocked_by.is_some(),
                    "blocked_by": group.blocked_by,
                    "head": group.head,
                    "status": group.status,
                    "not_before": group.not_before,
                    "behind": group.behind,
                })
            })
            .collect();
        Ok(HttpResponse::Ok().json(json!({ "groups": groups })))
    };
    respond(listed.await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupRequest {
    key: String,
}

/// `POST /api/v1/jobs/{job}/groups/unblock`: the group goes on without its dead letter.
pub async fn unblock(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let done = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = usable_job(&definitions, &caller, &name)?;
        let GroupRequest { key } = read_json(body, BODY_BYTES_MAX)
            .await?
            .ok_or_else(|| Problem::bad("body_empty", "send {\"key\":…}"))?;
        let store = api.audited(
            &caller,
            Action::GroupUnblock,
            job.id,
            json!({ "job": job.name, "key": key }),
        );
        if !store.unblock(job.id, &key, api.context.clock.now()).await? {
            let detail = format!("no group `{key}` of `{}` is blocked", job.name);
            return Err(Problem::new(Kind::Conflict, detail));
        }
        api.wake.notify_one();
        tracing::info!(job.name = %job.name, key, client = %caller.name, "group unblocked");
        Ok(HttpResponse::Ok().json(json!({ "key": key, "blocked": false })))
    };
    respond(done.await)
}
