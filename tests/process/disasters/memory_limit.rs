//! Less memory than a load wants: within the limit the service goes on; where an allocation fails it ends at once, and nothing that was
//! acknowledged is lost.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use reqwest::StatusCode;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;

use super::full_disk::define;
use crate::on_both_databases;
use crate::readings::{self, Readings};
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::TestDatabase;
use crate::wire::{Caller, json};

/// What private memory the process may have, in KiB: with room for its load, and with little more than it has at rest.
const ENOUGH_KIB: u64 = 512 * 1024;
const TOO_LITTLE_KIB: u64 = 64 * 1024;
const UPLOADS: usize = 16;
const UPLOAD_BYTES: usize = 6 << 20;
const CONNECTIONS: usize = 200;
const LARGE: Readings = Readings { first: 1, count: 8_000 };
/// How long an upload may take before its sender gives up.
const PATIENCE: Duration = Duration::from_secs(50);

on_both_databases!(
    a_load_within_the_limit_is_carried,
    a_service_out_of_memory_ends_and_keeps_what_it_acknowledged,
);

async fn a_load_within_the_limit_is_carried(store: TestDatabase) {
    let (site, tester) = site(store).await;
    let mut service = Service::start(limited(&site, ENOUGH_KIB), &site.data_dir("data")).await;
    let (acknowledged, file) = load(&service, &tester).await;
    assert!(service.is_running(), "{}", service.log());
    assert_eq!(acknowledged.len(), UPLOADS);
    let caller = Caller::new(&service, &tester).await;
    LARGE.assert_counted(&caller.ended(&file.expect("it was taken")).await);
    assert_kept(&caller, &acknowledged).await;
    println!("at most {} KiB resident", service.peak_kib());
    assert!(service.stop().await.success());
}

async fn a_service_out_of_memory_ends_and_keeps_what_it_acknowledged(store: TestDatabase) {
    let (site, tester) = site(store).await;
    let mut service = Service::start(limited(&site, TOO_LITTLE_KIB), &site.data_dir("data")).await;
    let (before, file) = load(&service, &tester).await;
    let has_ended = !service.is_running();
    println!("{} uploads were acknowledged; it has ended: {has_ended}", before.len());
    assert!(has_ended || before.len() < UPLOADS, "the limit limits nothing");
    drop(service);
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    assert_kept(&caller, &before).await;
    // Whoever was not answered sends it again, under the same key.
    let (after, again) = load(&service, &tester).await;
    assert_eq!(after.len(), UPLOADS);
    for (number, id) in &before {
        assert_eq!(&after[number], id, "what was acknowledged is what it was");
    }
    assert_kept(&caller, &after).await;
    let again = again.expect("it was taken");
    assert!(file.is_none_or(|id| id == again), "the file is one message");
    LARGE.assert_counted(&caller.ended(&again).await);
    assert!(service.stop().await.success());
}

async fn site(store: TestDatabase) -> (Site, Credentials) {
    let mut site = Site::on(store).await;
    define(&mut site);
    let tester = site.add_client("tester", "operator");
    (site, tester)
}

/// `tranship serve` by a shell that takes the memory away first.
fn limited(site: &Site, kib: u64) -> Command {
    let serve = site.serve_command("data");
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("ulimit -c 0; ulimit -d {kib} && exec \"$0\" \"$@\""))
        .arg(serve.get_program())
        .args(serve.get_args());
    site.furnish(&mut command);
    command.env("TRANSHIP_DATA_DIR", site.data_dir("data"));
    command
}

/// What an upload holds.
fn upload(number: usize) -> Vec<u8> {
    let seed = Sha256::digest(number.to_le_bytes());
    seed.iter().copied().cycle().take(UPLOAD_BYTES).collect()
}

/// Many large uploads at once, a large file to import, and connections that only wait. The messages' ids by the uploads' numbers, and
/// that of the file, as far as they were acknowledged.
async fn load(service: &Service, tester: &Credentials) -> (BTreeMap<usize, String>, Option<String>) {
    let Some(caller) = Caller::at(&service.base, tester).await else {
        return (BTreeMap::new(), None);
    };
    let address = service.base.trim_start_matches("http://").to_owned();
    let mut crowd = Vec::new();
    for _ in 0..CONNECTIONS {
        crowd.extend(TcpStream::connect(&address).await);
    }
    let path = format!("/api/v1/jobs/{}/messages?entity=Meter%20readings", readings::JOB);
    let file = send(caller.clone(), path, "file".to_owned(), LARGE.file()).await;
    let mut uploads = tokio::task::JoinSet::new();
    for number in 0..UPLOADS {
        let caller = caller.clone();
        uploads.spawn(async move {
            let path = "/api/v1/jobs/Parcels/messages".to_owned();
            let id = send(caller, path, format!("upload-{number}"), upload(number)).await;
            id.map(|id| (number, id))
        });
    }
    let acknowledged = uploads.join_all().await.into_iter().flatten().collect();
    (acknowledged, file)
}

/// The message's id, if it was acknowledged in time; asked again as long as the service is there and wants to be.
async fn send(caller: Caller, path: String, key: String, body: Vec<u8>) -> Option<String> {
    let sending = async {
        loop {
            let answer = caller.try_post_once(&path, &key, body.clone()).await.ok()?;
            if matches!(answer.status(), StatusCode::CREATED | StatusCode::OK) {
                let body: serde_json::Value = answer.json().await.ok()?;
                return body["id"].as_str().map(str::to_owned);
            }
            let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
            assert!(busy.contains(&answer.status()), "{}", answer.status());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, sending).await.ok()?
}

/// Each message has the bytes that were sent.
async fn assert_kept(caller: &Caller, acknowledged: &BTreeMap<usize, String>) {
    for (number, id) in acknowledged {
        let status = json(caller.get(&format!("/api/v1/messages/{id}")).await, StatusCode::OK).await;
        let payload = caller.get(&format!("/api/v1/messages/{id}/payload")).await;
        let bytes = payload.bytes().await.expect("the whole payload");
        assert!(bytes == upload(*number), "{} bytes of {status}", bytes.len());
    }
}
