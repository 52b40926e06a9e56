//! `tranship doctor` tells what is wrong with real databases, disks and files, beside a running service and without one.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::on_both_databases;
use crate::readings::{self, Readings};
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::wire::{Caller, Message};

/// Nobody listens there.
const NOBODY: &str = "postgres://somebody:s3cret@127.0.0.1:1/tranship";

on_both_databases!(
    a_service_at_work_is_found_sound_and_is_not_disturbed,
    leases_of_a_killed_service_that_nobody_takes_over_are_named,
);

/// What the doctor said.
struct Examined {
    exit: i32,
    answer: Value,
}

impl Examined {
    fn by(site: &Site, arguments: &[&str]) -> Self {
        let output = site
            .command(&[&["doctor", "--json"], arguments].concat())
            .output()
            .expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let answer = serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr)));
        Self {
            exit: output.status.code().expect("it ends by itself"),
            answer,
        }
    }

    fn checks(&self) -> &Vec<Value> {
        self.answer["checks"].as_array().expect("a list of checks")
    }

    /// The worst finding of this name.
    #[track_caller]
    fn check(&self, name: &str) -> &Value {
        let findings = self.checks().iter().filter(|finding| finding["check"] == name);
        let rank = |finding: &&Value| ["ok", "warn", "bad"].iter().position(|v| finding["verdict"] == *v);
        findings
            .max_by_key(rank)
            .unwrap_or_else(|| panic!("{name} is not in {}", self.answer))
    }

    /// The worst finding of this name has this verdict and all these words in it.
    #[track_caller]
    fn assert_found(&self, name: &str, verdict: &str, words: &[&str]) {
        let finding = self.check(name);
        assert_eq!(finding["verdict"], verdict, "{finding}");
        assert_eq!(
            finding["do"].is_null(),
            verdict == "ok",
            "advice where it is needed: {finding}"
        );
        for word in words {
            assert!(finding.to_string().contains(word), "{word:?} in {finding}");
        }
    }
}

async fn a_service_at_work_is_found_sound_and_is_not_disturbed(store: TestDatabase) {
    let is_postgres = store.url.starts_with("postgres");
    let site = Site::on(store).await;
    readings::define(&site);
    let tester = site.add_client("tester", "client");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let file = Readings { first: 1, count: 5_000 };
    let id = caller.push(readings::JOB, readings::ENTITY, file.file()).await;
    let before = files_below(site.path("").as_path());

    let examined = Examined::by(&site, &["--data-dir", "data", "--deep"]);
    let sound = [
        "settings",
        "definitions",
        "databases",
        "tables",
        "store",
        "durability",
        "write_ahead_log",
        "leases",
        "blobs",
        "damage",
        "wall_clock",
    ];
    for check in sound {
        examined.assert_found(check, "ok", &[]);
    }
    let of_the_server = ["vacuum_horizon", "dead_rows", "blob_folder", "server_clock"];
    for check in of_the_server {
        let is_there = examined.checks().iter().any(|finding| finding["check"] == check);
        assert_eq!(is_there, is_postgres, "{check} in {}", examined.answer);
    }
    assert!(examined.check("disk_sync")["measured"]["median_microseconds"].is_u64());
    assert!(examined.check("disk_space")["measured"]["free_bytes"].is_u64());
    assert_eq!(examined.exit, 0, "{}", examined.answer);
    assert_documented(&examined);
    assert_eq!(files_below(site.path("").as_path()), before, "nothing is left behind");

    file.assert_counted(&caller.ended(&id).await);
    assert!(service.stop().await.success());
}

/// Every check has a line in the manual.
fn assert_documented(examined: &Examined) {
    let manual = include_str!("../../docs/cli.md");
    for finding in examined.checks() {
        let name = finding["check"].as_str().expect("a name");
        assert!(
            manual.contains(&format!("| `{name}` |")),
            "{name} is not in docs/cli.md"
        );
    }
}

/// Files in a folder, without the ones a service makes and removes as it works.
fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.display().to_string();
        if name.ends_with("/payloads") {
            continue;
        }
        if path.is_dir() {
            found.extend(files_below(&path));
        }
        found.push(name);
    }
    found.sort();
    found
}

async fn leases_of_a_killed_service_that_nobody_takes_over_are_named(store: TestDatabase) {
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    site.set("TRANSHIP_IMPORT__CHUNK_RECORDS", "20");
    readings::define(&site);
    let tester = site.add_client("tester", "client");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let file = Readings {
        first: 1,
        count: 20_000,
    };
    let id = caller.push(readings::JOB, readings::ENTITY, file.file()).await;
    let working = |m: &Message| m.is_final() || m.status() == "Processing";
    let taken = caller.wait_for(&id, Duration::from_mins(1), working).await;
    assert!(
        !taken.is_final(),
        "it ended before it could be killed: make the chunks smaller"
    );
    service.kill9();

    // The lease of three seconds ends, and three more pass without anybody who takes it over.
    tokio::time::sleep(Duration::from_secs(7)).await;
    let examined = Examined::by(&site, &[]);
    examined.assert_found("leases", "warn", &["1 lease of dead workers", "Start the service"]);
    assert_eq!(examined.exit, 0, "a warning fails nothing: {}", examined.answer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_held_open_is_named_with_its_pid_and_its_statement() {
    let Some(store) = TestDatabase::postgres().await else {
        return;
    };
    let url = store.url.clone();
    let site = Site::on(store).await;
    // Makes the tables.
    site.add_client("tester", "client");
    Examined::by(&site, &[]).assert_found("vacuum_horizon", "ok", &["nothing holds up"]);

    let mut forgetful = PgConnection::connect(&url).await.expect("it opens");
    let (pid,): (i32,) = sqlx::query_as("select pg_backend_pid()")
        .fetch_one(&mut forgetful)
        .await
        .expect("a pid");
    sqlx::raw_sql("begin isolation level repeatable read; select count(*) from clients")
        .execute(&mut forgetful)
        .await
        .expect("a transaction");
    tokio::time::sleep(Duration::from_millis(10_500)).await;
    let examined = Examined::by(&site, &[]);
    let (named, ended) = (format!("pid {pid}"), format!("pg_terminate_backend({pid})"));
    examined.assert_found(
        "vacuum_horizon",
        "warn",
        &[&named, "idle in transaction", "select count(*) from clients", &ended],
    );
    assert_eq!(examined.check("vacuum_horizon")["measured"]["held_by"][0]["pid"], pid);

    forgetful.close().await.expect("it closes");
    Examined::by(&site, &[]).assert_found("vacuum_horizon", "ok", &["nothing holds up"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_folder_of_blobs_than_the_stores_is_bad() {
    let Some(store) = TestDatabase::postgres().await else {
        return;
    };
    let mut site = Site::on(store).await;
    let service = site.start("data").await;
    Examined::by(&site, &[]).assert_found("blob_folder", "ok", &["the store knows"]);
    assert!(service.stop().await.success());

    site.set(
        "TRANSHIP_BLOBS__URL",
        &format!("file://{}", site.path("elsewhere").display()),
    );
    let examined = Examined::by(&site, &[]);
    examined.assert_found("blob_folder", "bad", &["elsewhere", "carries no id"]);
    assert_eq!(examined.exit, 1);
    assert!(!site.path("elsewhere").exists(), "the doctor makes nothing");
}

#[test]
fn before_the_first_start_all_is_well_and_nothing_is_made() {
    let site = Site::empty();
    let examined = Examined::by(&site, &[]);
    examined.assert_found("store", "ok", &["not there yet"]);
    examined.assert_found("databases", "ok", &["not there yet"]);
    assert_eq!(examined.exit, 0, "{}", examined.answer);
    assert!(crate::site::is_empty(&site.path("")));
}

#[test]
fn databases_that_do_not_answer_are_findings_and_the_rest_is_looked_at() {
    let mut site = Site::empty();
    readings::define(&site);
    site.set("TRANSHIP_STORE__URL", NOBODY);
    site.set("TRANSHIP_DATABASES__MAIN__URL", NOBODY);
    let examined = Examined::by(&site, &[]);
    examined.assert_found("store", "bad", &["refused", "store.url"]);
    examined.assert_found("databases", "bad", &["refused", "databases.main.url"]);
    examined.assert_found(
        "disk_space",
        examined.check("disk_space")["verdict"].as_str().expect("a word"),
        &[],
    );
    examined.assert_found("wall_clock", "ok", &[]);
    assert_eq!((examined.exit, &examined.answer["verdict"]), (1, &"bad".into()));
    assert!(!examined.answer.to_string().contains("s3cret"), "{}", examined.answer);
}

#[test]
fn every_mistake_in_settings_or_definitions_is_a_finding() {
    let mut site = Site::empty();
    readings::define(&site);
    site.write("jobs/broken.toml", "name = \"Broken\"\ndirection = \"sideways\"\n");
    let examined = Examined::by(&site, &[]);
    examined.assert_found("definitions", "bad", &["broken.toml"]);
    examined.assert_found("store", "ok", &[]);
    assert_eq!(examined.exit, 2);

    site.set("TRANSHIP_QUEUE__LEASE_SECONDS", "soon");
    site.set("TRANSHIP_WORKER__CONCURRENCY", "0");
    let examined = Examined::by(&site, &[]);
    examined.assert_found("settings", "bad", &["TRANSHIP_"]);
    assert_eq!((examined.exit, examined.checks().len()), (2, 2), "{}", examined.answer);
}

#[test]
fn a_damaged_store_is_found_when_it_is_read_through() {
    let site = Site::empty();
    site.add_client("tester", "client");
    let file = site.path("data/tranship.db");
    let before = files_below(&site.path("data"));
    let examined = Examined::by(&site, &["--deep"]);
    examined.assert_found("damage", "ok", &["sound"]);
    examined.assert_found("durability", "ok", &["journal_mode = wal"]);
    assert_eq!(files_below(&site.path("data")), before, "nothing is left behind");

    let mut bytes = std::fs::read(&file).expect("the store");
    let (page, pages) = (4096, bytes.len() / 4096);
    assert!(pages > 8, "{pages} pages");
    // The headers of the pages behind the first few.
    for number in 4..pages {
        bytes[number * page] = 0xee;
    }
    std::fs::write(&file, bytes).expect("the store is written");
    let examined = Examined::by(&site, &["--deep"]);
    examined.assert_found("damage", "bad", &["restore a backup"]);
    assert_eq!(examined.exit, 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_data_folder_in_memory_is_named_as_such() {
    let folder = tempfile::tempdir_in("/dev/shm").expect("Linux keeps /dev/shm in memory");
    let site = Site::empty();
    let examined = Examined::by(&site, &["--data-dir", &folder.path().display().to_string()]);
    examined.assert_found("disk_sync", "warn", &["tmpfs", "in memory"]);
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("lists").count(),
        0,
        "nothing is left behind"
    );
}

#[test]
fn a_person_reads_one_line_for_each_check_and_what_it_comes_to() {
    let mut site = Site::empty();
    site.set("TRANSHIP_STORE__URL", NOBODY);
    let output = site.command(&["doctor"]).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("bad   store           postgres://somebody:***@127.0.0.1:1"),
        "{said}"
    );
    assert!(
        said.contains("\n                      Start it, or correct store.url."),
        "{said}"
    );
    assert!(
        said.lines().last().is_some_and(|line| line.starts_with("1 bad")),
        "{said}"
    );
}
