//! A page of the SQLite store was damaged while the service was away: it says so or works, and never tells or hands out anything wrong.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::chance::Chance;
use crate::support::databases::TestDatabase;
use crate::support::is_long;
use crate::wire::Caller;

const MESSAGES: usize = 60;
/// SQLite's pages, unless the file says otherwise.
const PAGE: usize = 4096;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_page_is_reported_and_nothing_wrong_is_handed_out() {
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let store = TestDatabase::sqlite();
    let file = store.url.trim_start_matches("sqlite://").to_owned();
    let site = Site::on(store).await;
    site.write(
        "jobs/parcels.toml",
        "id = \"00000000-0000-4000-8000-0000000000e4\"\nname = \"Parcels\"\ndirection = \"relay\"\nclients = [\"tester\"]\n",
    );
    std::fs::create_dir_all(site.path("entities")).expect("a folder");
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let mut sent = BTreeMap::new();
    for number in 0..MESSAGES {
        let body = format!("parcel {number}: {}", "x".repeat(number * 40));
        let answer = caller.post("/api/v1/jobs/Parcels/messages", body.clone()).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let answer: Value = answer.json().await.expect("JSON");
        sent.insert(answer["id"].as_str().expect("an id").to_owned(), body);
    }
    assert!(service.stop().await.success());
    let whole = std::fs::read(&file).expect("the store");
    let (mut told, mut worked) = (0, 0);
    for _ in 0..if is_long() { 100 } else { 12 } {
        let mut damaged = whole.clone();
        let page = 1 + chance.below(whole.len() / PAGE - 1);
        for byte in &mut damaged[page * PAGE..][..8 + chance.below(64)] {
            *byte ^= 0x55;
        }
        for beside in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{file}{beside}"));
        }
        std::fs::write(&file, &damaged).expect("it is damaged");
        match Service::try_start(site.serve_command("data"), &site.data_dir("data")).await {
            Err(said) => {
                assert!(!said.contains("panicked"), "page {page}: {said}");
                assert!(
                    said.contains("store") || said.contains("database"),
                    "page {page}: {said}"
                );
                told += 1;
            }
            Ok(service) => {
                look(&service, &tester, &sent).await;
                assert!(!service.log().contains("panicked"), "page {page}: {}", service.log());
                worked += 1;
                service.kill9();
            }
        }
    }
    println!("{told} starts refused, {worked} worked on");
}

/// Whatever is answered is right.
async fn look(service: &Service, tester: &Credentials, sent: &BTreeMap<String, String>) {
    let Some(caller) = Caller::at(&service.base, tester).await else {
        return;
    };
    for (id, body) in sent {
        let answer = caller.get(&format!("/api/v1/messages/{id}")).await;
        let status = answer.status();
        let text = answer.text().await.expect("a text");
        assert!(
            [
                StatusCode::OK,
                StatusCode::NOT_FOUND,
                StatusCode::INTERNAL_SERVER_ERROR,
                StatusCode::SERVICE_UNAVAILABLE
            ]
            .contains(&status),
            "{status}: {text}"
        );
        if status == StatusCode::OK {
            let payload = caller.get(&format!("/api/v1/messages/{id}/payload")).await;
            if payload.status() == StatusCode::OK
                && let Ok(bytes) = payload.bytes().await
            {
                assert_eq!(
                    Sha256::digest(&bytes),
                    Sha256::digest(body),
                    "{id} says what was never sent"
                );
            }
        }
    }
}
