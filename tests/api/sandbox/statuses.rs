//! Statuses that come late, imports that are slow.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{add, ask, fault, sandbox, sandbox_with};
use crate::app::{Backend, TestApp, sample};
use crate::client::text;

crate::on_both_backends!(
    a_late_status_is_an_earlier_true_one_everywhere,
    a_late_status_never_goes_back,
    a_slow_import_pauses_before_each_chunk,
);

const JOB: &str = "Inbound customers";

async fn on_the_wire(app: &TestApp, id: &str) -> Value {
    let path = format!("/api/connector/jobstatus/{}?jobId={id}", app.job(JOB));
    app.get(&path).await.json().await.unwrap()
}

async fn by_action(app: &TestApp, action: &str, body: Value) -> Value {
    let path = format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{action}");
    let answer = app.post(&path, body.to_string()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json::<Value>().await.unwrap()["value"].clone()
}

async fn a_late_status_is_an_earlier_true_one_everywhere(backend: Backend) {
    let app = sandbox(backend).await;
    add(&app, json!({ "kind": "delay_status", "seconds": 60, "job": JOB })).await;
    app.clock.advance_seconds(1);
    let mut bad = sample("customers.csv");
    // One record that is rejected, so that there are errors to hide.
    bad.extend_from_slice(b"TOOLONGFORANACCOUNTNUMBER,x\n");
    let id = app.enqueue(JOB, "Customers", bad).await;
    app.clock.advance_seconds(1);
    app.run_until_idle().await;
    let shown = app.message(&id).await;
    assert_eq!((&shown["status"], &shown["final"]), (&json!("Enqueued"), &json!(false)));
    assert_eq!(
        (&shown["records"]["read"], &shown["executions"]),
        (&json!(0), &json!([]))
    );
    assert_eq!((&shown["errors"], &shown["finished_at"]), (&json!([]), &Value::Null));
    let wire = on_the_wire(&app, &id).await;
    assert_eq!(wire["DataJobStatus"]["DataJobState"], "Enqueued");
    assert_eq!(wire["ExecutionDetail"], json!([]));
    assert_eq!(
        by_action(&app, "GetMessageStatus", json!({ "messageId": id })).await,
        "Enqueued"
    );
    let execution = by_action(&app, "GetExecutionIdByMessageId", json!({ "_messageId": id })).await;
    assert_eq!(execution, "00000000-0000-0000-0000-000000000000");
    let listed: Value = app.get("/api/v1/messages").await.json().await.unwrap();
    assert_eq!(listed["messages"][0]["status"], "Enqueued");
    let history: Value = app
        .get(&format!("/api/v1/messages/{id}/history"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(history["events"].as_array().unwrap().len(), 1, "{history}");
    let errors: Value = app
        .get(&format!("/api/v1/messages/{id}/errors"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(errors["errors"], json!([]));
    assert!(fault(&app, "delay-status-1").await["struck"].as_u64().unwrap() >= 4);
    // In its time everybody sees how it ended; and the rows had landed all along.
    assert!(app.rows("select * from customers").await.len() > 80);
    app.clock.advance_seconds(61);
    let shown = app.message(&id).await;
    assert_eq!(shown["status"], "ProcessedWithErrors", "{shown}");
    assert_eq!(shown["records"]["rejected"], 1);
    assert_eq!(shown["errors"].as_array().unwrap().len(), 1);
    assert_ne!(on_the_wire(&app, &id).await["ExecutionDetail"], json!([]));
}

/// What was seen before the fault stood is seen under it, and what was seen under it when it is gone.
async fn a_late_status_never_goes_back(backend: Backend) {
    let app = sandbox(backend).await;
    let id = app.put("Letters", "", "a").await;
    app.clock.advance_seconds(1);
    let lease = app.lease_one("Letters").await;
    assert_eq!(app.message(&id).await["status"], "Dequeued");
    app.clock.advance_seconds(1);
    add(&app, json!({ "kind": "delay_status", "seconds": 60 })).await;
    assert_eq!(app.message(&id).await["status"], "Dequeued");
    app.clock.advance_seconds(1);
    app.step(&lease, "ack", json!({})).await.expect(StatusCode::OK);
    assert_eq!(app.message(&id).await["status"], "Dequeued");
    // Another job is not meant.
    ask(&app, reqwest::Method::DELETE, "/faults", None).await;
    assert_eq!(app.message(&id).await["status"], "Acked");
    add(&app, json!({ "kind": "delay_status", "seconds": 60, "job": JOB })).await;
    let other = app.put("Letters", "", "b").await;
    app.clock.advance_seconds(1);
    let lease = app.lease_one("Letters").await;
    assert_eq!(text(&lease, "id"), other);
    assert_eq!(app.message(&other).await["status"], "Dequeued");
}

async fn a_slow_import_pauses_before_each_chunk(backend: Backend) {
    let app = sandbox_with(backend, |setup| setup.set("import.chunk_records", "30")).await;
    add(
        &app,
        json!({ "kind": "slow_import", "milliseconds": 100, "job": JOB, "times": 3 }),
    )
    .await;
    let began = Instant::now();
    let message = app.import(JOB, "Customers", sample("customers.csv")).await;
    assert_eq!(message["status"], "Processed", "{message}");
    assert!(began.elapsed() >= Duration::from_millis(300));
    let slow = fault(&app, "slow-import-1").await;
    assert_eq!((&slow["struck"], &slow["left"]), (&json!(3), &json!(0)));
}
