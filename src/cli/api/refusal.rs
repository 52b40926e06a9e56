//! What a service refuses, as a failure: its own sentence, the exit code that goes with the answer, and what to do.

use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::cli::screen::plain;
use crate::cli::{Exit, Failure};

/// What the service said, as a failure.
pub(super) async fn refusal(response: Response) -> Failure {
    let status = response.status();
    let path = response.url().path().to_owned();
    let after = response
        .headers()
        .get(reqwest::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let text = response.text().await.unwrap_or_default();
    let said = sentence(&text).map(|sentence| {
        let lines: Vec<String> = in_options(&sentence).lines().map(plain).collect();
        lines.join("\n")
    });
    let cure = said.as_deref().and_then(cure_of);
    let unsaid = said.is_none();
    let what = said.unwrap_or_else(|| format!("the service answered {status} to {path}"));
    let failure = Failure::new(ending(status, &text), what);
    match (status, after) {
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(seconds)) => {
            failure.cure(format!("Try again in {} seconds.", plain(&seconds)))
        }
        (StatusCode::FORBIDDEN, _) if unsaid => failure.cure("A job's `clients` list says who may use it."),
        (StatusCode::NOT_FOUND, _) => match cure {
            Some(cure) => failure.cure(cure),
            None => failure,
        },
        _ => failure,
    }
}

/// What the API calls a member of a body is an option here.
fn in_options(sentence: &str) -> String {
    sentence.replace("or say `force`", "or say `--force`")
}

/// Where to look for something the service does not know. A message without rejected records needs no cure.
fn cure_of(sentence: &str) -> Option<&'static str> {
    if sentence.starts_with("there is no job") {
        Some("`tranship jobs list` shows what is there.")
    } else if sentence.starts_with("there is no message") {
        Some("`tranship messages list` shows what is there.")
    } else {
        None
    }
}

/// A name that nothing has is the same ending wherever it stands in the call: in the path (404), or beside it (400 `entity_unknown`).
fn ending(status: StatusCode, text: &str) -> Exit {
    match status.as_u16() {
        400 if code(text).is_some_and(|code| code.ends_with("_unknown")) => Exit::Refused,
        401 | 403 | 404 | 410 => Exit::Refused,
        429 | 502..=504 => Exit::Unreachable,
        _ => Exit::Failed,
    }
}

/// The code in a problem body.
fn code(text: &str) -> Option<String> {
    let body: Value = serde_json::from_str(text).ok()?;
    Some(body.get("code")?.as_str()?.to_owned())
}

/// The sentence in an error body: a problem's `detail` or `title`, an `OData` error's message, a token error's description.
fn sentence(text: &str) -> Option<String> {
    let body: Value = serde_json::from_str(text).ok()?;
    ["/detail", "/error/message", "/error_description", "/Message", "/title"]
        .into_iter()
        .find_map(|at| body.pointer(at).and_then(Value::as_str))
        .filter(|sentence| !sentence.is_empty())
        .map(str::to_owned)
}

/// An error with its causes, because the outermost one of an HTTP client says little.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut last = error.to_string();
    let mut inner = error.source();
    while let Some(cause) = inner {
        last = cause.to_string();
        inner = cause.source();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_body_yields_its_sentence() {
        for (body, want) in [
            (
                r#"{"title":"Not found","status":404,"code":"job_unknown","detail":"there is no job `x`"}"#,
                "there is no job `x`",
            ),
            (r#"{"title":"Not found"}"#, "Not found"),
            (
                r#"{"error":{"code":"","message":"An error has occurred."}}"#,
                "An error has occurred.",
            ),
            (
                r#"{"error":"invalid_client","error_description":"bad secret"}"#,
                "bad secret",
            ),
            (
                r#"{"Message":"No HTTP resource was found"}"#,
                "No HTTP resource was found",
            ),
        ] {
            assert_eq!(sentence(body).as_deref(), Some(want));
        }
        assert_eq!(sentence("<html>"), None);
        assert_eq!(sentence("{}"), None);
    }

    #[test]
    fn the_ending_follows_the_answer() {
        let told = |status, text| ending(StatusCode::from_u16(status).expect("a status"), text);
        let ending = |status| told(status, "");
        assert_eq!(ending(403), Exit::Refused);
        assert_eq!(ending(404), Exit::Refused);
        assert_eq!(ending(422), Exit::Failed);
        assert_eq!(ending(500), Exit::Failed);
        assert_eq!(ending(503), Exit::Unreachable);
        assert_eq!(told(400, r#"{"code":"entity_unknown"}"#), Exit::Refused);
        assert_eq!(told(400, r#"{"code":"invalid_company"}"#), Exit::Failed);
        assert_eq!(ending(400), Exit::Failed);
    }

    #[test]
    fn a_cure_is_offered_only_where_it_fits() {
        assert!(cure_of("there is no job `x`").is_some_and(|cure| cure.contains("jobs list")));
        assert!(cure_of("there is no message 1").is_some_and(|cure| cure.contains("messages list")));
        assert_eq!(cure_of("message 1 has no rejected records"), None);
    }
}
