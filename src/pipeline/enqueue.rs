//! Enqueue: bytes → digest → durable payload → message row. A success means both are on stable storage (promise 1).

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::Context;
use super::payload::{PayloadError, PayloadSink, StoredPayload};
use super::placement::place;
use crate::definitions::Definitions;
use crate::domain::ids::MessageId;
use crate::domain::job::{DataSource, Direction, Job};
use crate::domain::message::{Digest, Durability, Message, Placement};
use crate::domain::time::Timestamp;
use crate::domain::trace::TraceContext;
use crate::failpoint;
use crate::storage::StoreError;
use crate::storage::enqueue::{Enqueued, Identity, IdentityKind, NewMessage};
use crate::storage::looks::Known;

/// Longest text a sender says about a payload, in characters.
pub const TEXT_CHARS_MAX: usize = 1000;
/// Longest idempotency key, in characters.
const KEY_CHARS_MAX: usize = 255;

/// A time a sender names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// By the clock.
    At(Timestamp),
    /// This many seconds after the enqueue.
    After(u32),
}

impl When {
    /// The point in time, for a message enqueued at `now`.
    #[must_use]
    pub fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::After(seconds) => now.plus_seconds(i64::from(seconds)),
        }
    }
}

/// What a sender says about a payload.
#[derive(Debug, Clone, Default)]
pub struct Envelope {
    /// Label of the entity (RI-1).
    pub entity: Option<String>,
    /// Company (RI-2).
    pub company: Option<String>,
    /// Free text, usually the file name (RI-3).
    pub external_id: Option<String>,
    /// Name of the client.
    pub sender: String,
    /// The message this one corrects.
    pub parent: Option<MessageId>,
    /// Whether its records land even where something newer wrote their keys.
    pub forced: bool,
    /// Digest the sender says the payload has (RFC 9530); checked before anything is stored.
    pub expected_digest: Option<Digest>,
    /// The sender's name for this enqueue: the same again is not another message.
    pub idempotency_key: Option<String>,
    /// From -100 to 100; the job's when absent.
    pub priority: Option<i32>,
    /// Not offered before this.
    pub not_before: Option<When>,
    /// It expires when nobody took it by then.
    pub expires_at: Option<When>,
    /// Headers by their lower-case names, as far as the job keeps order by one.
    pub headers: BTreeMap<String, String>,
    /// Whom to tell how it ends; checked against the job.
    pub webhook: Option<String>,
    /// The sender's place in its trace.
    pub traceparent: Option<TraceContext>,
}

/// An enqueued message, and whether it is the one of an earlier enqueue.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The message as it was when its enqueue was first answered.
    pub message: Message,
    /// Whether it was stored before.
    pub replayed: bool,
}

/// Why a payload was not enqueued. Nothing is stored in any of these cases.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The job does not take payloads, or not this one.
    #[error("{detail}")]
    Refused {
        /// Stable code.
        code: &'static str,
        /// What is wrong and what to do.
        detail: String,
    },
    /// Zero bytes.
    #[error("the body is empty; send the file's bytes (DMF2053)")]
    Empty,
    /// The sender went away or the transfer broke.
    #[error("the transfer broke off after {bytes} bytes: {detail}; nothing was stored, send it again")]
    Interrupted {
        /// Bytes received.
        bytes: u64,
        /// What the transport said.
        detail: String,
    },
    /// The bytes are not the ones the sender described.
    #[error("the body's digest is {found}, but Content-Digest says {expected}; nothing was stored, send it again")]
    DigestMismatch {
        /// What arrived.
        found: String,
        /// What was announced.
        expected: String,
    },
    /// The key stands for a message with other bytes.
    #[error(
        "the {what} was used for message {message} with the digest {before}; this body's is {found}. Nothing was stored: send \
         the same bytes again, or use another key"
    )]
    KeyReused {
        /// Which kind of key.
        what: &'static str,
        /// The message it stands for.
        message: MessageId,
        /// That message's digest.
        before: String,
        /// What arrived.
        found: String,
    },
    /// The payload could not be taken in.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The row could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks an envelope against its job before the first byte of the body is read.
///
/// # Errors
/// [`EnqueueError::Refused`] with the reason (RI-7, RI-8).
pub fn check(job: &Job, definitions: &Definitions, envelope: &mut Envelope) -> Result<(), EnqueueError> {
    if job.direction == Direction::Export {
        return refuse(
            "wrong_direction",
            format!("`{}` is an export job: it is dequeued, not enqueued to", job.name),
        );
    }
    for (what, text) in [
        ("external identifier", &envelope.external_id),
        ("entity", &envelope.entity),
    ] {
        let Some(text) = text else { continue };
        if text.chars().count() > TEXT_CHARS_MAX || text.chars().any(char::is_control) {
            return refuse(
                "invalid_text",
                format!("the {what} has control characters or more than {TEXT_CHARS_MAX} characters"),
            );
        }
    }
    if let Some(key) = &envelope.idempotency_key
        && (key.is_empty() || key.len() > KEY_CHARS_MAX || !key.bytes().all(|b| (b' '..=b'~').contains(&b)))
    {
        return refuse(
            "invalid_idempotency_key",
            format!(
                "an idempotency key has 1 to {KEY_CHARS_MAX} characters of ASCII, none of them a control character"
            ),
        );
    }
    if let Some(company) = &mut envelope.company {
        *company = checked_company(company)?;
    }
    if envelope.company.is_none() {
        envelope.company.clone_from(&job.company);
    }
    match &job.import {
        // What corrects a package is one.
        Some(import)
            if job.data_source == DataSource::File && !(envelope.parent.is_some() && envelope.entity.is_none()) =>
        {
            let offered = import.entities.iter();
            let labels: Vec<&str> = offered.filter_map(|e| definitions.label(&e.entity)).collect();
            envelope.entity = Some(choose_entity(job, &labels, envelope.entity.as_deref())?);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A company as it is kept: in lower case.
///
/// # Errors
/// [`EnqueueError::Refused`] for what is none.
pub fn checked_company(company: &str) -> Result<String, EnqueueError> {
    let company = company.trim().to_lowercase();
    if company.is_empty() || company.chars().count() > 4 || !company.chars().all(char::is_alphanumeric) {
        let detail = "a company is one to four letters or digits";
        return refuse("invalid_company", detail.to_owned());
    }
    Ok(company)
}

/// The label of the entity a file is for: the one named, or the only one there is.
fn choose_entity(job: &Job, labels: &[&str], named: Option<&str>) -> Result<String, EnqueueError> {
    match (named.map(str::trim).filter(|n| !n.is_empty()), labels) {
        (None, [only]) => Ok((*only).to_owned()),
        (None, _) => refuse(
            "entity_missing",
            format!(
                "`{}` takes files for several entities: name one with entity=, one of {}",
                job.name,
                list(labels)
            ),
        ),
        (Some(name), _) => match labels.iter().find(|l| l.to_lowercase() == name.to_lowercase()) {
            Some(label) => Ok((*label).to_owned()),
            None => refuse(
                "entity_unknown",
                format!(
                    "`{}` does not load the entity `{name}`; it loads {}",
                    job.name,
                    list(labels)
                ),
            ),
        },
    }
}

fn list(labels: &[&str]) -> String {
    labels.iter().map(|l| format!("`{l}`")).collect::<Vec<_>>().join(", ")
}

pub(super) fn refuse<T>(code: &'static str, detail: String) -> Result<T, EnqueueError> {
    Err(EnqueueError::Refused { code, detail })
}

/// Takes a checked envelope and its body in. The returned message is on stable storage.
///
/// # Errors
/// [`EnqueueError`]; nothing is stored.
pub async fn enqueue<S, E>(context: &Context, job: &Job, envelope: Envelope, body: S) -> Result<Taken, EnqueueError>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    let began = context.clock.now();
    let payload = receive(context, body).await?;
    if let Some(expected) = envelope.expected_digest
        && expected != payload.digest
    {
        return Err(EnqueueError::DigestMismatch {
            found: payload.digest.content_digest(),
            expected: expected.content_digest(),
        });
    }
    let now = context.clock.now();
    let identities = identities(context, job, &envelope, payload.digest, now);
    // Only what is known by something can be asked for again.
    let asked = (!identities.is_empty()).then(|| envelope.clone());
    let placement = match place(job, &envelope, payload.bytes, &context.limits.queue, now) {
        Ok(placement) => placement,
        Err(refused) => {
            // What is too late for a new message is not too late for its sender to hear again what became of it.
            let before = context.store.known_as(job.id, &identities).await?;
            let (before, asked) = before.zip(asked).ok_or(refused)?;
            return repeat(context, job, &asked, payload.digest, before).await;
        }
    };
    let new = new_message(context, job, envelope, &payload, (placement, identities), now);
    failpoint::reached("enqueue.payload_durable");
    match context.store.enqueue(new, now).await {
        // The sweep took the upload row: the blob is gone, and the sender has to start again.
        Err(StoreError::Conflict { .. }) => Err(PayloadError::Lost.into()),
        Err(error) => Err(error.into()),
        Ok(Enqueued::Stored(message)) => {
            failpoint::reached("enqueue.committed");
            payload.keep();
            context.tell_enqueued(&message, &job.name, began);
            let trace_id = message.trace().trace_id();
            tracing::info!(message.id = %message.id, job.name = %job.name, trace_id, bytes = message.bytes, "enqueued");
            Ok(Taken {
                message: message.as_enqueued(),
                replayed: false,
            })
        }
        // What was uploaded for it is dropped here, and cleaned up.
        Ok(Enqueued::Before { message, digest, kind }) => {
            let before = Known { message, digest, kind };
            repeat(context, job, &asked.unwrap_or_default(), payload.digest, before).await
        }
    }
}

fn new_message(
    context: &Context,
    job: &Job,
    envelope: Envelope,
    payload: &StoredPayload,
    (placement, identities): (Placement, Vec<Identity>),
    now: Timestamp,
) -> NewMessage {
    NewMessage {
        id: MessageId::generate_at(now),
        job: job.id,
        direction: job.direction,
        placement,
        identities,
        webhook: envelope.webhook,
        traceparent: envelope.traceparent,
        entity: envelope.entity,
        company: envelope.company,
        external_id: envelope.external_id,
        enqueued_by: envelope.sender,
        digest: payload.digest,
        bytes: payload.bytes,
        payload: payload.payload.clone(),
        durability: durability(context, job),
        parent: envelope.parent,
        forced: envelope.forced,
        entry: None,
    }
}

/// The same was enqueued before: with the same bytes this is that message, with others a mistake.
async fn repeat(
    context: &Context,
    job: &Job,
    asked: &Envelope,
    digest: Digest,
    before: Known,
) -> Result<Taken, EnqueueError> {
    if before.digest == digest {
        return replay(context, job, asked, &before).await;
    }
    Err(EnqueueError::KeyReused {
        what: name_of(before.kind),
        message: before.message,
        before: before.digest.content_digest(),
        found: digest.content_digest(),
    })
}

fn name_of(kind: IdentityKind) -> &'static str {
    match kind {
        IdentityKind::Key => "Idempotency-Key",
        IdentityKind::External => "external identifier",
        IdentityKind::Content => "content",
    }
}

/// The answer that the first enqueue got: what changed about the message since is not in it.
async fn replay(context: &Context, job: &Job, asked: &Envelope, before: &Known) -> Result<Taken, EnqueueError> {
    let message = context.store.message(before.message).await?;
    let Some(message) = message else {
        return refuse(
            "message_pruned",
            format!(
                "the {} stands for message {}, which is no longer kept",
                name_of(before.kind),
                before.message
            ),
        );
    };
    tracing::info!(message.id = %message.id, "enqueued before");
    let mut message = message.as_enqueued();
    // Where it stood then is not kept once it has ended, but what is asked now was asked then.
    if let Ok(placement) = place(job, asked, message.bytes, &context.limits.queue, message.enqueued_at) {
        message.not_before = placement.not_before;
        message.expires_at = placement.expires_at;
    }
    Ok(Taken {
        message,
        replayed: true,
    })
}

/// What the job asks for, or less where the store's server gives less.
pub(super) fn durability(context: &Context, job: &Job) -> Durability {
    match context.store.durability().class {
        Durability::Full => job.queue.durability,
        Durability::Relaxed => Durability::Relaxed,
    }
}

/// By what the message is known, so that the same again is not another one. A correction is always a message of its own.
fn identities(context: &Context, job: &Job, envelope: &Envelope, digest: Digest, now: Timestamp) -> Vec<Identity> {
    let kept = now.plus_seconds(-i64::from(context.limits.queue.idempotency_days) * 86_400);
    let identity = |kind, key: String, since| Identity { kind, key, since };
    let mut identities = Vec::new();
    if let Some(key) = &envelope.idempotency_key {
        // Two clients may use one key for two things. A key has no line break, so these are never two pairs in one text.
        let key = format!("{}\n{key}", envelope.sender);
        identities.push(identity(IdentityKind::Key, key, kept));
    }
    if envelope.parent.is_some() {
        return identities;
    }
    if let Some(name) = envelope
        .external_id
        .as_ref()
        .filter(|_| job.queue.idempotent_external_id)
    {
        identities.push(identity(IdentityKind::External, name.clone(), kept));
    }
    if let Some(seconds) = job.queue.deduplicate_seconds {
        let since = now.plus_seconds(-i64::from(seconds));
        let scope = [envelope.entity.as_deref(), envelope.company.as_deref()].map(Option::unwrap_or_default);
        let key = format!("{}/{}/{}", digest.hex(), scope[0], scope[1]);
        identities.push(identity(IdentityKind::Content, key, since));
    }
    identities
}

async fn receive<S, E>(context: &Context, body: S) -> Result<StoredPayload, EnqueueError>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    let mut body = std::pin::pin!(body);
    let mut sink = PayloadSink::new(context);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| EnqueueError::Interrupted {
            bytes: sink.bytes(),
            detail: error.to_string(),
        })?;
        sink.write(chunk).await?;
    }
    if sink.bytes() == 0 {
        return Err(EnqueueError::Empty);
    }
    Ok(sink.finish().await?)
}
