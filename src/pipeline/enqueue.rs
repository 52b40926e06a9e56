//! Enqueue: bytes → digest → durable payload → message row. A success means both are on stable storage (promise 1).

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::Context;
use super::payload::{PayloadError, PayloadSink, StoredPayload};
use crate::definitions::Definitions;
use crate::domain::ids::MessageId;
use crate::domain::job::{DataSource, Direction, Job};
use crate::domain::message::{Digest, Message};
use crate::storage::StoreError;
use crate::storage::messages::NewMessage;

/// Longest text a sender says about a payload, in characters.
pub const TEXT_CHARS_MAX: usize = 1000;

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
    /// Digest the sender says the payload has (RFC 9530); checked before anything is stored.
    pub expected_digest: Option<Digest>,
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
    if let Some(company) = &mut envelope.company {
        *company = company.trim().to_lowercase();
        if company.is_empty() || company.chars().count() > 4 || !company.chars().all(char::is_alphanumeric) {
            return refuse(
                "invalid_company",
                "a company is one to four letters or digits".to_owned(),
            );
        }
    }
    if envelope.company.is_none() {
        envelope.company.clone_from(&job.company);
    }
    match &job.import {
        Some(import) if job.data_source == DataSource::File => {
            let offered = import.entities.iter().filter_map(|e| definitions.entity(&e.entity));
            let labels: Vec<&str> = offered.map(|e| e.label.as_str()).collect();
            envelope.entity = Some(choose_entity(job, &labels, envelope.entity.as_deref())?);
            Ok(())
        }
        _ => Ok(()),
    }
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

fn refuse<T>(code: &'static str, detail: String) -> Result<T, EnqueueError> {
    Err(EnqueueError::Refused { code, detail })
}

/// Takes a checked envelope and its body in. The returned message is on stable storage.
///
/// # Errors
/// [`EnqueueError`]; nothing is stored.
pub async fn enqueue<S, E>(context: &Context, job: &Job, envelope: Envelope, body: S) -> Result<Message, EnqueueError>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    let payload = receive(context, body).await?;
    if let Some(expected) = envelope.expected_digest
        && expected != payload.digest
    {
        return Err(EnqueueError::DigestMismatch {
            found: payload.digest.content_digest(),
            expected: expected.content_digest(),
        });
    }
    let new = NewMessage {
        id: MessageId::generate(),
        job: job.id,
        direction: job.direction,
        entity: envelope.entity,
        company: envelope.company,
        external_id: envelope.external_id,
        enqueued_by: envelope.sender,
        digest: payload.digest,
        bytes: payload.bytes,
        payload: payload.payload.clone(),
        durability: context.store.durability().class,
        parent: envelope.parent,
    };
    let message = match context.store.insert_message(new, context.clock.now()).await {
        // The sweep took the upload row: the blob is gone, and the sender has to start again.
        Err(StoreError::Conflict { .. }) => return Err(PayloadError::Lost.into()),
        inserted => inserted?,
    };
    payload.keep();
    tracing::info!(message.id = %message.id, job.name = %job.name, bytes = message.bytes, "enqueued");
    Ok(message)
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
