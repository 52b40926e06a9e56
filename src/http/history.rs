//! What runs did: `/api/v1/jobs/{job}/occurrences` and `/api/v1/executions/{id}`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::auth::{Caller, caller, visible_job};
use super::jobs::limit;
use super::problem::{Kind, Problem, Surface};
use super::{Api, destinations, view};
use crate::definitions::Definitions;
use crate::domain::ids::ExecutionId;
use crate::domain::job::Direction;
use crate::domain::message::Message;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::storage::executions::Execution;
use crate::storage::exported_packages::ExportedPackage;
use crate::storage::history::Run;
use crate::storage::occurrences::Occurrence;
use crate::storage::positions::ExportPosition;

/// Most occurrences one answer lists.
const OCCURRENCES_MAX: u32 = 200;

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

/// `GET /api/v1/jobs/{job}/occurrences?limit=`: newest first, each with what it did; `missed` are long stretches that were only
/// counted.
pub async fn occurrences(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = visible_job(&definitions, &caller, &name)?;
        let limit = limit(&request, 20, OCCURRENCES_MAX)?;
        let store = &api.context.store;
        let occurrences = store.occurrences(job.id, limit).await?;
        let runs = store.runs(job.id, occurrences).await?;
        let runs: Vec<_> = runs.iter().map(|run| run_body(&definitions, run)).collect();
        let missed = store.missed_ranges(job.id, limit).await?;
        let missed: Vec<_> = missed.iter().map(view::missed_range).collect();
        Ok(HttpResponse::Ok().json(json!({ "occurrences": runs, "missed": missed })))
    };
    respond(listed.await)
}

/// `GET /api/v1/executions/{id}`: the run of an export, or the load of a message.
pub async fn execution(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let shown = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let (execution, run) = find_execution(&api, &caller, &id).await?;
        let mut body = view::execution(&execution);
        body["job"] = json!(definitions.job(execution.job).map(|job| &job.name));
        body["job_id"] = json!(execution.job);
        body["message"] = json!(execution.message);
        if let Some(run) = run {
            body["run"] = run_body(&definitions, &run);
        }
        Ok(HttpResponse::Ok().json(body))
    };
    respond(shown.await)
}

/// The execution of this id, and of an export its run, if the caller may see the job.
///
/// # Errors
/// 404 for one that is not there to see.
pub(crate) async fn find_execution(api: &Api, caller: &Caller, id: &str) -> Result<(Execution, Option<Run>), Problem> {
    let unknown = || Problem::new(Kind::NotFound, format!("there is no execution {id}"));
    if id.contains('\0') {
        return Err(unknown());
    }
    let (store, definitions) = (&api.context.store, api.definitions());
    let wanted = ExecutionId(id.to_owned());
    let execution = store.execution(&wanted).await?.ok_or_else(unknown)?;
    let job = definitions.job(execution.job);
    if !job.map_or(caller.sees_all(), |job| caller.may_see(job)) {
        return Err(unknown());
    }
    let run = match store.occurrence_by_execution(&wanted).await? {
        None => None,
        Some(occurrence) => store.runs(execution.job, vec![occurrence]).await?.into_iter().next(),
    };
    Ok((execution, run))
}

/// A run with everything that is told of it.
fn run_body(definitions: &Definitions, run: &Run) -> Value {
    let occurrence = &run.occurrence;
    let mut body = view::occurrence(occurrence);
    body["started_at"] = json!(occurrence.started_at);
    body["phases"] = phases(occurrence);
    body["entities"] = run
        .entities
        .iter()
        .map(|(label, records)| json!({ "entity": label, "records": records }))
        .collect();
    let in_messages: u64 = run.messages.iter().map(|message| message.bytes).sum();
    body["bytes"] = json!(run.package.as_ref().map_or(in_messages, |package| package.bytes));
    body["messages"] = run.messages.iter().map(message_body).collect();
    body["package"] = run.package.as_ref().map(package_body).into();
    body["positions"] = run
        .positions
        .iter()
        .map(|(entity, position)| position_body(definitions, entity, position))
        .collect();
    body["deliveries"] = run
        .deliveries
        .iter()
        .map(|delivery| destinations::view(definitions, delivery))
        .collect();
    body
}

/// Seconds each phase took: waiting for a worker since it could have run, reading and writing, storing what was written, queuing
/// it. `null` for one that did not end, or was not come to.
fn phases(occurrence: &Occurrence) -> Value {
    let seconds = |from: Option<Timestamp>, to: Option<Timestamp>| {
        #[expect(clippy::cast_precision_loss, reason = "a duration for eyes")]
        from.zip(to)
            .map(|(from, to)| (to.micros() - from.micros()).max(0) as f64 / 1_000_000.0)
    };
    let Occurrence {
        started_at,
        written_at,
        stored_at,
        finished_at,
        ..
    } = occurrence;
    json!({
        "waiting_seconds": seconds(Some(occurrence.may_begin_at()), *started_at),
        "writing_seconds": seconds(*started_at, *written_at),
        "storing_seconds": seconds(*written_at, *stored_at),
        "queuing_seconds": seconds(*stored_at, finished_at.filter(|_| occurrence.message.is_some())),
    })
}

fn message_body(message: &Message) -> Value {
    json!({
        "id": message.id,
        "file": message.external_id,
        "status": message.status,
        "bytes": message.bytes,
        "digest": message.digest.content_digest(),
        "acknowledged_at": message.finished_at.filter(|_| message.status == Status::Acked),
        "finished_at": message.finished_at,
    })
}

/// A package that a client asked for. Where it is, only that client is told, by `GetExportedPackageUrl`.
fn package_body(package: &ExportedPackage) -> Value {
    let path = package.path.as_str();
    json!({
        "file": path.split_once('/').map_or(path, |(_, name)| name),
        "bytes": package.bytes,
        "expires_at": package.expires_at,
        "fetched_at": package.fetched_at,
    })
}

fn position_body(definitions: &Definitions, entity: &str, position: &ExportPosition) -> Value {
    json!({
        "entity": definitions.label(entity).unwrap_or(entity),
        "number": position.number,
        "before": position.from,
        "after": position.to,
        "state": position.state.as_str(),
        "note": position.note,
    })
}

/// `GET /api/v1/jobs/{job}/why-empty`: why there is nothing to collect, in a sentence.
pub async fn why_empty(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let told = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = visible_job(&definitions, &caller, &name)?;
        if job.direction != Direction::Export {
            let detail = format!("`{}` is no export: its queue holds what is sent to it", job.name);
            return Err(Problem::bad("wrong_direction", detail));
        }
        let why = super::why_empty::why(&api.context, job).await?;
        Ok(HttpResponse::Ok().json(json!({
            "job": job.name,
            "reason": why.reason,
            "answer": why.sentences.join(" "),
            "next_run_at": why.next_run_at,
        })))
    };
    respond(told.await)
}
