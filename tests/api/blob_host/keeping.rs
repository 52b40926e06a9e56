//! How long a blob is kept, and what a process that dies leaves behind.

use std::time::Duration;

use futures_util::stream;
use reqwest::{Method, StatusCode};
use tranship::domain::dmf::{BlobPath, Conditions};
use tranship::pipeline::blob_host::{self, Put};
use tranship::pipeline::sweep::sweep_uploads;

use super::blocks::{block, commit};
use super::{count, files, get, new_link, nothing_is_left_over, put, refused};
use crate::app::{Backend, TestApp};
use crate::support::databases::run;

crate::on_both_backends!(
    a_blob_is_kept_for_its_days_and_then_goes_with_its_blocks,
    a_put_that_is_dropped_anywhere_leaves_the_old_blob_or_the_new_one,
    a_commit_whose_process_died_is_asked_for_again,
    an_upload_that_was_given_up_is_not_named,
    a_blob_whose_bytes_are_lost_or_damaged_never_looks_whole,
);

const DAY: i64 = 86_400;

/// PKG-10.
async fn a_blob_is_kept_for_its_days_and_then_goes_with_its_blocks(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.set("blobs.upload_link_seconds", "604800");
        setup.set("blobs.retention_days", "7");
    })
    .await;
    let (early, late, never) = (new_link(&app).await, new_link(&app).await, new_link(&app).await);
    put(&app, &early, "early").await;
    block(&app, &early, "a", "left").await;
    block(&app, &never, "a", "left").await;
    app.clock.advance_seconds(3 * DAY);
    put(&app, &late, "late").await;
    app.clock.advance_seconds(4 * DAY - 1);
    nothing_is_left_over(&app).await;
    for (link, wanted) in [(&early, "early"), (&late, "late")] {
        assert_eq!(get(&app, link).await.text().await.unwrap(), wanted);
    }
    // The links are over now. A path outlives its link by a day, and a content is kept from when it was put.
    app.clock.advance_seconds(DAY + 1);
    nothing_is_left_over(&app).await;
    assert_eq!(count(&app, "select count(*) from dmf_blobs").await, 1);
    assert_eq!(files(&app), 1);
    app.clock.advance_seconds(3 * DAY);
    nothing_is_left_over(&app).await;
    assert_eq!(count(&app, "select count(*) from dmf_blobs").await, 0);
    assert_eq!(files(&app), 0);
}

/// The path of a link.
fn path_of(app: &TestApp, link: &str) -> BlobPath {
    let path = link.split_once('?').unwrap().0;
    BlobPath::read(path.strip_prefix(&format!("{}/dmf/", app.url)).unwrap()).unwrap()
}

/// As by a process that is killed: the work stops where it stands.
async fn a_put_that_is_dropped_anywhere_leaves_the_old_blob_or_the_new_one(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    put(&app, &link, "old").await;
    let (mut dropped, mut done) = (0, 0);
    for moment in 0..40_u64 {
        let chunks = (0..30).map(|_| Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b'n'; 1024])));
        let what = Put {
            path: path_of(&app, &link),
            conditions: Conditions::default(),
            content_type: "text/plain".to_owned(),
            md5: None,
        };
        let work = blob_host::put(&app.context, what, stream::iter(chunks));
        match tokio::time::timeout(Duration::from_micros(moment * 500), Box::pin(work)).await {
            Ok(put) => {
                put.unwrap();
                done += 1;
            }
            Err(_) => dropped += 1,
        }
        let text = get(&app, &link).await.text().await.unwrap();
        assert!(text == "old" || text == "n".repeat(30 * 1024), "{text}");
        assert!(done == 0 || text != "old");
    }
    assert!(dropped > 1, "dropped {dropped}, done {done}");
    app.clock.advance_seconds(901);
    nothing_is_left_over(&app).await;
}

async fn a_commit_whose_process_died_is_asked_for_again(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    for name in ["a", "b"] {
        block(&app, &link, name, name).await;
    }
    // What a process leaves that is killed after it has copied, before it has said so.
    let key = "payloads/ab/abababababababababababababababab";
    let file = app.folder.join("data/blobs").join(key);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "ab").unwrap();
    let now = app.clock.now().0;
    let row = format!(
        "insert into uploads (key, state, owner, created_at, beat_at) values ('{key}', 'open', 'dead', {now}, {now})"
    );
    run(&app.store.url, &row).await;
    sweep_uploads(&app.context).await.unwrap();
    assert!(file.exists(), "it may be alive");
    refused(get(&app, &link).await, StatusCode::NOT_FOUND, "BlobNotFound").await;
    assert_eq!(
        commit(&app, &link, &[("Latest", "a"), ("Latest", "b")]).await.status(),
        StatusCode::CREATED
    );
    app.clock.advance_seconds(901);
    nothing_is_left_over(&app).await;
    assert!(!file.exists());
    assert_eq!(get(&app, &link).await.text().await.unwrap(), "ab");
}

/// The sweep and a row that would name the upload: one of the two fails.
async fn an_upload_that_was_given_up_is_not_named(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    for suffix in ["", "&comp=block&blockid=YQ=="] {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<&'static str, std::io::Error>>(1);
        let chunks = stream::unfold(receiver, async |mut chunks| {
            chunks.recv().await.map(|chunk| (chunk, chunks))
        });
        let body = reqwest::Body::wrap_stream(chunks);
        let request = app.request(Method::PUT, &format!("{link}{suffix}"));
        let request = request.header("x-ms-blob-type", "BlockBlob").body(body);
        let answer = tokio::spawn(request.send());
        sender.send(Ok("first")).await.unwrap();
        while count(&app, "select count(*) from uploads where state = 'open'").await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        run(&app.store.url, "update uploads set state = 'dead' where state = 'open'").await;
        sweep_uploads(&app.context).await.unwrap();
        sender.send(Ok("last")).await.unwrap();
        drop(sender);
        let answer = answer.await.unwrap().unwrap();
        refused(answer, StatusCode::SERVICE_UNAVAILABLE, "ServerBusy").await;
        refused(get(&app, &link).await, StatusCode::NOT_FOUND, "BlobNotFound").await;
    }
    nothing_is_left_over(&app).await;
    assert_eq!(files(&app), 0);
}

async fn a_blob_whose_bytes_are_lost_or_damaged_never_looks_whole(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    put(&app, &link, vec![b'x'; 600_000]).await;
    let key = crate::support::databases::rows(&app.store.url, "select key from dmf_blobs").await;
    let file = app.folder.join("data/blobs").join(key[0][0].as_ref().unwrap());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[300_000] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let whole = async { app.request(Method::GET, &link).send().await?.bytes().await };
    assert!(whole.await.is_err(), "the whole is verified");
    std::fs::write(&file, &bytes[..1000]).unwrap();
    let part = app.request(Method::GET, &link).header("Range", "bytes=500-2000");
    // It may break off before the client has even seen the head.
    let part = async { part.send().await?.bytes().await };
    assert!(part.await.is_err(), "a part has its length");
    std::fs::remove_file(&file).unwrap();
    refused(get(&app, &link).await, StatusCode::NOT_FOUND, "BlobNotFound").await;
    put(&app, &link, "again").await;
    assert_eq!(get(&app, &link).await.text().await.unwrap(), "again");
}
