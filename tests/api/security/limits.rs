//! What one client may ask for, and all together: `limits.*`.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::raw::{exchange, exchange_until};
use super::world::answered;
use crate::app::{Backend, TestApp};
use crate::client::{relay, send};

crate::on_both_backends!(
    a_client_that_calls_too_fast_is_told_when_to_come_back,
    uploads_wait_and_are_never_told_429,
    connections_are_bounded,
    a_body_that_never_comes_is_not_waited_for,
    a_filter_as_long_as_an_address_may_be_harms_nobody,
);

async fn app(backend: Backend, wait_seconds: u32) -> TestApp {
    TestApp::with(backend, |setup| {
        relay(setup, "Quay", "");
        setup.set("limits.requests_per_second", "1");
        setup.set("limits.requests_burst", "3");
        setup.set("queue.admit_wait_seconds", wait_seconds.to_string());
    })
    .await
}

async fn a_client_that_calls_too_fast_is_told_when_to_come_back(backend: Backend) {
    let app = app(backend, 0).await;
    let (shop, archive) = (app.client("shop").await, app.client("archive").await);
    let call = async |token: &str| send(app.request(Method::GET, "/api/v1/jobs/Quay"), token).await;
    for _ in 0..3 {
        call(&shop).await.expect(StatusCode::OK);
    }
    let refused = call(&shop).await;
    let wait: u32 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .expect("whole seconds");
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(refused.expect(StatusCode::TOO_MANY_REQUESTS)["code"], "rate_limited");
    send(app.enqueuing("Quay", "", "one"), &shop)
        .await
        .expect(StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(app.messages().await, 0);
    call(&archive).await.expect(StatusCode::OK);
    tokio::time::sleep(Duration::from_secs(wait.into())).await;
    call(&shop).await.expect(StatusCode::OK);
}

/// RI-6a
async fn uploads_wait_and_are_never_told_429(backend: Backend) {
    let enqueue = |app: &TestApp, token: &str| {
        let path = format!("/api/connector/enqueue/{}", app.job("Quay"));
        app.request(Method::POST, &path).bearer_auth(token).body("one")
    };
    let patient = app(backend, 30).await;
    let shop = patient.client("shop").await;
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(answered(enqueue(&patient, &shop)).await.0, 200);
    }
    assert!(began.elapsed() >= Duration::from_millis(1900), "{:?}", began.elapsed());
    assert_eq!(patient.messages().await, 5);

    let hasty = app(backend, 0).await;
    let shop = hasty.client("shop").await;
    let asked = serde_json::json!({ "uniqueFileName": "a.zip" });
    let path = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetAzureWriteUrl";
    let link = send(hasty.request(Method::POST, path).json(&asked), &shop)
        .await
        .expect(StatusCode::OK);
    let link: serde_json::Value = serde_json::from_str(link["value"].as_str().unwrap()).unwrap();
    let put = || {
        let request = hasty.request(Method::PUT, link["BlobUrl"].as_str().unwrap());
        request.header("x-ms-blob-type", "BlockBlob").body("zip")
    };
    let statuses = [answered(put()).await.0, answered(put()).await.0];
    assert_eq!(statuses, [201, 201]);
    for request in [put(), enqueue(&hasty, &shop)] {
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            refused.headers()["retry-after"]
                .to_str()
                .unwrap()
                .parse::<u32>()
                .is_ok()
        );
    }
    assert_eq!(hasty.messages().await, 0);
}

async fn connections_are_bounded(backend: Backend) {
    const MOST: usize = 8;
    let app = TestApp::with(backend, |setup| {
        setup.set("server.workers", "1");
        setup.set("limits.connections", MOST.to_string());
    })
    .await;
    let address = app.url.strip_prefix("http://").unwrap();
    let mut open = Vec::new();
    let mut turned_away = None;
    while turned_away.is_none() {
        assert!(open.len() <= MOST, "more connections than there may be are answered");
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket
            .write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        if is_answered(&mut socket, Duration::from_secs(1)).await {
            open.push(socket);
        } else {
            turned_away = Some(socket);
        }
    }
    assert!(open.len() >= MOST / 2, "{} were answered", open.len());
    // It waits, and its turn comes.
    drop(open);
    assert!(is_answered(&mut turned_away.unwrap(), Duration::from_secs(20)).await);
}

async fn a_body_that_never_comes_is_not_waited_for(backend: Backend) {
    let app = TestApp::with(backend, |setup| setup.set("limits.body_seconds", "1")).await;
    let host = app.url.strip_prefix("http://").unwrap();
    let upload = format!("/api/connector/enqueue/{}", app.job("Inbound customers"));
    let ack = format!("/api/connector/ack/{}", app.job("Nightly sales orders"));
    for (path, with_token) in [
        ("/common/oauth2/v2.0/token", false),
        ("/console/sign-in", false),
        ("/api/v1/messages/bulk", true),
        (&ack, true),
        // Whoever may not upload is told so before.
        (&upload, false),
        ("/dmf/packages/x", false),
    ] {
        let token = if with_token {
            format!("Authorization: Bearer {}\r\n", app.token)
        } else {
            String::new()
        };
        let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{token}Content-Length: 1000\r\n\r\nx");
        let began = Instant::now();
        let answer = exchange_until(&app.url, head.as_bytes(), Duration::from_secs(15)).await;
        assert!(
            answer.statuses().first().is_some_and(|status| *status >= 400),
            "{path}: {}",
            answer.text()
        );
        assert!(
            began.elapsed() < Duration::from_secs(12),
            "{path}: {:?}",
            began.elapsed()
        );
        assert!(answer.closed, "{path}: the connection stays open");
    }
}

/// Thousands of conditions in a row, each in the one before.
async fn a_filter_as_long_as_an_address_may_be_harms_nobody(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let host = app.url.strip_prefix("http://").unwrap();
    for (set, one) in [
        ("/data/DataManagementDefinitionGroups", "Name+ne+1+or+"),
        ("/data/DataManagementExecutionJobs", "JobId+ne+1+and+"),
        ("/metadata/PublicEntities", "Name+ne+1+or+"),
    ] {
        // Within the longest filter there may be, and within the longest address.
        for bytes in [16_000, 120_000] {
            let chain = one.repeat(bytes / one.len());
            let nested = "(".repeat(bytes / 2) + &")".repeat(bytes / 2);
            for filter in [chain, "not+".repeat(bytes / 4), nested, "tolower(".repeat(bytes / 8)] {
                let head = format!(
                    "GET {set}?$filter={filter}Name+ne+1 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\n\r\n",
                    app.token
                );
                let answer = exchange(&app.url, head.as_bytes()).await;
                let status = answer.statuses();
                assert!(
                    matches!(status[..], [200 | 400 | 414 | 431]),
                    "{status:?} {:.500}",
                    answer.text()
                );
            }
        }
    }
    let (status, _) = answered(app.request(Method::GET, "/health/live")).await;
    assert_eq!(status, 200);
}

async fn is_answered(socket: &mut TcpStream, patience: Duration) -> bool {
    let mut piece = [0; 1024];
    let read = tokio::time::timeout(patience, socket.read(&mut piece)).await;
    matches!(read, Ok(Ok(read)) if read > 0)
}
