//! What a sender says about a payload: in query and headers, or in an item of a batch.

use actix_web::HttpRequest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;

use super::Api;
use super::auth::Caller;
use super::problem::Problem;
use super::query::Query;
use super::webhooks::named_webhook;
use crate::domain::job::{Job, Order};
use crate::domain::message::Digest;
use crate::domain::trace::TraceContext;
use crate::pipeline::enqueue::{Envelope, When};

/// Says that an answer is the one an earlier enqueue got.
pub const REPLAY: (&str, &str) = ("Idempotent-Replay", "true");

/// Longest delay or life a sender may ask for, in seconds: a year.
const SECONDS_MAX: i64 = 366 * 24 * 3600;
/// Priorities go this far in both directions.
const PRIORITY_MAX: i64 = 100;

/// When and how soon a message is to be offered, as the sender wrote it.
#[derive(Debug, Default)]
pub struct Terms {
    /// `priority`
    pub priority: Option<i64>,
    /// `not_before`
    pub not_before: Option<String>,
    /// `delay_seconds`
    pub delay_seconds: Option<i64>,
    /// `expires_at`
    pub expires_at: Option<String>,
    /// `expires_in_seconds`
    pub expires_in_seconds: Option<i64>,
}

impl Terms {
    /// As the query says.
    ///
    /// # Errors
    /// 400 for what is no number.
    pub fn of(query: &Query) -> Result<Self, Problem> {
        Ok(Self {
            priority: query.number("priority")?,
            not_before: query.get("not_before"),
            delay_seconds: query.number("delay_seconds")?,
            expires_at: query.get("expires_at"),
            expires_in_seconds: query.number("expires_in_seconds")?,
        })
    }

    /// Writes them into an envelope.
    ///
    /// # Errors
    /// 400 naming what makes no sense.
    pub fn write(self, envelope: &mut Envelope) -> Result<(), Problem> {
        envelope.priority = match self.priority {
            None => None,
            Some(priority) => Some(within("priority", priority, -PRIORITY_MAX, PRIORITY_MAX)?),
        };
        envelope.not_before = when(
            ("not_before", self.not_before),
            ("delay_seconds", self.delay_seconds, 0),
        )?;
        envelope.expires_at = when(
            ("expires_at", self.expires_at),
            ("expires_in_seconds", self.expires_in_seconds, 1),
        )?;
        Ok(())
    }
}

fn within<T: TryFrom<i64>>(name: &str, value: i64, least: i64, most: i64) -> Result<T, Problem> {
    let fits = Some(value).filter(|value| (least..=most).contains(value));
    fits.and_then(|value| T::try_from(value).ok()).ok_or_else(|| {
        let detail = format!("{name} is {value}; it is a number from {least} to {most}");
        Problem::bad("invalid_number", detail)
    })
}

/// A time given in one of two ways: by the clock, or in seconds from now.
fn when(at: (&str, Option<String>), after: (&str, Option<i64>, i64)) -> Result<Option<When>, Problem> {
    match (at.1, after.1) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            let detail = format!("give {} or {}, not both", at.0, after.0);
            Err(Problem::bad("invalid_time", detail))
        }
        (None, Some(seconds)) => Ok(Some(When::After(within(after.0, seconds, after.2, SECONDS_MAX)?))),
        (Some(text), None) => {
            let time = DateTime::parse_from_rfc3339(text.trim()).map_err(|_| {
                let detail = format!(
                    "{} is `{text}`; write an RFC 3339 time such as 2026-01-05T08:00:00Z (in a query, + is written %2B)",
                    at.0
                );
                Problem::bad("invalid_time", detail)
            })?;
            Ok(Some(When::At(time.to_utc().into())))
        }
    }
}

/// What the headers say, on either surface: who sends, under which key, with which digest, in which order.
///
/// # Errors
/// 400 for a `Content-Digest` nobody can read.
pub fn from_headers(api: &Api, request: &HttpRequest, job: &Job, caller: &Caller) -> Result<Envelope, Problem> {
    let order = match &job.queue.order {
        Order::Header(name) => header(request, name).map(|value| (name.clone(), value)),
        _ => None,
    };
    Ok(Envelope {
        sender: caller.name.clone(),
        expected_digest: content_digest(request)?,
        idempotency_key: header(request, "idempotency-key").map(|key| unquoted(&key).to_owned()),
        headers: order.into_iter().collect(),
        webhook: named_webhook(api, job, request)?,
        traceparent: traceparent(request),
        ..Envelope::default()
    })
}

/// The sender's place in its trace (W3C trace context); what is none is left alone, as that asks.
#[must_use]
pub fn traceparent(request: &HttpRequest) -> Option<TraceContext> {
    request
        .headers()
        .get("traceparent")?
        .to_str()
        .ok()
        .and_then(TraceContext::parse)
}

/// A header's value: UTF-8, or else what .NET and older clients write file names in, Windows-1252 (RI-3).
#[must_use]
pub fn header(request: &HttpRequest, name: &str) -> Option<String> {
    let value = request.headers().get(name)?.as_bytes();
    Some(match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252
            .decode_without_bom_handling(value)
            .0
            .into_owned(),
    })
}

/// Some clients write the key as a structured field does, in quotes; they are not part of it.
fn unquoted(key: &str) -> &str {
    let inner = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
    inner.unwrap_or(key)
}

/// The SHA-256 a `Content-Digest` header announces (RFC 9530); other algorithms are ignored, as the RFC asks.
///
/// # Errors
/// 400 for a header nobody can read.
pub fn content_digest(request: &HttpRequest) -> Result<Option<Digest>, Problem> {
    let Some(header) = request.headers().get("content-digest") else {
        return Ok(None);
    };
    let unreadable = || {
        Problem::bad(
            "invalid_content_digest",
            "Content-Digest is written sha-256=:<base64 of 32 bytes>:",
        )
    };
    let text = header.to_str().map_err(|_| unreadable())?;
    let mut sha256 = None;
    for item in text.split(',') {
        let (algorithm, value) = item.trim().split_once('=').ok_or_else(unreadable)?;
        let value = value
            .strip_prefix(':')
            .and_then(|v| v.strip_suffix(':'))
            .ok_or_else(unreadable)?;
        if algorithm == "sha-256" {
            sha256 = Some(value);
        }
    }
    let Some(base64) = sha256 else { return Ok(None) };
    let bytes = STANDARD.decode(base64).map_err(|_| unreadable())?;
    Ok(Some(Digest(bytes.try_into().map_err(|_| unreadable())?)))
}
