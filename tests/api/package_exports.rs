//! Exports by the package API (PKG-19 to PKG-22): asked for with an id, polled, fetched by a link without a token, and never on
//! the queue of the connector.

mod fetching;
mod forgetting;
mod history;
mod projects;
mod submits;
mod wishes;

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, Setup, TestApp};
use crate::client::{Answered, send};
use crate::packing::members;

crate::on_both_backends!(
    the_documented_round_trip_is_a_full_package_and_then_a_delta,
    a_package_is_nobody_elses_and_on_no_queue,
    succeeded_is_told_only_when_the_package_is_there,
);

const PROJECT: &str = "Stock export";

const STOCK: &str = r#"
name = "Stock"
label = "Stock on hand"
table = "stock"
create_table = true
key = ["item"]
company_field = "company"
[[fields]]
name = "item"
max_length = 10
[[fields]]
name = "company"
max_length = 4
[[fields]]
name = "quantity"
type = "int"
"#;

const PRICES: &str = r#"
name = "Prices"
create_table = true
key = ["item"]
[[fields]]
name = "item"
max_length = 10
[[fields]]
name = "price"
type = "decimal"
scale = 2
"#;

/// What does not suit a package that somebody asked for is the job's all the same.
const EXPORT: &str = r#"
id = "00000000-0000-4000-8000-00000000dd01"
name = "Stock export"
direction = "export"
data_source = "package"
clients = ["shop"]
[export]
format = "csv"
prevent_upload_when_zero_records = true
[[export.entities]]
entity = "Stock on hand"
refresh = "incremental"
deletes = "leave_out"
[[export.entities]]
entity = "Prices"
map = { price = "Unit price" }
"#;

fn define(setup: &mut Setup) {
    setup.file("entities/stock.toml", STOCK);
    setup.file("entities/prices.toml", PRICES);
    setup.file("jobs/stock-export.toml", EXPORT);
    setup.before("create table stock (item varchar(10) primary key, company varchar(4), quantity integer)");
    setup.before("create table prices (item varchar(10) primary key, price numeric(18, 2))");
    setup.before("insert into stock values ('a', 'usmf', 1), ('b', 'usmf', 2), ('c', 'demf', 3)");
    setup.before("insert into prices values ('a', 1.25)");
}

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, define).await
}

/// Carries out an action as the holder of a token.
async fn act_as(app: &TestApp, token: &str, action: &str, parameters: Value) -> Answered {
    let path = format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{action}");
    send(app.request(Method::POST, &path).json(&parameters), token).await
}

async fn act(app: &TestApp, action: &str, parameters: Value) -> Answered {
    act_as(app, &app.token, action, parameters).await
}

/// The value that an action answers.
async fn value(app: &TestApp, action: &str, parameters: Value) -> Value {
    let body = act(app, action, parameters).await.expect(StatusCode::OK);
    body["value"].clone()
}

/// Why an action was refused: what follows the lead-in of ERR-2.
async fn refusal(app: &TestApp, action: &str, parameters: Value) -> String {
    reason(act(app, action, parameters).await, action)
}

fn reason(answer: Answered, action: &str) -> String {
    let body = answer.expect(StatusCode::BAD_REQUEST);
    let message = body["error"]["innererror"]["message"].as_str().unwrap().to_owned();
    let lead_in =
        format!("Exception occurred while executing action {action} on Entity DataManagementDefinitionGroup: ");
    let reason = message.strip_prefix(&lead_in);
    reason.unwrap_or_else(|| panic!("{message}")).to_owned()
}

async fn status(app: &TestApp, id: &str) -> Value {
    value(app, "GetExecutionSummaryStatus", json!({ "executionId": id })).await
}

async fn url(app: &TestApp, id: &str) -> String {
    let url = value(app, "GetExportedPackageUrl", json!({ "executionId": id })).await;
    url.as_str().unwrap().to_owned()
}

/// Asks for an export and has it run; its id.
async fn run(app: &TestApp, action: &str, more: Value) -> String {
    run_of(app, PROJECT, action, more).await
}

/// The same of another project.
async fn run_of(app: &TestApp, project: &str, action: &str, mut more: Value) -> String {
    more["definitionGroupId"] = json!(project);
    let id = value(app, action, more).await;
    app.run_until_idle().await;
    let id = id.as_str().unwrap().to_owned();
    let errors = value(app, "GetExecutionErrors", json!({ "executionId": id })).await;
    assert_eq!(status(app, &id).await, "Succeeded", "{errors}");
    id
}

/// The whole package, as a client without a token gets it.
async fn fetch(app: &TestApp, url: &str) -> Vec<u8> {
    let answer = app.request(Method::GET, url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.bytes().await.unwrap().to_vec()
}

/// The files of the package an execution made.
async fn package(app: &TestApp, id: &str) -> BTreeMap<String, String> {
    members(&fetch(app, &url(app, id).await).await).into_iter().collect()
}

/// What was noted when the run of an execution ended.
async fn noted(app: &TestApp, id: &str) -> Value {
    let path = format!("/api/v1/executions/{}", id.replace(' ', "%20"));
    app.get(&path).await.json::<Value>().await.unwrap()["run"].clone()
}

/// Waits until it is noted that a package was fetched.
async fn fetched(app: &TestApp, id: &str) {
    for _ in 0..200 {
        if noted(app, id).await["package"]["fetched_at"].is_string() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("never noted: {:#}", noted(app, id).await);
}

/// Exports and fetches until nothing is held back any more.
/// The lines of the stock that were told, without the header, in order.
async fn changes(app: &TestApp, action: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let id = run(app, action, json!({ "entityList": "Stock on hand" })).await;
        let package = package(app, &id).await;
        lines.extend(package["Stock on hand.csv"].lines().skip(1).map(str::to_owned));
        fetched(app, &id).await;
        if !noted(app, &id).await["note"]
            .as_str()
            .unwrap_or_default()
            .contains("held back")
        {
            lines.sort();
            lines.dedup();
            return lines;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Writes to a table as any application does.
async fn write(app: &TestApp, sql: &str) {
    app.rows(&format!("{sql} returning cast(1 as text)")).await;
}

/// PKG-19, PKG-20, PKG-21, FMT-1, FMT-2, FMT-5, FMT-9.
async fn the_documented_round_trip_is_a_full_package_and_then_a_delta(backend: Backend) {
    let app = app(backend).await;
    let asked = json!({ "definitionGroupId": PROJECT, "packageName": "Stock of May", "executionId": "mine 1", "reExecute": true, "legalEntityId": "" });
    let answer = act(&app, "ExportToPackage", asked).await.expect(StatusCode::OK);
    assert_eq!(answer["value"], "mine 1");
    assert!(
        answer["@odata.context"]
            .as_str()
            .unwrap()
            .ends_with("$metadata#Edm.String")
    );
    // Pollable at once, and not there yet.
    assert_eq!(status(&app, "mine 1").await, "NotRun");
    assert_eq!(url(&app, "mine 1").await, "");
    app.run_until_idle().await;
    assert_eq!(status(&app, "mine 1").await, "Succeeded");
    let url = url(&app, "mine 1").await;
    assert!(url.starts_with(&app.url), "{url}");
    assert!(url.split('?').next().unwrap().ends_with("/Stock-of-May.zip"), "{url}");
    let bytes = fetch(&app, &url).await;
    let files: BTreeMap<_, _> = members(&bytes).into_iter().collect();
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["Manifest.xml", "PackageHeader.xml", "Prices.csv", "Stock on hand.csv"]
    );
    assert_eq!(
        files["Stock on hand.csv"],
        "ITEM,COMPANY,QUANTITY\r\na,usmf,1\r\nb,usmf,2\r\nc,demf,3\r\n"
    );
    assert_eq!(files["Prices.csv"], "ITEM,Unit price\r\na,1.25\r\n");
    assert!(files["Manifest.xml"].contains("<DefinitionGroupName>Stock export<"));
    fetched(&app, "mine 1").await;

    // Zero records are a package, too, whatever the job's queue prevents.
    assert_eq!(changes(&app, "ExportToPackageDelta").await, [""; 0]);
    write(&app, "update stock set quantity = 20 where item = 'b'").await;
    assert_eq!(changes(&app, "ExportToPackageDelta").await, ["b,usmf,20"]);
    // A project's own exports are by changes where its job says so (PKG-21).
    write(&app, "update stock set quantity = 30 where item = 'c'").await;
    assert_eq!(changes(&app, "ExportToPackageAsync").await, ["c,demf,30"]);
}

/// T10: what a client asks for is collected by nobody else.
async fn a_package_is_nobody_elses_and_on_no_queue(backend: Backend) {
    let app = app(backend).await;
    let id = run(&app, "ExportToPackage", json!({})).await;
    let dequeued = app.get(&format!("/api/connector/dequeue/{}", app.job(PROJECT))).await;
    assert_eq!(dequeued.status(), StatusCode::NO_CONTENT);
    assert_eq!(app.messages().await, 0);
    // A client that the job does not list learns nothing of it, neither of the project nor of the id.
    let stranger = app.client("stranger").await;
    for action in [
        "GetExecutionSummaryStatus",
        "GetExportedPackageUrl",
        "GetExecutionErrors",
    ] {
        let asked = json!({ "executionId": id });
        let known = reason(act_as(&app, &stranger, action, asked).await, action);
        let unknown = reason(
            act_as(&app, &stranger, action, json!({ "executionId": "none" })).await,
            action,
        );
        assert_eq!(known, unknown.replace("none", &id));
    }
    let asked = json!({ "definitionGroupId": PROJECT });
    let listed = reason(
        act_as(&app, &stranger, "ExportToPackage", asked).await,
        "ExportToPackage",
    );
    let asked = json!({ "definitionGroupId": "No such" });
    let unlisted = reason(
        act_as(&app, &stranger, "ExportToPackage", asked).await,
        "ExportToPackage",
    );
    assert_eq!(listed, unlisted.replace("No such", PROJECT));
    // Another client of the job may look.
    let shop = app.client("shop").await;
    let asked = json!({ "executionId": id });
    let seen = act_as(&app, &shop, "GetExecutionSummaryStatus", asked).await;
    assert_eq!(seen.expect(StatusCode::OK)["value"], "Succeeded");
}

/// PKG-12, PKG-21.
async fn succeeded_is_told_only_when_the_package_is_there(backend: Backend) {
    let app = app(backend).await;
    let asked = json!({ "definitionGroupId": PROJECT, "executionId": "watched" });
    value(&app, "ExportToPackage", asked).await;
    let working = app.run_until_idle();
    let watching = async {
        loop {
            let told = status(&app, "watched").await;
            let link = url(&app, "watched").await;
            if told == "Succeeded" {
                assert_ne!(link, "");
                return fetch(&app, &link).await;
            }
            assert!(["NotRun", "Executing"].contains(&told.as_str().unwrap()), "{told}");
        }
    };
    let ((), bytes) = tokio::join!(working, watching);
    assert_eq!(members(&bytes).len(), 4);

    // One that fails says why, and that there is no package.
    let sql = "drop table prices; create table prices (item varchar(10) primary key)";
    crate::support::databases::run(&app.business.url, sql).await;
    let asked = json!({ "definitionGroupId": PROJECT, "entityList": "Prices", "executionId": "doomed" });
    value(&app, "ExportToPackage", asked).await;
    app.run_until_idle().await;
    assert_eq!(status(&app, "doomed").await, "Failed");
    let errors = value(&app, "GetExecutionErrors", json!({ "executionId": "doomed" })).await;
    let errors: Value = serde_json::from_str(errors.as_str().unwrap()).unwrap();
    assert!(
        errors[0]["ErrorMessage"].as_str().unwrap().contains("price"),
        "{errors}"
    );
    let told = refusal(&app, "GetExportedPackageUrl", json!({ "executionId": "doomed" })).await;
    assert!(told.contains("has made no package") && told.contains("price"), "{told}");
}
