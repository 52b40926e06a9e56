//! The blob host of a process that is killed (promise 1): what is named is there, whole, and what is not goes.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::site::Site;
use crate::support::chance::Chance;
use crate::support::databases::TestDatabase;
use crate::wire::{Caller, http, json};

/// How often the process is killed.
const KILLS: u8 = 6;
const BLOB_BYTES: usize = 3_000_000;
const ACTION: &str = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetAzureWriteUrl";

#[tokio::test]
async fn a_blob_survives_kills_whole_on_sqlite() {
    survives(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn a_blob_survives_kills_whole_on_postgres() {
    if let Some(store) = TestDatabase::postgres().await {
        survives(store).await;
    }
}

async fn survives(store: TestDatabase) {
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let mut site = Site::on(store).await;
    site.copy_definitions("shop");
    site.set("TRANSHIP_QUEUE__UPLOAD_STALE_SECONDS", "1");
    let client = site.add_client("shop", "client");
    let service = site.start("one").await;
    let caller = Caller::new(&service, &client).await;
    let answer = json(caller.post(ACTION, "{}").await, StatusCode::OK).await;
    let inner: Value = serde_json::from_str(answer["value"].as_str().expect("a text")).expect("JSON");
    let link = inner["BlobUrl"].as_str().expect("a link").to_owned();
    let target = link.strip_prefix(&service.base).expect("a link to it").to_owned();
    let mut service = service;
    put(&http(), &format!("{}{target}", service.base), 0)
        .await
        .expect("put");
    for round in 1..=KILLS {
        let url = format!("{}{target}", service.base);
        let writing = tokio::spawn(async move {
            let client = http();
            // Until the process is gone.
            while put(&client, &url, round).await.is_ok() && put_blocks(&client, &url, round).await.is_ok() {}
        });
        tokio::time::sleep(chance.up_to(Duration::from_millis(600))).await;
        service.kill9();
        writing.await.expect("it ends");
        service = site.start("one").await;
        let answer = http()
            .get(format!("{}{target}", service.base))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        let blob = answer.bytes().await.expect("it is whole");
        assert_eq!(blob.len(), BLOB_BYTES);
        assert!(blob.iter().all(|byte| *byte == blob[0] && *byte <= round), "of one put");
    }
    // No block waits any more once a put has taken their place.
    put(&http(), &format!("{}{target}", service.base), 9)
        .await
        .expect("put");
    for _ in 0..200 {
        if files(&site.path("blobs/payloads")) == 1 {
            assert!(service.stop().await.success());
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("{} blobs are left", files(&site.path("blobs/payloads")));
}

async fn put(client: &Client, url: &str, fill: u8) -> reqwest::Result<()> {
    let request = client.put(url).header("x-ms-blob-type", "BlockBlob");
    request.body(vec![fill; BLOB_BYTES]).send().await?.error_for_status()?;
    Ok(())
}

async fn put_blocks(client: &Client, url: &str, fill: u8) -> reqwest::Result<()> {
    for id in ["YQ==", "Yg=="] {
        let block = client.put(format!("{url}&comp=block&blockid={id}"));
        block
            .body(vec![fill; BLOB_BYTES / 2])
            .send()
            .await?
            .error_for_status()?;
    }
    let list = "<BlockList><Latest>Yg==</Latest><Latest>YQ==</Latest></BlockList>";
    let commit = client.put(format!("{url}&comp=blocklist")).body(list);
    commit.send().await?.error_for_status()?;
    Ok(())
}

/// Files below a folder.
fn files(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}
