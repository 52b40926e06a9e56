//! The server over HTTP, as the wire contract has it: the connector, the package API and the token endpoint. It uses nothing
//! that only Tranship has but headers that others ignore.

mod connector;
mod packages;
mod token;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::AUTHORIZATION;
use reqwest::{Certificate, Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Mutex;
use tokio_util::io::ReaderStream;
use url::Url;

pub use connector::{Delivery, EntityDetail, JobStatus, Upload};
pub use packages::{ExportRequest, ImportRequest, RunStatus};

use super::config::Server;
use super::trouble::{Kind, Trouble};
use crate::clock::Clock;
use token::Token;

/// Longest wait for an answer once everything is sent. Submitting a package of many entities takes minutes (PKG-11).
const ANSWER_PATIENCE: Duration = Duration::from_mins(10);
/// Longest wait for a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// A transfer that moves no byte for so long is given up; as a whole it may take as long as it takes (GEN-13).
const STALL_PATIENCE: Duration = Duration::from_mins(2);
/// Bytes read from a file at a time.
const READ_BYTES: usize = 64 * 1024;
/// Largest answer that is read as a whole.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A signed-in client of the server.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    server: Server,
    clock: Clock,
    token: Mutex<Option<Token>>,
}

impl Client {
    /// A client that signs in when it first needs to.
    ///
    /// # Errors
    /// What is wrong with `ca_file`, or with the system's certificates.
    pub fn new(server: &Server, clock: Clock) -> Result<Self, String> {
        // A second installation is refused and changes nothing: the first one is the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tranship-agent/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_PATIENCE)
            .tcp_keepalive(Duration::from_secs(30))
            // GEN-4: the service never redirects, and a token must not follow one.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(file) = &server.ca_file {
            builder = builder.tls_certs_merge(authorities(file)?);
        } else if server.url.scheme() == "http" && server.token_url.scheme() == "http" {
            // Without TLS the system's certificates are not needed, and a small machine may have none.
            builder = builder.tls_certs_only(std::iter::empty());
        }
        let http = builder
            .build()
            .map_err(|error| format!("cannot set up HTTPS: {}", super::trouble::causes(&error)))?;
        Ok(Self {
            http,
            server: server.clone(),
            clock,
            token: Mutex::default(),
        })
    }

    /// The address of a path, every segment encoded, with a query.
    fn at(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.server.url.clone();
        // Only a URL without a host has no segments, and the configuration takes none of those.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// A request with a token.
    async fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, Trouble> {
        let token = self.sign_in().await?;
        Ok(self.http.request(method, url).header(AUTHORIZATION, token))
    }

    /// Sends a request without a large body; any answer but 2xx is trouble.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Trouble> {
        let sent = tokio::time::timeout(ANSWER_PATIENCE, request.send());
        let answered = sent.await.map_err(|_| Trouble::new(Kind::Away, "no answer in time"))?;
        self.judge(answered.map_err(Trouble::unanswered)?).await
    }

    async fn judge(&self, response: Response) -> Result<Response, Trouble> {
        if response.status().is_success() {
            return Ok(response);
        }
        if response.status() == reqwest::StatusCode::UNAUTHORIZED {
            // It may have been revoked; the next request asks for another.
            *self.token.lock().await = None;
        }
        Err(Trouble::of(response, &self.clock).await)
    }

    /// Sends the first `bytes` of a file as a body. Given up when it stalls, however long it takes.
    async fn send_file(&self, request: RequestBuilder, file: std::fs::File, bytes: u64) -> Result<Response, Trouble> {
        let moved = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&moved);
        let file = tokio::fs::File::from_std(file).take(bytes);
        let stream = ReaderStream::with_capacity(file, READ_BYTES).inspect(move |chunk| {
            let read = chunk.as_ref().map_or(0, bytes::Bytes::len);
            counted.fetch_add(read as u64, Ordering::Relaxed);
        });
        let request = request
            .header(reqwest::header::CONTENT_LENGTH, bytes)
            .body(reqwest::Body::wrap_stream(stream));
        let sending = request.send();
        tokio::pin!(sending);
        let (mut seen, mut waited) = (0, Duration::ZERO);
        loop {
            tokio::select! {
                answered = &mut sending => return self.judge(answered.map_err(Trouble::unanswered)?).await,
                () = tokio::time::sleep(STALL_PATIENCE) => {}
            }
            let now = moved.load(Ordering::Relaxed);
            waited = if now == seen {
                waited + STALL_PATIENCE
            } else {
                Duration::ZERO
            };
            seen = now;
            let patience = if now == bytes { ANSWER_PATIENCE } else { STALL_PATIENCE };
            if waited >= patience {
                return Err(Trouble::new(
                    Kind::Away,
                    format!("the transfer stalled after {now} of {bytes} bytes"),
                ));
            }
        }
    }
}

/// Reads a JSON answer of bounded length.
async fn read<T: DeserializeOwned>(response: Response) -> Result<T, Trouble> {
    let path = response.url().path().to_owned();
    let text = read_text(response).await?;
    serde_json::from_str(&text).map_err(|error| {
        Trouble::new(
            Kind::Failed,
            format!("the answer of {path} is not as the contract says: {error}"),
        )
    })
}

async fn read_text(response: Response) -> Result<String, Trouble> {
    let mut text = Vec::new();
    let mut body = response.bytes_stream();
    while let Some(chunk) = next_chunk(&mut body).await? {
        if text.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Trouble::new(
                Kind::Failed,
                format!("the answer is longer than {ANSWER_BYTES_MAX} bytes"),
            ));
        }
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).map_err(|_| Trouble::new(Kind::Failed, "the answer is no text"))
}

/// The next piece of a body; a server that stops sending is given up.
pub async fn next_chunk(
    body: &mut (impl futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Unpin),
) -> Result<Option<bytes::Bytes>, Trouble> {
    match tokio::time::timeout(STALL_PATIENCE, body.next()).await {
        Ok(chunk) => chunk.transpose().map_err(Trouble::unanswered),
        Err(_) => Err(Trouble::new(Kind::Away, "the transfer stalled")),
    }
}

/// The certificates of a PEM file.
fn authorities(file: &std::path::Path) -> Result<Vec<Certificate>, String> {
    let broken = |error: String| format!("ca_file {}: {error}", file.display());
    let pem = std::fs::read(file).map_err(|error| broken(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| broken(error.to_string()))?;
    if found.is_empty() {
        return Err(broken("there is no certificate in it (PEM)".to_owned()));
    }
    Ok(found)
}
