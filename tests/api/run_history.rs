//! What runs did, and why a queue is empty.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::destinations::{app, destinations, service};
use crate::webhooks::receiver::Receiver;

crate::on_both_backends!(
    a_run_tells_everything_it_did,
    an_empty_queue_is_explained,
    a_job_that_is_not_collected_explains_itself,
);

async fn why(app: &TestApp) -> (String, String) {
    let body = app
        .body(&format!("/api/v1/jobs/{}/why-empty", app.job("Stock out")))
        .await;
    let text = |member: &str| body[member].as_str().unwrap().to_owned();
    (text("reason"), text("answer"))
}

async fn a_run_tells_everything_it_did(backend: Backend) {
    let receiver = Receiver::start().await;
    let export = destinations("refresh = \"incremental\"\n") + &service("erp", &receiver, "");
    let app = app(backend, &export).await;
    let message = app.export().await;
    app.bring().await;
    let job = format!("/api/v1/jobs/{}", app.job("Stock out"));
    let shown = app.body(&format!("{job}/occurrences")).await;
    let run = &shown["occurrences"][0];
    assert_eq!(run["started_at"], "2026-01-05T08:00:00Z");
    assert_eq!(
        run["phases"],
        json!({ "waiting_seconds": 0.0, "writing_seconds": 0.0, "storing_seconds": 0.0, "queuing_seconds": 0.0 })
    );
    assert_eq!(run["entities"], json!([{ "entity": "Stock on hand", "records": 1 }]));
    let told = app.message(&message).await;
    assert_eq!(
        run["messages"],
        json!([{
            "id": message, "file": "stock 20260105-080000.csv", "status": "Enqueued", "bytes": told["bytes"],
            "digest": told["digest"], "acknowledged_at": null, "finished_at": null,
        }])
    );
    assert_eq!(run["bytes"], told["bytes"]);
    let position = &run["positions"][0];
    assert_eq!(
        (&position["entity"], &position["state"]),
        (&json!("Stock on hand"), &json!("queued"))
    );
    assert_eq!(
        (&position["before"], position["after"].is_object()),
        (&Value::Null, true)
    );
    assert_eq!(run["deliveries"][0]["state"], "delivered");

    let id = run["execution"].as_str().unwrap().replace(' ', "%20");
    let execution = app.body(&format!("/api/v1/executions/{id}")).await;
    assert_eq!(&execution["run"], run);
    assert_eq!(execution["job"], "Stock out");
    let stranger = app.client("stranger").await;
    let hidden = app.request(reqwest::Method::GET, &format!("/api/v1/executions/{id}"));
    assert_eq!(
        hidden.bearer_auth(stranger).send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
}

async fn an_empty_queue_is_explained(backend: Backend) {
    let export = format!("prevent_upload_when_zero_records = true\n{}", destinations(""));
    let app = app(backend, &export).await;
    let (reason, answer) = why(&app).await;
    assert_eq!(reason, "never_ran");
    assert_eq!(
        answer,
        "The job has never run. It has no schedule: it runs when somebody asks for it."
    );

    let message = app.export().await;
    let (reason, answer) = why(&app).await;
    assert_eq!(reason, "not_empty");
    assert!(
        answer.contains("1 message can be collected, the next since 2026-01-05T08:00:00Z"),
        "{answer}"
    );

    let taken: Value = app
        .get(&format!("/api/connector/dequeue/{}", app.job("Stock out")))
        .await
        .json()
        .await
        .unwrap();
    let (reason, answer) = why(&app).await;
    assert_eq!(reason, "leased");
    assert!(
        answer.contains(&format!("{message} is leased by tester until 2026-01-05T08:30:00Z")),
        "{answer}"
    );

    let ack = format!("/api/connector/ack/{}", app.job("Stock out"));
    assert_eq!(app.post(&ack, taken.to_string()).await.status(), StatusCode::OK);
    let (reason, answer) = why(&app).await;
    assert_eq!(reason, "acknowledged");
    assert!(
        answer.contains("exported 1 records, which were acknowledged at 2026-01-05T08:00:00Z"),
        "{answer}"
    );
    assert!(
        answer.contains(&format!("The client `tester` collected {message}.")),
        "{answer}"
    );

    app.rows("delete from stock where 1 = 1 returning cast(1 as text)")
        .await;
    app.export().await;
    let (reason, answer) = why(&app).await;
    assert_eq!(reason, "nothing_to_export");
    assert!(answer.contains("0 records, not uploaded"), "{answer}");

    let pause = app
        .post_json(
            &format!("/api/v1/jobs/{}/pause", app.job("Stock out")),
            &json!({ "note": "stocktaking" }),
        )
        .await;
    assert_eq!(pause.status, StatusCode::OK);
    let (reason, answer) = why(&app).await;
    assert_eq!(reason, "paused");
    assert!(
        answer.contains("paused since 2026-01-05T08:00:00Z by tester (stocktaking)"),
        "{answer}"
    );
}

async fn a_job_that_is_not_collected_explains_itself(backend: Backend) {
    let receiver = Receiver::start().await;
    let export = format!("enqueue = false\n{}", destinations(&service("erp", &receiver, "")));
    let app = app(backend, &export).await;
    app.export().await;
    let (reason, answer) = why(&app).await;
    assert_eq!(reason, "not_enqueued");
    assert!(answer.contains("1 deliveries are pending, 0 failed"), "{answer}");
    // What nobody can collect does not wait for anybody.
    let job = app.body(&format!("/api/v1/jobs/{}", app.job("Stock out"))).await;
    let queue = &job["queue"];
    assert_eq!(
        (&queue["waiting"], &queue["delivering"]),
        (&json!(0), &json!(1)),
        "{queue}"
    );
}
