//! `/api/v1`: stop a message, try it again, list what ended without success, unblock a group. Many messages at once are in `bulk`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::auth::{Caller, caller, usable_job, visible_job};
use super::body::read_json;
use super::bulk::Filter;
use super::jobs::limit;
use super::problem::{Kind, Problem, Surface};
use super::query::Query;
use super::view;
use crate::definitions::Definitions;
use crate::domain::audit::Action as Audited;
use crate::domain::ids::{JobId, MessageId};
use crate::domain::job::Job;
use crate::domain::message::Message;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::pipeline::bulk::Action;
use crate::pipeline::find;
use crate::pipeline::redrive::{self, RetryError};
use crate::storage::cancel::Cancelled;
use crate::storage::failure_groups::FailureGroup;
use crate::storage::redrive::REDRIVABLE;

/// Longest body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Most messages or groups one answer lists.
const LISTED_MAX: u32 = 200;
/// Messages of each job and status that are looked at to group them.
const FAILURES_LOOKED_AT: u32 = 250;

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
    let store = api.audited(caller, Audited::MessageCancel, message.id, detail);
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
    let context = api.audited_context(caller, Audited::MessageRetry, message.id, detail);
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
            RetryError::Erased { .. } => Self::new(Kind::Erased, error.to_string()),
            RetryError::Status { .. } | RetryError::Begun(_) | RetryError::JobUnknown(_) => {
                Self::new(Kind::Conflict, error.to_string())
            }
        }
    }
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

/// `GET /api/v1/dead-letters?job=&status=&code=&…&after=&limit=`: what ended without success, dead letters unless another status is
/// asked for, oldest first; `next` is the `after` of the next page.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let query = Query::of(&request);
        let mut filter = Filter::of(&query);
        filter
            .status
            .get_or_insert_with(|| Status::DeadLettered.as_str().to_owned());
        let wanted = filter.wanted(&definitions, seen_jobs(&definitions, &caller, filter.job.as_deref())?)?;
        if !Action::Retry.can_be_for(wanted.status) {
            let all = REDRIVABLE.map(Status::as_str).join(", ");
            let detail = format!("what is in this status cannot be tried again; write one of {all}");
            return Err(Problem::bad("invalid_status", detail));
        }
        let after = query.get("after").map(|text| text.parse::<MessageId>()).transpose();
        let after = after.map_err(|error| Problem::bad("invalid_after", error.to_string()))?;
        let limit = limit(&request, 50, LISTED_MAX)? as usize;
        let found = find::oldest_troubled(&api.context, &wanted, after, limit).await?;
        let messages: Vec<Value> = found.messages.iter().map(|m| view::summary(&definitions, m)).collect();
        Ok(HttpResponse::Ok().json(json!({ "messages": messages, "next": found.next })))
    };
    respond(listed.await)
}

/// The jobs of a list that goes job by job: the one named, or all there are that the caller may see.
fn seen_jobs(definitions: &Definitions, caller: &Caller, name: Option<&str>) -> Result<Vec<JobId>, Problem> {
    if let Some(name) = name {
        return Ok(vec![visible_job(definitions, caller, name)?.id]);
    }
    let seen = definitions.jobs.iter().filter(|job| caller.may_see(job));
    Ok(seen.map(|job| job.id).collect())
}

/// `GET /api/v1/dead-letters/groups?job=`: what ended without success, by job, status and code.
pub async fn failures(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let groups = failure_groups(&api, &definitions, &caller, Query::of(&request).get("job").as_deref()).await?;
        let name = |id| {
            definitions
                .job(id)
                .map_or_else(|| id.to_string(), |job| job.name.clone())
        };
        let groups: Vec<Value> = groups
            .iter()
            .map(|group| {
                json!({
                    "job": name(group.job),
                    "job_id": group.job,
                    "status": group.status,
                    "code": group.code,
                    "count": group.count,
                    "at_least": group.at_least,
                })
            })
            .collect();
        Ok(HttpResponse::Ok().json(json!({ "groups": groups })))
    };
    respond(listed.await)
}

/// What of the jobs that the caller may see ended without success, and can be tried again as far as its status says; of one job
/// or all.
///
/// # Errors
/// 404 for a job that is not there to see.
pub(crate) async fn failure_groups(
    api: &Api,
    definitions: &Definitions,
    caller: &Caller,
    job: Option<&str>,
) -> Result<Vec<FailureGroup>, Problem> {
    let jobs = seen_jobs(definitions, caller, job)?;
    Ok(api.context.store.failures(&jobs, FAILURES_LOOKED_AT).await?)
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
            Audited::GroupUnblock,
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
