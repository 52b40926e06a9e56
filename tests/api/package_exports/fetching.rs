//! Promise 7 for packages: what one tells of is delivered when every byte of it was fetched, and told again when it expires before.

use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use super::{PROJECT, app, define, fetch, fetched, noted, package, refusal, run, url, write};
use crate::app::{Backend, TestApp};
use crate::packing::members;
use crate::support::blobs::TestBlobs;

crate::on_both_backends!(
    changes_of_a_package_that_expires_unfetched_are_exported_again,
    a_package_is_fetched_when_its_parts_make_up_the_whole,
);
crate::on_every_blob_store!(a_package_is_fetched_from_where_blobs_lie,);

const DAY_SECONDS: i64 = 86_400;

/// Lets the package of a run expire.
async fn expire(app: &mut TestApp) {
    app.clock.advance_seconds(7 * DAY_SECONDS);
    tranship::pipeline::tidy::tidy(&app.context).await.unwrap();
    app.renew_token().await;
}

async fn position_states(app: &TestApp) -> Vec<String> {
    let path = format!("/api/v1/jobs/{}/positions", app.job(PROJECT));
    let listed: serde_json::Value = app.get(&path).await.json().await.unwrap();
    let positions = listed["positions"].as_array().unwrap().iter();
    positions
        .map(|position| position["state"].as_str().unwrap().to_owned())
        .collect()
}

async fn changes_of_a_package_that_expires_unfetched_are_exported_again(backend: Backend) {
    let mut app = app(backend).await;
    let full = run(&app, "ExportToPackage", json!({})).await;
    package(&app, &full).await;
    fetched(&app, &full).await;
    assert_eq!(position_states(&app).await, ["delivered"]);

    write(&app, "update stock set quantity = 20 where item = 'b'").await;
    let lost = run(&app, "ExportToPackage", json!({})).await;
    assert_eq!(position_states(&app).await, ["queued", "delivered"]);
    let link = url(&app, &lost).await;
    expire(&mut app).await;
    assert_eq!(position_states(&app).await, ["lost", "delivered"]);
    let told = refusal(&app, "GetExportedPackageUrl", json!({ "executionId": lost })).await;
    assert!(told.contains("no longer kept"), "{told}");
    let answer = app.request(Method::GET, &link).send().await.unwrap();
    assert!(answer.status().is_client_error());

    // Others hold changes back on PostgreSQL, so that it may take more than one run.
    let mut lines = String::new();
    for _ in 0..100 {
        let again = run(&app, "ExportToPackage", json!({})).await;
        lines += &package(&app, &again).await["Stock on hand.csv"];
        let note = noted(&app, &again).await["note"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        fetched(&app, &again).await;
        if lines.contains("b,usmf,20") {
            break;
        }
        assert!(note.contains("exported again") || note.contains("held back"), "{note}");
    }
    assert!(lines.contains("b,usmf,20"), "{lines}");
    assert_eq!(position_states(&app).await.last().unwrap(), "delivered");
    assert!(!position_states(&app).await.contains(&"lost".to_owned()));
}

async fn part(app: &TestApp, link: &str, range: &str) -> Response {
    let request = app.request(Method::GET, link).header("x-ms-range", range);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
    answer
}

async fn a_package_is_fetched_when_its_parts_make_up_the_whole(backend: Backend) {
    let app = app(backend).await;
    let id = run(&app, "ExportToPackage", json!({})).await;
    let link = url(&app, &id).await;
    let head = app.request(Method::HEAD, &link).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["content-type"], "application/zip");
    let mut whole = part(&app, &link, "bytes=200-").await.bytes().await.unwrap().to_vec();
    let first = part(&app, &link, "bytes=0-99").await.bytes().await.unwrap();
    // Time enough for what should not be noted.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(noted(&app, &id).await["package"]["fetched_at"].is_null());
    assert_eq!(position_states(&app).await, ["queued"]);
    let middle = part(&app, &link, "bytes=90-199").await.bytes().await.unwrap();
    fetched(&app, &id).await;
    assert_eq!(position_states(&app).await, ["delivered"]);
    whole.splice(0..0, [&first[..90], &middle[..]].concat());
    assert_eq!(members(&whole).len(), 4);
}

/// Its link is ours, also where others lead to the bucket: what is fetched there is fetched unseen.
async fn a_package_is_fetched_from_where_blobs_lie(store: TestBlobs) {
    let app = TestApp::with(Backend::Sqlite, |setup| {
        setup.set("blobs.url", store.url.clone());
        setup.set("blobs.presigned", (!store.is_files()).to_string());
        define(setup);
    })
    .await;
    let id = run(&app, "ExportToPackage", json!({})).await;
    let link = url(&app, &id).await;
    assert!(link.starts_with(&app.url), "{link}");
    let bytes = fetch(&app, &link).await;
    assert_eq!(members(&bytes).len(), 4);
    fetched(&app, &id).await;
}
