//! What a client may ask of an import besides its project: PKG-11b, PKG-11d, PKG-11e, and what the manifest says (DMF-3).

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    CUSTOMERS, Listed, PROJECT, act, app, asked, documented, entities, errors, names, package, summary, upload,
};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    an_import_without_its_target_is_only_checked,
    the_first_entity_that_fails_stops_the_rest,
    records_get_the_company_that_was_asked_for,
    a_manifest_may_let_records_land_as_they_are_read,
    rejects_of_a_package_for_a_job_of_files_come_back_as_a_package,
);

async fn run(app: &TestApp, bytes: Vec<u8>, id: &str, change: impl FnOnce(&mut Value)) -> String {
    let url = upload(app, bytes).await;
    let mut sent = asked(&url, PROJECT, id);
    change(&mut sent);
    act(app, "ImportFromPackageAsync", &sent).await;
    app.run_until_idle().await;
    summary(app, id).await
}

/// The only message, or the latest.
async fn message(app: &TestApp) -> Value {
    let list: Value = app.get("/api/v1/messages").await.json().await.unwrap();
    app.message(list["messages"][0]["id"].as_str().unwrap()).await
}

fn customers(rows: &str) -> Vec<u8> {
    let file = format!("CustomerID,CompanyName\r\n{rows}");
    package(&[&CUSTOMERS], &[("Customers.csv", &file)])
}

async fn an_import_without_its_target_is_only_checked(backend: Backend) {
    let app = app(backend).await;
    let stage_only = |sent: &mut Value| sent["execute"] = json!(false);
    for (rows, want, counts) in [
        ("AAAAA,One\r\nBBBBB,Two\r\n", "Succeeded", [2, 0, 0, 2]),
        ("AAAAA,One\r\nBBBBB,\r\n", "PartiallySucceeded", [2, 0, 1, 1]),
        ("BBBBB,\r\n", "Failed", [1, 0, 1, 0]),
        ("", "Succeeded", [0, 0, 0, 0]),
    ] {
        let id = format!("staged {want} {}", counts[0]);
        assert_eq!(run(&app, customers(rows), &id, stage_only).await, want, "{rows}");
        let message = message(&app).await;
        assert_eq!(message["status"], "Staged", "{message:#}");
        let records = ["read", "applied", "rejected", "skipped"].map(|name| message["records"][name].as_u64().unwrap());
        assert_eq!(records, counts, "{rows}");
        let list = entities(&app, &id).await;
        assert_eq!(list[0].2, "NotRun", "the target: {list:?}");
        assert_eq!(errors(&app, &id).await.len() as u64, counts[2]);
    }
    let missing = app.rows("select 1 from customers").await;
    assert_eq!(missing.len(), 0, "nothing landed");
    // The same, for the target this time.
    assert_eq!(
        run(&app, customers("AAAAA,One\r\n"), "lands", |_| {}).await,
        "Succeeded"
    );
    assert_eq!(names(&app).await, ["AAAAA"]);
    // Past what a job allows it fails as it would have.
    let documented = run(&app, documented(), "documented", stage_only).await;
    assert_eq!(documented, "PartiallySucceeded");
    assert_eq!(names(&app).await, ["AAAAA"]);
}

async fn the_first_entity_that_fails_stops_the_rest(backend: Backend) {
    let app = app(backend).await;
    // In execution units of their own, which otherwise run side by side.
    let units = |label: &'static str, file: &'static str, unit: &'static str| Listed(label, file, "CSV", unit);
    let customers = units("Customers", "Customers.csv", "<ExecutionUnit>1</ExecutionUnit>");
    let orders = units("Sales order headers", "Orders.csv", "<ExecutionUnit>2</ExecutionUnit>");
    let files = |bad: &str| {
        package(
            &[&customers, &orders],
            &[
                (
                    "Customers.csv",
                    &format!("CustomerID,CompanyName\r\nAAAAA,One\r\nBBBBB,{bad}\r\n"),
                ),
                ("Orders.csv", "OrderID,CustomerID,OrderDate\r\n1,AAAAA,2026-01-05\r\n"),
            ],
        )
    };
    let stop = |sent: &mut Value| sent["failOnError"] = json!("true");
    assert_eq!(run(&app, files(""), "stops", stop).await, "PartiallySucceeded");
    let list = entities(&app, "stops").await;
    assert_eq!(
        (list[0].2.as_str(), list[1].2.as_str()),
        ("Finished", "NotRun"),
        "{list:?}"
    );
    let text = errors(&app, "stops")
        .await
        .iter()
        .map(Value::to_string)
        .collect::<String>();
    assert!(text.contains("failOnError") && text.contains("Customers"), "{text}");
    assert_eq!(run(&app, files(""), "goes on", |_| {}).await, "PartiallySucceeded");
    assert_eq!(entities(&app, "goes on").await[1].2, "Finished");
    assert_eq!(run(&app, files("Two"), "has none", stop).await, "Succeeded");
}

const BRANCHES: &str = r#"
name = "Branches"
table = "branches"
create_table = true
key = ["company", "branch"]
company_field = "company"
[[fields]]
name = "company"
type = "string"
max_length = 4
[[fields]]
name = "branch"
type = "string"
max_length = 10
"#;

async fn records_get_the_company_that_was_asked_for(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file("entities/branches.toml", BRANCHES);
        setup.file(
            "jobs/branches.toml",
            "id = \"00000000-0000-4000-8000-0000000b7a0c\"\nname = \"Branches\"\ndirection = \"import\"\ncompany = \"dflt\"\n\
             clients = [\"tester\"]\n[import]\nformat = \"csv\"\n[[import.entities]]\nentity = \"Branches\"\n",
        );
    })
    .await;
    for (id, company) in [("one", json!("USMF")), ("two", json!("gbsi")), ("three", json!(""))] {
        let listed = Listed("Branches", "Branches.csv", "CSV", "");
        let url = upload(&app, package(&[&listed], &[("Branches.csv", "BRANCH\r\nB1\r\n")])).await;
        let mut sent = asked(&url, "Branches", id);
        sent["legalEntityId"] = company;
        act(&app, "ImportFromPackage", &sent).await;
    }
    app.run_until_idle().await;
    let rows = app.rows("select company from branches order by company").await;
    let rows: Vec<String> = rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect();
    assert_eq!(rows, ["dflt", "gbsi", "usmf"]);
}

async fn a_manifest_may_let_records_land_as_they_are_read(backend: Backend) {
    let app = app(backend).await;
    // Twice the same key: in staging the second is at fault, without it it writes over the first.
    let file = "CustomerID,CompanyName\r\nAAAAA,One\r\nAAAAA,Two\r\n";
    for (skip, want, name) in [("No", "PartiallySucceeded", "One"), ("true", "Succeeded", "Two")] {
        let more = format!("<SkipStaging>{skip}</SkipStaging>");
        let listed = Listed("Customers", "Customers.csv", "CSV", &more);
        let bytes = package(&[&listed], &[("Customers.csv", file)]);
        assert_eq!(run(&app, bytes.clone(), skip, |_| {}).await, want, "{skip}");
        let rows = app.rows("select company_name from customers").await;
        assert_eq!(rows, [[Some(name.to_owned())]]);
        // What is not to land is staged all the same.
        let staged = run(&app, bytes, &format!("{skip} staged"), |sent| {
            sent["execute"] = json!(false);
        })
        .await;
        assert_eq!(staged, "PartiallySucceeded");
    }
}

async fn rejects_of_a_package_for_a_job_of_files_come_back_as_a_package(backend: Backend) {
    let app = app(backend).await;
    assert_eq!(run(&app, documented(), "parent", |_| {}).await, "PartiallySucceeded");
    let parent = message(&app).await;
    let id = parent["id"].as_str().unwrap();
    let rejects = app.get(&format!("/api/v1/messages/{id}/rejects")).await;
    assert_eq!(rejects.status(), StatusCode::OK);
    let bytes = rejects.bytes().await.unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes.clone())).unwrap();
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    assert!(names.iter().any(|name| name == "Sales order headers.csv"), "{names:?}");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut zip.by_name("Sales order headers.csv").unwrap(), &mut text).unwrap();
    let corrected = text.replace("heavy", "3").replace("ZZZZZ", "AAAAA");
    let bytes = package(&[&super::ORDERS], &[("Sales order headers.csv", &corrected)]);
    let child = app.post(&format!("/api/v1/messages/{id}/resubmit"), bytes).await;
    assert_eq!(child.status(), StatusCode::CREATED, "{}", child.text().await.unwrap());
    app.run_until_idle().await;
    assert_eq!(app.message(id).await["records"]["repaired"], 2);
}
