//! A relay job: one client enqueues, another dequeues, downloads and acknowledges; bytes in = bytes out.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, Setup, TestApp};

crate::on_both_backends!(
    bytes_out_are_bytes_in,
    a_message_not_acknowledged_is_offered_again_and_an_acknowledged_one_never,
    acknowledgements_are_as_lenient_as_clients_need,
    a_receipt_never_issued_is_refused,
);

const RELAY: &str = r#"
id = "00000000-0000-4000-8000-0000000000bb"
name = "Documents"
direction = "relay"
data_source = "file"
clients = ["sender", "receiver"]
"#;

fn relay(setup: &mut Setup) {
    setup.file("jobs/documents.toml", RELAY);
}

async fn dequeue(app: &TestApp, token: &str) -> Option<Value> {
    let path = format!("/api/connector/dequeue/%7B{}%7D", app.job("Documents"));
    let answer = app.request(Method::GET, &path).bearer_auth(token).send().await.unwrap();
    match answer.status() {
        StatusCode::NO_CONTENT => None,
        StatusCode::OK => Some(answer.json().await.unwrap()),
        other => panic!("{other}: {}", answer.text().await.unwrap()),
    }
}

async fn ack(app: &TestApp, token: &str, body: impl ToString) -> StatusCode {
    let path = format!("/api/connector/ack/{}", app.job("Documents"));
    app.request(Method::POST, &path)
        .bearer_auth(token)
        .body(body.to_string())
        .send()
        .await
        .unwrap()
        .status()
}

async fn enqueue(app: &TestApp, token: &str, body: Vec<u8>) -> String {
    let path = format!("/api/connector/enqueue/{}", app.job("Documents"));
    let answer = app
        .request(Method::POST, &path)
        .bearer_auth(token)
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

async fn bytes_out_are_bytes_in(backend: Backend) {
    let app = TestApp::with(backend, relay).await;
    let (sender, receiver) = (app.client("sender").await, app.client("receiver").await);
    // Inline, at the limit, past it, and several parts of a blob.
    let sizes = [1, 16 * 1024, 16 * 1024 + 1, 12 * 1024 * 1024 + 7];
    for size in sizes {
        let bytes: Vec<u8> = (0..size)
            .map(|i: u32| u8::try_from(i.wrapping_mul(2_654_435_761) >> 24).unwrap())
            .collect();
        enqueue(&app, &sender, bytes.clone()).await;
        let delivery = dequeue(&app, &receiver).await.expect("a message");
        assert_eq!(delivery["LastDequeueDateTime"], Value::Null);
        assert_eq!(delivery["IsDownLoadFileExist"], true);
        let location = delivery["DownloadLocation"].as_str().unwrap();
        assert!(location.starts_with(&app.url), "{location}");
        let answer = app
            .request(Method::GET, location)
            .bearer_auth(&receiver)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(
            answer.headers()["content-digest"]
                .to_str()
                .unwrap()
                .starts_with("sha-256=:")
        );
        assert!(answer.bytes().await.unwrap() == bytes, "{size} bytes differ");
        assert_eq!(ack(&app, &receiver, delivery).await, StatusCode::OK);
    }
    assert!(dequeue(&app, &receiver).await.is_none());
}

async fn a_message_not_acknowledged_is_offered_again_and_an_acknowledged_one_never(backend: Backend) {
    let app = TestApp::with(backend, relay).await;
    let token = app.client("receiver").await;
    let first = enqueue(&app, &token, b"first".to_vec()).await;
    enqueue(&app, &token, b"second".to_vec()).await;
    let one = dequeue(&app, &token).await.expect("the oldest first");
    let two = dequeue(&app, &token).await.expect("the next");
    assert_ne!(one["CorrelationId"], two["CorrelationId"]);
    assert!(dequeue(&app, &token).await.is_none(), "both are leased (RI-11)");
    assert_eq!(ack(&app, &token, &two).await, StatusCode::OK);
    app.clock.advance_seconds(29 * 60);
    assert!(dequeue(&app, &token).await.is_none(), "the lease still runs (RI-10)");
    app.clock.advance_seconds(61);
    let again = dequeue(&app, &token).await.expect("offered again after the lease");
    assert_eq!(again["CorrelationId"], one["CorrelationId"]);
    assert_ne!(again["PopReceipt"], one["PopReceipt"], "a new receipt");
    assert_eq!(again["LastDequeueDateTime"], "2026-01-05T08:00:00Z");
    assert_eq!(ack(&app, &token, &again).await, StatusCode::OK);
    app.clock.advance_seconds(20 * 3600);
    assert!(
        dequeue(&app, &token).await.is_none(),
        "acknowledged messages never come back (RI-24)"
    );
    assert_eq!(app.message(&first).await["status"], "Acked");
}

async fn acknowledgements_are_as_lenient_as_clients_need(backend: Backend) {
    let app = TestApp::with(backend, relay).await;
    let token = app.client("receiver").await;
    let mut delivered = Vec::new();
    for _ in 0..5 {
        enqueue(&app, &token, b"x".to_vec()).await;
        delivered.push(dequeue(&app, &token).await.expect("a message"));
    }
    // Twice (RI-22).
    assert_eq!(ack(&app, &token, &delivered[0]).await, StatusCode::OK);
    assert_eq!(ack(&app, &token, &delivered[0]).await, StatusCode::OK);
    // With a rewritten location, which is ignored (RI-20).
    let mut rewritten = delivered[1].clone();
    rewritten["DownloadLocation"] = "https://elsewhere.example/".into();
    assert_eq!(ack(&app, &token, rewritten).await, StatusCode::OK);
    // In single quotes, members in another case (GEN-7).
    let single = format!(
        "{{'correlationid':{},'POPRECEIPT':{}}}",
        delivered[2]["CorrelationId"], delivered[2]["PopReceipt"]
    )
    .replace('"', "'");
    assert_eq!(ack(&app, &token, single).await, StatusCode::OK);
    // By correlation id alone.
    assert_eq!(
        ack(&app, &token, json!({ "CorrelationId": delivered[3]["CorrelationId"] })).await,
        StatusCode::OK
    );
    // With the first receipt after the lease ran out and somebody else holds the message (RI-22).
    app.clock.advance_seconds(31 * 60);
    let newer = dequeue(&app, &token).await.expect("offered again");
    assert_eq!(newer["CorrelationId"], delivered[4]["CorrelationId"]);
    assert_eq!(ack(&app, &token, &delivered[4]).await, StatusCode::OK);
    assert_eq!(ack(&app, &token, &newer).await, StatusCode::OK);
    app.clock.advance_seconds(31 * 60);
    assert!(dequeue(&app, &token).await.is_none());
}

async fn a_receipt_never_issued_is_refused(backend: Backend) {
    let app = TestApp::with(backend, relay).await;
    let token = app.client("receiver").await;
    enqueue(&app, &token, b"x".to_vec()).await;
    let delivery = dequeue(&app, &token).await.expect("a message");
    let mut forged = delivery.clone();
    forged["PopReceipt"] = "AgAAAAMAAAAAAAAAq83vASNFZ4k=".into();
    assert_eq!(ack(&app, &token, forged).await, StatusCode::BAD_REQUEST);
    assert_eq!(ack(&app, &token, "{}").await, StatusCode::BAD_REQUEST);
    let unknown = json!({ "CorrelationId": "00000000-0000-4000-8000-000000000001" });
    assert_eq!(
        ack(&app, &token, unknown).await,
        StatusCode::INTERNAL_SERVER_ERROR,
        "RI-23"
    );
    assert_eq!(ack(&app, &token, "not json").await, StatusCode::BAD_REQUEST);
    app.clock.advance_seconds(31 * 60);
    assert!(dequeue(&app, &token).await.is_some(), "none of that ended it");
}
