//! `/api/v1` leases: take messages, acknowledge, extend, release, reject; one by one or up to a thousand with an answer each.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::auth::{Caller, caller, usable_job, usable_job_of};
use super::body::{read_json, within};
use super::problem::{Kind, Problem, Surface};
use super::sandbox;
use crate::blob::PayloadHasher;
use crate::definitions::Definitions;
use crate::domain::ids::MessageId;
use crate::domain::job::{Direction, Job};
use crate::domain::message::{Fence, Message};
use crate::domain::time::Timestamp;
use crate::failpoint;
use crate::pipeline::deliver::{self, Wish};
use crate::pipeline::telling::Done;
use crate::storage::claims::Delivered;
use crate::storage::steps::{Standing, Step, Stepped};

/// Most messages or receipts in one request.
pub(super) const ITEMS_MAX: usize = 1000;
/// Longest body of a request about leases.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Longest lease one may ask for, in seconds.
pub const LEASE_SECONDS_MAX: u32 = 86_400;
/// Longest wait for a message, in seconds.
pub(super) const WAIT_SECONDS_MAX: u32 = 60;
/// What may be done under a lease.
const ACTIONS: [&str; 4] = ["ack", "extend", "release", "reject"];
/// Longest reason for a refusal, in characters.
const REASON_CHARS_MAX: usize = 1000;

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

/// What a dequeuer asks for; all of it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LeaseRequest {
    max: Option<u32>,
    wait_seconds: Option<u32>,
    lease_seconds: Option<u32>,
    payload: Option<PayloadWish>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PayloadWish {
    None,
    Inline,
}

/// `POST /api/v1/jobs/{job}/leases`: up to `max` messages, each under a lease; waits up to `wait_seconds` for the first.
pub async fn lease(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let leased = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = usable_job(&definitions, &caller, &name)?;
        if job.direction == Direction::Import {
            let detail = format!(
                "`{}` is an import job: its messages are worked on here, not handed out",
                job.name
            );
            return Err(Problem::bad("wrong_direction", detail));
        }
        if !job.is_collected() {
            let detail = format!(
                "messages of `{}` go to its destinations only (`enqueue = false`): none waits to be collected",
                job.name
            );
            return Err(Problem::bad("not_enqueued", detail));
        }
        let asked: LeaseRequest = read_json(body, BODY_BYTES_MAX).await?.unwrap_or_default();
        let max = u32::try_from(ITEMS_MAX).unwrap_or(u32::MAX);
        let default = job
            .queue
            .lease_seconds
            .unwrap_or(api.context.limits.queue.lease_seconds);
        let wait = within("wait_seconds", asked.wait_seconds, 0, 0, WAIT_SECONDS_MAX)?;
        // One more than may wait is answered at once.
        let turn = (wait > 0).then(|| api.waiters.try_acquire().ok()).flatten();
        let wish = Wish {
            owner: caller.name.clone(),
            max: within("max", asked.max, 1, 1, max)?,
            lease_seconds: within("lease_seconds", asked.lease_seconds, default, 1, LEASE_SECONDS_MAX)?,
            payloads: asked.payload == Some(PayloadWish::Inline),
            wait: Duration::from_secs(if turn.is_some() { wait.into() } else { 0 }),
        };
        sandbox::deliver_again(&api, job, &caller).await?;
        let delivered = deliver::lease(&api.context, job.id, wish, &api.draining).await?;
        let now = api.context.clock.now();
        for delivered in &delivered {
            failpoint::reached("lease.committed");
            let message = &delivered.claimed.message;
            api.leased.put(message.id, job.id);
            api.context.tell_step(message, Done::well("lease", now), || {
                vec![("client", caller.name.clone().into())]
            });
        }
        let leases: Vec<Value> = delivered.iter().map(|delivered| view(&api, delivered)).collect();
        Ok(HttpResponse::Ok()
            .insert_header(("Cache-Control", "no-store"))
            .json(json!({ "leases": leases })))
    };
    respond(leased.await)
}

fn view(api: &Api, delivered: &Delivered) -> Value {
    let message = &delivered.claimed.message;
    let mut lease = json!({
        "receipt": api.signers().receipts.issue(delivered.claimed.fence()),
        "id": message.id,
        "epoch": message.epoch,
        "attempt": message.attempt,
        "lease_until": message.lease_until,
        "enqueued_at": message.enqueued_at,
        "entity": message.entity,
        "company": message.company,
        "external_id": message.external_id,
        "digest": message.digest.content_digest(),
        "bytes": message.bytes,
        "links": { "payload": format!("/api/v1/messages/{}/payload", message.id) },
    });
    if let Some(payload) = delivered
        .payload
        .as_ref()
        .filter(|payload| is_as_sent(message, payload))
    {
        lease["payload"] = Value::String(STANDARD.encode(payload));
    }
    lease
}

/// Whether a payload is what was sent. Where it is not, it is left to the link to say so: other messages may be in the answer.
fn is_as_sent(message: &Message, payload: &[u8]) -> bool {
    let is_same = PayloadHasher::digest(payload) == message.digest;
    if !is_same {
        tracing::error!(message.id = %message.id, "the store's payload is not what was sent; `tranship doctor` says what else is damaged");
    }
    is_same
}

/// What the holder of a lease asks for; which members count depends on the action.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StepRequest {
    lease_seconds: Option<u32>,
    delay_seconds: Option<u32>,
    reason: Option<String>,
    dead_letter: bool,
}

/// One item of a batch.
#[derive(Debug, Deserialize)]
struct Item {
    receipt: String,
    action: String,
    #[serde(flatten)]
    request: StepRequest,
}

#[derive(Debug, Deserialize)]
struct Items {
    items: Vec<Item>,
}

/// `POST /api/v1/leases/{receipt}/{ack|extend|release|reject}`.
pub async fn step(
    api: web::Data<Api>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    body: web::Payload,
) -> HttpResponse {
    let done = async {
        let caller = caller(&api, &request).await?;
        let asked: StepRequest = read_json(body, BODY_BYTES_MAX).await?.unwrap_or_default();
        let (receipt, action) = path.into_inner();
        let item = Item {
            receipt,
            action,
            request: asked,
        };
        let body = carry_out(&api, &caller, &item).await?;
        Ok(HttpResponse::Ok().json(body))
    };
    respond(done.await)
}

/// `POST /api/v1/leases/batch`: an answer for each item, in order; one that fails leaves the others alone.
pub async fn batch(api: web::Data<Api>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    let done = async {
        let caller = caller(&api, &request).await?;
        let Items { items } = read_json(body, BODY_BYTES_MAX)
            .await?
            .ok_or_else(|| Problem::bad("body_empty", "send {\"items\":[{\"receipt\":…,\"action\":\"ack\"},…]}"))?;
        if items.is_empty() || items.len() > ITEMS_MAX {
            return Err(Problem::bad("invalid_batch", format!("send 1 to {ITEMS_MAX} items")));
        }
        // Asked for at once, so that they share a commit.
        let done = join_all(items.iter().map(|item| carry_out(&api, &caller, item))).await;
        let results: Vec<Value> = done.into_iter().map(item_view).collect();
        Ok(HttpResponse::Ok().json(json!({ "results": results })))
    };
    respond(done.await)
}

/// One item's answer: what it would have been alone, and its status.
pub(super) fn item_view(result: Result<Value, Problem>) -> Value {
    match result {
        Ok(mut body) => {
            if body.get("status").is_some_and(Value::is_string) {
                body["message_status"] = body["status"].take();
            }
            body["status"] = json!(200);
            body
        }
        Err(problem) => json!({ "status": problem.kind.status().as_u16(), "problem": problem.body() }),
    }
}

async fn carry_out(api: &Api, caller: &Caller, item: &Item) -> Result<Value, Problem> {
    let fence = api
        .signers()
        .receipts
        .verify(&item.receipt)
        .ok_or_else(unknown_receipt)?;
    let began = api.context.clock.now();
    let done = carry_out_step(api, caller, item, fence).await;
    if let Some(name) = ACTIONS.into_iter().find(|name| *name == item.action) {
        let failed = done.as_ref().err().map(|problem| problem.detail.clone());
        tell(api, fence.message, Done { name, began, failed }, &caller.name).await;
    }
    done
}

/// Tells of a step of a message by its id, where anybody watches.
pub(super) async fn tell(api: &Api, id: MessageId, done: Done, client: &str) {
    if !api.context.traces.is_on() {
        return;
    }
    if let Ok(Some(message)) = api.context.store.message(id).await {
        let by = || vec![("client", client.to_owned().into())];
        api.context.tell_step(&message, done, by);
    }
}

async fn carry_out_step(api: &Api, caller: &Caller, item: &Item, fence: Fence) -> Result<Value, Problem> {
    let definitions = api.definitions();
    let job = leased_from(api, &definitions, caller, fence).await?;
    let now = api.context.clock.now();
    let asked = &item.request;
    let until = |seconds: u32| now.plus_seconds(i64::from(seconds));
    let step = match item.action.as_str() {
        "ack" => {
            sandbox::fail_ack(api, job, caller)?;
            Step::Ack(fence)
        }
        "extend" => {
            let default = job
                .queue
                .lease_seconds
                .unwrap_or(api.context.limits.queue.lease_seconds);
            let seconds = within("lease_seconds", asked.lease_seconds, default, 1, LEASE_SECONDS_MAX)?;
            return extended(api, fence, until(seconds)).await;
        }
        "release" => {
            let delay = within("delay_seconds", asked.delay_seconds, 0, 0, LEASE_SECONDS_MAX)?;
            Step::Release(fence, (delay > 0).then(|| until(delay)))
        }
        "reject" => deliver::reject(job, fence, reason(asked)?, asked.dead_letter, &api.context.store, now).await?,
        other => {
            let detail = format!("`{other}` is no action; write ack, extend, release or reject");
            return Err(Problem::bad("unknown_action", detail));
        }
    };
    match api.context.store.step(step, now).await? {
        Stepped::Done(id, status) | Stepped::Before(id, status) => {
            if item.action == "ack" {
                failpoint::reached("ack.committed");
            }
            Ok(json!({ "id": id, "status": status }))
        }
        Stepped::Stale(standing) => Err(stale(&standing)),
        Stepped::Unknown => Err(unknown_receipt()),
    }
}

async fn extended(api: &Api, fence: Fence, until: Timestamp) -> Result<Value, Problem> {
    match api
        .context
        .store
        .step(Step::Extend(fence, until), api.context.clock.now())
        .await?
    {
        Stepped::Done(id, _) | Stepped::Before(id, _) => Ok(json!({ "id": id, "lease_until": until })),
        Stepped::Stale(standing) => Err(stale(&standing)),
        Stepped::Unknown => Err(unknown_receipt()),
    }
}

fn reason(asked: &StepRequest) -> Result<String, Problem> {
    let reason = asked.reason.clone().unwrap_or_else(|| "no reason given".to_owned());
    if reason.chars().count() > REASON_CHARS_MAX || reason.contains('\0') {
        let detail = format!("a reason has at most {REASON_CHARS_MAX} characters, none of them NUL");
        return Err(Problem::bad("invalid_reason", detail));
    }
    Ok(reason)
}

/// The job a lease is of. The receipt is the right to the message; the caller must still be one of the job's clients.
async fn leased_from<'d>(
    api: &Api,
    definitions: &'d Definitions,
    caller: &Caller,
    fence: Fence,
) -> Result<&'d Job, Problem> {
    // A message never changes its job.
    let job = match api.leased.get(&fence.message) {
        Some(job) => job,
        None => api
            .context
            .store
            .job_of(fence.message)
            .await?
            .ok_or_else(unknown_receipt)?,
    };
    // Whoever may not see a message does not learn from a receipt that there is one.
    let may_see = definitions
        .job(job)
        .map_or(caller.sees_all(), |job| caller.may_see(job));
    if !may_see {
        return Err(unknown_receipt());
    }
    usable_job_of(definitions, caller, job)
}

fn unknown_receipt() -> Problem {
    Problem::bad(
        "unknown_receipt",
        "this receipt was not issued here, or its message is no longer kept",
    )
}

/// Promise 3: a stale lease does nothing, and its holder learns where the message stands.
fn stale(standing: &Standing) -> Problem {
    let detail = format!(
        "the lease is over: message {} is {} under lease {}; what you did with it may be done again by somebody else",
        standing.id, standing.status, standing.epoch
    );
    Problem::new(Kind::StaleLease, detail).with_state(json!({
        "id": standing.id,
        "status": standing.status,
        "epoch": standing.epoch,
    }))
}
