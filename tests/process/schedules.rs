//! Promise 6 with real processes: three of them share a schedule of every second and are killed while it fires; each
//! occurrence runs once.

use std::time::Duration;

use chrono::{TimeDelta, Utc};

use crate::readings;
use crate::service::Service;
use crate::site::Site;
use crate::support::chance::Chance;
use crate::support::databases::{TestDatabase, rows};

const JOB: &str = "b1a0cf57-93c1-4c76-8e43-f2c7f1d2a744";
const NAMES: [&str; 3] = ["first", "second", "third"];
const SECONDS: i64 = 20;
const KILLS: u32 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_killed_while_a_schedule_fires_run_each_occurrence_once() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    let store = database.url.clone();
    let mut site = Site::on(database).await;
    // A dead worker's run is taken over after three of these.
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    readings::define(&site);
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let mut processes = Vec::new();
    for name in NAMES {
        processes.push(Some(site.start(name).await));
    }
    // It begins when all of them have read it, and is over after `SECONDS`.
    let begins = Utc::now() + TimeDelta::seconds(4);
    let (start, end) = (begins.timestamp(), begins.timestamp() + SECONDS);
    site.write("jobs/every-second.toml", &every_second(start, end));
    processes.iter().flatten().for_each(Service::reload);

    let pause = Duration::from_secs(SECONDS.unsigned_abs()) / (KILLS + 1);
    tokio::time::sleep(Duration::from_secs(4)).await;
    for _ in 0..KILLS {
        tokio::time::sleep(chance.up_to(pause)).await;
        let killed = running(&store, &processes).await;
        processes[killed].take().expect("it runs").kill9();
        processes[killed] = Some(site.start(NAMES[killed]).await);
    }

    let due: Vec<i64> = (start..=end).collect();
    for _ in 0..600 {
        let done = rows(&store, "select 1::text from occurrences where state = 'done'").await;
        if done.len() == due.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for process in processes.into_iter().flatten() {
        assert!(process.stop().await.success());
    }
    let seen = rows(
        &store,
        "select (due_at / 1000000)::text, state, (message is not null)::text from occurrences order by due_at",
    )
    .await;
    let seen: Vec<String> = seen
        .into_iter()
        .map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" "))
        .collect();
    let wanted: Vec<String> = due.iter().map(|second| format!("{second} done true")).collect();
    assert_eq!(seen, wanted, "each once, none left out");
    let messages = rows(
        &store,
        &format!("select count(*)::text from messages where job = '{JOB}'"),
    )
    .await;
    assert_eq!(messages[0][0], Some(due.len().to_string()), "one message each");
    let taken_over = rows(&store, "select 1::text from occurrences where epoch > 1").await;
    assert!(!taken_over.is_empty(), "no kill met a run");
}

/// Which process has a run under way.
async fn running(store: &str, processes: &[Option<Service>]) -> usize {
    loop {
        let owners = rows(store, "select owner from occurrences where state = 'running'").await;
        // An owner's name ends with its port, and so does its address.
        let port = |text: &str| text.rsplit(['/', ':']).next().map(str::to_owned);
        let owner = owners.first().and_then(|row| port(row[0].as_deref()?));
        let has_it = |service: &Option<Service>| service.as_ref().and_then(|service| port(&service.base)) == owner;
        match processes.iter().position(has_it) {
            Some(at) if owner.is_some() => return at,
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

fn every_second(start: i64, end: i64) -> String {
    let at = |second: i64| {
        chrono::DateTime::from_timestamp(second, 0)
            .expect("a time")
            .to_rfc3339()
    };
    format!(
        r#"
id = "{JOB}"
name = "Readings every second"
direction = "export"
data_source = "file"
clients = ["tester"]
[schedule]
every = "1s"
start = "{}"
end = "{}"
missed = "all"
overlap = "queue"
queue_max = 1000
[export]
format = "csv"
[[export.entities]]
entity = "Meter readings"
# Long enough to be killed in.
filter = "(select count(*) from (select pg_sleep(0.4)) as slept) > 0"
"#,
        at(start),
        at(end)
    )
}
