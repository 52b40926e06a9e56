//! Promise 6 with real processes: three of them share a schedule of every second and are killed while it fires; each
//! occurrence runs once. And what an operator types about schedules.

use std::time::Duration;

use chrono::{TimeDelta, Utc};

use crate::readings;
use crate::service::Service;
use crate::site::{Credentials, Site};
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

/// `tranship jobs ARGUMENTS`, as the client types it: its exit code, and what it prints and says.
fn jobs(site: &Site, service: &Service, client: &Credentials, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = site.command(&[&["jobs"], arguments].concat());
    command
        .env("TRANSHIP_URL", &service.base)
        .env("TRANSHIP_CLIENT_ID", &client.id)
        .env("TRANSHIP_CLIENT_SECRET", &client.secret);
    let output = command.output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_previews_pauses_runs_and_makes_up_for_the_past() {
    let site = Site::on(TestDatabase::sqlite()).await;
    readings::define(&site);
    let job = every_second(0, 0).replace(
        "every = \"1s\"",
        "cron = \"30 2 29 3 *\"\ntime_zone = \"Europe/Berlin\"",
    );
    let job: Vec<&str> = job
        .lines()
        .filter(|line| !["start", "end", "filter"].iter().any(|key| line.starts_with(key)))
        .collect();
    site.write("jobs/yearly.toml", &job.join("\n"));
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let type_in = |arguments: &[&str]| jobs(&site, &service, &tester, arguments);
    let name = "Readings every second";

    let (code, printed, _) = type_in(&["next", name, "--from", "2026-01-01", "--limit", "2"]);
    assert_eq!(
        (code, printed.as_str()),
        (
            Some(0),
            "2026-03-29T01:00:00Z  2026-03-29T03:00:00+02:00  the clock skips 02:30:00: it runs at the first valid instant after it\n\
             2027-03-29T00:30:00Z  2027-03-29T02:30:00+02:00\n"
        )
    );
    assert_eq!(type_in(&["pause", name, "--note", "stocktaking"]).1, "paused\n");
    let (_, shown, _) = type_in(&["show", name]);
    assert!(shown.contains("by tester: stocktaking"), "{shown}");
    let (code, _, said) = type_in(&["run", name]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("is paused since") && said.contains("(stocktaking)"),
        "{said}"
    );
    let (code, printed, said) = type_in(&["run", name, "--force", "--wait", "--note", "the auditor waits"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(printed.starts_with("done, 0 records\n"), "{printed}");
    assert!(type_in(&["show", name]).1.contains("the auditor waits"));
    assert_eq!(type_in(&["resume", name, "--missed", "skip"]).1, "resumed\n");

    let past = [
        "backfill",
        name,
        "--from",
        "2020-01-01",
        "--to",
        "2025-12-31",
        "--limit",
        "4",
    ];
    let (code, planned, said) = type_in(&[&past[..], &["--dry-run"]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        planned,
        "2020-03-29T01:00:00Z\n2021-03-29T00:30:00Z\n2022-03-29T00:30:00Z\n2023-03-29T00:30:00Z\n"
    );
    assert!(
        said.contains("4 due times would run.") && said.contains("--from 2024-03-29T01:30:00Z"),
        "{said}"
    );
    assert_eq!(type_in(&past).1, planned);
    let (_, again, said) = type_in(&past);
    assert_eq!(again, "2024-03-29T01:30:00Z\n2025-03-29T01:30:00Z\n");
    assert!(said.contains("4 due times recorded before."), "{said}");
    assert!(service.stop().await.success());
}
