//! Bytes to the service and back: nothing that a library would put right.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::app::TestApp;

/// How long the .NET Framework waits for `100 Continue` before it sends the body all the same.
const CONTINUE_PATIENCE: Duration = Duration::from_millis(350);

/// One connection.
pub struct Wire(BufReader<TcpStream>);

/// What follows the headers, and the headers that say so.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    /// Nothing, and nothing is said of it.
    None,
    /// `Content-Length`.
    Length(&'a [u8]),
    /// `Content-Length` and `Expect: 100-continue`: only sent when it is asked for.
    Expecting(&'a [u8]),
    /// `Transfer-Encoding: chunked`, a few bytes a chunk.
    Chunked(&'a [u8]),
}

/// An answer.
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

impl Wire {
    pub async fn open(app: &TestApp) -> Self {
        let address = app.url.strip_prefix("http://").expect("a plain listener");
        Self(BufReader::new(TcpStream::connect(address).await.expect("it listens")))
    }

    /// Sends these lines, which no line is added to but what `body` says of itself, and reads the answer.
    pub async fn send(&mut self, head: &[&str], body: Body<'_>) -> Answer {
        let (about, bytes, chunked) = match body {
            Body::None => (String::new(), &[][..], false),
            Body::Length(bytes) => (format!("Content-Length: {}\r\n", bytes.len()), bytes, false),
            Body::Expecting(bytes) => (
                format!("Content-Length: {}\r\nExpect: 100-continue\r\n", bytes.len()),
                bytes,
                false,
            ),
            Body::Chunked(bytes) => ("Transfer-Encoding: chunked\r\n".to_owned(), bytes, true),
        };
        let text = format!("{}\r\n{about}\r\n", head.join("\r\n"));
        // A header's char is a byte: what is no ASCII is written as the client wrote it.
        let head: Vec<u8> = text
            .chars()
            .map(|c| u8::try_from(u32::from(c)).expect("a byte"))
            .collect();
        self.write(&head).await;
        if matches!(body, Body::Expecting(_)) {
            let continued = tokio::time::timeout(CONTINUE_PATIENCE, self.head()).await;
            let (status, _) = continued.expect("the body is asked for in time");
            assert_eq!(status, 100, "after {head:?}");
        }
        if chunked {
            for chunk in bytes.chunks(5) {
                self.write(format!("{:X}\r\n", chunk.len()).as_bytes()).await;
                self.write(chunk).await;
                self.write(b"\r\n").await;
            }
            self.write(b"0\r\n\r\n").await;
        } else {
            self.write(bytes).await;
        }
        self.answer().await
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.expect("it is written");
    }

    async fn answer(&mut self) -> Answer {
        let (status, headers) = self.head().await;
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        if status == 204 {
            return answer;
        }
        if let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().expect("a length")];
            self.0.read_exact(&mut answer.body).await.expect("the body");
            return answer;
        }
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
        loop {
            let size = usize::from_str_radix(self.line().await.trim(), 16).expect("a size");
            let mut chunk = vec![0; size + 2];
            self.0.read_exact(&mut chunk).await.expect("a chunk");
            if size == 0 {
                return answer;
            }
            answer.body.extend_from_slice(&chunk[..size]);
        }
    }

    async fn head(&mut self) -> (u16, Vec<(String, String)>) {
        let first = self.line().await;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            match line.split_once(':') {
                Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
                None => return (status.unwrap_or_else(|| panic!("{first:?} is no status line")), headers),
            }
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.expect("a line");
        line
    }
}
