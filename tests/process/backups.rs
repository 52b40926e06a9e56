//! `tranship backup` and `restore`: a disaster after a backup loses nothing that was acknowledged before it, and nothing that happened
//! since happens twice.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::readings::{self, Readings};
use crate::site::{Credentials, Site};
use crate::support::databases::{TestDatabase, rows};
use crate::wire::{self, Caller, Message};

on_both_databases!(
    a_disaster_loses_nothing_acknowledged_before_the_backup,
    what_ended_after_the_backup_lands_nothing_again,
    a_backup_that_is_not_whole_restores_nothing,
    what_is_lost_can_be_accepted,
);

const RELAY: &str = "b1c0a8f2-3d52-4f0b-8a3e-6f1d2b7c9e01";
const RELAY_FILE: &str = r#"
id = "b1c0a8f2-3d52-4f0b-8a3e-6f1d2b7c9e01"
name = "Relay"
direction = "relay"
data_source = "file"
clients = ["tester"]
[queue]
lease_seconds = 2
"#;
/// Past `queue.inline_max_bytes`.
const LARGE_BYTES: usize = 200 * 1024;

async fn site(store: TestDatabase) -> (Site, Credentials) {
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    site.set("TRANSHIP_IMPORT__CHUNK_RECORDS", "10");
    site.write("jobs/relay.toml", RELAY_FILE);
    readings::define(&site);
    let tester = site.add_client("tester", "operator");
    (site, tester)
}

/// The same definitions and business tables, and everything that was Tranship's own lost. The databases live as long as this.
async fn lose_everything(site: &mut Site, on_postgres: bool) -> TestDatabase {
    let store = if on_postgres {
        TestDatabase::postgres()
            .await
            .expect("the cluster that gave one database")
    } else {
        TestDatabase::sqlite()
    };
    site.set("TRANSHIP_STORE__URL", &store.url);
    site.set(
        "TRANSHIP_BLOBS__URL",
        &format!("file://{}/other-blobs", site.path("").display()),
    );
    store
}

/// A payload that tells which one it is.
fn payload(number: usize) -> Vec<u8> {
    let mut payload = format!("payload {number};").into_bytes();
    if number.is_multiple_of(3) {
        payload.resize(LARGE_BYTES + number, b'x');
    }
    payload
}

async fn enqueue(caller: &Caller, number: usize) -> String {
    let answer = caller
        .post(&format!("/api/v1/jobs/{RELAY}/messages"), payload(number))
        .await;
    let body = wire::json(answer, StatusCode::CREATED).await;
    body["id"].as_str().expect("an id").to_owned()
}

async fn lease(caller: &Caller) -> Option<Value> {
    let asked = json!({ "payload": "none" }).to_string();
    let answer = caller.post(&format!("/api/v1/jobs/{RELAY}/leases"), asked).await;
    wire::json(answer, StatusCode::OK).await["leases"].get(0).cloned()
}

/// Leases, reads and acknowledges until nothing is left: ids in their order.
async fn drain(caller: &Caller, many: usize) -> Vec<(String, Vec<u8>)> {
    let mut drained = Vec::new();
    while drained.len() < many {
        let Some(lease) = lease(caller).await else {
            // What was leased in the backup comes back when that lease is over.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let id = lease["id"].as_str().expect("an id").to_owned();
        let read = caller.get(&format!("/api/v1/messages/{id}/payload")).await;
        let bytes = read.bytes().await.expect("bytes").to_vec();
        let receipt = lease["receipt"].as_str().expect("a receipt");
        assert_eq!(ack(caller, receipt).await, StatusCode::OK);
        drained.push((id, bytes));
    }
    assert!(lease(caller).await.is_none(), "nothing else");
    drained
}

async fn ack(caller: &Caller, receipt: &str) -> StatusCode {
    let receipt = wire::in_path(receipt);
    caller
        .post(&format!("/api/v1/leases/{receipt}/ack"), "{}")
        .await
        .status()
}

async fn a_disaster_loses_nothing_acknowledged_before_the_backup(store: TestDatabase) {
    let on_postgres = store.url.starts_with("postgres");
    let (mut site, tester) = site(store).await;
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let file = Readings { first: 0, count: 700 };
    let imported = caller.push(readings::JOB, readings::ENTITY, file.file()).await;
    file.assert_counted(&caller.ended(&imported).await);
    let mut before = Vec::new();
    for number in 0..30 {
        before.push(enqueue(&caller, number).await);
    }
    let held = lease(&caller).await.expect("the first");
    assert_eq!(held["id"], before[0].as_str());

    // Clients go on while it is backed up.
    let mut backup = site.command(&["backup", "backup", "--json"]);
    let taken = tokio::task::spawn_blocking(move || backup.output().expect("it runs"));
    let mut during = Vec::new();
    for number in 30.. {
        during.push(enqueue(&caller, number).await);
        if taken.is_finished() {
            break;
        }
    }
    let manifest = printed(&taken.await.expect("it ends"));
    assert!(manifest["blobs"]["count"].as_u64() >= Some(10), "{manifest:#}");
    service.kill9();

    let other = lose_everything(&mut site, on_postgres).await;
    let checked = site.run(&["restore", "backup", "--check"]);
    assert!(String::from_utf8_lossy(&checked.stdout).contains("every digest is right"));
    site.run(&["restore", "backup"]);
    // The audit log goes on where it was.
    site.run(&["audit", "verify"]);
    let service = site.start("after").await;
    let caller = Caller::new(&service, &tester).await;
    file.assert_counted(&caller.message(&imported).await);
    let last = enqueue(&caller, 1_000).await;
    if on_postgres {
        let newest = "select cast(message as text) from queue order by seq desc limit 1";
        let newest = rows(&other.url, newest).await;
        assert_eq!(newest, [[Some(last.clone())]], "no number is given twice");
    }
    let receipt = held["receipt"].as_str().expect("a receipt");
    assert_ne!(ack(&caller, receipt).await, StatusCode::OK, "a lease of another life");

    let waiting = caller.get(&format!("/api/v1/jobs/{RELAY}")).await;
    let waiting = wire::json(waiting, StatusCode::OK).await;
    let many = ["waiting", "leased"].map(|state| waiting["queue"][state].as_u64().expect("a count"));
    let many = usize::try_from(many[0] + many[1]).expect("few");
    assert!(many > before.len(), "{waiting:#}");
    let drained = drain(&caller, many).await;
    let mut all = before;
    all.extend(during);
    for (id, bytes) in &drained {
        let number = all.iter().position(|known| known == id);
        let number = number.unwrap_or_else(|| {
            assert_eq!(*id, last);
            1_000
        });
        assert!(*bytes == payload(number), "the bytes of message {number}");
    }
    // In the order they came in, from the first one on and without a gap, and what came after the restore comes last. The one
    // that was leased may come later than its turn.
    let turn = |id: &String| all.iter().position(|known| known == id).unwrap_or(usize::MAX);
    let mut turns: Vec<usize> = drained
        .iter()
        .map(|(id, _)| turn(id))
        .filter(|turn| *turn > 0)
        .collect();
    assert_eq!(turns.pop(), Some(usize::MAX));
    assert!(turns.iter().copied().eq(1..many - 1), "{turns:?}");
    assert!(service.stop().await.success());
    drop(other);
}

async fn what_ended_after_the_backup_lands_nothing_again(store: TestDatabase) {
    let on_postgres = store.url.starts_with("postgres");
    let (mut site, tester) = site(store).await;
    let first = Readings { first: 0, count: 10 };
    let file = Readings {
        first: 1_000,
        count: 4_000,
    };
    let mut service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let id = caller.push(readings::JOB, readings::ENTITY, first.file()).await;
    first.assert_counted(&caller.ended(&id).await);
    readings::watch_target(&site).await;
    pause(&caller, true).await;
    let id = caller.push(readings::JOB, readings::ENTITY, file.file()).await;
    site.run(&["backup", "backup"]);
    pause(&caller, false).await;

    // Taken, lost and taken again: the business database has seen several leases of it when it ends.
    for attempt in 1..=3 {
        let caller = Caller::new(&service, &tester).await;
        let taken = |m: &Message| m.is_final() || m.attempt() >= attempt && m.status() == "Processing";
        caller.wait_for(&id, Duration::from_mins(2), taken).await;
        service.kill9();
        service = site.start("data").await;
    }
    let ended = Caller::new(&service, &tester).await.ended(&id).await;
    file.assert_counted(&ended);
    assert!(ended.attempt() > 2, "{}", ended.0);
    let landings = readings::landings(&site).await;
    service.kill9();

    let other = lose_everything(&mut site, on_postgres).await;
    site.run(&["restore", "backup"]);
    let service = site.start("after").await;
    let caller = Caller::new(&service, &tester).await;
    assert_eq!(caller.message(&id).await.status(), "Enqueued");
    pause(&caller, false).await;
    let ended = caller.ended(&id).await;
    file.assert_counted(&ended);
    // A fence that had seen later leases than these would have turned the first ones away.
    assert_eq!(ended.attempt(), 1, "{}", ended.0);
    assert_eq!(readings::landings(&site).await, landings, "every record landed once");
    readings::assert_landed(&site, &[first, file]).await;
    assert!(service.stop().await.success());
    drop(other);
}

async fn a_backup_that_is_not_whole_restores_nothing(store: TestDatabase) {
    let on_postgres = store.url.starts_with("postgres");
    let (mut site, tester) = site(store).await;
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    enqueue(&caller, 0).await;
    site.run(&["backup", "backup"]);
    assert!(
        said(&site, &["backup", "backup"]).contains("not empty"),
        "nothing is written over"
    );
    assert!(service.stop().await.success());
    assert!(
        said(&site, &["restore", "backup"]).contains("already"),
        "there is a store"
    );

    let other = lose_everything(&mut site, on_postgres).await;
    let whole = std::fs::read_to_string(site.path("backup/backup.json")).expect("a manifest");
    std::fs::remove_file(site.path("backup/backup.json")).expect("it is removed");
    assert!(said(&site, &["restore", "backup"]).contains("did not come to its end"));
    site.write("backup/backup.json", &whole.replace("\"format\": 1", "\"format\": 2"));
    assert!(said(&site, &["restore", "backup"]).contains("this version reads 1"));
    let newer = regex::Regex::new("\"schema\": [0-9]+").expect("a pattern");
    site.write("backup/backup.json", &newer.replace(&whole, "\"schema\": 999"));
    assert!(said(&site, &["restore", "backup", "--check"]).contains("use a newer one"));
    site.write("backup/backup.json", &whole);

    let blob = the_one_file(&site.path("backup/blobs/payloads"));
    let bytes = std::fs::read(&blob).expect("a blob");
    let mut flipped = bytes.clone();
    flipped[100] ^= 1;
    std::fs::write(&blob, &flipped).expect("it is written");
    assert!(said(&site, &["restore", "backup", "--check"]).contains("missing or damaged"));
    assert!(said(&site, &["restore", "backup"]).contains("1 of 1 blobs are whole neither in the backup nor"));
    std::fs::write(&blob, &bytes).expect("it is written");

    let list = site.path("backup/blobs.jsonl");
    let listed = std::fs::read_to_string(&list).expect("a list");
    std::fs::write(&list, "").expect("it is written");
    assert!(said(&site, &["restore", "backup"]).contains("blobs.jsonl is damaged"));
    std::fs::write(&list, listed).expect("it is written");

    // After all of that there is no store, and the whole backup is restored.
    site.run(&["restore", "backup"]);
    let service = site.start("after").await;
    let caller = Caller::new(&service, &tester).await;
    let drained = drain(&caller, 1).await;
    assert!(drained[0].1 == payload(0));
    assert!(service.stop().await.success());
    drop(other);
}

/// The last copy of a payload is gone: everything else is restored, and its message says so.
async fn what_is_lost_can_be_accepted(store: TestDatabase) {
    let on_postgres = store.url.starts_with("postgres");
    let (mut site, tester) = site(store).await;
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let lost = enqueue(&caller, 0).await;
    let kept = enqueue(&caller, 1).await;
    site.run(&["backup", "backup"]);
    let listed = site.run(&["backup", "listed", "--without-blobs"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("listed only"));
    assert!(service.stop().await.success());
    let mode = std::fs::metadata(site.path("backup"))
        .expect("a folder")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else looks into it");

    let other = lose_everything(&mut site, on_postgres).await;
    let checked = site.run(&["restore", "listed", "--check"]);
    assert!(String::from_utf8_lossy(&checked.stdout).contains("were not looked at"));
    assert!(said(&site, &["restore", "listed"]).contains("1 of 1 blobs"));
    std::fs::remove_file(the_one_file(&site.path("backup/blobs/payloads"))).expect("it is removed");
    assert!(said(&site, &["restore", "backup"]).contains("1 of 1 blobs"));
    site.run(&["restore", "backup", "--accept-lost"]);
    let service = site.start("after").await;
    let caller = Caller::new(&service, &tester).await;
    let payload_of = async |id: &str| caller.get(&format!("/api/v1/messages/{id}/payload")).await;
    assert!(!payload_of(&lost).await.status().is_success());
    let bytes = payload_of(&kept).await.bytes().await.expect("bytes");
    assert!(bytes == payload(1));
    assert!(service.stop().await.success());
    drop(other);
}

#[tokio::test]
async fn a_backup_of_nothing_leaves_nothing() {
    let site = Site::on(TestDatabase::sqlite()).await;
    assert!(said(&site, &["backup", "a/b"]).contains("there is no store at sqlite:"));
    assert!(!site.path("a/b").exists());
    site.add_client("tester", "operator");
    let mode = std::fs::metadata(site.path("data"))
        .expect("the data folder")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else looks into it");
}

async fn pause(caller: &Caller, paused: bool) {
    let what = if paused { "pause" } else { "resume" };
    let answer = caller
        .post(&format!("/api/v1/jobs/{}/{what}", readings::JOB), "{}")
        .await;
    assert!(
        answer.status().is_success(),
        "{what}: {}",
        answer.text().await.expect("a text")
    );
}

/// What a command that must fail says.
fn said(site: &Site, arguments: &[&str]) -> String {
    let output = site.command(arguments).output().expect("it runs");
    assert!(!output.status.success(), "{arguments:?} ended well");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn printed(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn the_one_file(folder: &std::path::Path) -> std::path::PathBuf {
    let mut entries = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    let first = entries.next().expect("something in it");
    if first.is_dir() { the_one_file(&first) } else { first }
}
