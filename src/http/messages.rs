//! `/api/v1/messages`: enqueue, list, page through errors, resubmit. Where one stands is in `status`, its rejects
//! in `rejects`.

use std::collections::BTreeMap;

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::try_join_all;
use serde_json::json;

use super::Api;
use super::auth::{Caller, caller, listed_jobs, usable_job};
use super::bulk::Filter;
use super::envelope::{self, REPLAY, Terms};
use super::jobs::limit;
use super::problem::{Kind, Problem, Surface};
use super::query::Query;
use super::{sandbox, view};
use crate::definitions::Definitions;
use crate::domain::audit::Action;
use crate::domain::ids::MessageId;
use crate::domain::job::Job;
use crate::domain::message::Message;
use crate::pipeline::Context;
use crate::pipeline::enqueue::{self, Envelope, Taken};
use crate::pipeline::find::{self, Found, Wanted};

/// Most messages one answer lists.
const MESSAGES_MAX: u32 = 200;
/// Most record errors one answer lists.
const ERRORS_MAX: u32 = 1000;

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

/// `POST /api/v1/jobs/{job}/messages?entity=&company=&external_id=&priority=&not_before=&delay_seconds=&expires_at=
/// &expires_in_seconds=`: 201 with `Location` and the message.
pub async fn enqueue(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let taken = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = usable_job(&definitions, &caller, &name)?;
        let query = Query::of(&request);
        let mut envelope = Envelope {
            entity: query.get("entity"),
            company: query.get("company"),
            external_id: query.get("external_id"),
            ..envelope::from_headers(&api, &request, job, &caller)?
        };
        Terms::of(&query)?.write(&mut envelope)?;
        take_in(&api, &api.context, &definitions, job, envelope, body).await
    };
    respond(taken.await)
}

async fn take_in(
    api: &Api,
    context: &Context,
    definitions: &Definitions,
    job: &Job,
    envelope: Envelope,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    Ok(created(
        definitions,
        &accept(api, context, definitions, job, envelope, body).await?,
    ))
}

/// 201 with `Location` and the message.
fn created(definitions: &Definitions, Taken { message, replayed }: &Taken) -> HttpResponse {
    let location = format!("/api/v1/messages/{}", message.id);
    let mut answer = HttpResponse::Created();
    if *replayed {
        answer.insert_header(REPLAY);
    }
    answer
        .insert_header((LOCATION, location))
        .json(view::enqueued(definitions, message))
}

async fn accept<S, E>(
    api: &Api,
    context: &Context,
    definitions: &Definitions,
    job: &Job,
    mut envelope: Envelope,
    body: S,
) -> Result<Taken, Problem>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    enqueue::check(job, definitions, &mut envelope)?;
    let _turn = api.admission.at_once(&envelope.sender)?;
    let _room = context.room(job, 1).await?;
    let taken = Box::pin(enqueue::enqueue(context, job, envelope, body)).await?;
    api.wake.notify_one();
    Ok(taken)
}

/// The message of this id, if the caller may see it.
pub(crate) async fn visible(api: &Api, caller: &Caller, id: &str) -> Result<Message, Problem> {
    let unknown = || Problem::new(Kind::NotFound, format!("there is no message {id}"));
    let parsed: MessageId = id.parse().map_err(|_| unknown())?;
    let message = api.context.store.message(parsed).await?.ok_or_else(unknown)?;
    let definitions = api.definitions();
    let seen = definitions
        .job(message.job)
        .map_or(caller.sees_all(), |job| caller.may_see(job));
    if !seen {
        return Err(unknown());
    }
    Ok(sandbox::as_shown(api, message).await?)
}

/// `GET /api/v1/messages?job=&status=&code=&file=&external_id=&enqueued_from=&enqueued_before=&…&before=&limit=`: newest first;
/// `next` is the `before` of the next page, which may have more although this one is not full.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let query = Query::of(&request);
        let filter = Filter::of(&query);
        let Some(jobs) = listed_jobs(&definitions, &caller, filter.job.as_deref())? else {
            return Ok(HttpResponse::Ok().json(json!({ "messages": [], "next": null })));
        };
        let before = query.get("before").map(|text| text.parse::<MessageId>()).transpose();
        let before = before.map_err(|e| Problem::bad("invalid_before", e.to_string()))?;
        let limit = limit(&request, 50, MESSAGES_MAX)? as usize;
        let found = latest(&api, &definitions, filter.wanted(&definitions, jobs)?, before, limit).await?;
        let rows: Vec<_> = found.messages.iter().map(|m| view::summary(&definitions, m)).collect();
        let mut page = json!({ "messages": rows, "next": found.next });
        if filter.key.is_some() {
            page["unclear"] = found.unclear.into();
        }
        Ok(HttpResponse::Ok().json(page))
    };
    respond(listed.await)
}

/// A page of the latest messages that are wanted, as they are shown.
///
/// # Errors
/// 503 when the store is out of reach.
pub(crate) async fn latest(
    api: &Api,
    definitions: &Definitions,
    mut wanted: Wanted,
    before: Option<MessageId>,
    page: usize,
) -> Result<Found, Problem> {
    if wanted.status.is_troubled() && wanted.jobs.is_empty() {
        wanted.jobs = definitions.jobs.iter().map(|job| job.id).collect();
    }
    let mut found = find::latest(&api.context, &wanted, before, page).await?;
    let shown = found
        .messages
        .into_iter()
        .map(|message| sandbox::as_shown(api, message));
    found.messages = try_join_all(shown).await?;
    Ok(found)
}

/// `GET /api/v1/messages/{id}/history`: every status it had, oldest first.
pub async fn history(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let shown = async {
        let caller = caller(&api, &request).await?;
        let message = visible(&api, &caller, &id).await?;
        let mut events = api.context.store.message_events(message.id).await?;
        if let Some(as_of) = sandbox::as_of(&api, &message) {
            events.retain(|event| event.at <= as_of || event.at == message.enqueued_at);
        }
        Ok(HttpResponse::Ok().json(json!({ "events": events })))
    };
    respond(shown.await)
}

/// `GET /api/v1/messages/{id}/errors?after=&limit=`: every record error in order; `next` is the `after` of the next page.
pub async fn errors(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let message = visible(&api, &caller, &id).await?;
        let after = Query::of(&request).get("after").map(|text| cursor(&text)).transpose()?;
        let limit = limit(&request, 100, ERRORS_MAX)?;
        // Without an execution, seen late perhaps, there is none yet.
        let errors = match &message.execution {
            Some(_) => api.context.store.record_errors(message.id, after, limit).await?,
            None => Vec::new(),
        };
        let next = errors.last().filter(|_| errors.len() == limit as usize);
        let next = next.map(|e| format!("{}.{}.{}", e.reject.entity_no, e.reject.record, e.ordinal));
        let repairs = match message.repaired {
            0 => BTreeMap::new(),
            _ => api.context.store.repairs_of(message.id, &errors).await?,
        };
        let errors: Vec<_> = errors
            .iter()
            .map(|error| view::listed_error(error, repairs.get(&error.reject).copied()))
            .collect();
        Ok(HttpResponse::Ok().json(json!({ "errors": errors, "next": next })))
    };
    respond(listed.await)
}

/// Entity, record and ordinal of the last error of a page.
fn cursor(text: &str) -> Result<(i32, u64, i32), Problem> {
    let parse = || {
        let mut parts = text.split('.');
        let cursor = (
            parts.next()?.parse().ok()?,
            parts.next()?.parse().ok()?,
            parts.next()?.parse().ok()?,
        );
        parts.next().is_none().then_some(cursor)
    };
    parse().ok_or_else(|| Problem::bad("invalid_after", "after is the `next` of the page before"))
}

/// `GET /api/v1/messages/{id}/payload`.
pub async fn payload(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let sent = async {
        let caller = caller(&api, &request).await?;
        let message = visible(&api, &caller, &id).await?;
        super::payload::send(&api, message, super::payload::Fetch::Look).await
    };
    respond(sent.await)
}

/// `POST /api/v1/messages/{id}/resubmit?force=`: corrected records as a child message (promise 5); the original stays as it is.
/// Forced, they count even where something newer wrote their keys.
pub async fn resubmit(
    api: web::Data<Api>,
    request: HttpRequest,
    id: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let taken = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let (parent, job) = correctable(&api, &definitions, &caller, &id).await?;
        let envelope = Envelope {
            forced: Query::of(&request).truth("force")?.unwrap_or(false),
            ..envelope::from_headers(&api, &request, job, &caller)?
        };
        let taken = resubmit_corrected(&api, &caller, (&parent, job), envelope, body).await?;
        Ok(created(&definitions, &taken))
    };
    respond(taken.await)
}

/// The message of this id, whose rejects the caller may correct, and its job.
///
/// # Errors
/// 404 where it is not there to see, 403 where its job may not be used, 409 where there is nothing to correct, or not yet.
pub(crate) async fn correctable<'d>(
    api: &Api,
    definitions: &'d Definitions,
    caller: &Caller,
    id: &str,
) -> Result<(Message, &'d Job), Problem> {
    let parent = visible(api, caller, id).await?;
    let job = usable_job(definitions, caller, &parent.job.to_string())?;
    if parent.counts.rejected == 0 {
        let detail = format!("message {} has no rejected records to correct", parent.id);
        return Err(Problem::new(Kind::Conflict, detail));
    }
    if job.import.is_none() || !parent.status.is_final() {
        let detail = format!(
            "only an import that has ended can be corrected; message {} is {}",
            parent.id, parent.status
        );
        return Err(Problem::new(Kind::Conflict, detail));
    }
    Ok((parent, job))
}

/// Takes corrected records in as a child of their message, which [`correctable`] found for the caller.
///
/// # Errors
/// As any enqueue.
pub(crate) async fn resubmit_corrected<S, E>(
    api: &Api,
    caller: &Caller,
    (parent, job): (&Message, &Job),
    envelope: Envelope,
    body: S,
) -> Result<Taken, Problem>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    let detail = json!({ "job": job.name, "forced": envelope.forced.then_some(true) });
    let context = api.audited_context(caller, Action::MessageResubmit, parent.id, detail);
    let envelope = Envelope {
        entity: parent.entity.clone(),
        company: parent.company.clone(),
        external_id: parent.external_id.clone(),
        sender: caller.name.clone(),
        parent: Some(parent.id),
        ..envelope
    };
    accept(api, &context, &api.definitions(), job, envelope, body).await
}
