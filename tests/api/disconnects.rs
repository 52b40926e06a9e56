//! Clients that hang up: in the middle of a request, or before its answer. Nothing they leave behind is stuck, poisoned or
//! half written.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tranship::pipeline::sweep::sweep_uploads;

use crate::app::{Backend, Setup, TestApp};
use crate::support::chance::Chance;
use crate::support::databases::rows;

crate::on_both_backends!(a_thousand_requests_cut_short_leave_nothing_behind);

/// Requests that are cut short.
const REQUESTS: usize = 1000;
/// So many at once.
const AT_ONCE: usize = 16;
/// Messages there before, for the requests to be about.
const MESSAGES: usize = 300;
/// Of those, handed out.
const LEASED: usize = 150;
/// Past `queue.inline_max_bytes`, so that the bytes go to the blob store.
const LARGE_BYTES: usize = 40 * 1024;
/// Longest wait for an answer before hanging up.
const LISTEN_MAX: Duration = Duration::from_millis(15);
/// `queue.upload_stale_seconds`
const UPLOAD_STALE_SECONDS: i64 = 900;
/// The job's lease.
const LEASE_SECONDS: i64 = 60;

const ID: &str = "00000000-0000-4000-8000-0000000000d1";
const JOB: &str = r#"
id = "00000000-0000-4000-8000-0000000000d1"
name = "Cut short"
direction = "relay"
data_source = "file"
clients = ["tester"]
[queue]
lease_seconds = 60
max_deliveries = 1000
"#;

async fn a_thousand_requests_cut_short_leave_nothing_behind(backend: Backend) {
    let app = TestApp::with(backend, |setup: &mut Setup| setup.file("jobs/cut-short.toml", JOB)).await;
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let known = Known::prepare(&app).await;
    for _ in 0..REQUESTS / AT_ONCE {
        let cuts = (0..AT_ONCE).map(|_| {
            let request = known.any_request(&app, &mut chance);
            let cut = Cut::somewhere(&request, &mut chance);
            cut_short(address(&app), request, cut)
        });
        futures_util::future::join_all(cuts.collect::<Vec<_>>()).await;
    }
    uploads_come_to_an_end(&app).await;
    normal_requests_succeed(&app).await;
    nothing_is_half_written(&app).await;
    everything_can_be_leased_again(&app).await;
}

fn address(app: &TestApp) -> String {
    app.url.strip_prefix("http://").unwrap().to_owned()
}

fn jobs(path: &str) -> String {
    format!("/api/v1/jobs/{ID}/{path}")
}

/// What the requests are about.
struct Known {
    messages: Vec<String>,
    receipts: Vec<String>,
    deliveries: Vec<Value>,
}

impl Known {
    async fn prepare(app: &TestApp) -> Self {
        let mut messages = Vec::new();
        for index in 0..MESSAGES {
            let large = index % 10 == 0;
            let bytes = vec![b'a' + u8::try_from(index % 26).unwrap(); if large { LARGE_BYTES } else { 100 }];
            messages.push(enqueue(app, bytes).await);
        }
        let leases = leases(app, LEASED).await;
        let receipts = leases.iter().map(|lease| text(lease, "receipt")).collect();
        let mut deliveries = Vec::new();
        for _ in 0..20 {
            let answer = app.get(&format!("/api/connector/dequeue/{ID}")).await;
            assert_eq!(answer.status(), StatusCode::OK);
            deliveries.push(answer.json().await.unwrap());
        }
        Self {
            messages,
            receipts,
            deliveries,
        }
    }

    /// A whole request of some kind.
    fn any_request(&self, app: &TestApp, chance: &mut Chance) -> Vec<u8> {
        let receipt = path_segment(&self.receipts[chance.below(self.receipts.len())]);
        let message = &self.messages[chance.below(self.messages.len())];
        let delivery = &self.deliveries[chance.below(self.deliveries.len())];
        let (method, path, body) = match chance.below(12) {
            0 | 1 => ("POST", jobs("messages"), vec![b's'; 1 + chance.below(1024)]),
            2 | 3 => (
                "POST",
                jobs("messages"),
                vec![b'l'; LARGE_BYTES + chance.below(LARGE_BYTES)],
            ),
            4 => (
                "POST",
                format!("/api/connector/enqueue/{ID}"),
                vec![b'c'; 1 + chance.below(2 * LARGE_BYTES)],
            ),
            5 => ("POST", jobs("messages/batch"), batch(chance)),
            6 => {
                let wish = json!({ "max": 1 + chance.below(5), "wait_seconds": chance.below(2), "payload": "inline" });
                ("POST", jobs("leases"), wish.to_string().into())
            }
            7 => ("GET", format!("/api/connector/dequeue/{ID}"), Vec::new()),
            8 => ("POST", format!("/api/v1/leases/{receipt}/ack"), Vec::new()),
            9 => ("POST", format!("/api/connector/ack/{ID}"), delivery.to_string().into()),
            10 => ("GET", format!("/api/v1/messages/{message}"), Vec::new()),
            _ if chance.one_in(2) => ("GET", format!("/api/v1/messages/{message}/payload"), Vec::new()),
            _ => {
                let location = text(delivery, "DownloadLocation");
                ("GET", location.replacen(&app.url, "", 1), Vec::new())
            }
        };
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            address(app),
            app.token,
            body.len()
        )
        .into_bytes();
        request.extend(body);
        request
    }
}

fn batch(chance: &mut Chance) -> Vec<u8> {
    let messages = (0..=chance.below(20)).map(|_| {
        let length = if chance.one_in(10) { LARGE_BYTES } else { 200 };
        json!({ "payload": STANDARD.encode(vec![b'b'; length]) })
    });
    json!({ "messages": messages.collect::<Vec<_>>() }).to_string().into()
}

/// Where a client hangs up.
struct Cut {
    /// After so many bytes of its request.
    sent: usize,
    /// After so many bytes of the answer, or that much time.
    heard: usize,
    listens: Duration,
    /// Without a farewell: the connection is reset.
    resets: bool,
}

impl Cut {
    fn somewhere(request: &[u8], chance: &mut Chance) -> Self {
        let whole = chance.one_in(2);
        Self {
            sent: if whole {
                request.len()
            } else {
                chance.below(request.len())
            },
            heard: chance.below(LARGE_BYTES),
            listens: chance.up_to(LISTEN_MAX),
            resets: chance.one_in(2),
        }
    }
}

async fn cut_short(address: String, request: Vec<u8>, cut: Cut) {
    let mut socket = TcpStream::connect(&address).await.expect("the service listens");
    // The service may answer and hang up first; that is its right.
    let _ = socket.write_all(&request[..cut.sent]).await;
    let mut answer = vec![0; cut.heard];
    let _ = tokio::time::timeout(cut.listens, socket.read_exact(&mut answer)).await;
    if cut.resets {
        socket.set_zero_linger().expect("a socket can be reset");
    }
}

/// An upload that was cut short gives itself up, and one whose client left while its row was written is given up once nobody
/// has heard of it for long enough; then only blobs are left that a message names.
async fn uploads_come_to_an_end(app: &TestApp) {
    let unused = "select count(*) from uploads where state <> 'used'";
    let named = "select count(*) from messages where blob_key is not null";
    let mut at_rest = 0;
    let mut seen = (0, 0, 0, 0);
    for _ in 0..100 {
        app.clock.advance_seconds(UPLOAD_STALE_SECONDS + 1);
        sweep_uploads(&app.context).await.unwrap();
        let (left, uploads) = (
            count(app, unused).await,
            count(app, "select count(*) from uploads").await,
        );
        seen = (left, uploads, count(app, named).await, blobs(app));
        let (left, uploads, named, blobs) = seen;
        let is_even = left == 0 && uploads == named && blobs == usize::try_from(named).unwrap();
        // Whole requests whose clients are gone may not even have begun.
        at_rest = if is_even { at_rest + 1 } else { 0 };
        if at_rest == 5 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("unused uploads, uploads, messages with blobs, and blobs on disk do not come to an end: {seen:?}");
}

/// More than any pool has connections, one after the other and at once.
async fn normal_requests_succeed(app: &TestApp) {
    for round in 0..10 {
        let requests = (0..30).map(async |index| {
            let id = enqueue(app, format!("afterwards {round} {index}").into_bytes()).await;
            assert_eq!(app.message(&id).await["status"], "Enqueued");
            let payload = app.get(&format!("/api/v1/messages/{id}/payload")).await;
            assert_eq!(payload.status(), StatusCode::OK);
        });
        futures_util::future::join_all(requests.collect::<Vec<_>>()).await;
    }
    for lease in leases(app, 20).await {
        let path = format!("/api/v1/leases/{}/ack", path_segment(&text(&lease, "receipt")));
        assert_eq!(app.post(&path, "").await.status(), StatusCode::OK);
    }
}

/// Each message has its bytes, in one place, and each payload its message.
async fn nothing_is_half_written(app: &TestApp) {
    use sha2::Digest as _;
    let orphans = "select count(*) from payloads where message not in (select id from messages)";
    assert_eq!(count(app, orphans).await, 0, "payloads without a message");
    let hollow = "select count(*) from messages where blob_key is null and id not in (select message from payloads)";
    assert_eq!(count(app, hollow).await, 0, "messages without a payload");
    let twofold = "select count(*) from messages where blob_key is not null and id in (select message from payloads)";
    assert_eq!(count(app, twofold).await, 0, "messages with two payloads");
    let lost = "select count(*) from messages where (id in (select message from queue)) = (id in (select message from outcomes))";
    assert_eq!(
        count(app, lost).await,
        0,
        "messages that neither live nor ended, or both"
    );
    let all = listed(app).await;
    assert!(all.len() > MESSAGES, "no enqueue came through before it was cut short");
    for message in all {
        let id = text(&message, "id");
        let payload = app.get(&format!("/api/v1/messages/{id}/payload")).await;
        assert_eq!(payload.status(), StatusCode::OK, "{message}");
        let bytes = payload.bytes().await.unwrap();
        assert_eq!(message["bytes"], bytes.len(), "{message}");
        let digest = tranship::domain::message::Digest(sha2::Sha256::digest(&bytes).into());
        assert_eq!(text(&message, "digest"), digest.content_digest(), "{message}");
    }
}

async fn all_leases(app: &TestApp) -> Vec<Value> {
    let mut leased = Vec::new();
    loop {
        let more = leases(app, 1000).await;
        if more.is_empty() {
            return leased;
        }
        leased.extend(more);
    }
}

/// Also what was handed out to a client that did not hear of it, once that lease is over.
async fn everything_can_be_leased_again(app: &TestApp) {
    app.clock.advance_seconds(LEASE_SECONDS + 1);
    app.scheduler.tick().await;
    let unfinished = listed(app)
        .await
        .into_iter()
        .filter(|message| message["final"] == false);
    let unfinished: BTreeSet<String> = unfinished.map(|message| text(&message, "id")).collect();
    assert!(unfinished.len() > MESSAGES / 2, "only {}", unfinished.len());
    let mut leased = all_leases(app).await;
    let ids = |leased: &[Value]| -> BTreeSet<String> { leased.iter().map(|lease| text(lease, "id")).collect() };
    if ids(&leased) != unfinished {
        // A request that was cut short may have been carried out only after the clock was moved: what it took comes back as late.
        app.clock.advance_seconds(LEASE_SECONDS + 1);
        app.scheduler.tick().await;
        leased = all_leases(app).await;
    }
    assert_eq!(ids(&leased), unfinished);
    let items: Vec<Value> = leased
        .iter()
        .map(|lease| json!({ "receipt": lease["receipt"], "action": "ack" }))
        .collect();
    for items in items.chunks(1000) {
        let answer = app
            .post("/api/v1/leases/batch", json!({ "items": items }).to_string())
            .await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let left = listed(app)
        .await
        .into_iter()
        .filter(|message| message["final"] == false);
    assert_eq!(left.count(), 0);
}

async fn enqueue(app: &TestApp, bytes: Vec<u8>) -> String {
    let answer = app.post(&jobs("messages"), bytes).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    text(&answer.json().await.unwrap(), "id")
}

async fn leases(app: &TestApp, max: usize) -> Vec<Value> {
    let answer = app.post(&jobs("leases"), json!({ "max": max }).to_string()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let body: Value = answer.json().await.unwrap();
    body["leases"].as_array().unwrap().clone()
}

/// Every message of the job.
async fn listed(app: &TestApp) -> Vec<Value> {
    let mut all = Vec::new();
    let mut before = String::new();
    loop {
        let page = app.get(&format!("/api/v1/messages?job={ID}&limit=200{before}")).await;
        let page: Value = page.json().await.unwrap();
        all.extend(page["messages"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => return all,
        }
    }
}

async fn count(app: &TestApp, sql: &str) -> i64 {
    let sql = sql.replacen("count(*)", "cast(count(*) as text)", 1);
    let rows = rows(&app.store.url, &sql).await;
    rows[0][0].as_ref().unwrap().parse().unwrap()
}

/// Files of the blob store.
fn blobs(app: &TestApp) -> usize {
    fn files(folder: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let counts = entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 });
        counts.sum()
    }
    files(&app.folder.join("data/blobs/payloads"))
}

/// A receipt is base64, which has characters of its own in a path.
fn path_segment(receipt: &str) -> String {
    url::form_urlencoded::byte_serialize(receipt.as_bytes()).collect()
}

fn text(object: &Value, member: &str) -> String {
    let text = object[member].as_str();
    text.unwrap_or_else(|| panic!("{member} in {object}")).to_owned()
}
