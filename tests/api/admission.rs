//! Too much at once: `/api/v1` is told to come back at once, the connector waits with its body unread; nothing half-done.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::app::{Backend, TestApp};
use crate::client::{Answered, relay, send};

crate::on_both_backends!(
    a_full_queue_tells_native_clients_to_come_back,
    a_full_queue_lets_the_connector_wait_and_then_take_its_turn,
    a_connector_that_waits_too_long_is_told_to_come_back_and_nothing_is_stored,
    a_waiting_connector_upload_is_not_read,
    who_is_not_allowed_takes_no_place,
    an_upload_that_stands_still_gives_its_place_back,
    an_upload_that_goes_on_takes_as_long_as_it_takes,
    one_client_leaves_a_place_to_others,
);

async fn app(backend: Backend, wait_seconds: u32) -> TestApp {
    TestApp::with(backend, |setup| {
        relay(setup, "Documents", "");
        setup.set("queue.max_enqueues", "1");
        setup.set("queue.admit_wait_seconds", wait_seconds.to_string());
        setup.set("limits.upload_seconds", "20");
    })
    .await
}

/// An upload of ten bytes of which five were sent: it holds the one place there is.
async fn half_an_upload(app: &TestApp) -> TcpStream {
    for _ in 0..50 {
        let mut socket = begin(app, "/api/v1/jobs/Documents/messages", 10).await;
        socket.write_all(b"12345").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        // Unless it is in, a probe with an empty body is let in and refused for that; and a probe may have kept it out.
        if send(app.enqueuing("Documents", "", ""), &app.token).await.status == StatusCode::TOO_MANY_REQUESTS {
            return socket;
        }
    }
    panic!("the upload took no place");
}

async fn begin(app: &TestApp, path: &str, bytes: usize) -> TcpStream {
    let address = app.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Length: {bytes}\r\n\r\n",
        app.token
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

async fn finish(mut socket: TcpStream) {
    socket.write_all(b"67890").await.unwrap();
    let mut answer = vec![0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 201");
}

async fn a_full_queue_tells_native_clients_to_come_back(backend: Backend) {
    let app = app(backend, 30).await;
    let upload = half_an_upload(&app).await;
    let began = Instant::now();
    let items = serde_json::json!({ "messages": [{ "text": "one" }] });
    for refused in [
        send(app.enqueuing("Documents", "", "one"), &app.token).await,
        app.post_json("/api/v1/jobs/Documents/messages/batch", &items).await,
    ] {
        assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u32>().is_ok());
        let problem = refused.expect(StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(problem["code"], "queue_full");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "at once");
    assert_eq!(app.messages().await, 0);
    finish(upload).await;
    app.put("Documents", "", "one").await;
    app.post_json("/api/v1/jobs/Documents/messages/batch", &items)
        .await
        .expect(StatusCode::OK);
    assert_eq!(app.messages().await, 3);
}

/// Enqueues on the connector, in the background.
fn connector(app: &TestApp) -> tokio::task::JoinHandle<Answered> {
    let path = format!("/api/connector/enqueue/{}", app.job("Documents"));
    let request = app.request(Method::POST, &path).bearer_auth(&app.token).body("one");
    tokio::spawn(async move { Answered::read(request.send().await.unwrap()).await })
}

async fn a_full_queue_lets_the_connector_wait_and_then_take_its_turn(backend: Backend) {
    let app = app(backend, 30).await;
    let upload = half_an_upload(&app).await;
    let waiting = [connector(&app), connector(&app)];
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(waiting.iter().all(|one| !one.is_finished()));
    assert_eq!(app.messages().await, 0);
    finish(upload).await;
    for one in waiting {
        one.await.unwrap().expect(StatusCode::OK);
    }
    assert_eq!(app.messages().await, 3);
}

async fn a_connector_that_waits_too_long_is_told_to_come_back_and_nothing_is_stored(backend: Backend) {
    let app = app(backend, 1).await;
    let upload = half_an_upload(&app).await;
    let began = Instant::now();
    let refused = connector(&app).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u32>().is_ok());
    let body = refused.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        body["Message"].as_str().unwrap().contains("nothing was stored"),
        "RI-6a: {body}"
    );
    assert_eq!(app.messages().await, 0);
    finish(upload).await;
    assert_eq!(app.messages().await, 1);
}

async fn a_waiting_connector_upload_is_not_read(backend: Backend) {
    const BYTES: usize = 256 * 1024 * 1024;
    let app = app(backend, 2).await;
    let upload = half_an_upload(&app).await;
    let path = format!("/api/connector/enqueue/{}", app.job("Documents"));
    let mut socket = begin(&app, &path, BYTES).await;
    let mut sent = 0;
    let piece = vec![b'x'; 64 * 1024];
    let sending = async {
        while sent < BYTES {
            sent += socket.write(&piece).await.unwrap();
        }
    };
    let all = tokio::time::timeout(Duration::from_secs(1), sending).await;
    // What fits into the buffers of two sockets goes; the rest waits with its sender.
    assert!(all.is_err() && sent < BYTES / 4, "{sent} bytes were taken");
    finish(upload).await;
    drop(socket);
    assert_eq!(app.messages().await, 1);
}

async fn who_is_not_allowed_takes_no_place(backend: Backend) {
    let app = app(backend, 30).await;
    let outsider = app.client("outsider").await;
    let upload = half_an_upload(&app).await;
    send(app.enqueuing("Documents", "", "one"), &outsider)
        .await
        .expect(StatusCode::FORBIDDEN);
    send(app.enqueuing("Documents", "priority=x", "one"), &app.token)
        .await
        .expect(StatusCode::BAD_REQUEST);
    finish(upload).await;
}

/// Whether its machine is gone or it only holds the place.
async fn an_upload_that_stands_still_gives_its_place_back(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        relay(setup, "Documents", "");
        setup.set("queue.max_enqueues", "1");
        setup.set("limits.upload_seconds", "2");
    })
    .await;
    for (path, bytes) in [
        ("/api/v1/jobs/Documents/messages", 1 << 20),
        ("/api/v1/jobs/Documents/messages/batch", 1 << 20),
        (&format!("/api/connector/enqueue/{}", app.job("Documents")), 1 << 20),
    ] {
        // A trickle is no upload either.
        let began = Instant::now();
        let mut socket = begin(&app, path, bytes).await;
        let trickle = async {
            let (mut from, mut to) = socket.split();
            let sending = async {
                while to.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            };
            let mut answer = Vec::new();
            let answered = async { from.read_to_end(&mut answer).await };
            tokio::select! { () = sending => {}, _ = answered => {} }
            String::from_utf8_lossy(&answer).into_owned()
        };
        let answer = tokio::time::timeout(Duration::from_secs(15), trickle).await;
        let answer = answer.unwrap_or_else(|_| panic!("{path}: it is waited for"));
        assert!(began.elapsed() >= Duration::from_secs(2), "{path}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
        assert!(
            answer.contains("no KiB of it came within 2 seconds"),
            "{path}: {answer}"
        );
        app.put("Documents", "", "one").await;
    }
    assert_eq!(app.messages().await, 3);
}

/// GEN-13
async fn an_upload_that_goes_on_takes_as_long_as_it_takes(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        relay(setup, "Documents", "");
        setup.set("limits.upload_seconds", "5");
    })
    .await;
    let mut socket = begin(&app, "/api/v1/jobs/Documents/messages", 12 * 1024).await;
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(600)).await;
        socket.write_all(&[b'x'; 1024]).await.unwrap();
    }
    let mut answer = vec![0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 201");
}

async fn one_client_leaves_a_place_to_others(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        relay(setup, "Documents", "");
        setup.set("queue.max_enqueues", "4");
        setup.set("queue.admit_wait_seconds", "1");
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut socket = begin(&app, "/api/v1/jobs/Documents/messages", 10).await;
        socket.write_all(b"12345").await.unwrap();
        held.push(socket);
    }
    let other = app.add_client("other", "operator").await;
    let other = app.token_of("other", &other).await;
    // Until all are in: a probe that comes earlier would have the place of one of them.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mine = send(app.enqueuing("Documents", "", "one"), &app.token).await;
    assert_eq!(mine.status, StatusCode::TOO_MANY_REQUESTS, "{}", mine.body);
    assert_eq!(connector(&app).await.unwrap().status, StatusCode::SERVICE_UNAVAILABLE);
    send(app.enqueuing("Documents", "", "one"), &other)
        .await
        .expect(StatusCode::CREATED);
    for socket in held {
        finish(socket).await;
    }
    assert_eq!(app.messages().await, 4);
}
