//! Where a message stands: at once, or as soon as it stands elsewhere.
//!
//! An answer's `ETag` says what is in it. Its first half covers the message itself (status, lease, counts), its second half
//! everything shown, corrections and executions included; waiting is for the first, which one cheap read tells.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::Api;
use super::auth::caller;
use super::leases::WAIT_SECONDS_MAX;
use super::messages::visible;
use super::problem::{Kind, Problem, Surface};
use super::query::Query;
use super::{envelope, sandbox, view};
use crate::domain::ids::MessageId;
use crate::domain::message::Message;

/// `GET /api/v1/messages/{id}?wait_seconds=`: the message. With `wait_seconds` the answer waits: with `If-None-Match` until
/// the message changed (304 when it did not), else until it has ended.
pub async fn show(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let shown = async {
        let caller = caller(&api, &request).await?;
        let message = visible(&api, &caller, &id).await?;
        let known = envelope::header(&request, IF_NONE_MATCH.as_str());
        let look = Look::of(&api, message).await?;
        let wait = wait_seconds(&request)?;
        if wait.is_zero() || !look.is_awaited(known.as_deref()) {
            return Ok(look.answer(known.as_deref()).finish());
        }
        let Ok(_turn) = api.waiters.try_acquire() else {
            return Ok(look.answer(known.as_deref()).come_back().finish());
        };
        let look = wait_for_change(&api, look, known.as_deref(), wait).await?;
        Ok(look.answer(known.as_deref()).finish())
    };
    shown
        .await
        .unwrap_or_else(|problem: Problem| problem.respond(Surface::Native))
}

fn wait_seconds(request: &HttpRequest) -> Result<Duration, Problem> {
    let asked = Query::of(request).number("wait_seconds")?.unwrap_or(0);
    let seconds = u32::try_from(asked).ok().filter(|seconds| *seconds <= WAIT_SECONDS_MAX);
    let seconds = seconds.ok_or_else(|| {
        let detail = format!("wait_seconds is {asked}; it is a number from 0 to {WAIT_SECONDS_MAX}");
        Problem::bad("invalid_number", detail)
    })?;
    Ok(Duration::from_secs(seconds.into()))
}

/// Waits until another look is another one, the time is over, or the service stops. Holds no connection of the store's.
async fn wait_for_change(api: &Api, first: Look, known: Option<&str>, wait: Duration) -> Result<Look, Problem> {
    let until = Instant::now() + wait;
    let id = first.message.id;
    let watching = api.watch.message(id);
    loop {
        // Registered before looking, so that no news between look and wait are lost.
        let news = watching.news();
        tokio::pin!(news);
        news.as_mut().enable();
        let message = again(api, id).await?;
        let changed = row_tag(&view::summary(&api.definitions(), &message)) != first.row;
        let left = until.saturating_duration_since(Instant::now());
        let enough = left.is_zero() || api.draining.is_cancelled();
        if enough || (changed && (known.is_some() || message.status.is_final())) {
            return Look::of(api, message).await;
        }
        tokio::select! {
            () = news => {}
            () = tokio::time::sleep(left.min(api.watch.look_again_after())) => {}
            () = api.draining.cancelled() => {}
        }
    }
}

/// A message that was there a moment ago.
pub(super) async fn again(api: &Api, id: MessageId) -> Result<Message, Problem> {
    let message = api.context.store.message(id).await?;
    let message = message.ok_or_else(|| Problem::new(Kind::NotFound, format!("there is no message {id} any more")))?;
    Ok(sandbox::as_shown(api, message).await?)
}

/// What somebody who asks now is shown.
pub(super) struct Look {
    pub(super) message: Message,
    pub(super) body: String,
    /// Tag of the message itself.
    row: String,
    /// Tag of everything, without quotes.
    pub(super) tag: String,
}

impl Look {
    /// Looks.
    pub(super) async fn of(api: &Api, message: Message) -> Result<Self, Problem> {
        let definitions = api.definitions();
        let row = row_tag(&view::summary(&definitions, &message));
        let body = view::message(&api.context, &definitions, &message).await?.to_string();
        let tag = format!("{row}-{}", short_hash(&body));
        Ok(Self {
            message,
            body,
            row,
            tag,
        })
    }

    /// Whether there is something to wait for, for somebody who knows this much.
    fn is_awaited(&self, known: Option<&str>) -> bool {
        match known {
            Some(known) => is_among(&self.tag, known),
            None => !self.message.status.is_final(),
        }
    }

    fn answer(self, known: Option<&str>) -> Answer {
        let is_known = known.is_some_and(|known| is_among(&self.tag, known));
        let status = if is_known {
            StatusCode::NOT_MODIFIED
        } else {
            StatusCode::OK
        };
        let mut answer = HttpResponse::build(status);
        answer
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((ETAG, format!("\"{}\"", self.tag)));
        Answer {
            answer,
            body: (!is_known).then_some(self.body),
        }
    }
}

struct Answer {
    answer: actix_web::HttpResponseBuilder,
    body: Option<String>,
}

impl Answer {
    /// Too many wait already: who would wait is told not to ask in a circle.
    fn come_back(mut self) -> Self {
        self.answer.insert_header((RETRY_AFTER, "1"));
        self
    }

    fn finish(mut self) -> HttpResponse {
        match self.body {
            Some(body) => self.answer.content_type("application/json").body(body),
            None => self.answer.finish(),
        }
    }
}

/// Whether an `If-None-Match` holds this tag. What a proxy weakened on the way still names the same answer.
fn is_among(tag: &str, known: &str) -> bool {
    let mut tags = known
        .split(',')
        .map(|known| known.trim().trim_start_matches("W/").trim_matches('"'));
    tags.any(|known| known == tag || known == "*")
}

/// Changes whenever the message itself does.
fn row_tag(summary: &Value) -> String {
    short_hash(&summary.to_string())
}

fn short_hash(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash[..8].iter().fold(String::with_capacity(16), |mut hex, byte| {
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::is_among;

    #[test]
    fn tags_are_found_in_every_form_headers_have() {
        for known in ["\"a-b\"", "W/\"a-b\"", "\"x\", \"a-b\"", "\"x\",W/\"a-b\"", "*", "a-b"] {
            assert!(is_among("a-b", known), "{known}");
        }
        for other in ["", "\"a-c\"", "W/\"a\"", "\"x\", \"y\""] {
            assert!(!is_among("a-b", other), "{other}");
        }
    }
}
