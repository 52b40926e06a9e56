//! The object store is unwell: it answers 503, takes its time, or does not answer at all.

use std::time::Duration;

use super::outage;
use super::senders::{Senders, first_file};
use crate::readings;
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::support::proxy::{Mode, Proxy};
use crate::wire::Caller;

/// A service whose payloads go to a bucket, by way of something that may break; nothing where there is no bucket.
async fn with_a_bucket() -> Option<(Site, Proxy)> {
    let (Ok(bucket), Ok(endpoint)) = (std::env::var("TRANSHIP_TEST_S3"), std::env::var("AWS_ENDPOINT")) else {
        assert!(
            std::env::var("CI").is_err(),
            "TRANSHIP_TEST_S3 is not set: in CI blob servers are not optional"
        );
        return None;
    };
    let target = endpoint.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let proxy = Proxy::to(target).await;
    let mut site = Site::on(TestDatabase::sqlite()).await;
    site.set("AWS_ENDPOINT", &format!("http://{}", proxy.address));
    site.set(
        "TRANSHIP_BLOBS__URL",
        &format!("{bucket}/{}", uuid::Uuid::new_v4().simple()),
    );
    // So that every file is a blob.
    site.set("TRANSHIP_QUEUE__INLINE_MAX_BYTES", "16");
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    readings::define(&site);
    Some((site, proxy))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_store_that_is_unwell_costs_time_and_nothing_else() {
    let Some((site, proxy)) = with_a_bucket().await else {
        return;
    };
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    first_file(&site, &caller).await;
    let sending = Senders::start(&service, &caller);
    for broken in [Mode::Unwell, Mode::Slow, Mode::Frozen, Mode::Cut] {
        tokio::time::sleep(Duration::from_secs(1)).await;
        proxy.set(broken);
        tokio::time::sleep(outage()).await;
        proxy.set(Mode::Pass);
    }
    let sent = sending.stop().await;
    sent.all_landed(&site, &caller).await;
    assert!(service.stop().await.success());
}

/// The first parts of it are there, and the store falls silent before its last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_payload_whose_store_falls_silent_at_its_end_is_answered() {
    let Some((site, proxy)) = with_a_bucket().await else {
        return;
    };
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let (pieces, body) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let body = futures_util::stream::unfold(body, |mut body| async move { Some((body.recv().await?, body)) });
    let path = format!(
        "{}/api/v1/jobs/{}/messages?entity=Meter%20readings",
        service.base,
        readings::JOB
    );
    let request = reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .build()
        .expect("a client")
        .post(path);
    let asked = request
        .bearer_auth(caller.token())
        .body(reqwest::Body::wrap_stream(body));
    let answered = tokio::spawn(async move { asked.send().await.expect("an answer") });
    for _ in 0..6 {
        pieces.send(Ok(vec![b'x'; 1 << 20])).await.expect("taken");
    }
    // What was sent has arrived.
    tokio::time::sleep(Duration::from_secs(2)).await;
    proxy.set(Mode::Frozen);
    pieces.send(Ok(vec![b'x'; 1 << 20])).await.expect("taken");
    drop(pieces);
    let ended = std::time::Instant::now();
    let answer = answered.await.expect("an answer");
    assert_eq!(answer.status(), reqwest::StatusCode::SERVICE_UNAVAILABLE);
    assert!(ended.elapsed() < Duration::from_secs(50), "{:?}", ended.elapsed());
    assert!(service.stop().await.success());
}
