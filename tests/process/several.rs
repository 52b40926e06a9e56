//! Several processes on one store: each message processed once, each occurrence run once; and on SQLite only one owner.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::StatusCode;

use crate::readings::{self, Readings};
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::TestDatabase;
use crate::wire::{Caller, json};

const MESSAGES: u64 = 40;
const RECORDS: u64 = 25;
/// Runs asked for at each of the two processes.
const RUNS: usize = 5;

const EXPORT_JOB: &str = "6a3ff0a6-2d0e-4d2b-bb0c-0e6b0c9f8d22";
const TICKING_JOB: &str = "b1a0cf57-93c1-4c76-8e43-f2c7f1d2a733";

/// Two processes on one PostgreSQL store with an import job and two exports of the imported table: one only on request, one
/// every two seconds.
async fn two_processes() -> Option<(Site, Service, Service, Credentials)> {
    let site = Site::on(TestDatabase::postgres().await?).await;
    readings::define(&site);
    site.write(
        "jobs/export-on-request.toml",
        &export_job(EXPORT_JOB, "Readings on request", ""),
    );
    let every_two_seconds = "[schedule]\ncron = \"*/2 * * * * *\"\ntime_zone = \"Europe/Berlin\"\nmissed = \"skip\"\n";
    site.write(
        "jobs/export-ticking.toml",
        &export_job(TICKING_JOB, "Readings every two seconds", every_two_seconds),
    );
    let tester = site.add_client("tester", "operator");
    let (first, second) = tokio::join!(site.start("first"), site.start("second"));
    Some((site, first, second, tester))
}

fn export_job(id: &str, name: &str, schedule: &str) -> String {
    format!(
        r#"
id = "{id}"
name = "{name}"
direction = "export"
data_source = "package"
clients = ["tester"]
{schedule}
[export]
format = "csv"
prevent_upload_when_zero_records = false
[[export.entities]]
entity = "Meter readings"
"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_process_each_message_once() {
    let Some((site, first, second, tester)) = two_processes().await else {
        return;
    };
    let (here, there) = (Caller::new(&first, &tester).await, Caller::new(&second, &tester).await);
    let seed = file(0);
    let id = here.push(readings::JOB, readings::ENTITY, seed.file()).await;
    seed.assert_counted(&there.ended(&id).await);
    readings::watch_target(&site).await;

    let mut pushed = Vec::new();
    for index in 1..=MESSAGES {
        let caller = if index % 2 == 0 { &here } else { &there };
        let id = caller.push(readings::JOB, readings::ENTITY, file(index).file()).await;
        pushed.push((file(index), id));
    }
    for (file, id) in &pushed {
        let ended = here.ended(id).await;
        file.assert_counted(&ended);
        assert_eq!(ended.attempt(), 1, "{}", ended.0);
        assert_eq!(ended.0["executions"].as_array().map(Vec::len), Some(1), "{}", ended.0);
    }
    let files: Vec<Readings> = std::iter::once(seed)
        .chain(pushed.iter().map(|(file, _)| *file))
        .collect();
    readings::assert_landed(&site, &files).await;
    assert!(first.stop().await.success());
    assert!(second.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_run_each_request_and_each_occurrence_once() {
    let Some((_site, first, second, tester)) = two_processes().await else {
        return;
    };
    let (here, there) = (Caller::new(&first, &tester).await, Caller::new(&second, &tester).await);
    for _ in 0..RUNS {
        let run = format!("/api/v1/jobs/{EXPORT_JOB}/run");
        let (one, two) = tokio::join!(here.post(&run, ""), there.post(&run, ""));
        json(one, StatusCode::ACCEPTED).await;
        json(two, StatusCode::ACCEPTED).await;
    }
    // One message for each request, in whichever process it was made.
    let mut delivered = BTreeSet::new();
    for _ in 0..600 {
        match dequeue(&here, EXPORT_JOB).await {
            Some(correlation) => assert!(delivered.insert(correlation), "handed out twice under a running lease"),
            None if delivered.len() >= 2 * RUNS => break,
            None => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    assert_eq!(delivered.len(), 2 * RUNS);

    // The schedule fires every two seconds, in both processes at the same moments. A doubled occurrence would show as more
    // messages than there were due times.
    tokio::time::sleep(Duration::from_secs(9)).await;
    let began = std::time::Instant::now();
    while dequeue(&there, TICKING_JOB).await.is_some() {}
    let drained = began.elapsed();
    tokio::time::sleep(Duration::from_secs(10).saturating_sub(drained)).await;
    let mut occurrences = 0;
    while dequeue(&there, TICKING_JOB).await.is_some() {
        occurrences += 1;
    }
    assert!(
        (3..=7).contains(&occurrences),
        "{occurrences} runs in ten seconds of a schedule of every two"
    );
    assert!(first.stop().await.success());
    assert!(second.stop().await.success());
}

/// One delivery of the connector; `None` when the queue is empty (RI-9).
async fn dequeue(caller: &Caller, job: &str) -> Option<String> {
    let answer = caller.get(&format!("/api/connector/dequeue/{job}")).await;
    if answer.status() == StatusCode::NO_CONTENT {
        return None;
    }
    let delivery = json(answer, StatusCode::OK).await;
    Some(delivery["CorrelationId"].as_str().expect("a CorrelationId").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_a_sqlite_store_refuses_to_start() {
    let site = Site::empty();
    readings::define(&site);
    let mut first = site.start("data").await;
    let address = std::fs::read_to_string(site.path("data/listening")).expect("the address");

    let output = site.serve_command("data").output().expect("the binary runs");

    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it started beside the first: {said}");
    assert!(
        said.contains("another"),
        "it says that another process has the store: {said}"
    );
    assert!(said.contains("tranship.db"), "it names the store: {said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(first.is_running());
    let still = std::fs::read_to_string(site.path("data/listening")).expect("the address");
    assert_eq!(still, address, "the first one's address stands");
    let ready = crate::wire::http()
        .get(format!("{}/health/ready", first.base))
        .send()
        .await;
    assert_eq!(ready.expect("an answer").status(), StatusCode::OK);
    assert!(first.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_with_blobs_of_its_own_refuses_to_start_and_with_the_same_ones_works() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    let mut site = Site::on(database).await;
    readings::define(&site);
    site.set("TRANSHIP_QUEUE__INLINE_MAX_BYTES", "0");
    let tester = site.add_client("tester", "operator");
    let first = site.start("first").await;
    let caller = Caller::new(&first, &tester).await;

    let elsewhere = site.path("elsewhere");
    let mut stranger = site.serve_command("stranger");
    stranger.env("TRANSHIP_BLOBS__URL", format!("file://{}", elsewhere.display()));
    let Err(said) = Service::try_start(stranger, &site.data_dir("stranger")).await else {
        panic!("it started with another folder");
    };
    assert!(
        said.contains(&elsewhere.display().to_string()),
        "it names the folder: {said}"
    );
    assert!(said.contains("shared file system"), "it says what to do: {said}");

    // Each message has a blob; either may take it.
    let second = site.start("second").await;
    for index in 0..4 {
        let id = caller.push(readings::JOB, readings::ENTITY, file(index).file()).await;
        file(index).assert_counted(&caller.ended(&id).await);
    }
    assert!(first.stop().await.success());
    let caller = Caller::new(&second, &tester).await;
    let id = caller.push(readings::JOB, readings::ENTITY, file(4).file()).await;
    file(4).assert_counted(&caller.ended(&id).await);
    assert!(second.stop().await.success());

    // A folder that is a copy may take the old one's place, as the sentence says.
    let known = std::fs::read_to_string(site.path("blobs/blobs.id")).expect("the id");
    assert!(said.contains(known.trim()), "{said}");
    std::fs::write(elsewhere.join("blobs.id"), &known).expect("written");
    site.set("TRANSHIP_BLOBS__URL", &format!("file://{}", elsewhere.display()));
    assert!(site.start("stranger").await.stop().await.success());
}

fn file(index: u64) -> Readings {
    Readings {
        first: index * RECORDS,
        count: RECORDS,
    }
}
