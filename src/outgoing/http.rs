//! One request to one receiver, bounded in time and in what is read of the answer.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response};
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
pub struct Client {
    /// Made for the first attempt: a system without certificates runs everything but this.
    client: Arc<OnceCell<reqwest::Client>>,
    settings: config::Outgoing,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An answer.
    Status {
        /// HTTP status.
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

impl Answer {
    /// Why nothing arrived, unless it did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        match self {
            Self::Status { code: 200..=299, .. } => None,
            Self::Status { code, .. } => Some(format!("answered {code}")),
            Self::Failed(detail) | Self::Refused(detail) => Some(detail.clone()),
        }
    }
}

impl Client {
    /// A client that obeys these settings.
    #[must_use]
    pub fn new(settings: &config::Outgoing) -> Self {
        Self {
            client: Arc::default(),
            settings: settings.clone(),
        }
    }

    /// A request to a URL, if it is one that may be sent to.
    ///
    /// # Errors
    /// [`Answer::Refused`] for a URL that is not sent to; [`Answer::Failed`] when TLS cannot be set up.
    pub async fn request(&self, method: Method, url: &str) -> Result<RequestBuilder, Answer> {
        let guard = Guard::new(&self.settings);
        let url = guard
            .check(url)
            .map_err(|refused| Answer::Refused(refused.to_string()))?;
        let client = self.client.get_or_try_init(async || build(guard, &self.settings)).await;
        Ok(client.map_err(failed)?.request(method, url))
    }

    /// Sends a request and reads the beginning of its answer.
    pub async fn send(request: RequestBuilder) -> Answer {
        match request.send().await {
            Ok(response) => read(response).await,
            Err(error) => failed(error),
        }
    }

    /// Sends a request; its whole answer, of so many bytes at most.
    ///
    /// # Errors
    /// [`Answer::Failed`] or [`Answer::Refused`] when none came, or one that is longer.
    pub async fn fetch(request: RequestBuilder, bytes_max: usize) -> Result<(u16, Vec<u8>), Answer> {
        let mut response = request.send().await.map_err(failed)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > bytes_max {
                return Err(Answer::Failed(format!("the answer is longer than {bytes_max} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((response.status().as_u16(), bytes))
    }
}

fn build(guard: Guard, settings: &config::Outgoing) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .dns_resolver(Arc::new(guard))
        // A proxy would look the name up by itself, and a redirect would lead anywhere.
        .no_proxy()
        .redirect(Policy::none())
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
        .connect_timeout(CONNECT_PATIENCE)
        .timeout(Duration::from_secs(settings.timeout_seconds.into()))
        .pool_idle_timeout(IDLE_CONNECTION)
        .pool_max_idle_per_host(settings.concurrency_per_host)
        .user_agent(concat!("tranship/", env!("CARGO_PKG_VERSION")))
        .build()
}

async fn read(mut response: Response) -> Answer {
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
