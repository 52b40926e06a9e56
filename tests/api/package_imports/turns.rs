//! Packages of one project are loaded in turn, those of several side by side (PKG-11f); the company is that of all records (PKG-11d).

use std::fmt::Write as _;

use reqwest::StatusCode;
use serde_json::json;

use super::{PROJECT, act, act_as, app, asked, import, names, one_customer, summary, upload};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    ten_parallel_imports_of_one_project_run_in_turn,
    an_import_that_is_tried_again_is_the_same_import,
    an_import_that_is_cancelled_before_it_began_has_ended,
);

/// How many messages are worked on at this very moment.
async fn executing(app: &TestApp) -> i64 {
    let count = "select cast(count(*) as text) from queue where status in ('PreProcessing', 'Processing')";
    let rows = crate::support::databases::rows(&app.store.url, count).await;
    rows[0][0].as_ref().unwrap().parse().unwrap()
}

async fn ten_parallel_imports_of_one_project_run_in_turn(backend: Backend) {
    let app = app(backend).await;
    let mut submits = Vec::new();
    for number in 0..10 {
        // All write the same rows.
        let mut file = "CUSTOMER_ACCOUNT,COMPANY_NAME\r\n".to_owned();
        for row in 0..200 {
            let _ = writeln!(file, "C{row},From {number}\r");
        }
        let url = upload(&app, super::package(&[&super::CUSTOMERS], &[("Customers.csv", &file)])).await;
        submits.push(asked(&url, PROJECT, &format!("run {number}")));
    }
    let answers = submits
        .iter()
        .map(|asked| act_as(&app, &app.token, "ImportFromPackage", asked));
    for answer in futures_util::future::join_all(answers).await {
        answer.expect(StatusCode::OK);
    }
    let ids: Vec<String> = (0..10).map(|number| format!("run {number}")).collect();
    let waiting = "select count(*) from queue where wait = 'ready'";
    let ready = crate::support::databases::rows(&app.store.url, &format!("select cast(({waiting}) as text)")).await;
    assert_eq!(ready[0][0].as_deref(), Some("1"), "one is at the front");
    let worker = app.worker.clone();
    let working = tokio::spawn(async move { worker.run_until_idle().await });
    let mut most = 0;
    while !working.is_finished() {
        most = most.max(executing(&app).await);
    }
    working.await.unwrap().unwrap();
    assert_eq!(most, 1, "at once");
    for id in &ids {
        assert_eq!(summary(&app, id).await, "Succeeded");
    }
    assert_eq!(names(&app).await.len(), 200);
    let from = app.rows("select distinct company_name from customers").await;
    assert_eq!(from.len(), 1, "the last one wrote them all: {from:?}");
}

async fn an_import_that_is_tried_again_is_the_same_import(backend: Backend) {
    let app = app(backend).await;
    // Its file is not there, so that nothing is read.
    let bytes = super::package(&[&super::CUSTOMERS], &[]);
    let url = upload(&app, bytes).await;
    let mut sent = asked(&url, PROJECT, "again");
    sent["execute"] = json!(false);
    act(&app, "ImportFromPackage", &sent).await;
    app.run_until_idle().await;
    assert_eq!(summary(&app, "again").await, "Failed");
    let found = app
        .get("/api/v1/messages")
        .await
        .json::<serde_json::Value>()
        .await
        .unwrap();
    let message = found["messages"][0]["id"].as_str().unwrap().to_owned();
    let again = app.post(&format!("/api/v1/messages/{message}/retry"), "").await;
    assert!(again.status().is_success(), "{}", again.text().await.unwrap());
    // The id leads to the message, whichever of its executions runs.
    assert_eq!(summary(&app, "again").await, "NotRun");
    app.run_until_idle().await;
    assert_eq!(summary(&app, "again").await, "Failed");
    let shown = app.message(&message).await;
    assert_eq!(shown["status"], "PreProcessingError");
    assert_ne!(shown["executions"][0]["id"], "again", "a retry is a run of its own");
}

async fn an_import_that_is_cancelled_before_it_began_has_ended(backend: Backend) {
    let app = app(backend).await;
    import(&app, one_customer("AAAAA"), PROJECT, "first")
        .await
        .expect(StatusCode::OK);
    import(&app, one_customer("BBBBB"), PROJECT, "second")
        .await
        .expect(StatusCode::OK);
    let found = app
        .get("/api/v1/messages")
        .await
        .json::<serde_json::Value>()
        .await
        .unwrap();
    let message = found["messages"][0]["id"].as_str().unwrap();
    let cancelled = app.post(&format!("/api/v1/messages/{message}/cancel"), "").await;
    assert!(cancelled.status().is_success());
    assert_eq!(summary(&app, "second").await, "Canceled");
    app.run_until_idle().await;
    assert_eq!(
        (summary(&app, "first").await, names(&app).await),
        ("Succeeded".to_owned(), vec!["AAAAA".to_owned()])
    );
    let open = "select id from executions where finished_at is null";
    assert_eq!(
        crate::support::databases::rows(&app.store.url, open).await.len(),
        0,
        "all have ended"
    );
}
