//! The service over HTTP, as any client sees it: `/api/v1`, the connector and the token endpoint.
//!
//! Owns: signing in, addresses, and turning every refusal into a [`Failure`] with the service's own sentence in it (`refusal`).

mod refusal;

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::answers::{Answer, Dequeued, Job, Message};
use super::{Exit, Failure, untrusted};
use crate::sandbox::{MARK, SPARED};
use refusal::{chain, refusal};

/// Longest wait for an answer that needs no upload and no download.
const ANSWER_SECONDS_MAX: u64 = 60;
/// Longest wait for a connection.
const CONNECT_SECONDS_MAX: u64 = 10;
/// A token this close to its end is not used any more.
const TOKEN_MARGIN_SECONDS: u64 = 30;

/// A signed-in client of one service.
#[derive(Debug)]
pub struct Api {
    http: reqwest::Client,
    base: Url,
    name: String,
    secret: super::connection::Secret,
    token: Mutex<Option<Token>>,
    is_spared: bool,
}

#[derive(Debug)]
struct Token {
    header: String,
    good_until: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

/// A dequeued message: what we read in the answer, and the answer itself, which the acknowledgement echoes (RI-20).
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What we read in it.
    pub body: Dequeued,
    /// The answer's text.
    pub raw: String,
}

/// An HTTP client that is nobody yet.
///
/// # Errors
/// [`Exit::Failed`] when TLS cannot be set up.
pub fn plain(base: &Url) -> Result<reqwest::Client, Failure> {
    // A second installation is refused and changes nothing: the first one is the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("tranship/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
        // GEN-4: the service never redirects, and a token must not follow one.
        .redirect(reqwest::redirect::Policy::none());
    if base.scheme() == "http" {
        // Without TLS the system's certificates are not needed, and a small machine may have none.
        builder = builder.tls_certs_only(std::iter::empty());
    }
    builder
        .build()
        .map_err(|error| Failure::failed(format!("cannot set up HTTPS: {}", chain(&error))))
}

impl Api {
    /// A client that signs in when it first needs to.
    ///
    /// # Errors
    /// [`Exit::Failed`] when TLS cannot be set up.
    pub fn new(base: Url, name: &str, secret: &str) -> Result<Self, Failure> {
        let http = plain(&base)?;
        Ok(Self {
            http,
            base,
            name: name.to_owned(),
            secret: secret.to_owned().into(),
            token: Mutex::new(None),
            is_spared: false,
        })
    }

    /// The same, spared by faults of the sandbox when it signs in: who cannot sign in cannot remove a fault.
    #[must_use]
    pub fn spared(self) -> Self {
        Self {
            is_spared: true,
            ..self
        }
    }

    /// The service's address.
    #[must_use]
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The address of a path, every segment encoded, with a query.
    #[must_use]
    pub fn at(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        // Only a URL without a host has no segments, and `Connection` takes none of those.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Reads something.
    ///
    /// # Errors
    /// Whatever the service answers but 2xx.
    pub async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer<T>, Failure> {
        let request = self.request(Method::GET, self.at(path, query)).await?;
        read(
            self.send(request.timeout(Duration::from_secs(ANSWER_SECONDS_MAX)))
                .await?,
        )
        .await
    }

    /// Asks for something that needs no body, or a JSON one.
    ///
    /// # Errors
    /// Whatever the service answers but 2xx.
    pub async fn post<T: DeserializeOwned>(&self, path: &[&str], body: Option<&Value>) -> Result<Answer<T>, Failure> {
        self.post_within(ANSWER_SECONDS_MAX, path, body).await
    }

    /// The same for what may take longer, up to so many seconds.
    ///
    /// # Errors
    /// Whatever the service answers but 2xx.
    pub async fn post_within<T: DeserializeOwned>(
        &self,
        seconds: u64,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Answer<T>, Failure> {
        let mut request = self.request(Method::POST, self.at(path, &[])).await?;
        request = match body {
            Some(body) => request.json(body),
            None => request.header(CONTENT_LENGTH, 0),
        };
        read(self.send(request.timeout(Duration::from_secs(seconds))).await?).await
    }

    /// Removes something, where the answer tells what.
    ///
    /// # Errors
    /// Whatever the service answers but 2xx.
    pub async fn delete_told<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Answer<T>, Failure> {
        let request = self.request(Method::DELETE, self.at(path, &[])).await?;
        read(
            self.send(request.timeout(Duration::from_secs(ANSWER_SECONDS_MAX)))
                .await?,
        )
        .await
    }

    /// Deletes something.
    ///
    /// # Errors
    /// Whatever the service answers but 2xx.
    pub async fn delete(&self, path: &[&str]) -> Result<(), Failure> {
        let request = self.request(Method::DELETE, self.at(path, &[])).await?;
        let asked = request.timeout(Duration::from_secs(ANSWER_SECONDS_MAX));
        self.send(asked).await.map(drop)
    }

    /// Sends a file of known length. Takes as long as it takes (GEN-13).
    ///
    /// # Errors
    /// Whatever the service answers but 2xx.
    pub async fn upload(
        &self,
        to: Url,
        bytes: u64,
        body: reqwest::Body,
        key: Option<&str>,
    ) -> Result<Answer<Message>, Failure> {
        let mut request = self
            .request(Method::POST, to)
            .await?
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, bytes);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        read(self.send(request.body(body)).await?).await
    }

    /// Opens something to be read as a stream.
    ///
    /// # Errors
    /// Whatever the service answers but 2xx.
    pub async fn open(&self, from: Url) -> Result<Response, Failure> {
        let request = self.request(Method::GET, from).await?;
        self.send(request).await
    }

    /// A message's status.
    ///
    /// # Errors
    /// Whatever the service answers but 2xx.
    pub async fn message(&self, id: &str) -> Result<Answer<Message>, Failure> {
        self.get(&["api", "v1", "messages", id], &[]).await
    }

    /// A job by name or activity id.
    ///
    /// # Errors
    /// Whatever the service answers but 2xx.
    pub async fn job(&self, name_or_id: &str) -> Result<Answer<Job>, Failure> {
        self.get(&["api", "v1", "jobs", name_or_id], &[]).await
    }

    /// Takes the oldest message of a job's queue; nothing when it is empty (RI-9).
    ///
    /// # Errors
    /// Whatever the service answers but 200 and 204.
    pub async fn dequeue(&self, job_id: &str) -> Result<Option<Delivery>, Failure> {
        let url = self.at(&["api", "connector", "dequeue", job_id], &[]);
        let request = self.request(Method::GET, url).await?;
        let response = self
            .send(request.timeout(Duration::from_secs(ANSWER_SECONDS_MAX)))
            .await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let raw = response.text().await.map_err(|error| self.broken(&error))?;
        let body = serde_json::from_str(&raw)
            .map_err(|error| Failure::failed(format!("the service's dequeue answer cannot be read: {error}")))?;
        Ok(Some(Delivery { body, raw }))
    }

    /// Opens the file of a delivery. Only path and query of the stated location are used: the token goes to the service
    /// that was named on the command line and to no other, and a proxy in between does not matter (RI-14).
    ///
    /// # Errors
    /// [`Exit::Failed`] without a location; whatever the service answers but 2xx.
    pub async fn download(&self, delivery: &Delivery) -> Result<Response, Failure> {
        let location = delivery.body.download_location.as_deref().unwrap_or_default();
        let stated = self
            .base
            .join(location)
            .ok()
            .filter(|_| !location.is_empty())
            .ok_or_else(|| {
                Failure::failed(format!(
                    "the service named no usable download location for message {}",
                    super::screen::plain(&delivery.body.correlation_id)
                ))
            })?;
        let mut url = self.base.clone();
        url.set_path(stated.path());
        url.set_query(stated.query());
        self.open(url).await
    }

    /// Acknowledges a delivery by echoing it (RI-20).
    ///
    /// # Errors
    /// Whatever the service answers but 2xx.
    pub async fn acknowledge(&self, job_id: &str, delivery: &Delivery) -> Result<(), Failure> {
        let url = self.at(&["api", "connector", "ack", job_id], &[]);
        let request = self
            .request(Method::POST, url)
            .await?
            .header(CONTENT_TYPE, "application/json")
            .timeout(Duration::from_secs(ANSWER_SECONDS_MAX))
            .body(delivery.raw.clone());
        self.send(request).await.map(drop)
    }

    async fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, Failure> {
        let token = self.sign_in().await?;
        Ok(self.http.request(method, url).header(AUTHORIZATION, token))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        if response.status() == StatusCode::UNAUTHORIZED {
            // The key may have been rotated; the next request asks for a new token.
            *self.token.lock().await = None;
        }
        Err(refusal(response).await)
    }

    /// The bearer header; asks for a token when there is none or it is about to end.
    async fn sign_in(&self) -> Result<String, Failure> {
        let mut token = self.token.lock().await;
        if let Some(token) = token.as_ref().filter(|token| Instant::now() < token.good_until) {
            return Ok(token.header.clone());
        }
        let url = self.at(&["default", "oauth2", "v2.0", "token"], &[]);
        let scope = format!("{}/.default", self.base.as_str().trim_end_matches('/'));
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.name.as_str()),
            ("client_secret", self.secret.reveal()),
            ("scope", scope.as_str()),
        ];
        let asked = Instant::now();
        let mut request = self
            .http
            .post(url)
            .form(&form)
            .timeout(Duration::from_secs(ANSWER_SECONDS_MAX));
        if self.is_spared {
            request = request.header(MARK, SPARED);
        }
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(Failure::new(
                Exit::Refused,
                format!("the service does not know client `{}` with this secret", self.name),
            )
            .cure(
                "Check TRANSHIP_CLIENT_ID and TRANSHIP_CLIENT_SECRET; `tranship client rotate NAME` makes a new secret.",
            ));
        }
        if matches!(
            response.status(),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
        ) {
            return Err(self.somebody_else());
        }
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let answer: Answer<TokenAnswer> = read(response).await.map_err(|failure| match failure.exit {
            Exit::Failed => self.somebody_else(),
            _ => failure,
        })?;
        let lifetime = answer.body.expires_in.saturating_sub(TOKEN_MARGIN_SECONDS);
        let header = format!("Bearer {}", answer.body.access_token);
        *token = Some(Token {
            header: header.clone(),
            good_until: asked + Duration::from_secs(lifetime),
        });
        Ok(header)
    }

    /// Something answers at this address, but it does not sign anybody in.
    fn somebody_else(&self) -> Failure {
        let path = match self.base.path() {
            "/" => "Another program may have this port",
            _ => "The path at its end may be wrong",
        };
        Failure::new(
            Exit::Unreachable,
            format!("no Tranship service answers at {}", self.base),
        )
        .cure(format!("{path}: set the address with --url or TRANSHIP_URL."))
    }

    /// A request that got no answer.
    fn broken(&self, error: &reqwest::Error) -> Failure {
        let reason = chain(error);
        let what = if error.is_connect() {
            format!("cannot reach the service at {}: {reason}", self.base)
        } else if error.is_timeout() {
            format!(
                "the service at {} did not answer within {ANSWER_SECONDS_MAX} seconds",
                self.base
            )
        } else {
            format!("the connection to the service at {} broke: {reason}", self.base)
        };
        let untrusted = (self.base.scheme() == "https")
            .then(|| untrusted::cure(&reason))
            .flatten();
        let cure = untrusted.unwrap_or(
            "Is it running (`tranship serve`), and is this its address? Set another with --url or TRANSHIP_URL.",
        );
        Failure::new(Exit::Unreachable, what).cure(cure)
    }
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<Answer<T>, Failure> {
    let url = response.url().path().to_owned();
    let raw: Value = response.json().await.map_err(|error| {
        let exit = if error.is_decode() {
            Exit::Failed
        } else {
            Exit::Unreachable
        };
        Failure::new(exit, format!("the answer to {url} cannot be read: {}", chain(&error)))
    })?;
    let body = T::deserialize(&raw)
        .map_err(|error| Failure::failed(format!("the answer to {url} is not what this version expects: {error}")))?;
    Ok(Answer { raw, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(base: &str) -> Api {
        Api::new(Url::parse(base).expect("a URL"), "dev", "secret").expect("a client")
    }

    #[test]
    fn addresses_keep_a_base_path_and_encode_what_people_type() {
        let plain = api("http://127.0.0.1:8080");
        assert_eq!(
            plain.at(&["api", "v1", "jobs", "Inbound sales orders"], &[]).as_str(),
            "http://127.0.0.1:8080/api/v1/jobs/Inbound%20sales%20orders"
        );
        let prefixed = api("https://h/namespaces/AXSF/");
        assert_eq!(
            prefixed
                .at(&["api", "v1", "jobs", "a/../b?c"], &[("entity", "Ä & b")])
                .as_str(),
            "https://h/namespaces/AXSF/api/v1/jobs/a%2F..%2Fb%3Fc?entity=%C3%84+%26+b"
        );
    }

    /// Answers the first connection with these bytes and ends it.
    async fn answering(bytes: &'static [u8]) -> std::net::SocketAddr {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes).await;
        });
        address
    }

    #[tokio::test]
    async fn an_address_with_a_wrong_path_is_said_to_be_the_address() {
        let address = answering(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        let failure = api(&format!("http://{address}/foo"))
            .message("m")
            .await
            .expect_err("404");
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(failure.what.contains("no Tranship service answers"), "{failure}");
        assert!(failure.cure.is_some_and(|cure| cure.contains("path")));
    }

    #[tokio::test]
    async fn tls_against_a_plain_port_is_cured_with_the_other_scheme() {
        let address = answering(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        let failure = api(&format!("https://{address}"))
            .message("m")
            .await
            .expect_err("no TLS");
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(
            failure.cure.as_deref().is_some_and(|cure| cure.contains("http://")),
            "{failure}"
        );
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_unreachable_and_the_cure_names_the_setting() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("its address");
        drop(free);
        let failure = api(&format!("http://{address}"))
            .message("m")
            .await
            .expect_err("nobody listens");
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(failure.cure.is_some_and(|cure| cure.contains("TRANSHIP_URL")));
    }
}
