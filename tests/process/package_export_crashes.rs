//! Promises 7 and 8 for packages: a service killed right at each step of an export that a client asked for brings it to its end under
//! the client's id, as one package, and skips no change.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::crash_matrix::place::Payloads;
use crate::in_every_place_of_blobs;
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::{TestDatabase, rows};
use crate::wire;
use crate::wire::Caller;

const ROWS: usize = 50;
const ACTIONS: &str = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.";
const PROJECT: &str = "Stock export";

in_every_place_of_blobs!(a_package_killed_at_each_of_its_steps_is_made_once_and_whole,);

const ENTITY: &str = r#"
name = "Stock"
table = "stock"
create_table = true
key = ["item"]
[[fields]]
name = "item"
type = "int"
[[fields]]
name = "quantity"
type = "int"
"#;

const JOB: &str = r#"
id = "6a3ff0a6-2d0e-4d2b-bb0c-0e6b0c9f8d44"
name = "Stock export"
direction = "export"
clients = ["tester"]
[export]
format = "csv"
[[export.entities]]
entity = "Stock"
refresh = "incremental"
deletes = "leave_out"
"#;

async fn a_package_killed_at_each_of_its_steps_is_made_once_and_whole(store: TestDatabase, payloads: Payloads) {
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    payloads.keep(&mut site);
    site.write("entities/stock.toml", ENTITY);
    site.write("jobs/stock.toml", JOB);
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    // The first run makes the table.
    submit(&caller, "first").await;
    assert_eq!(told(&caller, "first").await, [0_usize; 0]);
    assert!(service.stop().await.success());

    let (mut times, mut changed) = (BTreeMap::<usize, u32>::new(), 0);
    for failpoint in tranship::failpoint::EXPORT {
        write(site.business_url(), changed).await;
        changed += ROWS;
        killed_at(&site, &tester, failpoint).await;
        // The next life brings the run of this one to its end; the client asks again, as it had no answer.
        let service = site.start("data").await;
        let caller = Caller::new(&service, &tester).await;
        submit(&caller, failpoint).await;
        for item in told(&caller, failpoint).await {
            *times.entry(item).or_default() += 1;
        }
        let runs = runs(&caller).await;
        let made: Vec<_> = runs.iter().filter(|run| run["execution"] == failpoint).collect();
        assert_eq!(made.len(), 1, "{failpoint}: {runs:#?}");
        assert!(service.stop().await.success());
    }
    // What open transactions of others held back on PostgreSQL comes with the next run.
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    submit(&caller, "last").await;
    for item in told(&caller, "last").await {
        *times.entry(item).or_default() += 1;
    }
    let once: BTreeMap<_, _> = (0..changed).map(|item| (item, 1)).collect();
    assert_eq!(times, once, "each change is told once");
    assert!(service.stop().await.success());
}

/// Has a service take on an export called like the place where it dies. Whether it can answer before that is chance.
async fn killed_at(site: &Site, tester: &Credentials, failpoint: &str) {
    let mut command = site.serve_command("data");
    command.env("FAILPOINT", failpoint);
    let service = Service::start(command, &site.data_dir("data")).await;
    let caller = Caller::new(&service, tester).await;
    let request = wire::http()
        .post(format!("{}{ACTIONS}ExportToPackage", service.base))
        .bearer_auth(caller.token())
        .body(asked(failpoint).to_string());
    // The answer may be lost.
    let _ = request.send().await;
    service.killed().await;
}

fn asked(id: &str) -> Value {
    json!({ "definitionGroupId": PROJECT, "executionId": id })
}

async fn act(caller: &Caller, action: &str, parameters: Value) -> Value {
    let answer = caller.post(&format!("{ACTIONS}{action}"), parameters.to_string()).await;
    wire::json(answer, StatusCode::OK).await["value"].clone()
}

async fn submit(caller: &Caller, id: &str) {
    assert_eq!(act(caller, "ExportToPackage", asked(id)).await, id);
}

/// Waits for an execution's end and fetches its package: the items in it.
async fn told(caller: &Caller, id: &str) -> Vec<usize> {
    let asked = json!({ "executionId": id });
    let mut status = Value::Null;
    for _ in 0..300 {
        status = act(caller, "GetExecutionSummaryStatus", asked.clone()).await;
        if status == "Succeeded" {
            let url = act(caller, "GetExportedPackageUrl", asked).await;
            let answer = wire::http()
                .get(url.as_str().expect("a link"))
                .send()
                .await
                .expect("an answer");
            return items(&answer.bytes().await.expect("a package"));
        }
        assert!(
            ["NotRun", "Executing"].contains(&status.as_str().expect("a status")),
            "{id}: {status}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{id} does not end: {status}");
}

fn items(package: &[u8]) -> Vec<usize> {
    let mut zip = zip::ZipArchive::new(Cursor::new(package)).expect("a zip");
    let mut text = String::new();
    zip.by_name("Stock.csv")
        .expect("the data file")
        .read_to_string(&mut text)
        .expect("a text");
    let item = |line: &str| line.split(',').next().and_then(|item| item.parse().ok());
    text.lines().skip(1).map(|line| item(line).expect("an item")).collect()
}

async fn runs(caller: &Caller) -> Vec<Value> {
    let answer = caller.get("/api/v1/jobs/Stock%20export/occurrences?limit=200").await;
    let listed = wire::json(answer, StatusCode::OK).await;
    listed["occurrences"].as_array().expect("a list").clone()
}

/// New rows, in one transaction.
async fn write(url: &str, first: usize) {
    let values: Vec<_> = (first..first + ROWS).map(|item| format!("({item}, 1)")).collect();
    let sql = format!(
        "insert into stock (item, quantity) values {} returning cast(item as text)",
        values.join(", ")
    );
    assert_eq!(rows(url, &sql).await.len(), ROWS);
}
