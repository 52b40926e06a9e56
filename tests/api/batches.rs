//! Many payloads in one request: an answer for each, in order, and one that is refused leaves the others alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::client::{relay, send, text};

crate::on_both_backends!(
    a_thousand_messages_are_stored_in_one_request,
    each_item_is_answered_for_itself,
    items_say_what_single_requests_say,
    keys_hold_within_a_batch_and_across_requests,
    a_batch_that_makes_no_sense_is_refused_as_a_whole,
    a_batch_for_an_import_is_loaded,
);

const BATCH: &str = "/API/v1/jobs/Documents/Messages/Batch";

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup| {
        relay(setup, "Documents", "");
        setup.set("queue.batch_max_bytes", "1000000");
    })
    .await
}

async fn put(app: &TestApp, messages: &[Value]) -> Vec<Value> {
    let answer = app.post_json(BATCH, &json!({ "messages": messages })).await;
    let body = answer.expect(StatusCode::OK);
    body["results"].as_array().unwrap().clone()
}

async fn a_thousand_messages_are_stored_in_one_request(backend: Backend) {
    let app = app(backend).await;
    let items: Vec<Value> = (0..1000).map(|number| json!({ "text": number.to_string() })).collect();
    let results = put(&app, &items).await;
    assert!(
        results
            .iter()
            .all(|result| result["status"] == 201 && result["replay"] == false)
    );
    let leases = app
        .lease("Documents", json!({ "max": 1000, "payload": "inline" }))
        .await;
    assert_eq!(leases.len(), 1000);
    for (number, (lease, result)) in leases.iter().zip(&results).enumerate() {
        assert_eq!(lease["id"], result["id"], "the order of the items");
        assert_eq!(
            STANDARD.decode(text(lease, "payload")).unwrap(),
            number.to_string().as_bytes()
        );
    }
}

async fn each_item_is_answered_for_itself(backend: Backend) {
    let app = app(backend).await;
    let good = json!({ "text": "good" });
    let items = [
        good.clone(),
        json!({ "payload": "!" }),
        json!({ "text": "" }),
        json!({ "text": "two", "payload": "dHdv" }),
        json!({}),
        json!("text"),
        json!({ "text": "one", "colour": "red" }),
        json!({ "text": "one", "priority": 101 }),
        json!({ "text": "one", "not_before": "soon" }),
        json!({ "text": "one", "company": "toolong" }),
        json!({ "text": "one", "idempotency_key": "" }),
        json!({ "text": "one", "expires_at": "2020-01-01T00:00:00Z" }),
        good,
    ];
    let results = put(&app, &items).await;
    let codes: Vec<&str> = results
        .iter()
        .map(|r| r["problem"]["code"].as_str().unwrap_or(""))
        .collect();
    let wanted = [
        "",
        "invalid_item",
        "body_empty",
        "invalid_item",
        "invalid_item",
        "invalid_item",
        "invalid_item",
        "invalid_number",
        "invalid_time",
        "invalid_company",
        "invalid_idempotency_key",
        "expires_too_early",
        "",
    ];
    assert_eq!(codes, wanted);
    for result in &results {
        let wanted = if result["problem"].is_null() { 201 } else { 400 };
        assert_eq!(result["status"], wanted, "{result}");
    }
    assert_eq!(app.messages().await, 2);
}

async fn items_say_what_single_requests_say(backend: Backend) {
    let app = app(backend).await;
    let large = "x".repeat(100_000);
    let results = put(
        &app,
        &[
            json!({ "payload": STANDARD.encode([0_u8, 255, 7]), "external_id": "a.bin", "company": "USMF", "entity": "Orders",
                "delay_seconds": 60, "expires_in_seconds": 120 }),
            json!({ "text": large, "external_id": "", "priority": 5 }),
        ],
    )
    .await;
    let message = app.message(&text(&results[0], "id")).await;
    assert_eq!(
        (&message["external_id"], &message["company"], &message["entity"]),
        (&json!("a.bin"), &json!("usmf"), &json!("Orders"))
    );
    assert_eq!(message["not_before"], json!(app.clock.now().plus_seconds(60)));
    assert_eq!(message["expires_at"], json!(app.clock.now().plus_seconds(120)));
    assert_eq!(message["enqueued_by"], "tester");
    let payload = app
        .get(&format!("/api/v1/messages/{}/payload", text(&results[0], "id")))
        .await;
    assert_eq!(payload.bytes().await.unwrap().as_ref(), [0, 255, 7]);
    let payload = app
        .get(&format!("/api/v1/messages/{}/payload", text(&results[1], "id")))
        .await;
    assert_eq!(payload.bytes().await.unwrap(), large);
}

async fn keys_hold_within_a_batch_and_across_requests(backend: Backend) {
    let app = app(backend).await;
    let item = |key: &str, text: &str| json!({ "text": text, "idempotency_key": key });
    let items = [item("a", "one"), item("b", "two"), item("a", "one"), item("a", "other")];
    let first = put(&app, &items).await;
    assert_eq!((&first[2]["id"], &first[2]["replay"]), (&first[0]["id"], &json!(true)));
    assert_eq!(first[3]["status"], 422);
    assert_eq!(first[3]["problem"]["code"], "idempotency_key_reused");
    let again = put(&app, &items[..2]).await;
    for (again, first) in again.iter().zip(&first) {
        assert_eq!((&again["id"], &again["replay"]), (&first["id"], &json!(true)));
    }
    let single = app.enqueuing("Documents", "", "two").header("Idempotency-Key", "b");
    assert!(send(single, &app.token).await.is_replay());
    assert_eq!(app.messages().await, 2);
}

async fn a_batch_that_makes_no_sense_is_refused_as_a_whole(backend: Backend) {
    let app = app(backend).await;
    let good = json!({ "text": "one" });
    for (body, status, code) in [
        (String::new(), 400, "body_empty"),
        ("{".to_owned(), 400, "invalid_json"),
        ("[]".to_owned(), 400, "invalid_json"),
        (json!({ "messages": [] }).to_string(), 400, "invalid_batch"),
        (
            json!({ "messages": vec![good.clone(); 1001] }).to_string(),
            400,
            "invalid_batch",
        ),
        (
            json!({ "messages": [{ "text": "x".repeat(1_000_000) }] }).to_string(),
            413,
            "payload_too_large",
        ),
    ] {
        let answer = send(app.request(Method::POST, BATCH).body(body), &app.token).await;
        assert_eq!((answer.status.as_u16(), answer.text("code").as_str()), (status, code));
    }
    let body = json!({ "messages": [good] }).to_string();
    let wrong = "sha-256=:AAAAuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:";
    let request = app
        .request(Method::POST, BATCH)
        .header("Content-Digest", wrong)
        .body(body);
    assert_eq!(
        send(request, &app.token).await.expect(StatusCode::BAD_REQUEST)["code"],
        "digest_mismatch"
    );
    let outsider = app.client("outsider").await;
    let request = app
        .request(Method::POST, BATCH)
        .body("{\"messages\":[{\"text\":\"one\"}]}");
    send(request, &outsider).await.expect(StatusCode::FORBIDDEN);
    assert_eq!(app.messages().await, 0);
}

async fn a_batch_for_an_import_is_loaded(backend: Backend) {
    let app = app(backend).await;
    let file = |id: &str| json!({ "text": format!("CustomerID,CompanyName\r\n{id},One\r\n") });
    let path = "/api/v1/jobs/Inbound%20customers/messages/batch";
    let answer = app
        .post_json(path, &json!({ "messages": [file("AAAAA"), file("BBBBB")] }))
        .await;
    let body = answer.expect(StatusCode::OK);
    app.run_until_idle().await;
    for result in body["results"].as_array().unwrap() {
        assert_eq!(app.message(&text(result, "id")).await["records"]["applied"], 1);
    }
}
