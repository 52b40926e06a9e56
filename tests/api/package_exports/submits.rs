//! Submitting exports: an id can be polled before the answer, a repeated submit runs nothing twice, and what cannot be done is
//! refused at once.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{PROJECT, act, act_as, app, reason, refusal, run, status, value};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_repeated_submit_runs_nothing_twice,
    an_id_that_is_something_else_s_is_refused,
    many_submits_of_one_id_make_one_run,
    an_id_of_ours_is_pollable_too,
    exports_of_one_project_wait_for_each_other,
    what_cannot_be_exported_is_refused_at_once,
);

async fn runs(app: &TestApp) -> Vec<Value> {
    let path = format!("/api/v1/jobs/{}/occurrences?limit=100", app.job(PROJECT));
    let listed: Value = app.get(&path).await.json().await.unwrap();
    listed["occurrences"].as_array().unwrap().clone()
}

/// PKG-11h, PKG-19.
async fn a_repeated_submit_runs_nothing_twice(backend: Backend) {
    let app = app(backend).await;
    let asked =
        json!({ "DEFINITIONGROUPID": PROJECT, "executionId": "again", "reExecute": "True", "entityList": "Prices" });
    for _ in 0..3 {
        assert_eq!(value(&app, "ExportToPackageAsync", asked.clone()).await, "again");
    }
    app.run_until_idle().await;
    // The answer may have been lost until after the end.
    assert_eq!(value(&app, "ExportToPackageAsync", asked).await, "again");
    app.run_until_idle().await;
    assert_eq!(runs(&app).await.len(), 1);
}

async fn an_id_that_is_something_else_s_is_refused(backend: Backend) {
    let app = app(backend).await;
    run(&app, "ExportToPackage", json!({ "executionId": "mine" })).await;
    let shop = app.client("shop").await;
    let asked = |more: Value| {
        let mut asked = json!({ "definitionGroupId": PROJECT, "executionId": "mine" });
        for (name, value) in more.as_object().unwrap() {
            asked[name] = value.clone();
        }
        asked
    };
    for more in [
        json!({ "packageName": "other" }),
        json!({ "reExecute": true }),
        json!({ "legalEntityId": "usmf" }),
        json!({ "entityList": "Prices" }),
    ] {
        let told = refusal(&app, "ExportToPackage", asked(more)).await;
        assert!(told.contains("execution id mine was used before"), "{told}");
    }
    refusal(&app, "ExportToPackageDelta", asked(json!({ "entityList": "Stock" }))).await;
    let others = act_as(&app, &shop, "ExportToPackage", asked(json!({}))).await;
    let told = reason(others, "ExportToPackage");
    assert!(told.contains("was used before"), "{told}");

    // An id that an ordinary run has is none for a package either.
    let job = app.job(PROJECT);
    app.post(&format!("/api/v1/jobs/{job}/run"), "").await;
    app.run_until_idle().await;
    let ordinary = runs(&app).await[0]["execution"].clone();
    refusal(&app, "ExportToPackage", asked(json!({ "executionId": ordinary }))).await;
}

async fn many_submits_of_one_id_make_one_run(backend: Backend) {
    let app = app(backend).await;
    let asked = json!({ "definitionGroupId": PROJECT, "executionId": "crowd" });
    let submits = (0..10).map(|_| value(&app, "ExportToPackage", asked.clone()));
    for answered in futures_util::future::join_all(submits).await {
        assert_eq!(answered, "crowd");
    }
    assert_eq!(runs(&app).await.len(), 1);
}

/// PKG-11a, PKG-13.
async fn an_id_of_ours_is_pollable_too(backend: Backend) {
    let app = app(backend).await;
    let id = value(
        &app,
        "ExportToPackage",
        json!({ "definitionGroupId": PROJECT.to_lowercase() }),
    )
    .await;
    let id = id.as_str().unwrap();
    assert!(id.starts_with("Stock export-2026-01-05T08:00:00-"), "{id}");
    assert_eq!(status(&app, id).await, "NotRun");
    // RIS makes its own (any punctuation, spaces).
    let theirs = "Stock export-2026-01-05_08-00-00-{5f3e}'\"<&%?#/\\+ü";
    let asked = json!({ "definitionGroupId": PROJECT, "executionId": theirs });
    assert_eq!(value(&app, "ExportToPackage", asked).await, theirs);
    app.run_until_idle().await;
    assert_eq!(status(&app, theirs).await, "Succeeded");
}

async fn exports_of_one_project_wait_for_each_other(backend: Backend) {
    let app = app(backend).await;
    for id in ["first", "second", "third"] {
        let asked = json!({ "definitionGroupId": PROJECT, "executionId": id });
        value(&app, "ExportToPackage", asked).await;
    }
    app.run_until_idle().await;
    for id in ["first", "second", "third"] {
        assert_eq!(status(&app, id).await, "Succeeded");
    }
    let runs = runs(&app).await;
    let mut ended: Vec<_> = runs.iter().map(|run| run["execution"].as_str().unwrap()).collect();
    ended.reverse();
    assert_eq!(ended, ["first", "second", "third"]);
}

async fn what_cannot_be_exported_is_refused_at_once(backend: Backend) {
    let app = app(backend).await;
    for (more, says) in [
        (
            json!({ "definitionGroupId": "No such" }),
            "the data project `No such` was not found",
        ),
        (json!({ "definitionGroupId": "" }), "was not found"),
        (json!({ "definitionGroupId": "Inbound sales orders" }), "is no export"),
        (json!({ "executionId": "x".repeat(101) }), "longer than 100 characters"),
        (json!({ "executionId": "x\u{0}y" }), "control character"),
        (json!({ "executionId": ["x"] }), "must be text"),
        (json!({ "packageName": "x\ny" }), "control character"),
        (json!({ "packageName": "x".repeat(256) }), "longer than 255 characters"),
        (json!({ "legalEntityId": "usmfx" }), "at most 4 characters"),
        (json!({ "reExecute": "perhaps" }), "must be true or false"),
        (
            json!({ "entityList": "Stock on hand,Customers" }),
            "has no entity `Customers`",
        ),
    ] {
        let mut asked = json!({ "definitionGroupId": PROJECT, "executionId": "refused" });
        for (name, value) in more.as_object().unwrap() {
            asked[name] = value.clone();
        }
        for action in [
            "ExportToPackage",
            "ExportToPackageAsync",
            "ExportToPackagePreview",
            "ExportToPackagePreviewAsync",
            "ExportToPackageDelta",
        ] {
            let told = refusal(&app, action, asked.clone()).await;
            assert!(told.contains(says), "{action} {asked}: {told}");
        }
    }
    refusal(
        &app,
        "ExportToPackagePreview",
        json!({ "definitionGroupId": PROJECT, "exportPreviewCount": -1 }),
    )
    .await;
    // Nothing was written down for any of them.
    assert!(runs(&app).await.is_empty());
    refusal(&app, "GetExecutionSummaryStatus", json!({ "executionId": "refused" })).await;
    let nothing = act(&app, "GetExportedPackageUrl", json!({})).await;
    assert_eq!(nothing.status, StatusCode::BAD_REQUEST);

    let job = app.job(PROJECT);
    app.post(&format!("/api/v1/jobs/{job}/pause"), "").await;
    let told = refusal(&app, "ExportToPackage", json!({ "definitionGroupId": PROJECT })).await;
    assert!(told.contains("is paused"), "{told}");
}
