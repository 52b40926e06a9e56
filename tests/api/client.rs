//! A client of `/api/v1` queues, as short as a test wants to read it.

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::app::{Setup, TestApp};
use crate::described;

/// Adds a relay job; `more` follows its `[queue]`.
pub fn relay(setup: &mut Setup, name: &str, more: &str) {
    // Any id will do, as long as two jobs of one test have two.
    let number = name.bytes().fold(7_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte)) % 0xffff_ffff_ffff
    });
    let text = format!(
        "id = \"00000000-0000-4000-8000-{number:012x}\"\nname = \"{name}\"\ndirection = \"relay\"\nclients = [\"shop\", \
         \"archive\"]\n[queue]\n{more}\n"
    );
    setup.file(&format!("jobs/{}.toml", name.to_lowercase()), &text);
}

/// What was answered.
#[derive(Debug)]
pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answered {
    pub async fn read(answer: Response) -> Self {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let path = answer.url().path().to_owned();
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        described::check(&path, status, &headers, &body);
        Self { status, headers, body }
    }

    /// The body of an answer that must have this status.
    pub fn expect(self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Whether it is the answer of an earlier request.
    pub fn is_replay(&self) -> bool {
        self.headers
            .get("idempotent-replay")
            .is_some_and(|value| value == "true")
    }

    pub fn text(&self, member: &str) -> String {
        self.body[member]
            .as_str()
            .unwrap_or_else(|| panic!("{member} in {}", self.body))
            .to_owned()
    }
}

/// Sends a request as the holder of `token`.
pub async fn send(request: RequestBuilder, token: &str) -> Answered {
    Answered::read(request.bearer_auth(token).send().await.unwrap()).await
}

impl TestApp {
    /// Sends JSON as `tester`.
    pub async fn post_json(&self, path: &str, body: &Value) -> Answered {
        send(self.request(Method::POST, path).json(body), &self.token).await
    }

    /// A request that enqueues to a job.
    pub fn enqueuing(&self, job: &str, query: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.request(Method::POST, &format!("/api/v1/jobs/{job}/messages?{query}"))
            .body(body)
    }

    /// Enqueues on `/api/v1` as `tester`; the message id.
    pub async fn put(&self, job: &str, query: &str, body: &str) -> String {
        let answer = send(self.enqueuing(job, query, body.to_owned()), &self.token).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.text("id")
    }

    /// Asks for leases as `tester`.
    pub async fn lease(&self, job: &str, asked: Value) -> Vec<Value> {
        let answer = self.post_json(&format!("/api/v1/jobs/{job}/leases"), &asked).await;
        let body = answer.expect(StatusCode::OK);
        body["leases"].as_array().unwrap().clone()
    }

    /// The one message waiting.
    pub async fn lease_one(&self, job: &str) -> Value {
        let mut leases = self.lease(job, json!({ "max": 2 })).await;
        assert_eq!(leases.len(), 1, "{leases:?}");
        leases.remove(0)
    }

    /// The message ids that are offered now, in their order; they stay leased.
    pub async fn offered(&self, job: &str) -> Vec<String> {
        let leases = self.lease(job, json!({ "max": 100 })).await;
        leases.iter().map(|lease| text(lease, "id")).collect()
    }

    /// Does something under a lease as `tester`.
    pub async fn step(&self, lease: &Value, action: &str, asked: Value) -> Answered {
        self.post_json(&step_path(lease, action), &asked).await
    }
}

/// Where a lease is acted on.
pub fn step_path(lease: &Value, action: &str) -> String {
    let receipt: String = url::form_urlencoded::byte_serialize(text(lease, "receipt").as_bytes()).collect();
    format!("/api/v1/leases/{receipt}/{action}")
}

/// A member that is a text.
pub fn text(value: &Value, member: &str) -> String {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member} in {value}"))
        .to_owned()
}
