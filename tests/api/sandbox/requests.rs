//! Faults that strike requests by their path: another answer, a late one, none.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{add, ask, fault, sandbox};
use crate::app::{Backend, TestApp};
use crate::client::send;

crate::on_both_backends!(
    requests_are_refused_as_often_as_asked_and_nothing_is_done,
    a_refusal_has_the_form_of_its_surface,
    chance_has_a_seed,
    a_lost_answer_is_carried_out_and_the_connection_closed_without_a_byte,
    only_the_answer_of_what_succeeded_is_lost,
    a_late_answer_is_late_and_whole,
    a_fault_on_everything_can_be_removed,
);

async fn requests_are_refused_as_often_as_asked_and_nothing_is_done(backend: Backend) {
    let app = sandbox(backend).await;
    let (shop, archive) = (app.client("shop").await, app.client("archive").await);
    let asked = json!({ "kind": "answer", "status": 429, "retry_after_seconds": 7, "method": "POST", "client": "shop",
        "path": "/api/v1/jobs/*/messages", "times": 2, "name": "busy" });
    add(&app, asked).await;
    for _ in 0..2 {
        let answer = send(app.enqueuing("Letters", "", "a"), &shop).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers["retry-after"], "7");
        assert_eq!(answer.body["code"], "sandbox_fault");
        assert!(answer.text("detail").contains("`busy`"), "{}", answer.body);
        assert_eq!(
            answer.headers["x-content-type-options"], "nosniff",
            "stamped as every answer"
        );
    }
    assert_eq!(app.messages().await, 0, "nothing was done");
    // Another client, another method, another path.
    send(app.enqueuing("Letters", "", "b"), &archive)
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(
        send(app.request(Method::GET, "/api/v1/jobs"), &shop).await.status,
        StatusCode::OK
    );
    send(app.enqueuing("Letters", "", "c"), &shop)
        .await
        .expect(StatusCode::CREATED);
    let busy = fault(&app, "busy").await;
    assert_eq!((&busy["struck"], &busy["left"]), (&json!(2), &json!(0)));
}

async fn a_refusal_has_the_form_of_its_surface(backend: Backend) {
    let app = sandbox(backend).await;
    add(&app, json!({ "kind": "answer", "status": 503, "path": "*" })).await;
    let connector = app
        .get(&format!("/EN-us/api//connector/dequeue/{}", app.job("Letters")))
        .await;
    assert_eq!(connector.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(connector.headers()["retry-after"], "1");
    assert!(connector.headers().contains_key("ms-dyn-aid"));
    let body: serde_json::Value = connector.json().await.unwrap();
    assert!(body["Message"].as_str().unwrap().contains("answer-1"), "{body}");
    let action = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetMessageStatus";
    let data = app.post(action, "{}").await;
    assert_eq!(data.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body: serde_json::Value = data.json().await.unwrap();
    let inner = body["error"]["innererror"]["message"].as_str().unwrap();
    assert!(inner.contains("answer-1"), "{body}");
    let blob = app.request(Method::GET, "/dmf/a/b?sig=x").send().await.unwrap();
    assert_eq!(blob.headers()["x-ms-error-code"], "ServerBusy");
    assert!(blob.text().await.unwrap().contains("<Code>ServerBusy</Code>"));
    let head = app.request(Method::HEAD, "/dmf/a/b").send().await.unwrap();
    assert_eq!(head.status(), StatusCode::SERVICE_UNAVAILABLE);
}

async fn chance_has_a_seed(backend: Backend) {
    let app = sandbox(backend).await;
    let row = async || {
        let asked = json!({ "kind": "answer", "status": 500, "path": "/api/v1/jobs", "probability": 0.5, "seed": 42 });
        add(&app, asked).await;
        let mut row = Vec::new();
        for _ in 0..20 {
            row.push(app.get("/api/v1/jobs").await.status() == StatusCode::INTERNAL_SERVER_ERROR);
        }
        ask(&app, Method::DELETE, "/faults", None).await;
        row
    };
    let first = row().await;
    assert_eq!(first, row().await);
    assert!(first.contains(&true) && first.contains(&false), "{first:?}");
}

/// What a raw socket reads after this request, up to the end of the connection.
async fn raw(app: &TestApp, token: &str, path: &str, body: &str) -> String {
    let host = app.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Neither kept open nor reset with something in between.
    let read = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut answer)).await;
    read.expect("the connection is closed").unwrap();
    String::from_utf8(answer).unwrap()
}

async fn a_lost_answer_is_carried_out_and_the_connection_closed_without_a_byte(backend: Backend) {
    let app = sandbox(backend).await;
    let enqueue = format!("/api/connector/enqueue/{}", app.job("Letters"));
    add(
        &app,
        json!({ "kind": "lose_answer", "path": "/api/connector/enqueue/*", "times": 1 }),
    )
    .await;
    assert_eq!(raw(&app, &app.token, &enqueue, "dear shop").await, "");
    assert_eq!(app.messages().await, 1, "it is committed all the same");
    assert_eq!(fault(&app, "lose-answer-1").await["struck"], 1);
    // The same again is answered.
    let path = format!("{enqueue}?x=1 HTTP/1.1\r\nconnection: close\r\nx: ");
    let answer = raw(&app, &app.token, &path, "dear shop").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(app.messages().await, 2);
}

async fn only_the_answer_of_what_succeeded_is_lost(backend: Backend) {
    let app = sandbox(backend).await;
    add(&app, json!({ "kind": "lose_answer" })).await;
    let refused = app.request(Method::GET, "/api/v1/jobs").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(fault(&app, "lose-answer-1").await["struck"], 0);
    let lost = app.request(Method::GET, "/api/v1/jobs").bearer_auth(&app.token);
    assert!(lost.send().await.is_err());
    // Also one without a body.
    let path = format!("/api/connector/dequeue/{}", app.job("Letters"));
    assert!(
        app.request(Method::GET, &path)
            .bearer_auth(&app.token)
            .send()
            .await
            .is_err()
    );
}

async fn a_late_answer_is_late_and_whole(backend: Backend) {
    let app = sandbox(backend).await;
    let asked = json!({ "kind": "delay_answer", "milliseconds": 300, "path": "/api/v1/jobs", "times": 1 });
    add(&app, asked).await;
    let began = Instant::now();
    let answer = app.get("/api/v1/jobs").await;
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(answer.status(), StatusCode::OK);
    let body: serde_json::Value = answer.json().await.unwrap();
    assert!(!body["jobs"].as_array().unwrap().is_empty());
}

async fn a_fault_on_everything_can_be_removed(backend: Backend) {
    let app = sandbox(backend).await;
    add(&app, json!({ "kind": "answer", "status": 503 })).await;
    let token = format!("{}/x/oauth2/v2.0/token", app.url);
    let form = [("grant_type", "client_credentials")];
    let struck = app.request(Method::POST, &token).form(&form).send().await.unwrap();
    assert_eq!(struck.status(), StatusCode::SERVICE_UNAVAILABLE);
    // Who asks to be spared signs in, to remove it.
    let spared = app.request(Method::POST, &token).header("x-tranship-sandbox", "spare");
    assert_eq!(
        spared.form(&form).send().await.unwrap().status(),
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        ask(&app, Method::DELETE, "/Faults", None).await.expect(StatusCode::OK)["removed"],
        1
    );
    assert_eq!(app.get("/api/v1/jobs").await.status(), StatusCode::OK);
}
