//! What a client says over HTTP.

use std::time::{Duration, Instant};

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

use crate::service::Service;
use crate::site::Credentials;

/// An HTTP client that follows no redirects and never waits for ever.
pub fn http() -> Client {
    // The process may have a provider already: a second installation is refused, and that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        // Reading the system's certificates takes a build without optimisation longer than what it is about to ask.
        .tls_certs_only([])
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_mins(1))
        .build()
        .expect("an HTTP client")
}

/// A signed-in client of one process.
#[derive(Clone)]
pub struct Caller {
    http: Client,
    base: String,
    token: String,
}

impl Caller {
    /// Signs in.
    pub async fn new(service: &Service, credentials: &Credentials) -> Self {
        Self::at(&service.base, credentials).await.expect("an access token")
    }

    /// Signs in at an address, where that may be refused, or the service dies meanwhile.
    pub async fn at(base: &str, credentials: &Credentials) -> Option<Self> {
        let http = http();
        let scope = format!("{base}/.default");
        let answer = http
            .post(format!("{base}/default/oauth2/v2.0/token"))
            .form(&[
                ("grant_type", "client_credentials"),
                ("client_id", &credentials.id),
                ("client_secret", &credentials.secret),
                ("scope", &scope),
            ])
            .send()
            .await
            .ok()?;
        let (status, body) = (answer.status(), answer.text().await.ok()?);
        if status != StatusCode::OK {
            eprintln!("no token: {status} {body}");
            return None;
        }
        let body: Value = serde_json::from_str(&body).expect("JSON");
        Some(Self {
            http,
            base: base.to_owned(),
            token: body["access_token"].as_str()?.to_owned(),
        })
    }

    /// Its access token.
    #[allow(dead_code, reason = "for clients of another language")]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// `GET path`
    pub async fn get(&self, path: &str) -> Response {
        let request = self.http.get(self.url(path)).bearer_auth(&self.token);
        request
            .send()
            .await
            .unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// `GET path`, where there may be no answer.
    pub async fn try_get(&self, path: &str) -> reqwest::Result<Response> {
        self.http.get(self.url(path)).bearer_auth(&self.token).send().await
    }

    /// `POST path` with a body.
    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.try_post(path, body)
            .await
            .unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// The same where there may be no answer.
    pub async fn try_post(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Result<Response> {
        let request = self.http.post(self.url(path)).bearer_auth(&self.token).body(body);
        request.send().await
    }

    /// `POST path` with an idempotency key, where there may be no answer.
    pub async fn try_post_once(
        &self,
        path: &str,
        key: &str,
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Result<Response> {
        let request = self.http.post(self.url(path)).bearer_auth(&self.token);
        request.header("Idempotency-Key", key).body(body).send().await
    }

    /// Pushes a file and returns the message's id.
    pub async fn push(&self, job: &str, entity: &str, file: Vec<u8>) -> String {
        let entity = entity.replace(' ', "%20");
        let answer = self
            .post(&format!("/api/v1/jobs/{job}/messages?entity={entity}"), file)
            .await;
        let location = answer.headers().get("location").cloned();
        let body = json(answer, StatusCode::CREATED).await;
        let location = location.expect("a created message has a Location");
        let id = location
            .to_str()
            .ok()
            .and_then(|l| l.rsplit('/').next())
            .expect("an id ends it");
        assert_eq!(body["id"], id, "{body}");
        id.to_owned()
    }

    /// The status of a message.
    pub async fn message(&self, id: &str) -> Message {
        Message(json(self.get(&format!("/api/v1/messages/{id}")).await, StatusCode::OK).await)
    }

    /// The first status of a message that `wanted` accepts.
    pub async fn wait_for(&self, id: &str, patience: Duration, wanted: impl Fn(&Message) -> bool) -> Message {
        let began = Instant::now();
        loop {
            let message = self.message(id).await;
            if wanted(&message) {
                return message;
            }
            assert!(began.elapsed() < patience, "after {patience:?} still {}", message.0);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The status a message ends with.
    pub async fn ended(&self, id: &str) -> Message {
        self.wait_for(id, Duration::from_mins(3), Message::is_final).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// A message's status body.
pub struct Message(pub Value);

impl Message {
    /// Its status.
    pub fn status(&self) -> &str {
        self.0["status"].as_str().expect("a status")
    }

    /// Whether nothing more happens to it.
    pub fn is_final(&self) -> bool {
        self.0["final"].as_bool().expect("final is a boolean")
    }

    /// How often it was taken.
    pub fn attempt(&self) -> u64 {
        self.0["attempt"].as_u64().expect("an attempt")
    }

    /// Records by outcome.
    pub fn records(&self, outcome: &str) -> u64 {
        self.0["records"][outcome]
            .as_u64()
            .unwrap_or_else(|| panic!("records.{outcome} in {}", self.0))
    }
}

/// A receipt as a part of a path: it is base64, which has signs that mean something there.
pub fn in_path(receipt: &str) -> String {
    receipt.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

/// The JSON of an answer with the expected status.
pub async fn json(answer: Response, expected: StatusCode) -> Value {
    let status = answer.status();
    let url = answer.url().clone();
    let text = answer.text().await.expect("a body");
    assert_eq!(status, expected, "{url} says {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url} says {text}: {error}"))
}
