//! Imports that replace the rows that are there (DMF-4).

use serde_json::{Value, json};

use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_file_replaces_the_rows_of_its_company,
    without_a_company_it_replaces_all_rows,
    what_fails_replaces_nothing,
    corrections_are_added_to_what_their_parent_landed,
    a_file_without_records_empties_a_table_only_where_the_job_says_so,
    a_row_that_something_refers_to_is_told_and_nothing_lands,
    what_was_refused_before_anything_was_read_is_tried_again,
);

const ENTITY: &str = r#"
name = "Stock"
table = "stock"
create_table = true
key = ["company", "item"]
company_field = "company"
[[fields]]
name = "company"
max_length = 4
[[fields]]
name = "item"
max_length = 10
[[fields]]
name = "quantity"
type = "int"
"#;

async fn app(backend: Backend, import: &str, entity: &str) -> TestApp {
    let job = format!(
        "id = \"00000000-0000-4000-8000-00000000a801\"\nname = \"Stock taking\"\ndirection = \"import\"\nclients = [\"tester\"]\n\
         [import]\nformat = \"csv\"\n{import}\n[[import.entities]]\nentity = \"Stock\"\ntruncate = true\n{entity}\n"
    );
    TestApp::with(backend, |setup| {
        setup.set("import.chunk_records", "2");
        setup.file("entities/stock.toml", ENTITY);
        setup.file("jobs/stock.toml", &job);
    })
    .await
}

/// Sends records for a company, or with one of their own.
async fn take(app: &TestApp, company: Option<&str>, lines: &[&str]) -> Value {
    let header = if company.is_some() {
        "item,quantity"
    } else {
        "company,item,quantity"
    };
    let company = company.map(|company| format!("&company={company}")).unwrap_or_default();
    let path = format!(
        "/api/connector/enqueue/{}?entity=Stock{company}",
        app.job("Stock taking")
    );
    let file = [&[header], lines, &[""]].concat().join("\r\n");
    let answer = app.post(&path, file).await;
    let id: String = answer.json().await.unwrap();
    app.run_until_idle().await;
    app.message(&id).await
}

async fn landed(app: &TestApp) -> Vec<String> {
    let sql = "select company || '/' || item || '=' || cast(quantity as text) from stock order by company, item";
    app.rows(sql)
        .await
        .into_iter()
        .map(|mut row| row.remove(0).unwrap())
        .collect()
}

/// Status, rows deleted first, and (applied, rejected, skipped).
fn end(message: &Value) -> Value {
    let records = &message["records"];
    json!([
        message["status"],
        message["executions"][0]["entities"][0]["truncated"],
        [records["applied"], records["rejected"], records["skipped"]]
    ])
}

async fn a_file_replaces_the_rows_of_its_company(backend: Backend) {
    let app = app(backend, "", "").await;
    take(&app, Some("usmf"), &["a,1", "b,1", "c,1"]).await;
    let message = take(&app, Some("demf"), &["a,2", "b,2"]).await;
    assert_eq!(end(&message), json!(["Processed", 0, [2, 0, 0]]), "{message:#}");
    // More than one chunk: the rows make way once.
    let message = take(&app, Some("usmf"), &["c,3", "d,3", "e,3", "f,3", "g,3"]).await;
    assert_eq!(end(&message), json!(["Processed", 3, [5, 0, 0]]), "{message:#}");
    assert_eq!(message["records"]["inserted"], 5);
    assert_eq!(
        landed(&app).await,
        [
            "demf/a=2", "demf/b=2", "usmf/c=3", "usmf/d=3", "usmf/e=3", "usmf/f=3", "usmf/g=3"
        ]
    );
}

async fn without_a_company_it_replaces_all_rows(backend: Backend) {
    let app = app(backend, "", "").await;
    take(&app, None, &["usmf,a,1", "demf,a,1"]).await;
    let message = take(&app, None, &["usmf,b,1"]).await;
    assert_eq!(end(&message), json!(["Processed", 2, [1, 0, 0]]), "{message:#}");
    assert_eq!(landed(&app).await, ["usmf/b=1"]);
}

async fn what_fails_replaces_nothing(backend: Backend) {
    let app = app(backend, "max_errors = 1", "").await;
    take(&app, None, &["usmf,a,1"]).await;
    let message = take(&app, None, &["usmf,b,1", "usmf,c,few", "usmf,d,few"]).await;
    assert_eq!(
        end(&message),
        json!(["PostProcessingFailed", 0, [0, 2, 1]]),
        "{message:#}"
    );
    // One reject is within the threshold, but no record is good.
    let message = take(&app, None, &["usmf,c,few"]).await;
    assert_eq!(
        end(&message),
        json!(["ProcessedWithErrors", 0, [0, 1, 0]]),
        "{message:#}"
    );
    assert_eq!(landed(&app).await, ["usmf/a=1"]);
}

async fn corrections_are_added_to_what_their_parent_landed(backend: Backend) {
    let app = app(backend, "", "").await;
    let parent = take(&app, None, &["usmf,a,1", "usmf,b,few"]).await;
    let id = parent["id"].as_str().unwrap();
    let rejects = app
        .get(&format!("/api/v1/messages/{id}/rejects"))
        .await
        .text()
        .await
        .unwrap();
    let corrected = rejects.replace("few", "2");
    let answer = app.post(&format!("/api/v1/messages/{id}/resubmit"), corrected).await;
    let child: Value = answer.json().await.unwrap();
    app.run_until_idle().await;
    let child = app.message(child["id"].as_str().unwrap()).await;
    assert_eq!(end(&child), json!(["Processed", 0, [1, 0, 0]]), "{child:#}");
    assert_eq!(landed(&app).await, ["usmf/a=1", "usmf/b=2"]);
}

async fn a_file_without_records_empties_a_table_only_where_the_job_says_so(backend: Backend) {
    for (entity, truncated, warning) in [
        ("", 0, "the rows it was to replace are kept"),
        ("truncate_on_empty = true", 2, "the rows it replaces were deleted"),
    ] {
        let app = app(backend, "", entity).await;
        take(&app, Some("usmf"), &["a,1", "b,1"]).await;
        take(&app, Some("demf"), &["a,1"]).await;
        let message = take(&app, Some("usmf"), &[]).await;
        assert_eq!(end(&message), json!(["Processed", truncated, [0, 0, 0]]), "{message:#}");
        let warnings = message["executions"][0]["entities"][0]["warnings"].as_array().unwrap();
        assert!(warnings[0].as_str().unwrap().contains(warning), "{warnings:?}");
        assert_eq!(landed(&app).await.len(), 3 - truncated);
    }
}

async fn a_row_that_something_refers_to_is_told_and_nothing_lands(backend: Backend) {
    let app = app(backend, "", "").await;
    take(&app, None, &["usmf,a,1", "usmf,b,1"]).await;
    let table =
        "create table pallets (company varchar(4), item varchar(10), foreign key (company, item) references stock)";
    app.rows(table).await;
    app.rows("insert into pallets values ('usmf', 'b')").await;
    let message = take(&app, None, &["usmf,b,2", "usmf,c,2", "usmf,d,2"]).await;
    assert_eq!(
        end(&message),
        json!(["PostProcessingFailed", 0, [0, 0, 3]]),
        "{message:#}"
    );
    assert_eq!(message["failure"]["code"], "truncate_refused");
    let detail = message["failure"]["detail"].as_str().unwrap().to_lowercase();
    assert!(detail.contains("`stock`") && detail.contains("foreign key"), "{detail}");
    assert_eq!(landed(&app).await, ["usmf/a=1", "usmf/b=1"]);
}

/// What lands as it is read has read nothing, where its first batch is refused as a whole.
async fn what_was_refused_before_anything_was_read_is_tried_again(backend: Backend) {
    let app = app(backend, "skip_staging = true", "").await;
    take(&app, None, &["usmf,a,1"]).await;
    app.rows(
        "create table pallets (company varchar(4), item varchar(10), foreign key (company, item) references stock)",
    )
    .await;
    app.rows("insert into pallets values ('usmf', 'a')").await;
    let refused = take(&app, None, &["usmf,b,2", "usmf,c,2"]).await;
    assert_eq!(refused["failure"]["code"], "truncate_refused", "{refused:#}");
    assert_eq!(landed(&app).await, ["usmf/a=1"]);
    app.rows("drop table pallets").await;
    let id = refused["id"].as_str().unwrap();
    let retried = app.post(&format!("/api/v1/messages/{id}/retry"), "").await;
    assert!(retried.status().is_success(), "{}", retried.text().await.unwrap());
    app.run_until_idle().await;
    let message = app.message(id).await;
    assert_eq!(message["status"], "Processed", "{message:#}");
    assert_eq!(landed(&app).await, ["usmf/b=2", "usmf/c=2"]);
}
