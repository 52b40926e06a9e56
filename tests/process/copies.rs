//! A service killed while an export reads a copy of its database: the copy goes, and the export is made once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use crate::site::Site;
use crate::support::databases::{TestDatabase, run};
use crate::wire::{Caller, json};

const JOB: &str = "6a3ff0a6-2d0e-4d2b-bb0c-0e6b0c9f8d44";
const ROWS: usize = 60_000;

const ENTITY: &str = r#"
name = "Stock"
table = "stock"
key = ["item"]
[[fields]]
name = "item"
type = "int"
[[fields]]
name = "quantity"
type = "int"
"#;

/// Lets everything through, after a second or two.
const SLOW: &str = "filter = \"(with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000000) select count(*) from n) > 0\"\n";

/// All rows get the same quantity, one after the other, until told to stop.
async fn write_on(url: String, is_over: Arc<AtomicBool>) {
    for number in 1.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        run(&url, &format!("update stock set quantity = {number}")).await;
    }
}

fn copies(folder: &Path) -> Vec<String> {
    let there = std::fs::read_dir(folder).into_iter().flatten();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    there.map(|entry| name(entry).to_string_lossy().into_owned()).collect()
}

async fn wait_for_copy(folder: &Path) {
    for _ in 0..3_000 {
        if !copies(folder).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no copy is made");
}

async fn ended(caller: &Caller) -> Value {
    for _ in 0..300 {
        let answer = caller.get(&format!("/api/v1/jobs/{JOB}/occurrences?limit=10")).await;
        let listed = json(answer, StatusCode::OK).await["occurrences"].clone();
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed:#}");
        if listed[0]["state"] != "due" && listed[0]["state"] != "running" {
            return listed[0].clone();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the run does not end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_a_killed_service_left_is_deleted_and_its_run_made_once() {
    let mut site = Site::on(TestDatabase::sqlite()).await;
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    site.set("TRANSHIP_EXPORT__MAX_WAL_BYTES", "1048576");
    let table = format!(
        "create table stock (item integer primary key, quantity integer not null); \
         insert into stock with recursive n(i) as (select 1 union all select i + 1 from n where i < {ROWS}) select i, 0 from n"
    );
    run(site.business_url(), &table).await;
    site.write("entities/stock.toml", ENTITY);
    let job = format!(
        "id = \"{JOB}\"\nname = \"Stock out\"\ndirection = \"export\"\ndata_source = \"file\"\nclients = [\"tester\"]\n\
         [export]\nformat = \"csv\"\n[[export.entities]]\nentity = \"Stock\"\n{SLOW}"
    );
    site.write("jobs/stock.toml", &job);
    let tester = site.add_client("tester", "operator");
    let folder = site.data_dir("data").join("copies");

    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(write_on(site.business_url().to_owned(), Arc::clone(&is_over)));
    let asked = caller.post(&format!("/api/v1/jobs/{JOB}/run"), "").await;
    assert_eq!(asked.status(), StatusCode::ACCEPTED);
    wait_for_copy(&folder).await;
    service.kill9();
    is_over.store(true, Ordering::Relaxed);
    writing.await.expect("the writer ends");
    assert!(!copies(&folder).is_empty());

    let service = site.start("data").await;
    assert!(copies(&folder).is_empty(), "{:?}", copies(&folder));
    let caller = Caller::new(&service, &tester).await;
    let occurrence = ended(&caller).await;
    assert_eq!(occurrence["state"], "done", "{occurrence:#}");
    let delivery = json(
        caller.get(&format!("/api/connector/dequeue/{JOB}")).await,
        StatusCode::OK,
    )
    .await;
    let location = delivery["DownloadLocation"].as_str().expect("a location");
    let path = &location[location.find("/api/").expect("a path")..];
    let file = caller.get(path).await.text().await.expect("a text");
    assert_eq!(file.lines().count(), ROWS + 1);
    let mut quantities: Vec<_> = file.lines().skip(1).map(|line| line.rsplit(',').next()).collect();
    quantities.dedup();
    assert_eq!(quantities.len(), 1, "all of one state");
    let more = caller.get(&format!("/api/connector/dequeue/{JOB}")).await;
    assert_eq!(more.status(), StatusCode::NO_CONTENT, "one message");
    assert!(service.stop().await.success());
}
