//! One attempt: one POST to one receiver, bounded in time and in what is read of the answer.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use tokio::sync::OnceCell;

use super::guard::{Guard, Refused};
use crate::config;

/// Longest wait for a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection is kept for the next delivery to the same receiver.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);
/// What is read of an answer, and kept for the operator's eyes.
const EXCERPT_BYTES: usize = 1024;

/// Sends. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Poster {
    /// Made for the first attempt: a system without certificates runs everything but this.
    client: Arc<OnceCell<reqwest::Client>>,
    settings: config::Webhooks,
}

/// What is sent.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    pub url: &'a str,
    pub id: String,
    pub timestamp: i64,
    pub signature: String,
    pub body: String,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// An answer.
    Status {
        code: u16,
        /// Seconds the receiver asks us to stay away.
        retry_after: Option<u32>,
        /// Its beginning.
        excerpt: String,
    },
    /// None; trying again may help.
    Failed(String),
    /// Nothing was sent, and nothing would be the next time.
    Refused(String),
}

impl Poster {
    pub fn new(settings: &config::Webhooks) -> Self {
        Self {
            client: Arc::default(),
            settings: settings.clone(),
        }
    }

    pub async fn post(&self, signed: Signed<'_>) -> Answer {
        let guard = Guard::new(&self.settings);
        let url = match guard.check(signed.url) {
            Ok(url) => url,
            Err(refused) => return Answer::Refused(refused.to_string()),
        };
        let client = self.client.get_or_try_init(async || build(guard, &self.settings)).await;
        let client = match client {
            Ok(client) => client,
            Err(error) => return failed(error),
        };
        let request = client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", signed.id)
            .header("webhook-timestamp", signed.timestamp)
            .header("webhook-signature", signed.signature)
            .body(signed.body);
        match request.send().await {
            Ok(response) => read(response).await,
            Err(error) => failed(error),
        }
    }
}

fn build(guard: Guard, settings: &config::Webhooks) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .dns_resolver(Arc::new(guard))
        // A proxy would look the name up by itself, and a redirect would lead anywhere.
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_PATIENCE)
        .timeout(Duration::from_secs(settings.timeout_seconds.into()))
        .pool_idle_timeout(IDLE_CONNECTION)
        .pool_max_idle_per_host(settings.concurrency_per_host)
        .user_agent(concat!("tranship/", env!("CARGO_PKG_VERSION")))
        .build()
}

async fn read(mut response: reqwest::Response) -> Answer {
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut bytes = Vec::new();
    // The status says all that matters: an answer that breaks off is an answer.
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = EXCERPT_BYTES - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() == EXCERPT_BYTES {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes).replace(char::is_control, " ");
    Answer::Status {
        code: response.status().as_u16(),
        retry_after,
        excerpt: text.trim().to_owned(),
    }
}

fn failed(error: reqwest::Error) -> Answer {
    // A URL may hold what only its receiver should know.
    let error = error.without_url();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return Answer::Refused(refused.to_string());
        }
        cause = inner.source();
    }
    Answer::Failed(chain(&error))
}

/// The error with its causes: by itself it says little more than that sending failed.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    text.replace(char::is_control, " ")
        .chars()
        .take(EXCERPT_BYTES)
        .collect()
}
