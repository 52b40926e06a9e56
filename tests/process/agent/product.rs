//! A stand-in for the real product on a loopback port: the answers of contract sections 2 to 4 that the agent asks for. Unlike
//! Tranship it takes every file it is sent, whether it was sent before or not.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Scene;

/// What an export gives.
pub const PACKAGE: &[u8] = b"PK\x03\x04 not really";

/// The server.
pub struct Product {
    pub base: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    /// Answers that come before the usual ones, by the beginning of the path.
    scripts: HashMap<String, VecDeque<Answer>>,
    /// Executions, by id, and how often their status is still asked for in vain.
    executions: HashMap<String, u32>,
    blobs: HashMap<String, Vec<u8>>,
    /// How often the one message of its queue is still handed out, and with which receipt next.
    offers: u32,
}

/// A request as it came.
#[derive(Clone)]
pub struct Request {
    pub at: Instant,
    pub method: String,
    pub target: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// An answer.
#[derive(Clone)]
pub struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    pub fn of(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: String::new(),
            body: body.as_bytes().to_vec(),
        }
    }

    /// With `Retry-After`.
    pub fn later(status: u16, seconds: &str) -> Self {
        Self {
            headers: format!("Retry-After: {seconds}\r\n"),
            ..Self::of(status, "")
        }
    }

    fn value(value: &str) -> Self {
        Self::of(
            200,
            &json!({"@odata.context": "x/$metadata#Edm.String", "value": value}).to_string(),
        )
    }
}

impl Product {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("its address"));
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, address) = (Arc::clone(&state), base.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, base) = (Arc::clone(&shared), address.clone());
                tokio::spawn(async move {
                    let mut stream = stream;
                    while let Some(request) = read(&mut stream).await {
                        let answer = state.lock().expect("unbroken").answer(&base, request);
                        if write(&mut stream, &answer).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { base, state }
    }

    /// These answers first, to requests whose path begins so.
    pub fn script(&self, path: &str, answers: Vec<Answer>) {
        self.state
            .lock()
            .expect("unbroken")
            .scripts
            .insert(path.to_owned(), answers.into());
    }

    /// Hands its one message out so often.
    pub fn offer(&self, times: u32) {
        self.state.lock().expect("unbroken").offers = times;
    }

    /// What came so far to paths that begin so.
    pub fn requests(&self, path: &str) -> Vec<Request> {
        let state = self.state.lock().expect("unbroken");
        state
            .requests
            .iter()
            .filter(|request| request.target.starts_with(path))
            .cloned()
            .collect()
    }

    /// Calls of an action so far.
    pub fn calls(&self, action: &str) -> Vec<Request> {
        let path = format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{action}");
        self.requests(&path)
            .into_iter()
            .filter(|request| request.target == path)
            .collect()
    }

    /// How many packages an import was submitted of.
    pub fn executions(&self) -> usize {
        self.state.lock().expect("unbroken").executions.len()
    }

    /// Writes `agent.toml` for it: a user's token of the first version.
    pub fn configure(&self, scene: &Scene, folders: &str) {
        let base = &self.base;
        let text = format!(
            "[server]\nurl = \"{base}\"\nproduct = \"dynamics365\"\nauthority = \"{base}\"\ntenant = \"contoso.example\"\n\
             token_version = 1\nclient_id = \"app\"\nusername = \"robot\"\nsecret_env = \"AGENT_SECRET\"\n[agent]\npoll_seconds = 1\n\
             {folders}"
        );
        scene.site.write("agent.toml", &text);
    }
}

impl State {
    fn answer(&mut self, base: &str, request: Request) -> Answer {
        let scripted = self
            .scripts
            .iter_mut()
            .find(|(path, answers)| request.target.starts_with(*path) && !answers.is_empty());
        let scripted = scripted.and_then(|(_, answers)| answers.pop_front());
        let answer = scripted.unwrap_or_else(|| self.usual(base, &request));
        self.requests.push(request);
        answer
    }

    fn usual(&mut self, base: &str, request: &Request) -> Answer {
        let path = request.target.split('?').next().unwrap_or_default().to_owned();
        if path.ends_with("/oauth2/token") {
            return Answer::of(
                200,
                r#"{"token_type":"Bearer","expires_in":"3599","access_token":"the-token"}"#,
            );
        }
        if let Some(blob) = path.strip_prefix("/dmf/") {
            return self.blob(request, blob);
        }
        if request.header("authorization") != Some("Bearer the-token") {
            return Answer::of(401, "");
        }
        if path.starts_with("/api/connector/enqueue/") {
            return Answer::of(200, "\"6e0b1c0e-7d5f-4c51-8a53-1f3f5d5a0c11\"");
        }
        if path.starts_with("/api/connector/jobstatus/") {
            // Numbers, as some environments have them (RI-26).
            return Answer::of(
                200,
                r#"{"DataJobStatus":{"DataJobState":5},"ExecutionLog":"","ExecutionDetail":[]}"#,
            );
        }
        if path.starts_with("/api/connector/") {
            return self.queue(&path);
        }
        match path.rsplit_once("DataEntities.") {
            Some((_, action)) => self.action(base, action, &request.json()),
            None => Answer::of(404, ""),
        }
    }

    fn queue(&mut self, path: &str) -> Answer {
        if path.contains("/download/") {
            return Answer {
                body: PACKAGE.to_vec(),
                ..Answer::of(200, "")
            };
        }
        if path.contains("/ack/") || self.offers == 0 {
            return Answer::of(
                if self.offers == 0 && path.contains("/dequeue/") {
                    204
                } else {
                    200
                },
                "",
            );
        }
        self.offers -= 1;
        // http and another port, as seen behind load balancers (RI-14).
        let offer = json!({"CorrelationId": "0f7d5f53-51e8-4a0c-9b0b-2a4ad0a4a1b2", "PopReceipt": format!("r{}", self.offers),
            "DownloadLocation": "http://erp.example.test:80/api/connector/download/%7Bx%7D?correlation-id=0f7d&blob=9a1e",
            "IsDownLoadFileExist": true, "FileDownLoadErrorMessage": null, "LastDequeueDateTime": null});
        Answer::of(200, &offer.to_string())
    }

    fn blob(&mut self, request: &Request, blob: &str) -> Answer {
        assert!(request.target.contains("sig="), "{}", request.target);
        assert_eq!(request.header("authorization"), None, "a blob's link is all it needs");
        if request.method == "PUT" {
            assert_eq!(request.header("x-ms-blob-type"), Some("BlockBlob"));
            self.blobs.insert(blob.to_owned(), request.body.clone());
            return Answer::of(201, "");
        }
        Answer {
            body: PACKAGE.to_vec(),
            ..Answer::of(200, "")
        }
    }

    fn action(&mut self, base: &str, action: &str, parameters: &Value) -> Answer {
        let execution = parameters["executionId"].as_str().unwrap_or_default().to_owned();
        match action {
            "GetAzureWriteUrl" => {
                let name = parameters["uniqueFileName"].as_str().expect("a name");
                let url = format!("{base}/dmf/{name}?sv=1&sig=x%2Fy&sp=rw");
                Answer::value(&json!({"BlobId": "{9A1E}", "BlobUrl": url}).to_string())
            }
            "ImportFromPackage" | "ExportToPackage" | "ExportToPackageAsync" => {
                let before = self.executions.insert(execution.clone(), 2);
                assert_eq!(before, None, "{execution} was submitted twice");
                Answer::value(&execution)
            }
            "GetExecutionSummaryStatus" => match self.executions.get_mut(&execution) {
                None => Answer::of(
                    400,
                    r#"{"error":{"code":"","message":"An error has occurred.","innererror":{"message":"not found"}}}"#,
                ),
                Some(0) if execution.starts_with("Broken") => Answer::value("PartiallySucceeded"),
                Some(0) => Answer::value("Succeeded"),
                Some(left) => {
                    *left -= 1;
                    Answer::value("Executing")
                }
            },
            // As the real one: quotes are not escaped (PKG-14).
            "GetExecutionErrors" => Answer::value(r#"[{"RecordId":"1","Field":"F","ErrorMessage":"the "bad" one"}]"#),
            "GetExportedPackageUrl" => Answer::value(&format!("{base}/dmf/out.zip?sig=z")),
            _ => Answer::of(404, ""),
        }
    }
}

/// The next request of a connection.
async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ').map(str::to_owned);
    let (method, target) = (first.next()?, first.next()?);
    let header = |line: &str| {
        line.split_once(": ")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let headers: Vec<_> = lines.filter_map(header).collect();
    let length = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().expect("a length"))];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request {
        at: Instant::now(),
        method,
        target,
        headers,
        body,
    })
}

async fn write(stream: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {} X\r\nContent-Length: {}\r\n{}\r\n",
        answer.status,
        answer.body.len(),
        answer.headers
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&answer.body).await
}
