//! Imports by the package API (PKG-11 to PKG-18): a package goes up by the link, is imported under an id that can be polled at once,
//! and what it rejects is fetched.

mod ids;
mod options;
mod projects;
mod refusals;
mod turns;

use std::io::Write as _;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, Setup, TestApp};
use crate::client::{Answered, send};
use crate::support::blobs::TestBlobs;

crate::on_both_backends!(
    a_package_goes_up_is_imported_polled_and_its_error_keys_fetched,
    what_fails_before_staging_is_in_the_errors_too,
);
crate::on_every_blob_store!(a_package_is_imported_from_a_bucket);

/// A job for files: the package API brings it packages.
const JOB: &str = r#"
id = "00000000-0000-4000-8000-00000000d1d1"
name = "Orders and customers"
direction = "import"
clients = ["shop", "tester"]
[import]
format = "csv"
[[import.entities]]
entity = "Customers"
map = { CustomerID = "customer_account" }
[[import.entities]]
entity = "Sales order headers"
map = { OrderID = "order_number", CustomerID = "customer_account" }
"#;
const PROJECT: &str = "Orders and customers";

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup: &mut Setup| {
        setup.file("jobs/orders-and-customers.toml", JOB);
    })
    .await
}

/// An entity of a manifest: its label, file and format, and elements more.
struct Listed<'a>(&'a str, &'a str, &'a str, &'a str);

const CUSTOMERS: Listed<'_> = Listed("Customers", "Customers.csv", "CSV", "");
const ORDERS: Listed<'_> = Listed(
    "Sales order headers",
    "Sales order headers.csv",
    "CSV",
    "<LevelInExecutionUnit>2</LevelInExecutionUnit>",
);

fn manifest(entities: &[&Listed<'_>]) -> String {
    let entity = |Listed(label, file, format, more): &&Listed<'_>| {
        format!(
            "<DataManagementPackageEntityData><EntityName>{label}</EntityName><InputFilePath>{file}</InputFilePath>\
             <SourceFormat>{format}</SourceFormat>{more}</DataManagementPackageEntityData>"
        )
    };
    format!(
        "<DataManagementPackageManifest xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\">\
         <DefinitionGroupName>Demo</DefinitionGroupName><PackageEntityList>{}</PackageEntityList>\
         </DataManagementPackageManifest>",
        entities.iter().map(entity).collect::<String>()
    )
}

fn zip(members: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const HEADER: (&str, &str) = ("PackageHeader.xml", "<DataManagementPackageHeader/>");

/// A package of these entities and files.
fn package(entities: &[&Listed<'_>], files: &[(&str, &str)]) -> Vec<u8> {
    let manifest = manifest(entities);
    let mut members = vec![("Manifest.xml", manifest.as_str()), HEADER];
    members.extend(files);
    zip(&members)
}

/// A package of one customer.
pub fn one_customer(account: &str) -> Vec<u8> {
    let file = format!("CUSTOMER_ACCOUNT,COMPANY_NAME\r\n{account},Company {account}\r\n");
    package(&[&CUSTOMERS], &[("Customers.csv", &file)])
}

pub fn action(app: &TestApp, name: &str, parameters: &Value) -> reqwest::RequestBuilder {
    let path = format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{name}");
    app.request(Method::POST, &path).json(parameters)
}

pub async fn act_as(app: &TestApp, token: &str, name: &str, parameters: &Value) -> Answered {
    send(action(app, name, parameters), token).await
}

async fn act(app: &TestApp, name: &str, parameters: &Value) -> Value {
    let answer = act_as(app, &app.token, name, parameters).await;
    answer.expect(StatusCode::OK)["value"].clone()
}

/// Uploads a package as its client, and returns the URL.
async fn upload_as(app: &TestApp, token: &str, bytes: Vec<u8>) -> String {
    let asked = json!({ "uniqueFileName": "package.zip" });
    let answer = act_as(app, token, "GetAzureWriteUrl", &asked)
        .await
        .expect(StatusCode::OK);
    let value: Value = serde_json::from_str(answer["value"].as_str().unwrap()).unwrap();
    let url = value["BlobUrl"].as_str().unwrap().to_owned();
    let put = app.request(Method::PUT, &url).header("x-ms-blob-type", "BlockBlob");
    let put = put.body(bytes).send().await.unwrap();
    // A bucket answers its own links as it does: S3 with 200, the blob host and Azure with 201 (PKG-4: clients need 2xx).
    let is_bucket = !url.starts_with(&app.url);
    let wanted = put.status() == StatusCode::CREATED || (is_bucket && put.status() == StatusCode::OK);
    assert!(wanted, "{}", put.status());
    url
}

pub async fn upload(app: &TestApp, bytes: Vec<u8>) -> String {
    upload_as(app, &app.token, bytes).await
}

/// What RIS sends.
pub fn asked(url: &str, project: &str, id: &str) -> Value {
    json!({
        "packageUrl": url, "definitionGroupId": project, "executionId": id,
        "execute": true, "overwrite": true, "legalEntityId": "usmf",
    })
}

/// Uploads and imports as `tester`; the answer.
async fn import(app: &TestApp, bytes: Vec<u8>, project: &str, id: &str) -> Answered {
    let url = upload(app, bytes).await;
    act_as(app, &app.token, "ImportFromPackage", &asked(&url, project, id)).await
}

/// A refusal of an action: its cause behind the lead-in (ERR-2).
fn refused(answer: Answered, name: &str) -> String {
    let body = answer.expect(StatusCode::BAD_REQUEST);
    let text = body["error"]["innererror"]["message"].as_str().unwrap();
    let lead_in = format!("Exception occurred while executing action {name} on Entity DataManagementDefinitionGroup: ");
    text.strip_prefix(&lead_in)
        .unwrap_or_else(|| panic!("{text}"))
        .to_owned()
}

pub async fn summary(app: &TestApp, id: &str) -> String {
    let status = act(app, "GetExecutionSummaryStatus", &json!({ "executionId": id })).await;
    status.as_str().unwrap().to_owned()
}

/// What of an execution is told entity by entity: label, staging, target.
async fn entities(app: &TestApp, id: &str) -> Vec<(String, String, String)> {
    let list = act(
        app,
        "GetEntityExecutionSummaryStatusList",
        &json!({ "executionId": id }),
    )
    .await;
    let items = list.as_array().unwrap().iter().map(|item| {
        let item: Value = serde_json::from_str(item.as_str().unwrap()).unwrap();
        let text = |name: &str| item[name].as_str().unwrap().to_owned();
        (text("EntityName"), text("StagingStatus"), text("TargetStatus"))
    });
    items.collect()
}

async fn errors(app: &TestApp, id: &str) -> Vec<Value> {
    let errors = act(app, "GetExecutionErrors", &json!({ "executionId": id })).await;
    serde_json::from_str(errors.as_str().unwrap()).unwrap()
}

async fn names(app: &TestApp) -> Vec<String> {
    let rows = app
        .rows("select customer_account from customers order by customer_account")
        .await;
    rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect()
}

/// Two entities, of which the second has a record with an error of its own and one whose parent is missing.
fn documented() -> Vec<u8> {
    let orders = "OrderID,CustomerID,OrderDate,Freight\r\n1,AAAAA,2026-01-05,1.5\r\n2,AAAAA,2026-01-05,heavy\r\n\
                  3,ZZZZZ,2026-01-05,2\r\n";
    package(
        &[&ORDERS, &CUSTOMERS],
        &[
            ("Customers.csv", "CustomerID,CompanyName\r\nAAAAA,One\r\n"),
            ("Sales order headers.csv", orders),
        ],
    )
}

async fn round_trip(app: &TestApp) {
    let id = "Orders and customers-2026-01-05_08-00-00-6f1e [Ü] {1}";
    let url = upload(app, documented()).await;
    let answer = act(app, "ImportFromPackage", &asked(&url, PROJECT, id)).await;
    assert_eq!(answer, json!(id), "the client's id, verbatim (PKG-11a)");
    assert_eq!(summary(app, id).await, "NotRun");
    assert_eq!(entities(app, id).await, [] as [(String, String, String); 0]);
    app.run_until_idle().await;
    assert_eq!(summary(app, id).await, "PartiallySucceeded");
    let told = |label: &str, staging: &str, target: &str| (label.to_owned(), staging.to_owned(), target.to_owned());
    assert_eq!(
        entities(app, id).await,
        [
            told("Sales order headers", "Error", "Finished"),
            told("Customers", "Finished", "Finished")
        ]
    );
    let errors = errors(app, id).await;
    let fields: Vec<&str> = errors.iter().map(|error| error["Field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["FREIGHT", "CUSTOMER_ACCOUNT"], "{errors:?}");
    let of = json!({ "executionId": id, "entityName": "Sales order headers" });
    let staging = act(app, "GetImportStagingErrorFileUrl", &of).await;
    let file = app
        .request(Method::GET, staging.as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(file.status(), StatusCode::OK);
    let text = file.text().await.unwrap();
    assert!(text.contains("heavy") && text.contains("ZZZZZ"), "{text}");
    let page = act(app, "GetExecutionSummaryPageUrl", &json!({ "executionId": id })).await;
    assert!(url::Url::parse(page.as_str().unwrap()).is_ok(), "{page}");
}

async fn a_package_goes_up_is_imported_polled_and_its_error_keys_fetched(backend: Backend) {
    let app = app(backend).await;
    round_trip(&app).await;
    // Errors that the target itself finds have a keys file.
    let trigger = match backend {
        Backend::Sqlite => vec![
            "create trigger no_bbb before insert on customers when new.customer_account = 'BBBBB' \
             begin select raise(abort, 'BBBBB is barred'); end",
        ],
        Backend::Postgres => vec![
            "create function barred() returns trigger language plpgsql as $$ begin if new.customer_account = 'BBBBB' \
             then raise exception 'BBBBB is barred'; end if; return new; end $$",
            "create trigger no_bbb before insert on customers for each row execute function barred()",
        ],
    };
    for sql in trigger {
        crate::support::databases::run(&app.business.url, sql).await;
    }
    let file = "CustomerID,CompanyName\r\nBBBBB,Two\r\nCCCCC,Three\r\n";
    let bytes = package(&[&CUSTOMERS], &[("Customers.csv", file)]);
    let id = import(&app, bytes, PROJECT, "").await.expect(StatusCode::OK);
    let id = id["value"].as_str().unwrap().to_owned();
    assert!(id.starts_with("Orders and customers-2026-01-05T08:00:00-"), "{id}");
    app.run_until_idle().await;
    assert_eq!(summary(&app, &id).await, "PartiallySucceeded");
    let of = json!({ "executionId": id, "entityName": "Customers" });
    assert_eq!(act(&app, "GenerateImportTargetErrorKeysFile", &of).await, json!(true));
    let keys = act(&app, "GetImportTargetErrorKeysFileUrl", &of).await;
    let keys = app.request(Method::GET, keys.as_str().unwrap()).send().await.unwrap();
    let text = keys.text().await.unwrap();
    assert!(text.contains("BBBBB") && !text.contains("CCCCC"), "{text}");
    // The native API shows the same run, and who asked for it.
    let found = app.get(&format!("/api/v1/executions/{id}")).await;
    assert_eq!(found.status(), StatusCode::OK);
}

async fn a_package_is_imported_from_a_bucket(store: TestBlobs) {
    for presigned in [false, true] {
        if presigned && store.is_files() {
            continue;
        }
        let app = TestApp::with(Backend::Sqlite, |setup| {
            setup.file("jobs/orders-and-customers.toml", JOB);
            setup.set("blobs.url", store.url.clone());
            setup.set("blobs.presigned", presigned.to_string());
            // The payload is a blob, too.
            setup.set("queue.inline_max_bytes", "100");
        })
        .await;
        round_trip(&app).await;
    }
}

async fn what_fails_before_staging_is_in_the_errors_too(backend: Backend) {
    let app = app(backend).await;
    let bytes = package(&[&CUSTOMERS], &[("Other.csv", "x\r\n")]);
    import(&app, bytes, PROJECT, "gone").await.expect(StatusCode::OK);
    app.run_until_idle().await;
    assert_eq!(summary(&app, "gone").await, "Failed");
    let errors = errors(&app, "gone").await;
    assert_eq!(errors.len(), 1);
    assert_eq!((&errors[0]["RecordId"], &errors[0]["Field"]), (&json!(""), &json!("")));
    let text = errors[0]["ErrorMessage"].as_str().unwrap();
    assert!(text.contains("Customers.csv") && text.contains("Other.csv"), "{text}");
    let list = entities(&app, "gone").await;
    assert_eq!(list[0].1, "Error", "{list:?}");
}
