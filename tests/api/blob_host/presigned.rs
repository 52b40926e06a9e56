//! The blob host where blobs lie in a bucket, and links that lead to the bucket itself.

use actix_web::test::TestRequest;
use reqwest::{Method, StatusCode};
use sha2::Digest as _;
use tranship::domain::message::Digest;
use tranship::http::auth::caller;
use tranship::http::dmf::{download_url, open_package};
use tranship::http::problem::Kind;

use super::blocks::{block, commit};
use super::{count, get, link_of, new_link, put};
use crate::app::{Backend, TestApp};
use crate::support::blobs::TestBlobs;

crate::on_every_blob_store!(
    blobs_lie_where_the_payloads_do,
    a_link_of_the_bucket_brings_a_package_too
);

async fn app_on(store: &TestBlobs, presigned: bool) -> TestApp {
    TestApp::with(Backend::Sqlite, |setup| {
        setup.set("blobs.url", store.url.clone());
        setup.set("blobs.presigned", presigned.to_string());
        setup.set("server.link_seconds", "600");
    })
    .await
}

async fn blobs_lie_where_the_payloads_do(store: TestBlobs) {
    let app = app_on(&store, false).await;
    let link = new_link(&app).await;
    // More than a part of an upload to a bucket.
    let large: Vec<u8> = (0..12_000_000_u32).map(|n| u8::try_from(n % 253).unwrap()).collect();
    put(&app, &link, large.clone()).await;
    let part = app
        .request(Method::GET, &link)
        .header("x-ms-range", "bytes=5242870-5242899")
        .send()
        .await
        .unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes().await.unwrap(), large[5_242_870..=5_242_899]);
    for (name, piece) in [("a", &large[..4_000_000]), ("b", &large[4_000_000..8_000_000])] {
        assert_eq!(
            block(&app, &link, name, piece.to_vec()).await.status(),
            StatusCode::CREATED
        );
    }
    commit(&app, &link, &[("Latest", "b"), ("Latest", "a")]).await;
    // Of blocks that are in the blob parts are read.
    let again = commit(&app, &link, &[("Committed", "a"), ("Committed", "b")]).await;
    assert_eq!(again.status(), StatusCode::CREATED);
    let whole = get(&app, &link).await.bytes().await.unwrap();
    assert_eq!(whole, large[..8_000_000]);
    assert_eq!(
        app.request(Method::DELETE, &link).send().await.unwrap().status(),
        StatusCode::ACCEPTED
    );
    tranship::pipeline::tidy::tidy(&app.context).await.unwrap();
    assert_eq!(count(&app, "select count(*) from uploads").await, 0);
}

async fn a_link_of_the_bucket_brings_a_package_too(store: TestBlobs) {
    if store.is_files() {
        // Files have none, and that is said at the start: see the settings' tests.
        return;
    }
    let app = app_on(&store, true).await;
    let link = link_of(&app, "package.zip", &app.token).await;
    assert!(!link.starts_with(&app.url), "{link}");
    let host = app.url.strip_prefix("http://").unwrap();
    let request = TestRequest::default().insert_header(("authorization", format!("Bearer {}", app.token)));
    let request = request.insert_header(("host", host)).to_http_request();
    let caller = caller(&app.api, &request).await.unwrap();
    let opened = open_package(&app.api, &request, &caller, &link).await;
    assert_eq!(opened.unwrap_err().kind, Kind::NotFound, "nothing is there yet");
    let mut keys = Vec::new();
    for text in ["first", "second, and longer"] {
        let sent = app
            .request(Method::PUT, &link)
            .header("x-ms-blob-type", "BlockBlob")
            .body(text);
        let sent = sent.send().await.unwrap();
        assert!(sent.status().is_success(), "{:?}", sent.text().await);
        for _ in 0..2 {
            let (blob, content) = open_package(&app.api, &request, &caller, &link).await.unwrap();
            assert_eq!(content.digest, Digest(sha2::Sha256::digest(text).into()));
            keys.push(content.key.clone());
            let download = download_url(&app.api, &request, &blob.path, &content).await.unwrap();
            assert!(!download.starts_with(&app.url), "{download}");
            assert_eq!(get(&app, &download).await.text().await.unwrap(), text);
        }
    }
    assert!(
        keys[0] == keys[1] && keys[1] != keys[2] && keys[2] == keys[3],
        "copied once for each version: {keys:?}"
    );
    let elsewhere = link
        .replacen("http://127.0.0.1", "http://evil.example", 1)
        .replace("payloads", "payload");
    let foreign = open_package(&app.api, &request, &caller, &elsewhere).await;
    assert_eq!(foreign.unwrap_err().kind, Kind::BadRequest("package_url"));
    // What nobody names any more is deleted, the client's own object too.
    app.clock.advance_seconds(9 * 86_400);
    tranship::pipeline::tidy::tidy(&app.context).await.unwrap();
    assert_eq!(count(&app, "select count(*) from uploads").await, 0);
    assert_eq!(count(&app, "select count(*) from dmf_blobs").await, 0);
    for key in keys {
        assert_eq!(app.context.blobs.object(&key).await.unwrap(), None);
    }
}
