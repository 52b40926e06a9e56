//! Recurring Integrations Scheduler, Download job: RI-9, RI-11, RI-12, RI-14, RI-16, RI-18, RI-20, RI-21.

use reqwest::StatusCode;
use serde_json::{Value, json};
use url::Url;

use super::wire::{Answer, Body, Wire};
use super::{BASE, app};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(a_queue_is_drained_then_fetched_then_acknowledged,);

async fn request(app: &TestApp, line: &str, more: &[&str], body: Body<'_>) -> Answer {
    let authorization = format!("Authorization: Bearer {}", app.token);
    let mut head = vec![line, authorization.as_str()];
    head.extend_from_slice(more);
    head.extend([
        "Host: erp.example.test",
        "Accept-Encoding: gzip, deflate",
        "Connection: Keep-Alive",
    ]);
    Wire::open(app).await.send(&head, body).await
}

/// What it makes of a location: https, and no port.
fn rewritten(location: &str) -> Url {
    let mut url = Url::parse(location).expect("a URL (RI-12)");
    url.set_scheme("https").expect("a scheme");
    url.set_port(None).expect("a host");
    url
}

async fn a_queue_is_drained_then_fetched_then_acknowledged(backend: Backend) {
    let app = app(backend).await;
    let job = app.job("Documents");
    for text in ["one", "two", "three"] {
        let path = format!("/api/v1/jobs/{job}/messages");
        assert_eq!(app.post(&path, text).await.status(), StatusCode::CREATED);
    }
    // The whole queue into memory, until exactly 204: whoever is handed a message twice meanwhile never ends.
    let mut drained: Vec<Value> = Vec::new();
    loop {
        let line = format!("GET /api/connector/dequeue/{job} HTTP/1.1");
        let answer = request(&app, &line, &[], Body::None).await;
        if answer.status == 204 {
            assert!(answer.body.is_empty());
            break;
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        drained.push(answer.json());
        assert!(drained.len() <= 3, "it would loop for ever (RI-11)");
    }
    let mut texts = Vec::new();
    for offered in &drained {
        let location = rewritten(offered["DownloadLocation"].as_str().expect("a text"));
        assert!(location.as_str().starts_with(BASE), "{location}");
        let target = format!("{}?{}", location.path(), location.query().unwrap_or_default());
        let file = request(&app, &format!("GET {target} HTTP/1.1"), &[], Body::None).await;
        assert_eq!(file.status, 200);
        assert_eq!(file.header("content-type"), Some("application/octet-stream"));
        texts.push(file.text());

        // Three members, the location as it rewrote it.
        let ack = json!({"CorrelationId": offered["CorrelationId"], "PopReceipt": offered["PopReceipt"],
                         "DownloadLocation": location.as_str()});
        let line = format!("POST /api/connector/ack/{job} HTTP/1.1");
        let content = ["Content-Type: application/json; charset=utf-8"];
        let done = request(&app, &line, &content, Body::Expecting(ack.to_string().as_bytes())).await;
        assert_eq!((done.status, done.body.len()), (200, 0), "{}", done.text());
    }
    assert_eq!(texts, ["one", "two", "three"]);
    let listed: Value = app
        .get(&format!("/api/v1/messages?job={job}"))
        .await
        .json()
        .await
        .unwrap();
    for message in listed["messages"].as_array().unwrap() {
        assert_eq!(message["status"], "Acked");
    }
}
