//! In-order jobs: a late or resubmitted record does not undo what came after it, unless it is forced (promise 5).

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Backend, Setup, TestApp};

crate::on_both_backends!(
    a_correction_is_as_old_as_what_it_corrects,
    a_message_that_is_tried_again_is_as_old_as_it_was,
    without_order_the_last_write_counts,
);

fn job(id: u32, name: &str, order: &str) -> String {
    format!(
        "id = \"00000000-0000-4000-8000-0000000000{id:02}\"\nname = \"{name}\"\ndirection = \"import\"\nclients = [\"tester\"]\n\
         [import]\nformat = \"csv\"\n{order}\n[[import.entities]]\nentity = \"Customers\"\n\
         map = {{ CustomerID = \"customer_account\" }}\n"
    )
}

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup: &mut Setup| {
        setup.file("jobs/ordered.toml", &job(61, "Ordered", "process_in_order = true"));
        setup.file("jobs/any.toml", &job(62, "Any", ""));
    })
    .await
}

fn file(name: &str) -> String {
    format!("CustomerID,CompanyName\r\nAAAAA,{name}\r\n")
}

async fn resubmit(app: &TestApp, parent: &Value, query: &str, change: impl Fn(String) -> String) -> Value {
    let id = parent["id"].as_str().unwrap();
    let rejects = app
        .get(&format!("/api/v1/messages/{id}/rejects"))
        .await
        .text()
        .await
        .unwrap();
    let path = format!("/api/v1/messages/{id}/resubmit{query}");
    let answer = app.post(&path, change(rejects)).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let child: Value = answer.json().await.unwrap();
    app.run_until_idle().await;
    app.message(child["id"].as_str().unwrap()).await
}

async fn name(app: &TestApp) -> String {
    let rows = app
        .rows("select company_name from customers where customer_account = 'AAAAA'")
        .await;
    rows[0][0].clone().unwrap()
}

async fn a_correction_is_as_old_as_what_it_corrects(backend: Backend) {
    let app = app(backend).await;
    let first = app
        .import(
            "Ordered",
            "Customers",
            "CustomerID,CompanyName\r\n,First\r\nBBBBB,First\r\n",
        )
        .await;
    assert_eq!(first["records"]["rejected"], 1, "{first:#}");
    app.import("Ordered", "Customers", file("Second")).await;
    let correct = |rejects: String| rejects.replace(",,First", ",AAAAA,First");
    let late = resubmit(&app, &first, "", correct).await;
    assert_eq!(late["errors"][0]["code"], "superseded", "{late:#}");
    assert_eq!(
        (&late["records"]["rejected"], &late["forced"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(name(&app).await, "Second");
    // Nor is the correction of a correction any newer.
    let again = resubmit(&app, &late, "?force=false", |rejects| rejects).await;
    assert_eq!(again["errors"][0]["code"], "superseded", "{again:#}");
    let forced = resubmit(&app, &again, "?force=true", |rejects| rejects).await;
    assert_eq!(
        (&forced["status"], &forced["forced"]),
        (&json!("Processed"), &json!(true)),
        "{forced:#}"
    );
    assert_eq!(name(&app).await, "First");
    for ancestor in [&first, &late, &again] {
        let id = ancestor["id"].as_str().unwrap();
        assert_eq!(app.message(id).await["records"]["repaired"], 1);
    }
    // A key that nothing newer wrote takes a correction without force; a new message needs none at all.
    let elsewhere = resubmit(&app, &first, "", |rejects| rejects.replace(",,First", ",CCCCC,First")).await;
    assert_eq!(elsewhere["status"], "Processed", "{elsewhere:#}");
    let third = app.import("Ordered", "Customers", file("Third")).await;
    assert_eq!(third["status"], "Processed", "{third:#}");
    let path = format!(
        "/api/v1/messages/{}/resubmit?force=maybe",
        first["id"].as_str().unwrap()
    );
    let answer = app.post(&path, "x").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

async fn a_message_that_is_tried_again_is_as_old_as_it_was(backend: Backend) {
    let app = app(backend).await;
    let first = app.enqueue("Ordered", "Customers", file("First")).await;
    let cancelled = app.post(&format!("/api/v1/messages/{first}/cancel"), "").await;
    assert!(cancelled.status().is_success());
    app.import("Ordered", "Customers", file("Second")).await;
    let retried = app.post(&format!("/api/v1/messages/{first}/retry"), "").await;
    assert!(retried.status().is_success(), "{}", retried.text().await.unwrap());
    app.run_until_idle().await;
    let message = app.message(&first).await;
    assert_eq!(message["errors"][0]["code"], "superseded", "{message:#}");
    assert_eq!(name(&app).await, "Second");
}

async fn without_order_the_last_write_counts(backend: Backend) {
    let app = app(backend).await;
    let first = app.enqueue("Any", "Customers", file("First")).await;
    app.post(&format!("/api/v1/messages/{first}/cancel"), "").await;
    let late = app.enqueue("Ordered", "Customers", file("Late")).await;
    app.post(&format!("/api/v1/messages/{late}/cancel"), "").await;
    app.import("Any", "Customers", file("Second")).await;
    app.post(&format!("/api/v1/messages/{first}/retry"), "").await;
    app.run_until_idle().await;
    assert_eq!(app.message(&first).await["status"], "Processed");
    assert_eq!(name(&app).await, "First");
    // But what it wrote is known to the job that keeps order.
    app.post(&format!("/api/v1/messages/{late}/retry"), "").await;
    app.run_until_idle().await;
    assert_eq!(app.message(&late).await["errors"][0]["code"], "superseded");
    // Of an entity that nobody keeps in order nothing is noted.
    let suppliers = app
        .import("Inbound suppliers", "Suppliers", "SupplierID,CompanyName\r\n1,One\r\n")
        .await;
    assert_eq!(suppliers["status"], "Processed", "{suppliers:#}");
    let noted = if backend == Backend::Sqlite {
        "select name from sqlite_schema where name like '%\\_last\\_write' escape '\\'"
    } else {
        "select relname::text from pg_class where relkind = 'r' and relname like '%\\_last\\_write'"
    };
    assert_eq!(app.rows(noted).await, [[Some("customers_last_write".to_owned())]]);
}
