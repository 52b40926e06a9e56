//! Acknowledgements that fail, messages that come again.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{add, fault, sandbox};
use crate::app::{Backend, TestApp};
use crate::client::text;

crate::on_both_backends!(
    an_acknowledgement_fails_as_often_as_asked_and_acknowledges_nothing,
    each_acknowledgement_of_a_batch_may_fail,
    a_leased_message_comes_again_and_its_first_lease_is_over,
    a_connector_client_is_handed_the_same_message_twice_in_a_row,
);

async fn an_acknowledgement_fails_as_often_as_asked_and_acknowledges_nothing(backend: Backend) {
    let app = sandbox(backend).await;
    let id = app.put("Letters", "", "a").await;
    let lease = app.lease_one("Letters").await;
    add(
        &app,
        json!({ "kind": "fail_ack", "job": "letters", "times": 1, "name": "deaf" }),
    )
    .await;
    let failed = app.step(&lease, "ack", json!({})).await;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(failed.body["code"], "sandbox_fault");
    assert_eq!(app.message(&id).await["status"], "Dequeued");
    // Only acknowledgements fail.
    app.step(&lease, "extend", json!({})).await.expect(StatusCode::OK);
    app.step(&lease, "ack", json!({})).await.expect(StatusCode::OK);
    assert_eq!(app.message(&id).await["status"], "Acked");

    add(
        &app,
        json!({ "kind": "fail_ack", "client": "somebody", "name": "other" }),
    )
    .await;
    add(&app, json!({ "kind": "fail_ack", "times": 1, "name": "wire" })).await;
    app.put("Letters", "", "b").await;
    let delivery = dequeue(&app).await;
    let path = format!("/api/connector/ack/{}", app.job("Letters"));
    let refused = app.post(&path, delivery.to_string()).await;
    assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body: Value = refused.json().await.unwrap();
    assert!(body["Message"].as_str().unwrap().contains("`wire`"), "{body}");
    assert_eq!(app.post(&path, delivery.to_string()).await.status(), StatusCode::OK);
    assert_eq!(fault(&app, "other").await["struck"], 0);
}

async fn each_acknowledgement_of_a_batch_may_fail(backend: Backend) {
    let app = sandbox(backend).await;
    for body in ["a", "b", "c"] {
        app.put("Letters", "", body).await;
    }
    let leases = app.lease("Letters", json!({ "max": 3 })).await;
    add(&app, json!({ "kind": "fail_ack", "times": 1 })).await;
    let items: Vec<Value> = leases
        .iter()
        .map(|lease| json!({ "receipt": lease["receipt"], "action": "ack" }))
        .collect();
    let answer = app.post_json("/api/v1/leases/batch", &json!({ "items": items })).await;
    let results = answer.expect(StatusCode::OK);
    let mut statuses: Vec<u64> = results["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["status"].as_u64().unwrap())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 500], "{results}");
}

async fn dequeue(app: &TestApp) -> Value {
    let answer = app.get(&format!("/api/connector/dequeue/{}", app.job("Letters"))).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

async fn a_leased_message_comes_again_and_its_first_lease_is_over(backend: Backend) {
    let app = sandbox(backend).await;
    add(&app, json!({ "kind": "deliver_again", "job": "Letters", "times": 1 })).await;
    assert!(app.lease("Letters", json!({})).await.is_empty());
    let id = app.put("Letters", "", "a").await;
    let first = app.lease_one("Letters").await;
    // Nothing was out so far.
    assert_eq!(fault(&app, "deliver-again-1").await["struck"], 0);
    let second = app.lease_one("Letters").await;
    assert_eq!((text(&first, "id"), text(&second, "id")), (id.clone(), id.clone()));
    assert_eq!(second["attempt"], 2);
    assert_eq!(fault(&app, "deliver-again-1").await["struck"], 1);
    let stale = app.step(&first, "ack", json!({})).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    assert!(app.lease("Letters", json!({})).await.is_empty(), "it strikes no more");
    app.step(&second, "ack", json!({})).await.expect(StatusCode::OK);
    let history = app.get(&format!("/api/v1/messages/{id}/history")).await;
    let history: Value = history.json().await.unwrap();
    assert!(history.to_string().contains("a fault of the sandbox"), "{history}");
}

async fn a_connector_client_is_handed_the_same_message_twice_in_a_row(backend: Backend) {
    let app = sandbox(backend).await;
    let archive = app.client("archive").await;
    app.put("Letters", "", "a").await;
    app.put("Letters", "", "b").await;
    add(&app, json!({ "kind": "deliver_again", "client": "tester", "times": 1 })).await;
    let first = dequeue(&app).await;
    let again = dequeue(&app).await;
    assert_eq!(first["CorrelationId"], again["CorrelationId"]);
    assert_ne!(first["PopReceipt"], again["PopReceipt"]);
    assert_ne!(dequeue(&app).await["CorrelationId"], first["CorrelationId"]);
    let path = format!("/api/connector/dequeue/{}", app.job("Letters"));
    let other = app
        .request(Method::GET, &path)
        .bearer_auth(&archive)
        .send()
        .await
        .unwrap();
    assert_eq!(other.status(), StatusCode::NO_CONTENT);
}
