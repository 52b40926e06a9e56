//! Deleting what is kept of an execution, and the order in which entities are loaded.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{PROJECT, act, act_as, app, reason, refusal, run, status, url, value};
use crate::app::{Backend, TestApp, sample};

crate::on_both_backends!(
    a_deleted_execution_is_not_known_any_more,
    the_history_of_a_load_is_deleted_with_its_errors,
    what_is_not_over_or_not_the_caller_s_is_not_deleted,
    entities_come_behind_those_they_point_at,
    initialising_does_nothing_and_says_so,
);

const DELETE: &str = "DeleteExecutionHistoryJob";

/// PKG-14b.
async fn a_deleted_execution_is_not_known_any_more(backend: Backend) {
    let app = app(backend).await;
    let asked = json!({ "executionId": "gone" });
    run(&app, "ExportToPackage", asked.clone()).await;
    let link = url(&app, "gone").await;
    assert_eq!(value(&app, DELETE, asked.clone()).await, true);
    for action in [
        DELETE,
        "GetExecutionSummaryStatus",
        "GetExecutionErrors",
        "GetExportedPackageUrl",
    ] {
        let told = refusal(&app, action, asked.clone()).await;
        assert!(
            told.contains("Execution details were not found for the execution id gone"),
            "{told}"
        );
    }
    let answer = app.request(Method::GET, &link).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    // Its run stays in the job's history; what it told of, and nobody fetched, is told again.
    let path = format!("/api/v1/jobs/{}", app.job(PROJECT));
    let shown: Value = app.get(&format!("{path}/occurrences")).await.json().await.unwrap();
    assert_eq!(
        (&shown["occurrences"][0]["state"], &shown["occurrences"][0]["execution"]),
        (&json!("done"), &Value::Null)
    );
    let listed: Value = app.get(&format!("{path}/positions")).await.json().await.unwrap();
    assert_eq!(listed["positions"][0]["state"], "lost");
    // Nothing is left behind for good, and the id may be used again.
    tranship::pipeline::tidy::tidy(&app.context).await.unwrap();
    run(&app, "ExportToPackage", asked).await;
    assert_eq!(status(&app, "gone").await, "Succeeded");
}

async fn the_history_of_a_load_is_deleted_with_its_errors(backend: Backend) {
    let app = app(backend).await;
    let message = app
        .import("Inbound sales orders", "Sales order headers", sample("orders.csv"))
        .await;
    let id = message["executions"][0]["id"].as_str().unwrap();
    let errors = |body: Value| body["errors"].as_array().unwrap_or(&Vec::new()).len();
    let path = format!("/api/v1/messages/{}/errors", message["id"].as_str().unwrap());
    let shown: Value = app.get(&path).await.json().await.unwrap();
    assert!(errors(shown) > 0);
    assert_eq!(value(&app, DELETE, json!({ "executionId": id })).await, true);
    refusal(&app, "GetExecutionErrors", json!({ "executionId": id })).await;
    let shown: Value = app.get(&path).await.json().await.unwrap();
    assert_eq!(errors(shown), 0);
    // Status and counts outlive it (promise 8).
    let after = app.message(message["id"].as_str().unwrap()).await;
    assert_eq!(
        (&after["status"], &after["records"]),
        (&message["status"], &message["records"])
    );
}

async fn what_is_not_over_or_not_the_caller_s_is_not_deleted(backend: Backend) {
    let app = app(backend).await;
    let asked = json!({ "definitionGroupId": PROJECT, "executionId": "open" });
    value(&app, "ExportToPackage", asked).await;
    let open = json!({ "executionId": "open" });
    assert!(refusal(&app, DELETE, open.clone()).await.contains("has not ended"));
    app.run_until_idle().await;
    let stranger = app.client("stranger").await;
    let told = reason(act_as(&app, &stranger, DELETE, open.clone()).await, DELETE);
    assert!(told.contains("were not found"), "{told}");
    let secret = app.add_client("viewer", "viewer").await;
    let viewer = app.token_of("viewer", &secret).await;
    let told = reason(act_as(&app, &viewer, DELETE, open).await, DELETE);
    assert!(told.contains("may look"), "{told}");
    assert_eq!(status(&app, "open").await, "Succeeded");
    refusal(&app, DELETE, json!({})).await;

    // What waits in a queue is delivered first.
    app.post(&format!("/api/v1/jobs/{}/run", app.job(PROJECT)), "").await;
    app.run_until_idle().await;
    let path = format!("/api/v1/jobs/{}/occurrences", app.job(PROJECT));
    let shown: Value = app.get(&path).await.json().await.unwrap();
    let queued = &shown["occurrences"][0];
    assert!(queued["message"].is_string(), "{queued:#}");
    let told = refusal(&app, DELETE, json!({ "executionId": queued["execution"] })).await;
    assert!(told.contains("not acknowledged"), "{told}");
}

async fn entities_come_behind_those_they_point_at(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let sequence = async |list: &str| -> Vec<(String, u64, u64)> {
        let told = value(&app, "GetEntitySequence", json!({ "listOfDataEntities": list })).await;
        let told: Value = serde_json::from_str(told.as_str().unwrap()).unwrap();
        let number = |item: &Value, member: &str| item[member].as_u64().unwrap();
        let items = told.as_array().unwrap().iter();
        let read = |item: &Value| {
            let name = item["EntityName"].as_str().unwrap().to_owned();
            (
                name,
                number(item, "LevelInExecutionUnit"),
                number(item, "SequenceInLevel"),
            )
        };
        items.map(read).collect()
    };
    let of = |name: &str, level: u64, place: u64| (name.to_owned(), level, place);
    assert_eq!(
        sequence("Sales order lines, SalesOrderHeaders,customers,Products, customers").await,
        [
            of("Customers", 1, 1),
            of("Products", 1, 2),
            of("Sales order headers", 2, 1),
            of("Sales order lines", 3, 1),
        ]
    );
    assert_eq!(sequence("Sales order headers").await, [of("Sales order headers", 1, 1)]);
    assert_eq!(sequence("").await, []);
    let told = refusal(
        &app,
        "GetEntitySequence",
        json!({ "listOfDataEntities": "Customers,Nothing" }),
    )
    .await;
    assert!(told.contains("no entity `Nothing`"), "{told}");
}

/// PKG-0.
async fn initialising_does_nothing_and_says_so(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    for action in ["InitializeDataManagement", "InitializeDataManagementAsync"] {
        let answer = act(&app, action, json!({})).await;
        assert_eq!((answer.status, answer.body), (StatusCode::NO_CONTENT, json!("")));
    }
}
