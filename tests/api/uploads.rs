//! Bodies that are empty, too large, cut short or badly named: clear answers, nothing stored, nothing left behind.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tranship::pipeline::sweep::sweep_uploads;

use crate::app::{Backend, TestApp};
use crate::support::databases::rows;

crate::on_both_backends!(
    an_empty_body_is_refused,
    a_body_over_the_limit_is_refused_and_leaves_nothing,
    an_upload_cut_short_leaves_nothing,
    a_file_name_with_a_path_is_only_a_text,
    the_announced_digest_is_checked,
    the_sweep_removes_dead_uploads_and_nothing_else,
    an_upload_paused_for_a_day_and_an_hour_survives_every_sweep,
);

/// Blobs on disk, whatever their state.
fn blobs(app: &TestApp) -> usize {
    fn count(folder: &std::path::Path) -> usize {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return 0;
        };
        entries
            .flatten()
            .map(|e| if e.path().is_dir() { count(&e.path()) } else { 1 })
            .sum()
    }
    count(&app.folder.join("data/blobs/payloads"))
}

async fn eventually(mut what: impl FnMut() -> bool) -> bool {
    for _ in 0..200 {
        if what() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    false
}

async fn an_empty_body_is_refused(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let connector = app
        .post(
            &format!(
                "/api/connector/enqueue/{}?entity=Customers",
                app.job("Inbound customers")
            ),
            "",
        )
        .await;
    assert_eq!(connector.status(), StatusCode::BAD_REQUEST);
    let native = app.post("/api/v1/jobs/Inbound%20customers/messages", "").await;
    assert_eq!(native.status(), StatusCode::BAD_REQUEST);
    let body: Value = native.json().await.unwrap();
    assert_eq!(body["code"], "body_empty");
    assert_eq!(app.messages().await, 0);
}

async fn a_body_over_the_limit_is_refused_and_leaves_nothing(backend: Backend) {
    let app = TestApp::with(backend, |setup| setup.set("queue.max_payload_bytes", "100000")).await;
    let answer = app
        .post("/api/v1/jobs/Inbound%20customers/messages", vec![b'x'; 100_001])
        .await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let body: Value = answer.json().await.unwrap();
    assert!(body["detail"].as_str().unwrap().contains("100000 bytes"), "{body}");
    assert_eq!(app.messages().await, 0);
    assert!(eventually(|| blobs(&app) == 0).await, "the blob is removed");
}

async fn an_upload_cut_short_leaves_nothing(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let address = app.url.strip_prefix("http://").unwrap().to_owned();
    for (head, sent) in [
        ("Content-Length: 9000000", 3_000_000),
        ("Content-Length: 9000000", 10),
        ("Transfer-Encoding: chunked", 3_000_000),
    ] {
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        let request = format!(
            "POST /api/v1/jobs/Inbound%20customers/messages HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n{head}\r\n\r\n",
            app.token
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        if head.starts_with("Transfer") {
            socket
                .write_all(format!("{:x}\r\n", sent * 2).as_bytes())
                .await
                .unwrap();
        }
        // The service may hang up first; that is its right.
        let _ = socket.write_all(&vec![b'x'; sent]).await;
        let _ = socket.shutdown().await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut answer)).await;
        assert!(
            !String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 20"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(eventually(|| blobs(&app) == 0).await, "abandoned uploads are removed");
    assert_eq!(app.messages().await, 0);
    // The clean-up goes on after the client has gone: blob first, then its row.
    for _ in 0..200 {
        if app.context.store.queue_text().await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("an upload row stays: {}", app.context.store.queue_text().await.unwrap());
}

async fn a_file_name_with_a_path_is_only_a_text(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let path = format!(
        "/api/connector/enqueue/{}?entity=Customers",
        app.job("Inbound customers")
    );
    let name = "../../../../etc/passwd";
    let big = format!("CustomerID,CompanyName\r\n{}", "A,B\r\n".repeat(10_000));
    let answer = app
        .request(reqwest::Method::POST, &path)
        .bearer_auth(&app.token)
        .header("x-ms-dyn-externalidentifier", name)
        .body(big)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let id: String = answer.json().await.unwrap();
    assert_eq!(app.message(&id).await["external_id"], name);
    assert_eq!(blobs(&app), 1, "under a key of ours, inside the blob folder");
    app.run_until_idle().await;
}

async fn the_announced_digest_is_checked(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let send = |digest: &'static str| {
        app.request(reqwest::Method::POST, "/api/v1/jobs/Inbound%20customers/messages")
            .bearer_auth(&app.token)
            .header("Content-Digest", digest)
            .body("hello world")
            .send()
    };
    let right = send("sha-256=:uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:")
        .await
        .unwrap();
    assert_eq!(right.status(), StatusCode::CREATED);
    assert!(
        right.headers()["location"]
            .to_str()
            .unwrap()
            .starts_with("/api/v1/messages/")
    );
    for nonsense in ["foo", "sha-256=foo", "sha-256=:AA:"] {
        assert_eq!(
            send(nonsense).await.unwrap().status(),
            StatusCode::BAD_REQUEST,
            "{nonsense}"
        );
    }
    let wrong = send("sha-256=:AAAAuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:")
        .await
        .unwrap();
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    assert_eq!(wrong.json::<Value>().await.unwrap()["code"], "digest_mismatch");
    assert_eq!(
        send("sha-256=nonsense").await.unwrap().status(),
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        send("md5=:AAAA:").await.unwrap().status(),
        StatusCode::CREATED,
        "other algorithms are ignored"
    );
    app.run_until_idle().await;
    assert_eq!(app.messages().await, 2);
}

async fn the_sweep_removes_dead_uploads_and_nothing_else(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let big = format!("CustomerID,CompanyName\r\n{}", "A,B\r\n".repeat(10_000));
    app.enqueue("Inbound customers", "Customers", big).await;
    // An upload whose process died: its row is open, its blob half there, nobody beats.
    let key = tranship::domain::ids::BlobKey::generate();
    app.context
        .store
        .begin_upload(&key, "a dead process", app.clock.now())
        .await
        .unwrap();
    let mut writer = app.context.blobs.writer(&key).await.unwrap();
    writer.write(vec![1; 100].into()).await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(blobs(&app), 2);
    assert_eq!(sweep_uploads(&app.context).await.unwrap(), 0, "it may still be alive");
    app.clock.advance_seconds(901);
    assert_eq!(sweep_uploads(&app.context).await.unwrap(), 1);
    assert_eq!(blobs(&app), 1, "the message's blob stays");
    assert_eq!(sweep_uploads(&app.context).await.unwrap(), 0);
    app.run_until_idle().await;
}

/// Slow is not dead (promise 1): the service beats for an upload as long as its sender is there.
async fn an_upload_paused_for_a_day_and_an_hour_survives_every_sweep(backend: Backend) {
    let app = TestApp::with(backend, |setup| setup.set("queue.upload_stale_seconds", "3")).await;
    let address = app.url.strip_prefix("http://").unwrap().to_owned();
    let file = format!("CustomerID,CompanyName\r\n{}", "A,B\r\n".repeat(40_000));
    let (first, rest) = file.as_bytes().split_at(100_000);
    let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /api/v1/jobs/Inbound%20customers/messages HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n",
        app.token,
        file.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(first).await.unwrap();
    for _ in 0..5 {
        app.clock.advance_seconds(5 * 3600);
        let now = app.clock.now().micros();
        let mut beaten = false;
        for _ in 0..200 {
            let beats = rows(
                &app.store.url,
                "select cast(beat_at as text) from uploads where state = 'open'",
            )
            .await;
            beaten = beats.len() == 1
                && beats[0][0]
                    .as_ref()
                    .is_some_and(|beat| beat.parse::<i64>().unwrap() >= now);
            if beaten {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(beaten, "nobody beats for it");
        assert_eq!(sweep_uploads(&app.context).await.unwrap(), 0);
    }
    socket.write_all(rest).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = socket.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(sweep_uploads(&app.context).await.unwrap(), 0);
    assert_eq!(blobs(&app), 1);
    app.run_until_idle().await;
}
