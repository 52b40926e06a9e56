//! A collector of traces (OTLP over HTTP, as JSON) and a receiver of calls, in one small HTTP server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Longest wait for something to be told.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything it was told.
#[derive(Clone, Default)]
pub struct Collector {
    pub base: String,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    spans: Vec<Span>,
    calls: Vec<Call>,
}

/// A span.
#[derive(Debug, Clone)]
pub struct Span {
    pub name: String,
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub service: String,
    pub attributes: BTreeMap<String, String>,
}

/// A request to any other path.
#[derive(Debug, Clone)]
pub struct Call {
    pub path: String,
    pub traceparent: Option<String>,
    /// Under which it may come again.
    pub id: String,
}

impl Collector {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let collector = Self {
            base: format!("http://{}", listener.local_addr().expect("an address")),
            told: Arc::default(),
        };
        let told = Arc::clone(&collector.told);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&told)));
            }
        });
        collector
    }

    /// The spans of a trace so far.
    pub fn spans(&self, trace: &str) -> Vec<Span> {
        let told = self.told.lock().expect("nobody panicked");
        told.spans.iter().filter(|span| span.trace == trace).cloned().collect()
    }

    /// The first span of this name in any trace.
    pub async fn named(&self, name: &str) -> Span {
        let began = Instant::now();
        loop {
            let spans = self.told.lock().expect("nobody panicked").spans.clone();
            if let Some(span) = spans.into_iter().find(|span| span.name == name) {
                return span;
            }
            assert!(began.elapsed() < PATIENCE, "no {name}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The spans of a trace, once all of these names are among them.
    pub async fn trace(&self, trace: &str, names: &[&str]) -> Vec<Span> {
        let began = Instant::now();
        loop {
            let spans = self.spans(trace);
            let missing: Vec<_> = names
                .iter()
                .filter(|name| !spans.iter().any(|span| span.name == **name))
                .collect();
            if missing.is_empty() {
                return spans;
            }
            assert!(began.elapsed() < PATIENCE, "no {missing:?} among {spans:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The ids of all calls to a path, in their order.
    pub fn ids(&self, path: &str) -> Vec<String> {
        let told = self.told.lock().expect("nobody panicked");
        let of_path = told.calls.iter().filter(|call| call.path == path);
        of_path.map(|call| call.id.clone()).collect()
    }

    /// The first call to a path.
    pub async fn call(&self, path: &str) -> Call {
        let began = Instant::now();
        loop {
            let calls = self.told.lock().expect("nobody panicked").calls.clone();
            if let Some(call) = calls.iter().find(|call| call.path == path) {
                return call.clone();
            }
            assert!(began.elapsed() < PATIENCE, "no call to {path} among {calls:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Answers one connection's requests with 200.
async fn serve(stream: TcpStream, told: Arc<Mutex<Told>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut path, mut headers) = (None, BTreeMap::new());
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            match (&path, line.trim_end()) {
                (_, "") => break,
                (None, request) => path = request.split(' ').nth(1).map(str::to_owned),
                (Some(_), header) => {
                    let (name, value) = header.split_once(':').expect("a header");
                    headers.insert(name.to_lowercase(), value.trim().to_owned());
                }
            }
        }
        let length = headers
            .get("content-length")
            .map_or(0, |text| text.parse().expect("a length"));
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        note(&told, &path.unwrap_or_default(), &headers, &body);
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn note(told: &Mutex<Told>, path: &str, headers: &BTreeMap<String, String>, body: &[u8]) {
    let mut told = told.lock().expect("nobody panicked");
    if path != "/v1/traces" {
        told.calls.push(Call {
            path: path.to_owned(),
            traceparent: headers.get("traceparent").cloned(),
            id: ["webhook-id", "idempotency-key"]
                .iter()
                .find_map(|name| headers.get(*name).cloned())
                .unwrap_or_default(),
        });
        return;
    }
    let body: Value = serde_json::from_slice(body).expect("spans as JSON");
    for resource in items(&body["resourceSpans"]) {
        let service = attributes(&resource["resource"]["attributes"]).remove("service.name");
        for span in items(&resource["scopeSpans"]).flat_map(|scope| items(&scope["spans"])) {
            let text = |member: &str| span[member].as_str().unwrap_or_default().to_owned();
            told.spans.push(Span {
                name: text("name"),
                trace: text("traceId"),
                id: text("spanId"),
                parent: text("parentSpanId"),
                service: service.clone().unwrap_or_default(),
                attributes: attributes(&span["attributes"]),
            });
        }
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn attributes(list: &Value) -> BTreeMap<String, String> {
    let each = items(list).filter_map(|attribute| {
        let value = attribute["value"].as_object()?.values().next()?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some((attribute["key"].as_str()?.to_owned(), text))
    });
    each.collect()
}
