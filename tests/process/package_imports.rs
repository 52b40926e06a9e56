//! Imports by the package API over crashes and several processes: what was answered, or could be polled, comes to its end once
//! (promises 1, 2, 8; PKG-13).

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::chance::Chance;
use crate::support::databases::{TestDatabase, rows};
use crate::wire::{self, Caller, http};

pub const ACTIONS: &str = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.";
const ROWS: usize = 20_000;
const KILLS: usize = 4;

on_both_databases!(
    an_import_killed_before_its_answer_is_there,
    an_import_killed_while_it_runs_ends_once,
);

pub const ENTITY: &str = r#"
name = "Parts"
table = "parts"
create_table = true
key = ["part"]
[[fields]]
name = "part"
type = "int"
[[fields]]
name = "quantity"
type = "int"
"#;

pub fn package(from: usize, count: usize) -> Vec<u8> {
    let mut file = "PART,QUANTITY\r\n".to_owned();
    for part in from..from + count {
        let _ = write!(file, "{part},1\r\n");
    }
    let manifest = "<DataManagementPackageManifest><PackageEntityList><DataManagementPackageEntityData><EntityName>Parts</EntityName>\
                    <InputFilePath>Parts.csv</InputFilePath><SourceFormat>CSV</SourceFormat></DataManagementPackageEntityData>\
                    </PackageEntityList></DataManagementPackageManifest>";
    let header = "<DataManagementPackageHeader/>";
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [
        ("Manifest.xml", manifest),
        ("PackageHeader.xml", header),
        ("Parts.csv", &file),
    ] {
        zip.start_file(name, zip::write::SimpleFileOptions::default())
            .expect("a member");
        zip.write_all(text.as_bytes()).expect("in memory");
    }
    zip.finish().expect("a zip").into_inner()
}

pub async fn site_on(store: TestDatabase) -> (Site, Credentials) {
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    site.write("entities/parts.toml", ENTITY);
    std::fs::create_dir_all(site.path("jobs")).expect("a folder");
    let client = site.add_client("builder", "integrator");
    (site, client)
}

pub async fn act(caller: &Caller, action: &str, parameters: &Value) -> (StatusCode, Value) {
    let answer = caller.post(&format!("{ACTIONS}{action}"), parameters.to_string()).await;
    let status = answer.status();
    (status, answer.json().await.expect("JSON"))
}

/// Uploads a package; what is asked of its import. The project is nobody's yet.
pub async fn uploaded(caller: &Caller, bytes: Vec<u8>, id: &str) -> Value {
    let link = act(caller, "GetAzureWriteUrl", &json!({ "uniqueFileName": "p.zip" }))
        .await
        .1;
    let link: Value = serde_json::from_str(link["value"].as_str().expect("a text")).expect("JSON");
    let url = link["BlobUrl"].as_str().expect("a link");
    let put = http().put(url).header("x-ms-blob-type", "BlockBlob").body(bytes);
    assert_eq!(put.send().await.expect("an answer").status(), StatusCode::CREATED);
    json!({ "packageUrl": url, "definitionGroupId": "Parts by package", "executionId": id, "execute": true, "overwrite": true })
}

/// What the client hears of its import.
pub async fn status_of(caller: &Caller, id: &str) -> String {
    let (status, body) = act(caller, "GetExecutionSummaryStatus", &json!({ "executionId": id })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["value"].as_str().expect("a text").to_owned()
}

/// Polls until the import ended. An id that was answered is never unknown.
pub async fn ended(caller: &Caller, id: &str) -> String {
    let began = Instant::now();
    while began.elapsed() < Duration::from_mins(3) {
        let value = status_of(caller, id).await;
        if !["NotRun", "Executing"].contains(&value.as_str()) {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{id} never ended");
}

async fn landed(site: &Site, count: usize) {
    let text = "select cast(count(*) as text), cast(sum(quantity) as text) from parts";
    let count = Some(count.to_string());
    assert_eq!(rows(site.business_url(), text).await, [[count.clone(), count]]);
}

/// The process dies when everything is committed and nothing is answered: the client polls, and asks again.
async fn an_import_killed_before_its_answer_is_there(store: TestDatabase) {
    let (site, client) = site_on(store).await;
    let mut command = site.serve_command("data");
    command.env("FAILPOINT", "package_import.queued");
    let service = Service::start(command, &site.data_dir("data")).await;
    let caller = Caller::new(&service, &client).await;
    let asked = uploaded(&caller, package(0, 100), "lost answer").await;
    let submit = http()
        .post(format!("{}{ACTIONS}ImportFromPackage", service.base))
        .bearer_auth(caller.token())
        .body(asked.to_string());
    submit.send().await.expect_err("no answer");
    service.killed().await;

    let service = site.start("data").await;
    let caller = Caller::new(&service, &client).await;
    assert_eq!(ended(&caller, "lost answer").await, "Succeeded");
    // The URL was on the port of the process that died; a port is nothing to a package's path.
    for _ in 0..2 {
        let again = act(&caller, "ImportFromPackage", &asked).await;
        assert_eq!((again.0, &again.1["value"]), (StatusCode::OK, &json!("lost answer")));
    }
    let messages = wire::json(caller.get("/api/v1/messages").await, StatusCode::OK).await;
    assert_eq!(messages["messages"].as_array().map(Vec::len), Some(1), "{messages:#}");
    landed(&site, 100).await;
    assert!(service.stop().await.success());
}

async fn an_import_killed_while_it_runs_ends_once(store: TestDatabase) {
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let (site, client) = site_on(store).await;
    let mut service = site.start("data").await;
    let caller = Caller::new(&service, &client).await;
    for (round, id) in ["first", "second"].into_iter().enumerate() {
        let mut asked = uploaded(&caller, package(round * ROWS, ROWS), id).await;
        // One that ends after staging is brought to that end, too.
        asked["execute"] = json!(round == 0);
        assert_eq!(act(&caller, "ImportFromPackageAsync", &asked).await.0, StatusCode::OK);
    }
    for _ in 0..KILLS {
        tokio::time::sleep(chance.up_to(Duration::from_millis(1500))).await;
        service.kill9();
        service = site.start("data").await;
    }
    let caller = Caller::new(&service, &client).await;
    assert_eq!(ended(&caller, "first").await, "Succeeded");
    assert_eq!(ended(&caller, "second").await, "Succeeded");
    landed(&site, ROWS).await;
    let messages = wire::json(caller.get("/api/v1/messages").await, StatusCode::OK).await;
    for message in messages["messages"].as_array().expect("a list") {
        let id = message["id"].as_str().expect("an id");
        let records = caller.message(id).await.0["records"].clone();
        let (applied, skipped) = match message["status"].as_str() {
            Some("Staged") => (0, ROWS),
            _ => (ROWS, 0),
        };
        let told = ["read", "applied", "rejected", "skipped"].map(|name| records[name].as_u64().expect("a number"));
        assert_eq!(told, [ROWS, applied, 0, skipped].map(|count| count as u64), "{records}");
    }
    assert!(service.stop().await.success());
}

/// A project is created in a process that dies at once: the other one knows its ids, and does its work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_created_in_one_process_is_worked_on_in_the_other() {
    let Some(store) = TestDatabase::postgres().await else {
        return;
    };
    let (site, client) = site_on(store).await;
    let mut command = site.serve_command("first");
    command.env("FAILPOINT", "package_import.queued");
    let first = Service::start(command, &site.data_dir("first")).await;
    let second = site.start("second").await;
    let (here, there) = (Caller::new(&first, &client).await, Caller::new(&second, &client).await);
    let asked = uploaded(&here, package(0, 100), "made elsewhere").await;
    let submit = http()
        .post(format!("{}{ACTIONS}ImportFromPackage", first.base))
        .bearer_auth(here.token())
        .body(asked.to_string());
    submit.send().await.expect_err("no answer");
    // At once, although the second process may not have looked for projects since.
    assert_eq!(ended(&there, "made elsewhere").await, "Succeeded");
    landed(&site, 100).await;
    first.killed().await;
    let jobs = wire::json(there.get("/api/v1/jobs").await, StatusCode::OK).await;
    assert_eq!(jobs["jobs"][0]["origin"], "project", "{jobs}");
    let list = there.get("/api/v1/jobs/Parts%20by%20package").await;
    assert_eq!(list.status(), StatusCode::OK);
    assert!(second.stop().await.success());
}
