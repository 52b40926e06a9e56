//! What has no room at the moment waits for it: an export for that of its files, a package for that of its members, a start for that of
//! its store.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use super::disk::Disk;
use super::full_disk::{assert_refused, define, folder_of, health, ready_again, send_parcel, start};
use super::outage;
use crate::package_imports;
use crate::service::Service;
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::wire::{Caller, in_path};
use crate::{exports, on_both_databases};

on_both_databases!(
    an_export_waits_for_room_for_its_files,
    a_package_waits_for_room_for_its_members,
);

async fn until_said(service: &Service, words: &str) {
    for _ in 0..600 {
        if service.log().contains(words) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody says {words:?}:\n{}", service.log());
}

async fn an_export_waits_for_room_for_its_files(store: TestDatabase) {
    const ROWS: usize = 50;
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_QUEUE__INLINE_MAX_BYTES", "16");
    exports::define(&site, 20);
    let tester = site.add_client("tester", "operator");
    let disk = Disk::of(&site.path("blobs"));
    let service = start(&site, &disk).await;
    let caller = Caller::new(&service, &tester).await;
    exports::wait_for_run(&caller).await;
    // The second of three files does not fit: each has some 200 bytes.
    disk.fill_after(300);
    exports::insert(site.business_url(), 0..ROWS).await;
    until_said(&service, "full: make room").await;
    tokio::time::sleep(outage()).await;
    assert_eq!(
        exports::collect_lines(&caller).await,
        [""; 0],
        "no part of it is handed out"
    );
    disk.mend();
    ready_again(&service).await;
    exports::wait_for_run(&caller).await;
    for occurrence in exports::occurrences(&caller).await {
        assert_ne!(occurrence["state"], "failed", "{occurrence:#}");
    }
    let lines = exports::collect_lines(&caller).await;
    let mut items: Vec<usize> = lines.iter().map(|line| exports::item_of(line)).collect();
    items.sort_unstable();
    assert_eq!(items, (0..ROWS).collect::<Vec<_>>(), "each change is told once");
    assert!(service.stop().await.success());
}

async fn a_package_waits_for_room_for_its_members(store: TestDatabase) {
    const ROWS: usize = 2000;
    const MEMBER_BYTES: usize = 15_000;
    let (mut site, client) = package_imports::site_on(store).await;
    let folder = site.path("temporary");
    site.set("TMPDIR", folder.to_str().expect("a path"));
    let disk = Disk::of(&folder);
    let service = start(&site, &disk).await;
    let caller = Caller::new(&service, &client).await;
    let package = package_imports::package(0, ROWS);
    // The call reads the package and looks into its members, the worker reads it again; the member it unpacks does not fit.
    disk.fill_after(2 * package.len() + MEMBER_BYTES + MEMBER_BYTES / 2);
    let request = package_imports::uploaded(&caller, package, "waits").await;
    let (status, answer) = package_imports::act(&caller, "ImportFromPackage", &request).await;
    assert_eq!(
        (status, &answer["value"]),
        (StatusCode::OK, &json!("waits")),
        "{answer}"
    );
    until_said(&service, "make room").await;
    tokio::time::sleep(outage()).await;
    let told = package_imports::status_of(&caller, "waits").await;
    assert!(["NotRun", "Executing"].contains(&told.as_str()), "it is {told}");
    disk.mend();
    assert_eq!(package_imports::ended(&caller, "waits").await, "Succeeded");
    assert!(service.stop().await.success());
    assert!(crate::site::is_empty(&folder), "nothing stays of what was temporary");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_disk_is_full_is_served_for_those_who_read() {
    let store = TestDatabase::sqlite();
    let disk = Disk::of(&folder_of(&store.url));
    let mut site = Site::on(store).await;
    define(&mut site);
    let tester = site.add_client("tester", "operator");
    let service = start(&site, &disk).await;
    let caller = Caller::new(&service, &tester).await;
    let sent = send_parcel(&caller, b"known".to_vec()).await;
    let id = crate::wire::json(sent, StatusCode::CREATED).await["id"].clone();
    assert!(service.stop().await.success());
    // Enough for what SQLite keeps beside an open database, and for no commit.
    disk.fill_after(33_000);
    let service = Service::listening(disk.under(site.serve_command("data")), &site.data_dir("data")).await;
    let service = service.unwrap_or_else(|said| panic!("it does not start: {said}"));
    let caller = Caller::new(&service, &tester).await;
    let payload = format!("/api/v1/messages/{}/payload", in_path(id.as_str().expect("an id")));
    assert_eq!(caller.get(&payload).await.bytes().await.expect("bytes"), "known");
    assert_refused(send_parcel(&caller, b"one more".to_vec()).await, "full").await;
    let (status, body) = health(&service, "ready").await;
    let told = (status, &body["store"]);
    assert_eq!(told, (StatusCode::SERVICE_UNAVAILABLE, &json!("full")), "{body}");
    disk.mend();
    ready_again(&service).await;
    assert_eq!(
        send_parcel(&caller, b"more".to_vec()).await.status(),
        StatusCode::CREATED
    );
    assert!(service.stop().await.success());
}
