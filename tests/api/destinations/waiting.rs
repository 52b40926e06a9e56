//! What waits for a delivery: the message of a job that is not collected, and any payload.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{app, destinations, service};
use crate::app::{Backend, TestApp};
use crate::webhooks::receiver::{Receiver, Reply};

crate::on_both_backends!(
    a_message_that_is_not_collected_is_acknowledged_by_its_last_delivery,
    deliveries_that_arrive_at_once_acknowledge_too,
    a_cancelled_message_goes_nowhere,
    a_payload_stays_while_a_delivery_needs_it,
);

async fn two(backend: Backend, export: &str, entity: &str) -> (TestApp, Receiver, Receiver) {
    let (one, other) = (Receiver::start().await, Receiver::start().await);
    let both = service("one", &one, "") + &service("other", &other, "");
    let export = format!("{export}\n[[export.entities]]\nentity = \"Stock\"\n{entity}\n{both}");
    let app = app(backend, &export).await;
    (app, one, other)
}

/// Where the job's changes stand.
async fn positions(app: &TestApp) -> Vec<Value> {
    let job = app.job("Stock out").parse().unwrap();
    // Looks how the messages of earlier runs ended, as the next run does.
    app.context
        .store
        .export_start(job, "Stock", app.clock.now())
        .await
        .unwrap();
    let shown = app
        .body(&format!("/api/v1/jobs/{}/occurrences", app.job("Stock out")))
        .await;
    let runs = shown["occurrences"].as_array().unwrap();
    runs.iter().map(|run| run["positions"][0]["state"].clone()).collect()
}

async fn a_message_that_is_not_collected_is_acknowledged_by_its_last_delivery(backend: Backend) {
    let (app, one, other) = two(backend, "enqueue = false", "refresh = \"incremental\"").await;
    other.replies([Reply::Status(500, "", ""), Reply::Status(400, "", "")]);
    let message = app.export().await;
    app.bring().await;
    assert_eq!((one.received().len(), other.received().len()), (1, 1));
    assert_eq!(
        app.message(&message).await["status"],
        "Enqueued",
        "one has it, the other not"
    );
    assert_eq!(positions(&app).await, ["queued"]);

    // Nobody else can have it.
    let leases = format!("/api/v1/jobs/{}/leases", app.job("Stock out"));
    let refused = app.post_json(&leases, &json!({})).await;
    assert_eq!(
        (refused.status, refused.text("code").as_str()),
        (StatusCode::BAD_REQUEST, "not_enqueued")
    );
    let dequeued = app
        .get(&format!("/api/connector/dequeue/{}", app.job("Stock out")))
        .await;
    assert_eq!(dequeued.status(), StatusCode::NO_CONTENT);

    app.clock.advance_seconds(11);
    app.bring().await;
    let failed = app.brought(&message, "other").await;
    assert_eq!(failed["state"], "failed");
    app.clock.advance_seconds(400 * 86_400);
    assert_eq!(
        app.context
            .store
            .prune_export_deliveries(app.clock.now(), app.clock.now())
            .await
            .unwrap(),
        0
    );
    let mut app = app;
    app.renew_token().await;
    assert_eq!(
        app.message(&message).await["status"],
        "Enqueued",
        "never before all have it"
    );
    assert_eq!(app.bring_again(&failed).await, StatusCode::ACCEPTED);
    app.bring().await;
    let shown = app.message(&message).await;
    assert_eq!(shown["status"], "Acked", "{shown:#}");
    assert_eq!(positions(&app).await, ["delivered"]);
    // Replaying what arrived changes nothing of that.
    assert_eq!(
        app.bring_again(&app.brought(&message, "one").await).await,
        StatusCode::ACCEPTED
    );
    app.bring().await;
    assert_eq!((one.received().len(), other.received().len()), (2, 3));
    assert_eq!(app.message(&message).await["status"], "Acked");
}

async fn deliveries_that_arrive_at_once_acknowledge_too(backend: Backend) {
    let (app, ..) = two(backend, "enqueue = false", "").await;
    for _ in 0..10 {
        let message = app.export().await;
        app.bring().await;
        assert_eq!(app.message(&message).await["status"], "Acked");
    }
}

async fn a_cancelled_message_goes_nowhere(backend: Backend) {
    let (app, one, _) = two(backend, "", "").await;
    let message = app.export().await;
    let cancelled = app.post(&format!("/api/v1/messages/{message}/cancel"), "").await;
    assert_eq!(cancelled.status(), StatusCode::OK);
    app.bring().await;
    assert_eq!(one.received().len(), 0);
    let delivery = app.brought(&message, "one").await;
    assert_eq!(
        (&delivery["state"], &delivery["last_answer"]["detail"]),
        (&json!("failed"), &json!("the message was cancelled"))
    );
}

async fn a_payload_stays_while_a_delivery_needs_it(backend: Backend) {
    let receiver = Receiver::start().await;
    let mut app = app(backend, &destinations(&service("erp", &receiver, ""))).await;
    let message = app.export().await;
    let taken = app
        .get(&format!("/api/connector/dequeue/{}", app.job("Stock out")))
        .await;
    let taken: Value = taken.json().await.unwrap();
    let ack = format!("/api/connector/ack/{}", app.job("Stock out"));
    assert_eq!(app.post(&ack, taken.to_string()).await.status(), StatusCode::OK);
    // The receiver is down for longer than payloads are kept of messages that ended well.
    receiver.replies([Reply::Status(503, "", "")]);
    app.bring().await;
    app.clock.advance_seconds(8 * 86_400);
    app.renew_token().await;
    tranship::pipeline::tidy::tidy(&app.context).await.unwrap();
    app.bring().await;
    let delivery = app.brought(&message, "erp").await;
    assert_eq!(delivery["state"], "delivered", "{delivery:#}");
    // Now nobody needs it.
    tranship::pipeline::tidy::tidy(&app.context).await.unwrap();
    assert_eq!(app.bring_again(&delivery).await, StatusCode::ACCEPTED);
    app.bring().await;
    let delivery = app.brought(&message, "erp").await;
    assert_eq!(delivery["state"], "failed", "{delivery:#}");
    let said = delivery["last_answer"]["detail"].as_str().unwrap();
    assert!(said.contains("no longer kept"), "{said}");
}
