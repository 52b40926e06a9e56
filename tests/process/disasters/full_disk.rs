//! A disk has no room left, in the middle of everything: what was acknowledged stays, who asks is told what is the matter, and when there is
//! room again all of it goes on by itself.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::disk::Disk;
use super::outage;
use super::senders::{Senders, first_file};
use crate::on_both_databases;
use crate::package_imports;
use crate::readings::{self, Readings};
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::{TestDatabase, rows};
use crate::support::files::Data;
use crate::wire::{self, Caller, http, in_path};

on_both_databases!(
    blobs_that_have_no_room_are_refused_and_what_is_small_is_not,
    temporary_files_that_have_no_room_cost_time_and_nothing_else,
);

/// A relay: bytes in, bytes out.
pub const PARCELS: &str = "00000000-0000-4000-8000-0000000000e5";
/// How soon after an outage the service is ready again.
const BACK: Duration = Duration::from_secs(30);
/// Longest wait for a disk to fill up under the load.
const FILLS: Duration = Duration::from_mins(1);

/// A site with an import and a relay.
async fn site(store: TestDatabase) -> (Site, Credentials) {
    let mut site = Site::on(store).await;
    define(&mut site);
    let tester = site.add_client("tester", "operator");
    (site, tester)
}

/// Its definitions.
pub fn define(site: &mut Site) {
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    readings::define(site);
    site.write(
        "jobs/parcels.toml",
        &format!("id = \"{PARCELS}\"\nname = \"Parcels\"\ndirection = \"relay\"\nclients = [\"tester\"]\n"),
    );
}

/// The folder a SQLite file lies in.
pub fn folder_of(url: &str) -> PathBuf {
    let file = Path::new(url.trim_start_matches("sqlite://"));
    file.parent().expect("a folder").to_owned()
}

pub async fn start(site: &Site, disk: &Disk) -> Service {
    Service::start(disk.under(site.serve_command("data")), &site.data_dir("data")).await
}

pub async fn send_parcel(caller: &Caller, body: Vec<u8>) -> Response {
    caller.post("/api/v1/jobs/Parcels/messages", body).await
}

/// What somebody is answered who is refused while it still sends. That closes the connection, and a sender may meet its end before it has
/// read the answer: it asks again.
async fn refused_midway(caller: &Caller, path: &str, bytes: usize) -> Response {
    for _ in 0..10 {
        if let Ok(answer) = caller.try_post(path, vec![b'x'; bytes]).await {
            return answer;
        }
    }
    panic!("{path}: no answer ever comes");
}

/// Whoever is refused is told to come again, and what is the matter.
pub async fn assert_refused(answer: Response, word: &str) {
    let (status, again) = (answer.status(), answer.headers().get("retry-after").cloned());
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    let seconds = again.and_then(|again| again.to_str().ok()?.parse::<u32>().ok());
    assert!(seconds.is_some_and(|seconds| seconds > 0), "{body}");
    let detail = body["detail"]
        .as_str()
        .or(body["Message"].as_str())
        .expect("a sentence");
    assert!(detail.contains(word) && detail.contains("try again"), "{body}");
}

pub async fn health(service: &Service, which: &str) -> (StatusCode, Value) {
    let answer = http().get(format!("{}/health/{which}", service.base)).send().await;
    let answer = answer.expect("an answer");
    (answer.status(), answer.json().await.expect("JSON"))
}

pub async fn ready_again(service: &Service) {
    let began = Instant::now();
    while health(service, "ready").await.0 != StatusCode::OK {
        assert!(began.elapsed() < BACK, "not ready after {BACK:?}:\n{}", service.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Sends parcels until one does not fit.
pub async fn until_full(caller: &Caller, service: &Service) {
    let began = Instant::now();
    while send_parcel(caller, vec![b'x'; 8000]).await.status() == StatusCode::CREATED {
        assert!(began.elapsed() < FILLS, "it does not fill up:\n{}", service.log());
    }
}

/// The receipt of the next parcel.
async fn lease(caller: &Caller) -> String {
    let answer = caller.post("/api/v1/jobs/Parcels/leases", "{\"max\":1}").await;
    let leased = wire::json(answer, StatusCode::OK).await;
    leased["leases"][0]["receipt"].as_str().expect("a receipt").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_has_no_room_refuses_and_goes_on_when_it_has() {
    let store = TestDatabase::sqlite();
    let disk = Disk::of(&folder_of(&store.url));
    let (site, tester) = site(store).await;
    let service = start(&site, &disk).await;
    let caller = Caller::new(&service, &tester).await;
    first_file(&site, &caller).await;
    let known = wire::json(send_parcel(&caller, b"known".to_vec()).await, StatusCode::CREATED).await;
    let known = format!("/api/v1/messages/{}", known["id"].as_str().expect("an id"));
    let ack = format!("/api/v1/leases/{}/ack", in_path(&lease(&caller).await));
    let sending = Senders::start(&service, &caller);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // In the middle of the load, and of a write.
    disk.fill_after(300_000);
    until_full(&caller, &service).await;
    // What is small may still find a place in what was written before, until that has none either.
    disk.stuff();
    assert_refused(send_parcel(&caller, b"one more".to_vec()).await, "full").await;
    let connector = format!("/api/connector/enqueue/{PARCELS}");
    assert_refused(caller.post(&connector, b"one more".to_vec()).await, "full").await;
    assert_refused(caller.post("/api/v1/jobs/Parcels/leases", "{\"max\":1}").await, "full").await;
    assert_refused(caller.post(&ack, "").await, "full").await;
    assert_eq!(
        caller.get(&known).await.status(),
        StatusCode::OK,
        "what is there can be looked at"
    );
    let payload = caller.get(&format!("{known}/payload")).await;
    assert_eq!(payload.bytes().await.expect("bytes"), "known", "and downloaded");
    assert!(
        Caller::at(&service.base, &tester).await.is_some(),
        "who comes gets a token"
    );
    let (status, body) = health(&service, "ready").await;
    assert_eq!(
        (status, &body["store"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("full")),
        "{body}"
    );
    assert_eq!(
        health(&service, "live").await.0,
        StatusCode::OK,
        "to restart it helps nobody"
    );
    tokio::time::sleep(outage()).await;
    disk.mend();
    ready_again(&service).await;
    assert_eq!(caller.post(&ack, "").await.status(), StatusCode::OK);
    let sent = sending.stop().await;
    assert!(sent.refused > 0, "nobody noticed");
    sent.all_landed(&site, &caller).await;
    assert!(service.stop().await.success());
}

async fn blobs_that_have_no_room_are_refused_and_what_is_small_is_not(store: TestDatabase) {
    const LARGE: usize = 12 << 20;
    let url = store.url.clone();
    let (mut site, tester) = site(store).await;
    // So that the files of the senders are blobs, and parcels of a few bytes are not.
    site.set("TRANSHIP_QUEUE__INLINE_MAX_BYTES", "64");
    let blobs = site.path("blobs");
    let disk = Disk::of(&blobs);
    let service = start(&site, &disk).await;
    let caller = Caller::new(&service, &tester).await;
    first_file(&site, &caller).await;
    let sending = Senders::start(&service, &caller);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // In the middle of the second part.
    disk.fill_after(6 << 20);
    assert_refused(
        refused_midway(&caller, "/api/v1/jobs/Parcels/messages", LARGE).await,
        "full",
    )
    .await;
    let connector = format!("/api/connector/enqueue/{PARCELS}");
    assert_refused(refused_midway(&caller, &connector, LARGE).await, "full").await;
    assert_refused(send_parcel(&caller, vec![b'x'; 100]).await, "full").await;
    assert_eq!(
        send_parcel(&caller, b"small".to_vec()).await.status(),
        StatusCode::CREATED
    );
    assert_eq!(
        caller.post(&connector, b"small".to_vec()).await.status(),
        StatusCode::OK
    );
    let (status, body) = health(&service, "ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    assert_eq!(
        (&body["store"], &body["blobs"]),
        (&json!("ok"), &json!("full")),
        "{body}"
    );
    assert!(
        service.log().contains(blobs.to_str().expect("a path")),
        "it is told which folder"
    );
    tokio::time::sleep(outage()).await;
    disk.mend();
    ready_again(&service).await;
    assert_eq!(
        send_parcel(&caller, vec![b'x'; LARGE]).await.status(),
        StatusCode::CREATED
    );
    let sent = sending.stop().await;
    assert!(sent.refused > 0, "nobody noticed");
    sent.all_landed(&site, &caller).await;
    assert_whole(&blobs, &url).await;
    assert!(service.stop().await.success());
}

/// There is a file for each blob that a message names, and none beside them.
async fn assert_whole(blobs: &Path, store: &str) {
    let named = "select blob_key from messages where blob_key is not null order by blob_key";
    let (began, mut found) = (Instant::now(), Vec::new());
    while began.elapsed() < BACK {
        let named: Vec<String> = rows(store, named)
            .await
            .into_iter()
            .filter_map(|mut row| row[0].take())
            .collect();
        assert!(!named.is_empty());
        found = files_below(blobs);
        found.sort_unstable();
        if found == named {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("more than the blobs that messages name: {found:?}");
}

/// Paths of all blobs and what may be a half of one, from the folder on.
fn files_below(folder: &Path) -> Vec<String> {
    let mut output = std::process::Command::new("find");
    let output = output
        .arg(folder)
        .args(["-type", "f", "-printf", "%P\n"])
        .output()
        .expect("find runs");
    let found = String::from_utf8_lossy(&output.stdout);
    let blobs = found.lines().filter(|path| path.starts_with("payloads/"));
    blobs.map(str::to_owned).collect()
}

/// Jobs that keep what they are sent in temporary files while they read it.
fn define_temporary(site: &Site) {
    let job = |id: &str, name: &str, source: &str, import: &str| {
        format!(
            "id = \"{id}\"\nname = \"{name}\"\ndirection = \"import\"\ndata_source = \"{source}\"\nclients = [\"tester\"]\n\
             [import]\n{import}[[import.entities]]\nentity = \"Parts\"\n"
        )
    };
    site.write("entities/parts.toml", package_imports::ENTITY);
    let workbooks = job(
        "00000000-0000-4000-8000-0000000000e6",
        "Workbooks",
        "file",
        "format = \"xlsx\"\n",
    );
    site.write("jobs/workbooks.toml", &workbooks);
    let packages = job(
        "00000000-0000-4000-8000-0000000000e7",
        "Packages",
        "package",
        "format = \"csv\"\n",
    );
    site.write("jobs/packages.toml", &packages);
}

async fn temporary_files_that_have_no_room_cost_time_and_nothing_else(store: TestDatabase) {
    let (mut site, tester) = site(store).await;
    define_temporary(&site);
    let folder = site.path("temporary");
    site.set("TMPDIR", folder.to_str().expect("a path"));
    let disk = Disk::of(&folder);
    let service = start(&site, &disk).await;
    let caller = Caller::new(&service, &tester).await;
    disk.fill_after(1000);
    let cells: Vec<Vec<String>> = (0..2000).map(|part| vec![part.to_string(), "1".to_owned()]).collect();
    let workbook = Data {
        names: &["part", "quantity"],
        rows: &cells,
    }
    .workbook();
    let package = package_imports::package(2000, 2000);
    let sent = [
        caller.push("Workbooks", "Parts", workbook).await,
        caller.push("Packages", "Parts", package).await,
    ];
    let began = Instant::now();
    while ["the workbook could not be kept", "a package could not be kept"]
        .iter()
        .any(|said| !service.log().contains(said))
    {
        assert!(
            began.elapsed() < FILLS,
            "they need no temporary files:\n{}",
            service.log()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for id in &sent {
        let message = caller.message(id).await;
        assert!(!message.is_final(), "{}", message.0);
    }
    assert!(service.log().contains("make room"), "{}", service.log());
    assert_eq!(
        health(&service, "ready").await.0,
        StatusCode::OK,
        "it takes what it is sent"
    );
    disk.mend();
    for id in &sent {
        let message = caller.ended(id).await;
        assert_eq!(
            (message.status(), message.records("inserted")),
            ("Processed", 2000),
            "{}",
            message.0
        );
    }
    assert!(service.stop().await.success());
    assert!(crate::site::is_empty(&folder), "nothing stays of what was temporary");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_business_database_that_has_no_room_gets_each_record_once_when_it_has() {
    const LARGE: Readings = Readings {
        first: 1_000_000,
        count: 20_000,
    };
    let (site, tester) = site(TestDatabase::sqlite()).await;
    let disk = Disk::of(&folder_of(site.business_url()));
    let service = start(&site, &disk).await;
    let caller = Caller::new(&service, &tester).await;
    first_file(&site, &caller).await;
    // In the middle of the file.
    disk.fill_after(600_000);
    let id = caller.push(readings::JOB, readings::ENTITY, LARGE.file()).await;
    let began = Instant::now();
    while !service.log().contains("databases.main.url names is full: make room") {
        assert!(began.elapsed() < FILLS, "it does not fill up:\n{}", service.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!caller.message(&id).await.is_final());
    assert_eq!(
        send_parcel(&caller, b"one".to_vec()).await.status(),
        StatusCode::CREATED,
        "others go on"
    );
    disk.mend();
    LARGE.assert_counted(&caller.ended(&id).await);
    readings::assert_landed(&site, &[LARGE]).await;
    assert!(service.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_does_not_fit_leaves_nothing_and_says_so() {
    let (site, tester) = site(TestDatabase::sqlite()).await;
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    assert_eq!(
        send_parcel(&caller, vec![b'x'; 2 << 20]).await.status(),
        StatusCode::CREATED
    );
    assert!(service.stop().await.success());
    let disk = Disk::of(&site.path("backups"));
    let backup = site.path("backups/today");
    // Before it begins, in the copy of the store, in that of the blobs.
    for bytes in [0, 100_000, 1_500_000] {
        disk.fill_after(bytes);
        let mut take = disk.under(site.command(&["backup", backup.to_str().expect("a path")]));
        let output = take.output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("full") && said.contains("backups/today"), "{said}");
        assert!(!backup.exists(), "after {bytes} bytes something stays");
        disk.mend();
    }
    site.run(&["backup", backup.to_str().expect("a path")]);
    site.run(&["restore", backup.to_str().expect("a path"), "--check"]);
}
