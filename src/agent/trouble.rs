//! Why a step did not succeed, by what has to happen before it can.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::clock::Clock;

/// Longest wait a server may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);
/// What is read of an answer that tells a failure.
const TOLD_BYTES_MAX: usize = 64 * 1024;
/// What of it is shown.
const TOLD_CHARS_MAX: usize = 500;

/// A step that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Trouble {
    /// What has to happen.
    pub kind: Kind,
    /// What happened, in a sentence.
    pub what: String,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
}

/// What has to happen before a step can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Time has to pass: the server cannot be reached, or has too much to do.
    Away,
    /// Somebody has to let this client in, or correct the configuration.
    NotAllowed,
    /// The server failed at it, which may be the file's fault or not.
    Failed,
    /// Another file: the server does not take this one.
    Refused,
    /// Something on this machine: a disk, a folder, a file that cannot be read.
    Local,
}

impl Trouble {
    /// Trouble of this kind.
    #[must_use]
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            retry_after: None,
        }
    }

    /// Something on this machine; `verb` completes "cannot ...".
    #[must_use]
    pub fn local(verb: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        // A name may hold a line break.
        Self::new(
            Kind::Local,
            format!("cannot {verb} {:?}: {error}", path.display().to_string()),
        )
    }

    /// A request that got no answer.
    #[must_use]
    pub fn unanswered(error: reqwest::Error) -> Self {
        // A URL may hold a signature.
        Self::new(Kind::Away, format!("no answer: {}", causes(&error.without_url())))
    }

    /// An answer that is none of those wanted.
    pub async fn of(mut response: Response, clock: &Clock) -> Self {
        let status = response.status();
        let path = response.url().path().to_owned();
        let retry_after = retry_after(&response, clock);
        let mut told = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            told.extend_from_slice(&chunk);
            if told.len() > TOLD_BYTES_MAX {
                break;
            }
        }
        let sentence = sentence(&String::from_utf8_lossy(&told));
        let what = match sentence {
            Some(sentence) => format!("{status} from {path}: {sentence}"),
            None => format!("{status} from {path}"),
        };
        Self {
            kind: kind(status),
            what,
            retry_after,
        }
    }
}

/// What an answer's status means for the step (RI-6, RI-7, AUTH-9, AUTH-10).
fn kind(status: StatusCode) -> Kind {
    match status.as_u16() {
        408 | 425 | 429 | 502..=504 => Kind::Away,
        // Redirects are not followed (GEN-4): the address is wrong, as with 404 and 405.
        300..=399 | 401 | 403 | 404 | 405 | 407 => Kind::NotAllowed,
        400..=499 => Kind::Refused,
        _ => Kind::Failed,
    }
}

/// `Retry-After`: seconds, or a date.
fn retry_after(response: &Response, clock: &Clock) -> Option<Duration> {
    let text = response
        .headers()
        .get(reqwest::header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim();
    let until = || {
        let at = chrono::DateTime::parse_from_rfc2822(text).ok()?.timestamp();
        Some(u64::try_from(at - clock.now().to_utc().timestamp()).unwrap_or(0))
    };
    let seconds = text.parse().ok().or_else(until)?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// The sentence of an error body: `OData`'s useful text (ERR-1), a problem's, Web API's (GEN-14), a token error's (AUTH-5).
fn sentence(text: &str) -> Option<String> {
    let cut = |text: &str| {
        text.replace(char::is_control, " ")
            .chars()
            .take(TOLD_CHARS_MAX)
            .collect::<String>()
    };
    let Ok(body) = serde_json::from_str::<Value>(text) else {
        let text = text.trim();
        // A page of a proxy says less than its status.
        return (!text.is_empty() && !text.starts_with('<')).then(|| cut(text));
    };
    let places = [
        "/error/innererror/message",
        "/detail",
        "/error/message",
        "/error_description",
        "/Message",
        "/title",
        "/error",
    ];
    let found = places
        .into_iter()
        .find_map(|at| body.pointer(at)?.as_str().filter(|text| !text.is_empty()));
    found.or(body.as_str()).map(cut)
}

/// An error with its causes: by itself it says little more than that sending failed.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_has_to_happen() {
        let of = |status| kind(StatusCode::from_u16(status).expect("a status"));
        for (status, kind) in [
            (301, Kind::NotAllowed),
            (400, Kind::Refused),
            (401, Kind::NotAllowed),
            (404, Kind::NotAllowed),
            (413, Kind::Refused),
            (422, Kind::Refused),
            (429, Kind::Away),
            (500, Kind::Failed),
            (503, Kind::Away),
        ] {
            assert_eq!(of(status), kind, "{status}");
        }
    }

    #[test]
    fn the_useful_sentence_is_found_in_every_kind_of_body() {
        let odata =
            r#"{"error":{"code":"","message":"An error has occurred.","innererror":{"message":"no such project"}}}"#;
        assert_eq!(sentence(odata).as_deref(), Some("no such project"));
        assert_eq!(sentence(r#"{"Message":"gone"}"#).as_deref(), Some("gone"));
        assert_eq!(sentence(r#""plain\nJSON""#).as_deref(), Some("plain JSON"));
        assert_eq!(sentence("just text").as_deref(), Some("just text"));
        assert_eq!(sentence("<html>"), None);
        assert_eq!(sentence(""), None);
    }
}
