//! `/api/v1/…/deliveries`: what was brought to the destinations of export jobs, and once more on request.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::Api;
use super::auth::{caller, usable_job, visible_job};
use super::jobs::limit;
use super::messages::visible;
use super::problem::{Kind, Problem, Surface};
use super::query::Query;
use crate::definitions::Definitions;
use crate::domain::audit::Action;
use crate::domain::destination::{Destination, idempotency_key};
use crate::domain::ids::DeliveryId;
use crate::domain::job::Job;
use crate::storage::destinations::{ExportDelivery, ExportDeliveryFilter, ExportDeliveryState};

/// Most deliveries one answer lists.
const DELIVERIES_MAX: u32 = 200;

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

/// `GET /api/v1/messages/{id}/deliveries`: one for each destination of its job.
pub async fn of_message(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let message = visible(&api, &caller, &id).await?;
        let deliveries = api.context.store.export_deliveries_of(&[message.id]).await?;
        let definitions = api.definitions();
        let rows: Vec<Value> = deliveries.iter().map(|delivery| view(&definitions, delivery)).collect();
        Ok(HttpResponse::Ok().json(json!({ "deliveries": rows })))
    };
    respond(listed.await)
}

/// `GET /api/v1/jobs/{job}/deliveries?state=&before=&limit=`: newest first; `next` is the `before` of the next page.
pub async fn of_job(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = visible_job(&definitions, &caller, &name)?;
        let query = Query::of(&request);
        let before = query.get("before").map(|text| text.parse::<DeliveryId>()).transpose();
        let limit = limit(&request, 50, DELIVERIES_MAX)?;
        let filter = ExportDeliveryFilter {
            job: job.id,
            state: query.get("state").map(|text| state(&text)).transpose()?,
            before: before.map_err(|error| Problem::bad("invalid_before", error.to_string()))?,
            limit,
        };
        let deliveries = api.context.store.export_deliveries(filter).await?;
        let next = deliveries.last().filter(|_| deliveries.len() == limit as usize);
        let rows: Vec<Value> = deliveries.iter().map(|delivery| view(&definitions, delivery)).collect();
        Ok(HttpResponse::Ok().json(json!({ "deliveries": rows, "next": next.map(|delivery| delivery.id) })))
    };
    respond(listed.await)
}

fn state(text: &str) -> Result<ExportDeliveryState, Problem> {
    let found = ExportDeliveryState::ALL
        .into_iter()
        .find(|state| state.as_str() == text);
    found.ok_or_else(|| {
        let all = ExportDeliveryState::ALL.map(ExportDeliveryState::as_str).join(", ");
        Problem::bad(
            "invalid_state",
            format!("`{text}` is not a delivery's state; write one of {all}"),
        )
    })
}

/// `POST /api/v1/jobs/{job}/deliveries/{id}/replay`: 202; an ended delivery is sent once more, under the same idempotency key.
pub async fn replay(api: web::Data<Api>, request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    let replayed = async {
        let (name, id) = path.into_inner();
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = usable_job(&definitions, &caller, &name)?;
        let delivery = of(&api, job, &id).await?;
        if api.context.store.message(delivery.message).await?.is_none() {
            let detail = format!("the message {} is no longer kept", delivery.message);
            return Err(Problem::new(Kind::Gone, detail));
        }
        let now = api.context.clock.now();
        let detail = json!({ "job": job.name, "message": delivery.message, "destination": delivery.destination });
        let store = api.audited(&caller, Action::DeliveryReplay, delivery.id, detail);
        let delivery = store.replay_export_delivery(delivery.id, now).await?;
        api.destination_wake.notify_one();
        tracing::info!(delivery.id = %delivery.id, client = %caller.name, "delivery replay asked for");
        Ok(HttpResponse::Accepted().json(view(&definitions, &delivery)))
    };
    respond(replayed.await)
}

/// The delivery of this id, of this job.
async fn of(api: &Api, job: &Job, id: &str) -> Result<ExportDelivery, Problem> {
    let unknown = || Problem::new(Kind::NotFound, format!("`{}` has no delivery {id}", job.name));
    let parsed: DeliveryId = id.parse().map_err(|_| unknown())?;
    let delivery = api.context.store.export_delivery(parsed).await?;
    delivery.filter(|delivery| delivery.job == job.id).ok_or_else(unknown)
}

/// A delivery as one row of a list.
#[must_use]
pub(super) fn view(definitions: &Definitions, delivery: &ExportDelivery) -> Value {
    let job = definitions.job(delivery.job);
    let destination = job
        .and_then(|job| job.export.as_ref())
        .and_then(|spec| spec.destination(&delivery.destination));
    let is_waiting = delivery.state == ExportDeliveryState::Pending && delivery.owner.is_none();
    json!({
        "id": delivery.id,
        "job": job.map_or_else(|| delivery.job.to_string(), |job| job.name.clone()),
        "job_id": delivery.job,
        "message": delivery.message,
        "destination": delivery.destination,
        "kind": destination.map(|destination| destination.kind.as_str()),
        "url": destination.map(shown_url),
        "path": delivery.path,
        "idempotency_key": idempotency_key(delivery.message, &delivery.destination),
        "acknowledges": delivery.acknowledges,
        "state": delivery.state.as_str(),
        "attempts": delivery.attempt,
        "sending": delivery.owner.is_some(),
        "next_attempt_at": is_waiting.then_some(delivery.due_at),
        "created_at": delivery.created_at,
        "finished_at": delivery.finished_at,
        "last_answer": delivery.last.as_ref().map(|last| json!({
            "at": last.at,
            "status": last.status,
            "detail": last.detail,
        })),
        "links": {
            "message": format!("/api/v1/messages/{}", delivery.message),
            "replay": format!("/api/v1/jobs/{}/deliveries/{}/replay", delivery.job, delivery.id),
        },
    })
}

/// Without its query, where receivers like to keep keys.
fn shown_url(destination: &Destination) -> &str {
    destination.url.split(['?', '#']).next().unwrap_or_default()
}
