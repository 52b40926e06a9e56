//! Faults that strike inside a handler: acknowledgements that fail, deliveries that come again, statuses that come late. Each costs
//! nothing without the sandbox.

use actix_web::{HttpMessage as _, HttpRequest};

use super::Found;
use crate::domain::counts::Counts;
use crate::domain::job::Job;
use crate::domain::message::Message;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::http::Api;
use crate::http::auth::Caller;
use crate::http::problem::{Kind, Problem};
use crate::sandbox::Sandbox;
use crate::sandbox::fault::About;
use crate::storage::StoreError;
use crate::storage::messages::MessageEvent;

/// What a failing acknowledgement is answered with.
const ACK_FAILS_WITH: u16 = 500;

fn about<'a>(job: &'a Job, caller: &'a Caller) -> About<'a> {
    About {
        job: &job.name,
        job_id: job.id,
        client: Some(&caller.name),
    }
}

/// Notes for the journal which client a request comes from.
pub(in crate::http) fn note_client(request: &HttpRequest, name: &str) {
    let mut extensions = request.extensions_mut();
    let mut found = extensions.remove::<Found>().unwrap_or_default();
    found.client = Some(name.to_owned());
    extensions.insert(found);
}

/// Has an acknowledgement fail, if a fault says so: nothing is acknowledged.
pub(in crate::http) fn fail_ack(api: &Api, job: &Job, caller: &Caller) -> Result<(), Problem> {
    let Some(sandbox) = &api.context.sandbox else {
        return Ok(());
    };
    match sandbox.faults.fails_ack(about(job, caller)) {
        None => Ok(()),
        Some(name) => {
            let detail = format!("the fault `{name}` of the sandbox struck; nothing was acknowledged");
            Err(Problem::new(Kind::Fault(ACK_FAILS_WITH), detail))
        }
    }
}

/// Before messages are handed out: offers one that is leased once more, if a fault says so (against RI-11).
pub(in crate::http) async fn deliver_again(api: &Api, job: &Job, caller: &Caller) -> Result<(), StoreError> {
    let Some(sandbox) = &api.context.sandbox else {
        return Ok(());
    };
    let Some(name) = sandbox.faults.delivers_again(about(job, caller)) else {
        return Ok(());
    };
    let now = api.context.clock.now();
    if let Some(message) = api.context.store.deliver_again(job.id, now).await? {
        sandbox.faults.count(&name);
        tracing::warn!(message.id = %message, fault = name, "a leased message is handed out again: a fault of the sandbox");
    }
    Ok(())
}

/// As of when callers see how the messages of a job stand, where that is not now.
pub(in crate::http) fn as_of(api: &Api, message: &Message) -> Option<Timestamp> {
    look_back(api, message).map(|(_, _, as_of)| as_of)
}

fn look_back<'a>(api: &'a Api, message: &Message) -> Option<(&'a Sandbox, String, Timestamp)> {
    let sandbox = api.context.sandbox.as_deref()?;
    let definitions = api.definitions();
    let about = About {
        job: definitions.job(message.job).map_or("", |job| job.name.as_str()),
        job_id: message.job,
        client: None,
    };
    let (name, as_of) = sandbox.faults.status_as_of(about)?;
    Some((sandbox, name, as_of))
}

/// A message as callers see it: as it stands, or as it stood a while ago, if a fault says so. Never as it never was.
pub(in crate::http) async fn as_shown(api: &Api, message: Message) -> Result<Message, StoreError> {
    let Some((sandbox, fault, as_of)) = look_back(api, &message) else {
        return Ok(message);
    };
    let events = api.context.store.message_events(message.id).await?;
    let shown = events.iter().rfind(|event| event.at <= as_of);
    if events.len() < 2 || shown == events.last() {
        return Ok(message);
    }
    sandbox.faults.count(&fault);
    Ok(as_it_was(message, shown, as_of))
}

/// The message when this was the last that had happened to it.
fn as_it_was(message: Message, last: Option<&MessageEvent>, as_of: Timestamp) -> Message {
    let is_under_way = |event: &&MessageEvent| !event.status.is_final() && event.status != Status::Enqueued;
    let Some(event) = last.filter(is_under_way) else {
        // Also one that had ended and was tried again since: how it had ended is no longer known.
        return message.as_enqueued();
    };
    Message {
        status: event.status,
        wait: None,
        epoch: event.epoch,
        attempt: message.attempt.min(i32::try_from(event.epoch).unwrap_or(i32::MAX)),
        lease_until: None,
        // As it was just after it was taken: nothing was read yet.
        execution: None,
        started_at: message.started_at.filter(|at| *at <= as_of),
        last_dequeued_at: message.last_dequeued_at.filter(|at| *at <= as_of),
        finished_at: None,
        failure: None,
        first_error: None,
        last_error: None,
        counts: Counts::default(),
        repaired: 0,
        ..message
    }
}
