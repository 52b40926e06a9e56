//! The machine's clock is set while the service runs: back by an hour, because it was an hour ahead. What goes by it may be early or late by
//! that much; what does not need to wait does not.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use crate::readings::{self, Readings};
use crate::service::Service;
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::support::preloaded::clock::SteppedClock;
use crate::wire::{Caller, Message, json};

const HOUR_MICROS: i64 = 3_600_000_000;
/// How long a process goes by a clock that is ahead.
const AHEAD: Duration = Duration::from_secs(3);
/// Longer than anything here takes that does not wait for a clock.
const PATIENCE: Duration = Duration::from_mins(1);

const BEFORE: &str = "b1a0cf57-93c1-4c76-8e43-f2c7f1d2a755";
const AFTER: &str = "b1a0cf57-93c1-4c76-8e43-f2c7f1d2a766";

fn every_second(id: &str) -> String {
    format!(
        r#"
id = "{id}"
name = "Readings every second {id}"
direction = "export"
data_source = "file"
clients = ["tester"]
[schedule]
every = "1s"
[export]
format = "csv"
[[export.entities]]
entity = "Meter readings"
"#
    )
}

/// The only process of its store, or one of several, whose clock shows an hour too much.
async fn start_ahead(site: &Site, name: &str) -> (SteppedClock, Service) {
    let clock = SteppedClock::new();
    clock.set(HOUR_MICROS);
    let mut command = site.serve_command(name);
    clock.give_to(&mut command);
    let service = Service::start(command, &site.data_dir(name)).await;
    (clock, service)
}

/// The newest occurrences of a job that are done.
async fn done(caller: &Caller, job: &str) -> Vec<Value> {
    let answer = caller.get(&format!("/api/v1/jobs/{job}/occurrences?limit=100")).await;
    let body = json(answer, StatusCode::OK).await;
    let all = body["occurrences"].as_array().expect("a list").clone();
    all.into_iter().filter(|one| one["state"] == "done").collect()
}

/// Schedules are evaluated each second of the machine's life, not of its clock: one that is new fires at once, although the clock shows for
/// an hour what it has shown before. The old one does not fire again for that hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_is_new_after_the_clock_was_set_back_fires() {
    let site = Site::on(TestDatabase::sqlite()).await;
    readings::define(&site);
    site.write("jobs/before.toml", &every_second(BEFORE));
    let tester = site.add_client("tester", "operator");
    let (clock, service) = start_ahead(&site, "data").await;
    let caller = Caller::new(&service, &tester).await;
    let began = Instant::now();
    while done(&caller, BEFORE).await.is_empty() {
        assert!(began.elapsed() < PATIENCE, "nothing runs:\n{}", service.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    clock.set(0);
    site.write("jobs/after.toml", &every_second(AFTER));
    service.reload();
    // The old token is of the future.
    let caller = Caller::new(&service, &tester).await;
    let began = Instant::now();
    loop {
        let answer = caller.get(&format!("/api/v1/jobs/{AFTER}/occurrences")).await;
        if answer.status() == StatusCode::OK && !done(&caller, AFTER).await.is_empty() {
            break;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "the new schedule does not fire:\n{}",
            service.log()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let ended = done(&caller, BEFORE).await;
    let mut due: Vec<&str> = ended.iter().filter_map(|one| one["due_at"].as_str()).collect();
    let all = due.len();
    due.dedup();
    assert_eq!(due.len(), all, "a due time comes once");
    let now = chrono::Utc::now().to_rfc3339();
    assert!(
        due.iter().all(|due| *due > now.as_str()),
        "all were due by the clock that was ahead: {due:?}"
    );
    assert!(service.stop().await.success());
}

/// A worker dies; the process that lives has just had its clock set right. It takes the message over when the lease is over by the clock
/// both have now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_workers_message_is_taken_over_by_a_process_whose_clock_was_set_back() {
    let Some(store) = TestDatabase::postgres().await else {
        return;
    };
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_IMPORT__CHUNK_RECORDS", "20");
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    readings::define(&site);
    let tester = site.add_client("tester", "client");
    let (clock, heir) = start_ahead(&site, "heir").await;
    tokio::time::sleep(AHEAD).await;
    clock.set(0);
    heir.pause();

    let victim = site.start("victim").await;
    let caller = Caller::new(&victim, &tester).await;
    let small = Readings { first: 0, count: 10 };
    let id = caller.push(readings::JOB, readings::ENTITY, small.file()).await;
    small.assert_counted(&caller.ended(&id).await);
    readings::watch_target(&site).await;
    let file = Readings {
        first: 1_000,
        count: 20_000,
    };
    let id = caller.push(readings::JOB, readings::ENTITY, file.file()).await;
    let working = |m: &Message| m.is_final() || m.status() == "Processing";
    let worked = caller.wait_for(&id, Duration::from_mins(2), working).await;
    assert_eq!(worked.status(), "Processing", "it ended before its worker could die");
    victim.kill9();
    heir.resume();

    let caller = Caller::new(&heir, &tester).await;
    let ended = caller.ended(&id).await;
    file.assert_counted(&ended);
    readings::assert_landed(&site, &[small, file]).await;
    assert!(heir.stop().await.success());
}
