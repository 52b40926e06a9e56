//! One keep-alive connection that speaks just enough HTTP/1.1 to load a service.
//!
//! The generator shares its processors with the service it measures, so it does as little as possible: one write per
//! request, one buffer, no pool, no TLS. Refuses what the service never sends: chunked answers and bodies beyond a limit.

use std::io::Write as _;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use crate::cli::{Exit, Failure};

/// Longest wait for one answer.
const ANSWER_SECONDS_MAX: u64 = 90;
/// Largest answer that is read: a thousand leases of sixteen KiB, twice.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most the head of an answer may take.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Where the service is, and the head lines every request carries, the token among them: it has no debug output.
#[derive(Clone)]
pub(super) struct Target {
    authority: String,
    base_path: String,
    headers: String,
}

impl Target {
    /// A service at this address.
    ///
    /// # Errors
    /// [`Exit::Usage`] for an address that is not plain HTTP.
    pub(super) fn new(url: &Url) -> Result<Self, Failure> {
        let (Some(host), "http") = (url.host_str(), url.scheme()) else {
            return Err(
                Failure::usage(format!("cannot load {url}: the load generator speaks plain http only"))
                    .cure("Name the service's own listener, http://host:port."),
            );
        };
        let authority = format!("{host}:{}", url.port_or_known_default().unwrap_or(80));
        let base_path = url.path().trim_end_matches('/').to_owned();
        let headers = format!("Host: {authority}\r\n");
        Ok(Self {
            authority,
            base_path,
            headers,
        })
    }

    /// The same target with a bearer token.
    pub(super) fn signed_in(mut self, token: &str) -> Self {
        self.headers.push_str("Authorization: Bearer ");
        self.headers.push_str(token);
        self.headers.push_str("\r\n");
        self
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// [`Exit::Unreachable`] when nobody listens.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let unreachable = |error: std::io::Error| {
            Failure::new(
                Exit::Unreachable,
                format!("cannot reach the service at {}: {error}", self.authority),
            )
        };
        let stream = TcpStream::connect(&self.authority).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        Ok(Connection {
            target: self.clone(),
            stream,
            out: Vec::new(),
            buffer: Vec::new(),
        })
    }
}

/// One connection; a request is sent when the answer before it has been read.
pub(super) struct Connection {
    target: Target,
    stream: TcpStream,
    out: Vec<u8>,
    buffer: Vec<u8>,
}

/// Status, the seconds of `Retry-After` where there is one, and the body.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) retry_after: Option<u64>,
    pub(super) body: &'a [u8],
}

impl Answer<'_> {
    /// What a service that refused had to say.
    pub(super) fn refusal(&self, asked: &str) -> Failure {
        let problem: Option<serde_json::Value> = serde_json::from_slice(self.body).ok();
        let text = |key: &str| problem.as_ref().and_then(|problem| problem[key].as_str());
        let said = text("detail").or(text("error_description")).map_or_else(
            || String::from_utf8_lossy(&self.body[..self.body.len().min(200)]).into_owned(),
            str::to_owned,
        );
        let exit = match self.status {
            401 | 403 | 404 => Exit::Refused,
            _ => Exit::Failed,
        };
        Failure::new(
            exit,
            format!(
                "{asked} was answered {}: {}",
                self.status,
                crate::cli::screen::plain(&said)
            ),
        )
    }
}

impl Connection {
    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks, the answer takes too long or cannot be read.
    pub(super) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Answer<'_>, Failure> {
        self.out.clear();
        // Writing to a vector cannot fail.
        let _ = write!(
            self.out,
            "{method} {}{path} HTTP/1.1\r\n{}Content-Length: {}\r\n",
            self.target.base_path,
            self.target.headers,
            body.len()
        );
        if !body.is_empty() {
            let _ = write!(self.out, "Content-Type: {content_type}\r\n");
        }
        self.out.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(body);
        let exchange = exchange(&mut self.stream, &self.out, &mut self.buffer);
        let head = tokio::time::timeout(Duration::from_secs(ANSWER_SECONDS_MAX), exchange)
            .await
            .unwrap_or_else(|_| {
                Err(std::io::Error::other(format!(
                    "no answer in {ANSWER_SECONDS_MAX} seconds"
                )))
            })
            .map_err(|error| Failure::new(Exit::Unreachable, format!("{method} {path} broke off: {error}")))?;
        Ok(Answer {
            status: head.status,
            retry_after: head.retry_after,
            body: &self.buffer[head.bytes..head.bytes + head.body_bytes],
        })
    }
}

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    retry_after: Option<u64>,
    bytes: usize,
    body_bytes: usize,
}

async fn exchange(stream: &mut TcpStream, out: &[u8], buffer: &mut Vec<u8>) -> std::io::Result<Head> {
    stream.write_all(out).await?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(std::io::Error::other("the service closed the connection"));
        }
        let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") else {
            if buffer.len() > HEAD_BYTES_MAX {
                return Err(std::io::Error::other("the head of the answer does not end"));
            }
            continue;
        };
        let head = parse(&buffer[..end], end + 4)?;
        while buffer.len() < head.bytes + head.body_bytes {
            if stream.read_buf(buffer).await? == 0 {
                return Err(std::io::Error::other("the answer was cut short"));
            }
        }
        return Ok(head);
    }
}

fn parse(head: &[u8], bytes: usize) -> std::io::Result<Head> {
    let unreadable = || std::io::Error::other("this is no HTTP/1.1 answer of the service");
    let text = std::str::from_utf8(head).map_err(|_| unreadable())?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status = status
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(unreadable)?;
    let mut parsed = Head {
        status,
        retry_after: None,
        bytes,
        body_bytes: 0,
    };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            parsed.body_bytes = value.trim().parse().map_err(|_| unreadable())?;
        } else if name.eq_ignore_ascii_case("retry-after") {
            parsed.retry_after = value.trim().parse().ok();
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(std::io::Error::other(
                "the answer is chunked, which the generator does not read",
            ));
        }
    }
    if parsed.body_bytes > ANSWER_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "an answer of {} bytes",
            parsed.body_bytes
        )));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_an_answer_is_read() {
        let text = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 12\r\nRetry-After: 3";
        let head = parse(text, 70).expect("an answer");
        assert_eq!(
            head,
            Head {
                status: 429,
                retry_after: Some(3),
                bytes: 70,
                body_bytes: 12
            }
        );
    }

    #[test]
    fn what_is_no_answer_of_ours_is_refused() {
        for bad in [
            "SSH-2.0-x",
            "HTTP/1.1 abc",
            "HTTP/1.1 200 OK\r\ncontent-length: -1",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999",
        ] {
            assert!(parse(bad.as_bytes(), 0).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_plain_http_is_loaded() {
        let url = |text: &str| Url::parse(text).expect("a URL");
        assert!(Target::new(&url("https://tranship.example.test")).is_err());
        let target = Target::new(&url("http://[::1]:8080/base/")).expect("plain");
        assert_eq!(
            (target.authority.as_str(), target.base_path.as_str()),
            ("[::1]:8080", "/base")
        );
    }
}
