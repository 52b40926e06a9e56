//! How runs for packages are told of: per entity, in the job's history, and why the queue is empty.

use serde_json::{Value, json};

use super::{PROJECT, app, fetched, package, run, value};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    an_export_tells_of_each_entity,
    the_history_of_a_job_names_the_client_that_asked,
);

async fn entities(app: &TestApp, id: &str) -> Vec<Value> {
    let listed = value(app, "GetEntityExecutionSummaryStatusList", json!({ "executionId": id })).await;
    let texts = listed.as_array().unwrap().iter();
    texts
        .map(|text| serde_json::from_str(text.as_str().unwrap()).unwrap())
        .collect()
}

/// PKG-18.
async fn an_export_tells_of_each_entity(backend: Backend) {
    let app = app(backend).await;
    let asked = json!({ "definitionGroupId": PROJECT, "executionId": "told", "entityList": "Stock" });
    value(&app, "ExportToPackage", asked).await;
    let listed = entities(&app, "told").await;
    assert_eq!(listed.len(), 1, "only what was asked for");
    assert_eq!(
        (&listed[0]["EntityName"], &listed[0]["StagingStatus"]),
        (&json!("Stock on hand"), &json!("NotStarted"))
    );
    app.run_until_idle().await;
    let listed = entities(&app, "told").await;
    let of = |member: &str| listed[0][member].clone();
    assert_eq!(
        (of("EntityName"), of("StagingStatus"), of("TargetStatus")),
        (json!("Stock on hand"), json!("Finished"), json!("Finished"))
    );
    assert_eq!(
        (of("StagingRecords"), of("TargetInserted"), of("TargetErrors")),
        (json!(3), json!(3), json!(0))
    );
    assert_eq!(
        value(&app, "GetExecutionErrors", json!({ "executionId": "told" })).await,
        "[]"
    );
    let page = value(&app, "GetExecutionSummaryPageUrl", json!({ "executionId": "told" })).await;
    assert!(page.as_str().unwrap().starts_with(&app.url), "{page}");
}

async fn the_history_of_a_job_names_the_client_that_asked(backend: Backend) {
    let app = app(backend).await;
    let id = run(&app, "ExportToPackage", json!({ "packageName": "Daily" })).await;
    let job = format!("/api/v1/jobs/{}", app.job(PROJECT));
    let shown = async |path: &str| app.get(&format!("{job}/{path}")).await.json::<Value>().await.unwrap();
    let last = shown("occurrences").await["occurrences"][0].clone();
    assert_eq!(
        (&last["trigger"], &last["comment"]),
        (&json!("tester"), &json!("ExportToPackage"))
    );
    assert_eq!(
        (&last["execution"], &last["records"], &last["message"]),
        (&json!(id), &json!(4), &Value::Null)
    );
    let made = &last["package"];
    assert_eq!(
        (&made["file"], &made["fetched_at"]),
        (&json!("Daily.zip"), &Value::Null)
    );
    assert_eq!(last["bytes"], made["bytes"]);
    let why = shown("why-empty").await;
    assert_eq!(why["reason"], "exported_by_package_api");
    let says = |why: &Value, text: &str| assert!(why["answer"].as_str().unwrap().contains(text), "{why}");
    says(&why, "for the client tester, which was not fetched yet");
    package(&app, &id).await;
    fetched(&app, &id).await;
    says(&shown("why-empty").await, "which was fetched at");
}
