//! `/api/v1/jobs/{job}/messages/batch`: up to a thousand small payloads in one request, with an answer for each.

use std::collections::BTreeMap;
use std::convert::Infallible;

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::auth::{Caller, caller, usable_job};
use super::body;
use super::envelope::{Terms, content_digest, traceparent};
use super::leases::ITEMS_MAX;
use super::problem::{Problem, Surface};
use crate::blob::PayloadHasher;
use crate::definitions::Definitions;
use crate::domain::job::{Job, Order};
use crate::domain::trace::TraceContext;
use crate::pipeline::enqueue::{self, Envelope, Taken};

/// Enqueued together, so that they share commits and no batch takes the store for itself.
const PORTION: usize = 250;

#[derive(Debug, Deserialize)]
struct Batch {
    /// Each understood by itself: one that makes no sense leaves the others alone.
    messages: Vec<Value>,
}

/// One message of a batch.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Item {
    payload: Option<String>,
    text: Option<String>,
    external_id: Option<String>,
    company: Option<String>,
    entity: Option<String>,
    priority: Option<i64>,
    not_before: Option<String>,
    delay_seconds: Option<i64>,
    expires_at: Option<String>,
    expires_in_seconds: Option<i64>,
    idempotency_key: Option<String>,
    headers: BTreeMap<String, String>,
}

/// `POST /api/v1/jobs/{job}/messages/batch`: an answer for each item, in order.
pub async fn enqueue(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let taken = Box::pin(take_in(&api, &request, &name, body)).await;
    taken.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

async fn take_in(api: &Api, request: &HttpRequest, name: &str, body: web::Payload) -> Result<HttpResponse, Problem> {
    let caller = caller(api, request).await?;
    let definitions = api.definitions();
    let job = usable_job(&definitions, &caller, name)?;
    let expected = content_digest(request)?;
    let bytes_max = api.context.limits.queue.batch_max_bytes;
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse().ok());
    let announced: usize = announced.unwrap_or(bytes_max);
    if announced > bytes_max {
        return Err(body::too_large(bytes_max));
    }
    let _turn = api.admission.batch_at_once(&caller.name, announced)?;
    let bytes = body::read(body, bytes_max).await?;
    if let Some(expected) = expected {
        let found = PayloadHasher::digest(&bytes);
        if found != expected {
            let (expected, found) = (expected.content_digest(), found.content_digest());
            return Err(enqueue::EnqueueError::DigestMismatch { found, expected }.into());
        }
    }
    let batch: Option<Batch> = body::parse(&bytes)?;
    drop(bytes);
    let Batch { messages } = batch.ok_or_else(|| {
        Problem::bad(
            "body_empty",
            "send {\"messages\":[{\"payload\":\"<base64>\"},{\"text\":\"…\"},…]}",
        )
    })?;
    if messages.is_empty() || messages.len() > ITEMS_MAX {
        return Err(Problem::bad("invalid_batch", format!("send 1 to {ITEMS_MAX} messages")));
    }
    // All of it or nothing: who is told to come back sends the same batch again.
    let _room = api.context.room(job, messages.len() as u64).await?;
    let sender = (&caller, traceparent(request));
    let mut results: Vec<Value> = Vec::with_capacity(messages.len());
    let together = portion(api, job, &messages);
    let mut messages = messages.into_iter();
    while messages.len() > 0 {
        let portion = messages.by_ref().take(together);
        let portion = portion.map(|item| Box::pin(take_in_one(api, &definitions, job, &sender, item)));
        // Without the runtime's pauses, after which the later ones would go before the earlier.
        let taken = tokio::task::unconstrained(join_all(portion)).await;
        results.extend(taken.into_iter().map(view));
    }
    api.wake.notify_one();
    Ok(HttpResponse::Ok().json(json!({ "results": results })))
}

/// How many are enqueued together. Small ones reach the store in the order they have here; a large one is stored elsewhere
/// first, so where order counts the others wait for it.
fn portion(api: &Api, job: &Job, messages: &[Value]) -> usize {
    let inline_max = api.context.limits.queue.inline_max_bytes;
    let is_large = |item: &Value| {
        let texts = ["payload", "text"].map(|name| item[name].as_str());
        texts.into_iter().flatten().any(|text| text.len() > inline_max)
    };
    let in_order = job.queue.order != Order::None;
    if in_order && messages.iter().any(is_large) {
        1
    } else {
        PORTION
    }
}

async fn take_in_one(
    api: &Api,
    definitions: &Definitions,
    job: &Job,
    sender: &(&Caller, Option<TraceContext>),
    item: Value,
) -> Result<Taken, Problem> {
    let item = serde_json::from_value(item)
        .map_err(|error| Problem::bad("invalid_item", format!("the item is not what this takes: {error}")))?;
    let (caller, traceparent) = *sender;
    let (payload, envelope) = read(job, caller, item)?;
    let mut envelope = Envelope {
        traceparent,
        ..envelope
    };
    enqueue::check(job, definitions, &mut envelope)?;
    let body = stream::iter([Ok::<_, Infallible>(payload)]);
    Ok(enqueue::enqueue(&api.context, job, envelope, body).await?)
}

fn read(job: &Job, caller: &Caller, item: Item) -> Result<(Bytes, Envelope), Problem> {
    let payload = match (item.payload, item.text) {
        (Some(base64), None) => STANDARD
            .decode(base64)
            .map_err(|error| Problem::bad("invalid_item", format!("payload is not base64: {error}")))?,
        (None, Some(text)) => text.into_bytes(),
        _ => {
            let detail = "an item has either payload, in base64, or text";
            return Err(Problem::bad("invalid_item", detail));
        }
    };
    let mut envelope = Envelope {
        entity: present(item.entity),
        company: present(item.company),
        external_id: present(item.external_id),
        sender: caller.name.clone(),
        idempotency_key: item.idempotency_key,
        headers: order_header(job, item.headers),
        ..Envelope::default()
    };
    let terms = Terms {
        priority: item.priority,
        not_before: item.not_before,
        delay_seconds: item.delay_seconds,
        expires_at: item.expires_at,
        expires_in_seconds: item.expires_in_seconds,
    };
    terms.write(&mut envelope)?;
    Ok((payload.into(), envelope))
}

/// As in a query, an empty text counts as absent.
fn present(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

/// The one header the job keeps order by; its name in any case.
fn order_header(job: &Job, headers: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let Order::Header(wanted) = &job.queue.order else {
        return BTreeMap::new();
    };
    let named = headers
        .into_iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
    named.map(|(_, value)| (wanted.clone(), value)).collect()
}

fn view(taken: Result<Taken, Problem>) -> Value {
    match taken {
        Ok(taken) => json!({ "status": 201, "id": taken.message.id, "replay": taken.replayed }),
        Err(problem) => json!({ "status": problem.kind.status().as_u16(), "problem": problem.body() }),
    }
}
