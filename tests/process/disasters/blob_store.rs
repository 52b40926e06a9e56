//! The object store is unwell: it answers 503, takes its time, or does not answer at all.

use std::time::Duration;

use super::outage;
use super::senders::{Senders, first_file};
use crate::readings;
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::support::proxy::{Mode, Proxy};
use crate::wire::Caller;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_store_that_is_unwell_costs_time_and_nothing_else() {
    let (Ok(bucket), Ok(endpoint)) = (std::env::var("TRANSHIP_TEST_S3"), std::env::var("AWS_ENDPOINT")) else {
        assert!(
            std::env::var("CI").is_err(),
            "TRANSHIP_TEST_S3 is not set: in CI blob servers are not optional"
        );
        return;
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
