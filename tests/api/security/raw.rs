//! Requests byte by byte over a plain socket: what no HTTP library would send.

use std::time::Duration;

use regex::bytes::Regex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long the service may take to answer and to close.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long is waited for another answer on a connection that stays open.
const QUIET: Duration = Duration::from_millis(400);

/// What came back.
#[derive(Debug)]
pub struct Heard {
    pub bytes: Vec<u8>,
    /// The service closed the connection.
    pub closed: bool,
}

impl Heard {
    /// The status of each answer.
    pub fn statuses(&self) -> Vec<u16> {
        let status = Regex::new(r"HTTP/1\.[01] (\d{3})[^\r]*\r\n").expect("a pattern");
        let found = status.captures_iter(&self.bytes);
        found
            .map(|one| String::from_utf8_lossy(&one[1]).parse().expect("three digits"))
            .collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Sends bytes and reads until the service closes or says nothing more.
pub async fn exchange(url: &str, bytes: &[u8]) -> Heard {
    exchange_until(url, bytes, QUIET).await
}

/// The same, and waits so long for more.
pub async fn exchange_until(url: &str, bytes: &[u8], quiet: Duration) -> Heard {
    let address = url.strip_prefix("http://").expect("a plain address");
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    // The service may close before it has read everything.
    let sent = tokio::time::timeout(PATIENCE, socket.write_all(bytes)).await;
    assert!(sent.is_ok(), "the service neither reads nor closes");
    let mut heard = Heard {
        bytes: Vec::new(),
        closed: false,
    };
    let mut piece = vec![0; 64 * 1024];
    loop {
        let patience = if heard.bytes.is_empty() { PATIENCE } else { quiet };
        match tokio::time::timeout(patience, socket.read(&mut piece)).await {
            Ok(Ok(0) | Err(_)) => {
                heard.closed = true;
                return heard;
            }
            Ok(Ok(read)) => heard.bytes.extend_from_slice(&piece[..read]),
            Err(_) => return heard,
        }
    }
}
