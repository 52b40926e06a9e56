//! Recurring integrations (`/api/connector`), contract section 3.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::auth::{Caller, caller, connector_job, link_base};
use super::envelope::{self, REPLAY};
use super::json_body::{json_object, member};
use super::leases::tell;
use super::payload::{Fetch, send};
use super::problem::{Kind, Problem, Surface};
use super::query::Query;
use super::sandbox;
use super::{Api, at};
use crate::domain::ids::{CorrelationId, MessageId, parse_guid};
use crate::domain::job::{DataSource, Direction, Job};
use crate::domain::message::{Message, PayloadAt};
use crate::domain::time::Timestamp;
use crate::domain::wire::{self, Standing};
use crate::failpoint;
use crate::pipeline::enqueue::{self, Envelope};
use crate::pipeline::telling::Done;
use crate::storage::executions::Execution;
use crate::storage::steps::{AckBy, Acked};

/// The routes of recurring integrations, contract section 3.
pub(super) fn routes(service: &mut web::ServiceConfig) {
    service
        .service(at("/api/connector/enqueue/{activity}", web::post().to(enqueue)))
        .service(at("/api/connector/dequeue/{activity}", web::get().to(dequeue)))
        .service(at("/api/connector/download/{activity}", web::get().to(download)))
        .service(at("/api/connector/ack/{activity}", web::post().to(ack)))
        .service(at("/api/connector/jobstatus/{activity}", web::get().to(job_status)));
}

/// Longest acknowledgement body.
const ACK_BYTES_MAX: usize = 64 * 1024;

/// Turns a handler's result into the connector's answer.
fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Connector))
}

/// `POST /api/connector/enqueue/{activity}?entity=&company=` (RI-1…8).
pub async fn enqueue(
    api: web::Data<Api>,
    request: HttpRequest,
    activity: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    respond(take_in(&api, &request, &activity, body).await)
}

async fn take_in(
    api: &Api,
    request: &HttpRequest,
    activity: &str,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let caller = caller(api, request).await?;
    let definitions = api.definitions();
    let job = connector_job(&definitions, &caller, activity)?;
    let query = Query::of(request);
    let takes_files = job.data_source == DataSource::File;
    if job.direction == Direction::Import && takes_files && query.get("entity").is_none() {
        return Err(Problem::bad(
            "entity_missing",
            "a job for files needs entity=<label> in the query (RI-1)",
        ));
    }
    let mut envelope = Envelope {
        // A package names its entities itself.
        entity: query.get("entity").filter(|_| takes_files),
        company: query.get("company"),
        external_id: envelope::header(request, "x-ms-dyn-externalidentifier"),
        ..envelope::from_headers(api, request, job, &caller)?
    };
    enqueue::check(job, &definitions, &mut envelope)?;
    let _admitted = api.admission.in_time_for(&api.context, &caller.name, job).await?;
    let taken = Box::pin(enqueue::enqueue(&api.context, job, envelope, body)).await?;
    api.wake.notify_one();
    let mut answer = HttpResponse::Ok();
    if taken.replayed {
        answer.insert_header(REPLAY);
    }
    // The id as a JSON string (RI-5).
    Ok(answer.json(taken.message.id.to_string()))
}

/// `GET /api/connector/dequeue/{activity}` (RI-9…14).
pub async fn dequeue(api: web::Data<Api>, request: HttpRequest, activity: web::Path<String>) -> HttpResponse {
    respond(hand_out(&api, &request, &activity).await)
}

async fn hand_out(api: &Api, request: &HttpRequest, activity: &str) -> Result<HttpResponse, Problem> {
    let caller = caller(api, request).await?;
    let definitions = api.definitions();
    let job = outbound_job(connector_job(&definitions, &caller, activity)?)?;
    if !job.is_collected() {
        return Ok(HttpResponse::NoContent().finish());
    }
    let lease_seconds = i64::from(
        job.queue
            .lease_seconds
            .unwrap_or(api.context.limits.queue.lease_seconds),
    );
    sandbox::deliver_again(api, job, &caller).await?;
    let now = api.context.clock.now();
    let claimed = api
        .context
        .store
        .dequeue(job.id, &caller.name, lease_seconds, 1, now)
        .await?;
    let Some(claimed) = claimed.into_iter().next() else {
        return Ok(HttpResponse::NoContent().finish());
    };
    failpoint::reached("lease.committed");
    let message = &claimed.message;
    let by = || vec![("client", caller.name.clone().into())];
    api.context.tell_step(message, Done::well("lease", now), by);
    let is_there = is_file_there(api, message).await;
    Ok(HttpResponse::Ok().json(json!({
        "CorrelationId": message.correlation,
        "PopReceipt": api.signers().receipts.issue(claimed.fence()),
        "DownloadLocation": download_location(api, request, job, message),
        "IsDownLoadFileExist": is_there,
        "FileDownLoadErrorMessage": if is_there { "" } else { "the file is no longer kept, or lies where this server does not look" },
        "LastDequeueDateTime": message.last_dequeued_at.map(Timestamp::wire),
    })))
}

/// Whether the file of a message is still there (RI-12). Where that cannot be told, the download will.
async fn is_file_there(api: &Api, message: &Message) -> bool {
    let PayloadAt::Blob(key) = &message.payload else {
        return true;
    };
    api.context.blobs.is_there(key).await.unwrap_or_else(|error| {
        tracing::warn!(message.id = %message.id, %error, "cannot see whether the file of a message is there");
        true
    })
}

fn outbound_job(job: &Job) -> Result<&Job, Problem> {
    if job.direction == Direction::Import {
        let detail = format!(
            "`{}` is an import job: it is enqueued to, not dequeued from (RI-8)",
            job.name
        );
        return Err(Problem::bad("wrong_direction", detail));
    }
    Ok(job)
}

/// Path form of the real server (RI-15), on the scheme and host the client used (RI-14).
fn download_location(api: &Api, request: &HttpRequest, job: &Job, message: &Message) -> String {
    let base = link_base(api, request);
    format!(
        "{base}/api/connector/download/%7B{}%7D?correlation-id={}&blob={}",
        job.id, message.correlation, message.id
    )
}

/// `GET DownloadLocation` (RI-15…18).
pub async fn download(api: web::Data<Api>, request: HttpRequest, activity: web::Path<String>) -> HttpResponse {
    respond(fetch(&api, &request, &activity).await)
}

async fn fetch(api: &Api, request: &HttpRequest, activity: &str) -> Result<HttpResponse, Problem> {
    let caller = caller(api, request).await?;
    let definitions = api.definitions();
    let job = outbound_job(connector_job(&definitions, &caller, activity)?)?;
    let gone = || Problem::new(Kind::NotFound, "there is no such file in this queue");
    let correlation = Query::of(request).get("correlation-id").ok_or_else(gone)?;
    let correlation = CorrelationId(parse_guid(&correlation).map_err(|_| gone())?);
    let message = api
        .context
        .store
        .message_by_correlation(job.id, correlation)
        .await?
        .ok_or_else(gone)?;
    // A file that is gone is an unknown address to clients (RI-12).
    send(api, message, Fetch::Delivery)
        .await
        .map_err(|problem| match problem.kind {
            Kind::Gone | Kind::Erased => Problem::new(Kind::NotFound, problem.detail),
            _ => problem,
        })
}

/// `POST /api/connector/ack/{activity}` (RI-20…25).
pub async fn ack(
    api: web::Data<Api>,
    request: HttpRequest,
    activity: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    respond(acknowledge(&api, &request, &activity, body).await)
}

async fn acknowledge(
    api: &Api,
    request: &HttpRequest,
    activity: &str,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let caller = caller(api, request).await?;
    let definitions = api.definitions();
    let job = outbound_job(connector_job(&definitions, &caller, activity)?)?;
    let body = json_object(body, ACK_BYTES_MAX).await?;
    let by = ack_by(api, &body)?;
    sandbox::fail_ack(api, job, &caller)?;
    let now = api.context.clock.now();
    match api.context.store.ack_leniently(job.id, by, now).await? {
        Acked::Now(id) => {
            failpoint::reached("ack.committed");
            tell(api, id, Done::well("ack", now), &caller.name).await;
            tracing::info!(message.id = %id, client = %caller.name, "acknowledged");
            Ok(HttpResponse::Ok().finish())
        }
        Acked::Before(_) => Ok(HttpResponse::Ok().finish()),
        // RI-23: the connector's generic failure.
        Acked::Unknown => Err(Problem::new(
            Kind::Internal,
            "no message in this queue has that receipt or CorrelationId",
        )),
        Acked::Ended(id) => Err(Problem::new(
            Kind::Conflict,
            format!("message {id} has ended without an acknowledgement"),
        )),
    }
}

/// By receipt when one was sent, else by correlation id; a receipt we never issued is refused (promise 3).
fn ack_by(api: &Api, body: &Value) -> Result<AckBy, Problem> {
    let text = |name: &str| {
        member(body, name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|t| !t.is_empty())
    };
    if let Some(receipt) = text("PopReceipt") {
        let lease = api.signers().receipts.verify(receipt);
        let lease = lease.ok_or_else(|| Problem::bad("unknown_receipt", "this PopReceipt was not issued here"))?;
        let correlation = text("CorrelationId").and_then(|id| parse_guid(id).ok());
        if correlation.is_some_and(|id| CorrelationId(id).message() != lease.message) {
            return Err(Problem::bad(
                "receipt_of_another",
                "the PopReceipt is not of the message with this CorrelationId; send both back as one dequeue answered them (RI-20)",
            ));
        }
        return Ok(AckBy::Receipt(lease));
    }
    let correlation = text("CorrelationId").and_then(|t| parse_guid(t).ok());
    let correlation = correlation.ok_or_else(|| {
        Problem::bad(
            "receipt_missing",
            "send back what dequeue answered: CorrelationId and PopReceipt (RI-20)",
        )
    })?;
    Ok(AckBy::Correlation(CorrelationId(correlation)))
}

/// `GET /api/connector/jobstatus/{activity}?jobId=` (RI-26…29).
pub async fn job_status(api: web::Data<Api>, request: HttpRequest, activity: web::Path<String>) -> HttpResponse {
    respond(status(&api, &request, &activity).await)
}

async fn status(api: &Api, request: &HttpRequest, activity: &str) -> Result<HttpResponse, Problem> {
    let caller: Caller = caller(api, request).await?;
    let definitions = api.definitions();
    let job = connector_job(&definitions, &caller, activity)?;
    let id = Query::of(request)
        .get("jobId")
        .and_then(|text| text.parse::<MessageId>().ok());
    let message = match id {
        Some(id) => api.context.store.message(id).await?.filter(|m| m.job == job.id),
        None => None,
    };
    let message = match message {
        Some(message) => Some(sandbox::as_shown(api, message).await?),
        None => None,
    };
    let Some(message) = message else {
        // RI-29: for an unknown id, which clients take for "ask again later".
        return Ok(HttpResponse::Ok().json(json!({ "DataJobStatus": null, "ExecutionLog": "", "ExecutionDetail": [] })));
    };
    let execution = match &message.execution {
        Some(id) => api.context.store.execution(id).await?,
        None => None,
    };
    Ok(HttpResponse::Ok().json(job_status_body(job, &message, execution.as_ref())))
}

fn job_status_body(job: &Job, message: &Message, execution: Option<&Execution>) -> Value {
    let standing = Standing::from(message);
    let detail: Vec<Value> = execution.map_or_else(Vec::new, |execution| {
        let runs = execution.entities.iter();
        runs.map(|run| {
            json!({
                "EntityName": run.label,
                "Company": run.company.as_deref().unwrap_or(""),
                "StagingRecords": run.staging_records,
                "StagingStatus": run.staging_status,
                "StagingErrorCount": run.staging_errors,
                "TargetRecords": run.counts.applied(),
                "TargetStatus": run.target_status,
                "TargetErrorCount": run.target_errors,
                "ExecutionStartedDateTime": wire_time(run.started_at),
                "ExecutionCompletedDateTime": wire_time(run.finished_at),
            })
        })
        .collect()
    });
    json!({
        "DataJobStatus": {
            "DataProject": job.name,
            "DataJobIdentifier": message.id,
            "ExternalIdentifier": message.external_id.as_deref().unwrap_or(""),
            "ExecutionIdentifier": message.execution.as_ref().map_or("", |e| e.0.as_str()),
            "DataJobStartedDateTime": wire_time(message.started_at),
            "DataJobCompletedDateTime": wire_time(message.finished_at),
            "DataJobState": wire::job_state(standing),
        },
        "ExecutionLog": message.failure.as_ref().map_or("", |f| f.detail.as_str()),
        "ExecutionDetail": detail,
    })
}

fn wire_time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| Timestamp::WIRE_NEVER.to_owned(), Timestamp::wire)
}
