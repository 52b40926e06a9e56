//! Processes know of each other, and what each of them counted adds up.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use crate::readings::{self, Readings};
use crate::site::Site;
use crate::support::databases::{TestDatabase, rows, run};
use crate::wire::{Caller, json};

async fn processes(caller: &Caller) -> Vec<(String, String)> {
    let body = json(caller.get("/api/v1/processes").await, StatusCode::OK).await;
    let processes = body["processes"].as_array().expect("a list").iter();
    let text = |process: &Value, member: &str| process[member].as_str().expect("a text").to_owned();
    processes
        .map(|process| (text(process, "listener"), text(process, "state")))
        .collect()
}

/// Asks until there are so many processes, all idle.
async fn all_idle(caller: &Caller, count: usize) -> Vec<(String, String)> {
    let begun = Instant::now();
    loop {
        let known = processes(caller).await;
        if known.len() == count && known.iter().all(|(_, state)| state == "idle") {
            return known;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{known:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Asks until this many messages have come in and ended.
async fn counted(caller: &Caller, messages: u64) -> Value {
    let begun = Instant::now();
    loop {
        let rates = json(caller.get("/api/v1/rates").await, StatusCode::OK).await;
        if rates["total"]["enqueued"] == messages && rates["total"]["ended"] == messages {
            return rates;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", rates["total"]);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn file(index: u64) -> Readings {
    Readings {
        first: index * 10,
        count: 10,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_on_one_store_know_of_each_other_and_count_together() {
    let Some(store) = TestDatabase::postgres().await else {
        return;
    };
    let url = store.url.clone();
    let site = Site::on(store).await;
    readings::define(&site);
    let tester = site.add_client("tester", "operator");
    let (first, second) = tokio::join!(site.start("first"), site.start("second"));
    let (here, there) = (Caller::new(&first, &tester).await, Caller::new(&second, &tester).await);
    let known = all_idle(&here, 2).await;
    assert_eq!(known, all_idle(&there, 2).await);

    for index in 0..5 {
        let caller = if index % 2 == 0 { &here } else { &there };
        let id = caller.push(readings::JOB, readings::ENTITY, file(index).file()).await;
        here.ended(&id).await;
    }
    let rates = counted(&here, 5).await;
    assert_eq!(rates["total"], counted(&there, 5).await["total"]);

    // One that stops in order is not missed, and takes nothing of its share along.
    let id = there.push(readings::JOB, readings::ENTITY, file(6).file()).await;
    here.ended(&id).await;
    assert!(second.stop().await.success());
    assert_eq!(processes(&here).await.len(), 1);
    counted(&here, 6).await;

    // One that is killed is.
    let second = site.start("second").await;
    all_idle(&here, 2).await;
    second.kill9();
    let address = first.base.trim_start_matches("http://").to_owned();
    let age = format!("update processes set seen_at = seen_at - 40000000 where listener <> '{address}'");
    run(&url, &age).await;
    let gone: Vec<_> = processes(&here)
        .await
        .into_iter()
        .filter(|(_, state)| state == "gone")
        .collect();
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert!(gone[0].0 != address, "{gone:?}");
    assert!(first.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_process_of_a_sqlite_store_writes_no_beats_and_loses_no_counts_when_it_stops() {
    let site = Site::empty();
    readings::define(&site);
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let id = caller.push(readings::JOB, readings::ENTITY, file(1).file()).await;
    caller.ended(&id).await;
    assert_eq!(processes(&caller).await.len(), 1);
    assert!(service.stop().await.success());

    let store = format!("sqlite://{}/tranship.db", site.data_dir("data").display());
    let beats = rows(&store, "select cast(count(*) as text) from processes").await;
    assert_eq!(beats[0][0].as_deref(), Some("0"));
    let service = site.start("data").await;
    counted(&Caller::new(&service, &tester).await, 1).await;
    assert!(service.stop().await.success());
}
