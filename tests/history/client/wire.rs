//! One request and what came of it.

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::Client;
use crate::history::{Answer, Deed, Refusal};

/// What came of a request.
enum Outcome {
    /// An answer.
    Answered(Reply),
    /// None: perhaps the request arrived, perhaps it will.
    Silence,
    /// It cannot have arrived: nobody listened.
    NeverSent,
}

/// An answer, whole.
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON, null when it is something else.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether it says nothing about what was done: the service's own failure.
    pub fn is_unclear(&self) -> bool {
        self.status >= 500
    }
}

/// The problem a body tells, as a refusal with this status.
pub fn refusal(status: u16, problem: &Value) -> Refusal {
    Refusal {
        status,
        code: problem["code"].as_str().unwrap_or_default().to_owned(),
    }
}

/// What one answer, or one item's answer in a batch, says about what was asked.
pub fn answer(status: u16, problem: &Value) -> Answer {
    match status {
        200..300 => Answer::Accepted,
        500.. => Answer::Unknown,
        _ => Answer::Refused(refusal(status, problem)),
    }
}

/// Every byte that is no letter or digit, escaped: receipts are base64.
pub fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

impl Client {
    /// A request to whichever process is next, which the caller may add to.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        // Every second client has something between itself and the service that may break.
        let base = if self.number.is_multiple_of(2) {
            self.cluster.base(self.process)
        } else {
            self.cluster.base_through_proxy(self.process)
        };
        let url = format!("{base}{path}");
        self.http
            .request(method, url)
            .bearer_auth(&self.token)
            .timeout(self.patience)
    }

    /// Sends a request and takes down what `read` makes of its answer. Nothing when it cannot have arrived, which is not worth
    /// a line.
    pub(super) async fn ask<T>(
        &self,
        request: RequestBuilder,
        read: impl FnOnce(Option<&Reply>) -> (T, Vec<Deed>),
    ) -> Option<T> {
        let call = self.recorder.begin(self.number);
        let outcome = outcome(request).await;
        let now = self.recorder.now();
        let reply = match &outcome {
            Outcome::NeverSent => return None,
            Outcome::Silence => None,
            Outcome::Answered(reply) => {
                let said = String::from_utf8_lossy(&reply.body);
                assert!(!matches!(reply.status, 401 | 403 | 405), "{}: {said}", reply.status);
                Some(reply)
            }
        };
        let (result, deeds) = read(reply);
        // What was asked by a request that failed may still be under way.
        let ended = reply.filter(|reply| !reply.is_unclear()).map(|_| now);
        self.recorder.end(call, ended, deeds);
        Some(result)
    }
}

/// Sends a request and reads its answer to the end.
async fn outcome(request: RequestBuilder) -> Outcome {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Outcome::NeverSent,
        Err(_) => return Outcome::Silence,
    };
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    match response.bytes().await {
        Ok(body) => Outcome::Answered(Reply {
            status,
            headers,
            body: body.into(),
        }),
        Err(_) => Outcome::Silence,
    }
}
