//! Promise 7: a service killed at any moment of an incremental export skips no change and queues no occurrence twice.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use crate::on_both_databases;
use crate::site::Site;
use crate::support::chance::Chance;
use crate::support::databases::{TestDatabase, rows};
use crate::wire::{Caller, json};

pub const JOB: &str = "6a3ff0a6-2d0e-4d2b-bb0c-0e6b0c9f8d33";
const KEYS: usize = 400;

on_both_databases!(an_export_of_changes_killed_at_random_moments_tells_all_of_them,);

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

/// Definitions of a job that exports the changes of a table each second, so many records in a message.
pub fn define(site: &Site, in_a_message: usize) {
    site.write("entities/stock.toml", ENTITY);
    let job = format!(
        "id = \"{JOB}\"\nname = \"Stock changes\"\ndirection = \"export\"\ndata_source = \"file\"\nclients = [\"tester\"]\n\
         [schedule]\nevery = \"1s\"\nmissed = \"skip\"\noverlap = \"skip\"\n\
         [export]\nformat = \"csv\"\nsplit_records = {in_a_message}\nprevent_upload_when_zero_records = true\n\
         [[export.entities]]\nentity = \"Stock\"\nrefresh = \"incremental\"\n"
    );
    site.write("jobs/stock.toml", &job);
}

async fn an_export_of_changes_killed_at_random_moments_tells_all_of_them(store: TestDatabase) {
    let long = crate::support::is_long();
    let kills = if long { 60 } else { 8 };
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    define(&site, 30);
    let tester = site.add_client("tester", "operator");
    let mut service = site.start("data").await;
    let mut caller = Caller::new(&service, &tester).await;
    // The first run makes the table.
    wait_for_run(&caller).await;

    let is_over = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(write_at_random(site.business_url().to_owned(), Arc::clone(&is_over)));
    for _ in 0..kills {
        tokio::time::sleep(chance.up_to(Duration::from_millis(1800))).await;
        service.kill9();
        service = site.start("data").await;
    }
    is_over.store(true, Ordering::Relaxed);
    writing.await.expect("the writer ends");
    caller = Caller::new(&service, &tester).await;
    wait_for_run(&caller).await;

    let told = collect(&caller).await;
    let table = rows(
        site.business_url(),
        "select cast(item as text), cast(quantity as text) from stock",
    )
    .await;
    let table: BTreeMap<_, _> = table
        .into_iter()
        .map(|row| (row[0].clone().expect("an item"), row[1].clone().expect("a quantity")))
        .collect();
    assert!(!table.is_empty());
    assert_eq!(told, table, "what all messages told together is the table");
    for occurrence in occurrences(&caller).await {
        assert_ne!(occurrence["state"], "failed", "{occurrence:#}");
    }
    assert!(service.stop().await.success());
}

/// Inserts, updates and deletes until told to stop.
async fn write_at_random(url: String, is_over: Arc<AtomicBool>) {
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    while !is_over.load(Ordering::Relaxed) {
        let (item, quantity) = (chance.below(KEYS), chance.below(1000));
        let write = if chance.below(4) == 0 {
            format!("delete from stock where item = {item} returning cast(1 as text)")
        } else {
            format!(
                "insert into stock (item, quantity) values ({item}, {quantity}) \
                 on conflict (item) do update set quantity = excluded.quantity returning cast(1 as text)"
            )
        };
        rows(&url, &write).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// New rows, in one transaction.
pub async fn insert(url: &str, items: Range<usize>) {
    let values: Vec<_> = items.clone().map(|item| format!("({item}, 1)")).collect();
    let sql = format!(
        "insert into stock (item, quantity) values {} returning cast(item as text)",
        values.join(", ")
    );
    assert_eq!(rows(url, &sql).await.len(), items.len());
}

/// Of which row a line tells.
pub fn item_of(line: &str) -> usize {
    let item = line.split(',').next().and_then(|item| item.parse().ok());
    item.unwrap_or_else(|| panic!("{line}"))
}

/// The runs that ended, the last one first.
pub async fn occurrences(caller: &Caller) -> Vec<Value> {
    let answer = caller.get(&format!("/api/v1/jobs/{JOB}/occurrences?limit=200")).await;
    let listed = json(answer, StatusCode::OK).await;
    let ended = |occurrence: &&Value| occurrence["state"] != "due" && occurrence["state"] != "running";
    listed["occurrences"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(ended)
        .cloned()
        .collect()
}

/// Waits for a run that began after this was called, and with it for those before.
pub async fn wait_for_run(caller: &Caller) {
    let due = |occurrence: &Value| occurrence["due_at"].as_str().expect("a due time").to_owned();
    let latest = occurrences(caller).await.first().map(due);
    for _ in 0..300 {
        let runs = occurrences(caller).await;
        if runs
            .iter()
            .any(|one| one["state"] == "done" && latest.as_ref() < Some(&due(one)))
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("no run comes to its end: {:#?}", occurrences(caller).await);
}

/// Collects and acknowledges everything there is, in its order: rows by key as they were told last.
async fn collect(caller: &Caller) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    for line in collect_lines(caller).await {
        let cells: Vec<_> = line.split(',').collect();
        match cells.as_slice() {
            [item, _, "Yes"] => _ = told.remove(*item),
            [item, quantity, "No"] => _ = told.insert((*item).to_owned(), (*quantity).to_owned()),
            _ => panic!("{line}"),
        }
    }
    told
}

/// Collects and acknowledges everything there is, in its order: the lines of all files without their headings.
pub async fn collect_lines(caller: &Caller) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let answer = caller.get(&format!("/api/connector/dequeue/{JOB}")).await;
        if answer.status() == StatusCode::NO_CONTENT {
            return lines;
        }
        let delivery = json(answer, StatusCode::OK).await;
        let location = delivery["DownloadLocation"].as_str().expect("a location");
        let path = &location[location.find("/api/").expect("a path")..];
        let file = caller.get(path).await.text().await.expect("a text");
        lines.extend(file.lines().skip(1).map(str::to_owned));
        let acked = caller
            .post(&format!("/api/connector/ack/{JOB}"), delivery.to_string())
            .await;
        assert_eq!(acked.status(), StatusCode::OK);
    }
}
