//! `/api/v1/webhooks`: what was told to whom, once more on request, and a ping to try it out.

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::Api;
use super::auth::{Caller, caller, listed_jobs, usable_job};
use super::jobs::limit;
use super::problem::{Kind, Problem, Surface};
use super::query::Query;
use crate::definitions::Definitions;
use crate::domain::audit::Action;
use crate::domain::ids::DeliveryId;
use crate::domain::job::Job;
use crate::domain::webhook::{EventType, ping_body};
use crate::outgoing::Guard;
use crate::storage::webhooks::{Delivery, DeliveryFilter, DeliveryState, NewDelivery};

/// Most deliveries one answer lists.
const DELIVERIES_MAX: u32 = 200;
/// Longest URL a message may name.
const URL_BYTES_MAX: usize = 2000;
/// The header a message names its webhook by.
const HEADER: &str = "tranship-webhook";

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

/// The webhook a message names at enqueue, if its job lets it.
///
/// # Errors
/// 400 with the reason; nothing is stored.
pub(super) fn named_webhook(api: &Api, job: &Job, request: &HttpRequest) -> Result<Option<String>, Problem> {
    let Some(header) = request.headers().get(HEADER) else {
        return Ok(None);
    };
    if !job.webhook.as_ref().is_some_and(|webhook| webhook.per_message) {
        let detail = format!(
            "messages of `{}` may not name a webhook: its file does not say `per_message = true` under [webhook]",
            job.name
        );
        return Err(Problem::bad("webhook_not_allowed", detail));
    }
    let text = header.to_str().unwrap_or_default().trim();
    if text.is_empty() || text.len() > URL_BYTES_MAX {
        let detail = format!("Tranship-Webhook is a URL of at most {URL_BYTES_MAX} ASCII characters");
        return Err(Problem::bad("invalid_webhook", detail));
    }
    match Guard::new(&api.context.limits.webhooks).check(text) {
        Ok(url) => Ok(Some(url.into())),
        Err(refused) => Err(Problem::bad("invalid_webhook", refused.to_string())),
    }
}

/// `GET /api/v1/webhooks?job=&state=&before=&limit=`: newest first; `next` is the `before` of the next page.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let query = Query::of(&request);
        let Some(jobs) = listed_jobs(&definitions, &caller, query.get("job").as_deref())? else {
            return Ok(HttpResponse::Ok().json(json!({ "deliveries": [], "next": null })));
        };
        let before = query.get("before").map(|text| text.parse::<DeliveryId>()).transpose();
        let limit = limit(&request, 50, DELIVERIES_MAX)?;
        let filter = DeliveryFilter {
            jobs,
            state: query.get("state").map(|text| state(&text)).transpose()?,
            before: before.map_err(|error| Problem::bad("invalid_before", error.to_string()))?,
            limit,
        };
        let deliveries = api.context.store.deliveries(&filter).await?;
        let next = deliveries.last().filter(|_| deliveries.len() == limit as usize);
        let rows: Vec<Value> = deliveries
            .iter()
            .map(|delivery| summary(&definitions, delivery))
            .collect();
        Ok(HttpResponse::Ok().json(json!({ "deliveries": rows, "next": next.map(|delivery| delivery.id) })))
    };
    respond(listed.await)
}

pub(crate) fn state(text: &str) -> Result<DeliveryState, Problem> {
    let found = DeliveryState::ALL.into_iter().find(|state| state.as_str() == text);
    found.ok_or_else(|| {
        let all = DeliveryState::ALL.map(DeliveryState::as_str).join(", ");
        Problem::bad(
            "invalid_state",
            format!("`{text}` is not a delivery's state; write one of {all}"),
        )
    })
}

/// `GET /api/v1/webhooks/{id}`: with the body that is sent.
pub async fn show(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let shown = async {
        let caller = caller(&api, &request).await?;
        let delivery = visible(&api, &caller, &id).await?;
        let mut shown = summary(&api.definitions(), &delivery);
        shown["body"] = serde_json::from_str(&delivery.body).unwrap_or(Value::Null);
        Ok(HttpResponse::Ok()
            .insert_header(("Cache-Control", "no-store"))
            .json(shown))
    };
    respond(shown.await)
}

/// `POST /api/v1/webhooks/{id}/replay`: 202; an ended delivery is sent once more, under the id its receiver knows.
pub async fn replay(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let replayed = async {
        let caller = caller(&api, &request).await?;
        let delivery = visible(&api, &caller, &id).await?;
        let definitions = api.definitions();
        usable_job(&definitions, &caller, &delivery.job.to_string())?;
        let delivery = replay_delivery(&api, &caller, &delivery).await?;
        Ok(HttpResponse::Accepted().json(summary(&definitions, &delivery)))
    };
    respond(replayed.await)
}

/// Sends a delivery of a job that the caller may use once more.
///
/// # Errors
/// 409 for one that has not ended.
pub(crate) async fn replay_delivery(api: &Api, caller: &Caller, delivery: &Delivery) -> Result<Delivery, Problem> {
    let detail = json!({
        "job": api.definitions().job(delivery.job).map(|job| job.name.clone()),
        "message": delivery.message.map(|id| id.to_string()),
    });
    let store = api.audited(caller, Action::WebhookReplay, delivery.id, detail);
    let delivery = store.replay_delivery(delivery.id, api.context.clock.now()).await?;
    api.webhook_wake.notify_one();
    tracing::info!(webhook.id = %delivery.id, client = %caller.name, "webhook replay asked for");
    Ok(delivery)
}

/// `POST /api/v1/jobs/{job}/webhook/test`: 202 with the delivery of a `ping`, which is tried once.
pub async fn test(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let queued = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = usable_job(&definitions, &caller, &name)?;
        let url = job.webhook.as_ref().and_then(|webhook| webhook.url.as_ref());
        let url = url.ok_or_else(|| {
            let detail = format!("the file of `{}` names no `url` under [webhook]", job.name);
            Problem::bad("no_webhook", detail)
        })?;
        let now = api.context.clock.now();
        let new = NewDelivery {
            id: DeliveryId::generate(),
            job: job.id,
            message: None,
            event: EventType::Ping,
            url: url.to_string(),
            body: ping_body(job.id, &job.name, &caller.name, now),
        };
        let id = new.id;
        let detail = json!({ "job": job.name, "delivery": id.to_string() });
        let store = api.audited(&caller, Action::WebhookTest, job.id, detail);
        store.insert_delivery(new, now).await?;
        api.webhook_wake.notify_one();
        let delivery = visible(&api, &caller, &id.to_string()).await?;
        Ok(HttpResponse::Accepted()
            .insert_header((LOCATION, format!("/api/v1/webhooks/{id}")))
            .json(summary(&definitions, &delivery)))
    };
    respond(queued.await)
}

/// The delivery of this id, if the caller may see its job.
pub(crate) async fn visible(api: &Api, caller: &Caller, id: &str) -> Result<Delivery, Problem> {
    let unknown = || Problem::new(Kind::NotFound, format!("there is no webhook delivery {id}"));
    let parsed: DeliveryId = id.parse().map_err(|_| unknown())?;
    let delivery = api.context.store.delivery(parsed).await?.ok_or_else(unknown)?;
    let definitions = api.definitions();
    let job = definitions.job(delivery.job);
    if job.map_or(caller.sees_all(), |job| caller.may_see(job)) {
        Ok(delivery)
    } else {
        Err(unknown())
    }
}

/// A delivery as one row of a list.
fn summary(definitions: &Definitions, delivery: &Delivery) -> Value {
    let job = definitions.job(delivery.job);
    let pending = delivery.state == DeliveryState::Pending;
    json!({
        "id": delivery.id,
        "type": delivery.event.as_str(),
        "job": job.map_or_else(|| delivery.job.to_string(), |job| job.name.clone()),
        "job_id": delivery.job,
        "message": delivery.message,
        "url": shown_url(&delivery.url),
        "state": delivery.state.as_str(),
        "attempts": delivery.attempt,
        "sending": delivery.owner.is_some(),
        "next_attempt_at": (pending && delivery.owner.is_none()).then_some(delivery.due_at),
        "created_at": delivery.created_at,
        "finished_at": delivery.finished_at,
        "last_answer": delivery.last.as_ref().map(|last| json!({
            "at": last.at,
            "status": last.status,
            "detail": last.detail,
        })),
        "links": {
            "self": format!("/api/v1/webhooks/{}", delivery.id),
            "message": delivery.message.map(|id| format!("/api/v1/messages/{id}")),
        },
    })
}

/// Without its query, where receivers like to keep keys.
pub(crate) fn shown_url(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}
