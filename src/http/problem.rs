//! The single mapping from any failure to status, stable code and body.
//!
//! `/api/v1` answers RFC 9457 problems, the connector `{"Message":…}` (RI-7), `/data` the `OData` error body (contract 1.1).
//! Causes inside the service are logged here, once, and never sent.
//!
//! To add a problem: add a variant, give it a code and a status below, and the list in `docs/api.md` follows by its test.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde_json::json;

use super::auth::base_url;
use super::openapi;
use super::{Api, SentUri};
use crate::auth::tokens::TokenError;
use crate::blob::BlobError;
use crate::disk::DiskFault;
use crate::pipeline::blob_host::BlobHostError;
use crate::pipeline::enqueue::EnqueueError;
use crate::pipeline::find::FindError;
use crate::pipeline::payload::PayloadError;
use crate::pipeline::room::NoRoom;
use crate::pipeline::source::SourceError;
use crate::storage::StoreError;

/// When it is worth to look again whether there is room in a queue.
const ROOM_LOOKED_FOR: Duration = Duration::from_secs(4);

/// A failure as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What sort.
    pub kind: Kind,
    /// What happened and what to do.
    pub detail: String,
    /// Where the thing stands now, where that is why.
    pub state: Option<serde_json::Value>,
    /// What a 401 says in `WWW-Authenticate`.
    pub challenge: &'static str,
    /// Seconds until it is worth to come back, where that is known.
    pub retry_after: Option<u64>,
}

/// Sorts of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No token, or one that is not good (AUTH-9).
    Unauthorized,
    /// A good token, but not for this (AUTH-10, AUTH-12).
    Forbidden,
    /// No such thing, or none the caller may see.
    NotFound,
    /// The request makes no sense; the code says why.
    BadRequest(&'static str),
    /// The path is there, but not with this method.
    NoSuchMethod,
    /// The thing is in a state that does not allow this.
    Conflict,
    /// The receipt's lease is over.
    StaleLease,
    /// The idempotency key stands for another payload.
    KeyReused,
    /// As much is being enqueued as the service takes at once.
    QueueFull,
    /// As many messages are in the job's queue as may be.
    TooManyMessages,
    /// The client calls faster than it may.
    RateLimited,
    /// The body is over the limit.
    TooLarge,
    /// The body's digest is not the announced one.
    DigestMismatch,
    /// The payload is no longer kept.
    Gone,
    /// The payload was withdrawn, because it held a person's data that was to be erased.
    Erased,
    /// An activity id nobody knows: 500 on the connector (AUTH-13).
    UnknownActivity,
    /// Something the service needs is out of reach; trying again helps.
    Unavailable,
    /// A failure of ours.
    Internal,
    /// A failure on purpose, with this status.
    Fault(u16),
}

impl Kind {
    /// Stable code, for scripts.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::BadRequest(code) => code,
            Self::NoSuchMethod => "method_not_allowed",
            Self::Conflict => "conflict",
            Self::StaleLease => "stale_lease",
            Self::KeyReused => "idempotency_key_reused",
            Self::QueueFull => "queue_full",
            Self::TooManyMessages => "too_many_messages",
            Self::RateLimited => "rate_limited",
            Self::TooLarge => "payload_too_large",
            Self::DigestMismatch => "digest_mismatch",
            Self::Gone => "payload_gone",
            Self::Erased => "payload_erased",
            Self::UnknownActivity => "unknown_activity",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::Fault(_) => "sandbox_fault",
        }
    }

    /// HTTP status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::BadRequest(_) | Self::DigestMismatch => StatusCode::BAD_REQUEST,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict | Self::StaleLease => StatusCode::CONFLICT,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::QueueFull | Self::TooManyMessages | Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Gone | Self::Erased => StatusCode::GONE,
            Self::UnknownActivity | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault(status) => StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// What the real server's runtime calls it (ERR-1, ERR-3).
    fn exception(self) -> &'static str {
        match self {
            Self::Unauthorized | Self::Forbidden => "System.UnauthorizedAccessException",
            Self::UnknownActivity | Self::Unavailable | Self::Internal | Self::Fault(_) => "System.Exception",
            _ => "System.InvalidOperationException",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Unauthorized => "A valid access token is needed",
            Self::Forbidden => "Not allowed",
            Self::NotFound => "Not found",
            Self::BadRequest(_) => "The request cannot be carried out",
            Self::NoSuchMethod => "Not with this method",
            Self::Conflict => "Not in the state this needs",
            Self::StaleLease => "The lease is over",
            Self::KeyReused => "The key was used for another payload",
            Self::QueueFull => "Too much at once",
            Self::TooManyMessages => "The job's queue is full",
            Self::RateLimited => "Too fast",
            Self::TooLarge => "The payload is too large",
            Self::DigestMismatch => "The payload is not the one announced",
            Self::Gone => "The payload is no longer kept",
            Self::Erased => "The payload was erased",
            Self::UnknownActivity => "Unknown activity id",
            Self::Unavailable => "Try again later",
            Self::Internal => "An error has occurred",
            Self::Fault(_) => "A fault of the sandbox",
        }
    }
}

/// Which body a surface answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// `/api/v1`: RFC 9457.
    Native,
    /// `/api/connector`: `{"Message":…}`.
    Connector,
    /// `/data`: `OData` error body.
    Data,
}

impl Surface {
    /// The surface a canonical path belongs to.
    #[must_use]
    pub fn of(path: &str) -> Self {
        if path.starts_with("/api/v1") {
            Self::Native
        } else if path.starts_with("/data") || path.starts_with("/metadata") {
            Self::Data
        } else {
            Self::Connector
        }
    }
}

impl Problem {
    /// A problem of this sort.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            state: None,
            challenge: "Bearer",
            retry_after: None,
        }
    }

    /// A token that lets nobody in (AUTH-9).
    #[must_use]
    pub fn unauthorized(error: &TokenError) -> Self {
        let detail =
            format!("{error}; ask /{{tenant}}/oauth2/v2.0/token for one and send it as `Authorization: Bearer`");
        Self {
            challenge: error.challenge(),
            ..Self::new(Kind::Unauthorized, detail)
        }
    }

    /// The same, with where the thing stands now.
    #[must_use]
    pub fn with_state(mut self, state: serde_json::Value) -> Self {
        self.state = Some(state);
        self
    }

    /// The same, with when it is worth to come back.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait.as_secs() + 1);
        self
    }

    /// The problem as `/api/v1` writes it (RFC 9457), alone or as one item of a batch.
    #[must_use]
    pub fn body(&self) -> serde_json::Value {
        let code = self.kind.code();
        let mut body = json!({
            "type": format!("urn:tranship:problem:{code}"),
            "title": self.kind.title(),
            "status": self.kind.status().as_u16(),
            "code": code,
            "detail": self.detail,
        });
        if let Some(state) = &self.state {
            body["state"] = state.clone();
        }
        body
    }

    /// Something the service needs is out of reach, or its disk takes nothing more.
    fn unavailable(what: &str, disk: Option<DiskFault>) -> Self {
        let detail = match disk {
            None => format!("{what} is out of reach; try again in a few seconds"),
            Some(fault) => format!(
                "the disk of {what} {fault}, so nothing was done; try again when whoever runs the service has looked after it"
            ),
        };
        Self::new(Kind::Unavailable, detail)
    }

    /// A request that cannot be carried out.
    #[must_use]
    pub fn bad(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest(code), detail)
    }

    /// The answer, in the form of the surface.
    #[must_use]
    pub fn respond(&self, surface: Surface) -> HttpResponse {
        let mut answer = HttpResponse::build(self.kind.status());
        match self.kind {
            Kind::Unauthorized => {
                answer.insert_header((header::WWW_AUTHENTICATE, self.challenge));
            }
            Kind::QueueFull | Kind::TooManyMessages | Kind::RateLimited => {
                answer.insert_header((header::RETRY_AFTER, self.retry_after.unwrap_or(1)));
            }
            Kind::Unavailable => {
                answer.insert_header((header::RETRY_AFTER, self.retry_after.unwrap_or(5)));
            }
            _ => {}
        }
        match surface {
            Surface::Native => self.native(&mut answer),
            Surface::Connector => answer.json(json!({ "Message": self.detail })),
            Surface::Data => answer.json(json!({ "error": {
                "code": "",
                "message": "An error has occurred.",
                "innererror": { "message": self.detail, "type": self.kind.exception(), "stacktrace": "" },
            }})),
        }
    }

    fn native(&self, answer: &mut HttpResponseBuilder) -> HttpResponse {
        answer
            .content_type("application/problem+json")
            .body(self.body().to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } | StoreError::Exists { .. } => Self::new(Kind::Conflict, error.to_string()),
            StoreError::Driver(_) => {
                tracing::error!(%error, "the service store failed");
                Self::unavailable("the service store", error.disk_fault())
            }
            other => {
                tracing::error!(error = %other, "internal failure");
                Self::new(Kind::Internal, "the service failed; its log says why")
            }
        }
    }
}

impl From<FindError> for Problem {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Busy => Self::new(Kind::Unavailable, error.to_string()),
            FindError::Store(error) => error.into(),
        }
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Missing(_) => {
                tracing::error!(%error, "a payload cannot be read");
                Self::new(Kind::Gone, "the payload is no longer kept")
            }
            other => {
                tracing::error!(error = %other, "the blob store failed");
                Self::unavailable("the blob store", other.disk_fault())
            }
        }
    }
}

impl From<PayloadError> for Problem {
    fn from(error: PayloadError) -> Self {
        match error {
            PayloadError::TooLarge { .. } => Self::new(Kind::TooLarge, error.to_string()),
            PayloadError::Lost => Self::new(Kind::Unavailable, error.to_string()),
            PayloadError::Blob(error) => error.into(),
            PayloadError::Store(error) => error.into(),
        }
    }
}

impl From<BlobHostError> for Problem {
    fn from(error: BlobHostError) -> Self {
        match error {
            BlobHostError::Payload(error) => error.into(),
            BlobHostError::Missing => Self::new(Kind::NotFound, error.to_string()),
            BlobHostError::Overtaken => Self::new(Kind::Unavailable, error.to_string()),
            other => Self::new(Kind::Conflict, other.to_string()),
        }
    }
}

impl From<EnqueueError> for Problem {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::Refused { code, detail } => Self::bad(code, detail),
            EnqueueError::Empty => Self::bad("body_empty", error.to_string()),
            EnqueueError::Interrupted { .. } => Self::bad("transfer_interrupted", error.to_string()),
            EnqueueError::DigestMismatch { .. } => Self::new(Kind::DigestMismatch, error.to_string()),
            EnqueueError::KeyReused { .. } => Self::new(Kind::KeyReused, error.to_string()),
            EnqueueError::Payload(error) => error.into(),
            EnqueueError::Store(error) => error.into(),
        }
    }
}

impl From<NoRoom> for Problem {
    fn from(error: NoRoom) -> Self {
        match error {
            // By then others will have taken some, or not: a second would be asked again in vain.
            NoRoom::Full { .. } => Self::new(Kind::TooManyMessages, error.to_string()).retry_after(ROOM_LOOKED_FOR),
            NoRoom::Never { .. } => Self::bad("invalid_batch", error.to_string()),
            NoRoom::Store(error) => error.into(),
        }
    }
}

impl From<SourceError> for Problem {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Unreadable(detail) => {
                tracing::error!(%detail, "a payload cannot be read");
                Self::new(Kind::Gone, detail)
            }
            SourceError::Erased { .. } => Self::new(Kind::Erased, error.to_string()),
            SourceError::Blob(error) => error.into(),
            SourceError::Store(error) => error.into(),
        }
    }
}

/// What a known path answers to a method it does not have; `Allow` says which it has (RFC 9110, 15.5.6).
pub async fn no_such_method(request: HttpRequest) -> HttpResponse {
    let detail = format!("{} is not a method of {}", request.method(), request.path());
    let mut answer = Problem::new(Kind::NoSuchMethod, detail).respond(Surface::of(request.path()));
    let allowed = request.match_pattern().and_then(|pattern| allowed(&pattern));
    if let Some(allowed) = allowed.and_then(|methods| header::HeaderValue::try_from(methods).ok()) {
        answer.headers_mut().insert(header::ALLOW, allowed);
    }
    answer
}

/// The methods of a path, as it is registered.
fn allowed(pattern: &str) -> Option<String> {
    match pattern {
        "/" | "/health/live" | "/health/ready" | "/metrics" => Some("GET, HEAD".to_owned()),
        "/api/connector/enqueue/{activity}" | "/api/connector/ack/{activity}" => Some("POST".to_owned()),
        connector if connector.starts_with("/api/connector/") => Some("GET".to_owned()),
        "/data/datamanagementdefinitiongroups/{action}" => Some("GET, POST".to_owned()),
        described => openapi::methods(described),
    }
}

/// What an unknown route answers (GEN-14).
pub async fn no_such_route(request: HttpRequest) -> HttpResponse {
    let sent = request.extensions().get::<SentUri>().map(|SentUri(sent)| sent.clone());
    let sent = sent.unwrap_or_else(|| request.uri().to_string());
    let base = request.app_data::<web::Data<Api>>().map(|api| base_url(api, &request));
    let uri = format!("{}{sent}", base.unwrap_or_default());
    let detail = format!("No HTTP resource was found that matches the request URI '{uri}'.");
    match Surface::of(request.path()) {
        Surface::Native => Problem::new(Kind::NotFound, detail).respond(Surface::Native),
        Surface::Connector | Surface::Data => HttpResponse::NotFound().json(json!({ "Message": detail })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_found_no_turn_to_search_is_told_when_to_come_back() {
        let answer = Problem::from(FindError::Busy).respond(Surface::Native);
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key(header::RETRY_AFTER));
    }

    /// Every code in the sources, found by how they are written, stands in the documentation.
    #[test]
    fn every_code_is_documented() {
        let page = include_str!("../../docs/api.md");
        let fixed = [
            Kind::Unauthorized,
            Kind::Forbidden,
            Kind::NotFound,
            Kind::NoSuchMethod,
            Kind::Conflict,
            Kind::StaleLease,
            Kind::KeyReused,
            Kind::QueueFull,
            Kind::TooManyMessages,
            Kind::RateLimited,
            Kind::TooLarge,
            Kind::DigestMismatch,
            Kind::Gone,
            Kind::Erased,
            Kind::UnknownActivity,
            Kind::Unavailable,
            Kind::Internal,
        ];
        for kind in fixed {
            let row = format!("| `{}` | {} |", kind.code(), kind.status().as_u16());
            assert!(page.contains(&row), "docs/api.md lacks {row}");
        }
        let sources = [
            include_str!("admission.rs"),
            include_str!("batch.rs"),
            include_str!("connector.rs"),
            include_str!("dmf/links.rs"),
            include_str!("envelope.rs"),
            include_str!("headers.rs"),
            include_str!("events.rs"),
            include_str!("query.rs"),
            include_str!("status.rs"),
            include_str!("messages.rs"),
            include_str!("jobs.rs"),
            include_str!("schedules.rs"),
            include_str!("leases.rs"),
            include_str!("body.rs"),
            include_str!("dead_letters.rs"),
            include_str!("../pipeline/placement.rs"),
            include_str!("json_body.rs"),
            include_str!("package_api/mod.rs"),
            include_str!("package_api/parameters.rs"),
            include_str!("package_api/status.rs"),
            include_str!("rejects.rs"),
            include_str!("webhooks.rs"),
            include_str!("destinations.rs"),
            include_str!("discovery.rs"),
            include_str!("history.rs"),
            include_str!("sandbox/control.rs"),
            include_str!("sandbox/faults.rs"),
            include_str!("sandbox/journal.rs"),
            include_str!("problem.rs"),
            include_str!("../pipeline/enqueue.rs"),
        ];
        let mut found = 0;
        for source in sources {
            // Not what this test says itself.
            let source = source.split("#[cfg(test)]").next().unwrap_or_default();
            for call in ["Problem::bad(", "Self::bad(", "refuse("] {
                for rest in source.split(call).skip(1) {
                    let Some(code) = rest.trim_start().strip_prefix('"').and_then(|r| r.split('"').next()) else {
                        continue;
                    };
                    assert!(page.contains(&format!("`{code}`")), "docs/api.md lacks `{code}`");
                    found += 1;
                }
            }
        }
        assert!(found > 15, "the codes are written in another way now: {found}");
    }
}
