//! SIGTERM: what is running is drained within a bound, and what is not finished is handed back.

use std::time::{Duration, Instant};

use crate::on_both_databases;
use crate::readings::{self, Readings};
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::wire::{Caller, Message};

/// Longest drain.
const DRAIN_SECONDS: u64 = 1;
const FILE: Readings = Readings {
    first: 1_000,
    count: 20_000,
};

on_both_databases!(sigterm_during_an_import_hands_the_lease_back);

async fn sigterm_during_an_import_hands_the_lease_back(store: TestDatabase) {
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_SERVER__SHUTDOWN_SECONDS", &DRAIN_SECONDS.to_string());
    // The import outlasts the drain, and its lease would outlast the test.
    site.set("TRANSHIP_IMPORT__CHUNK_RECORDS", "10");
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "60");
    readings::define(&site);
    let tester = site.add_client("tester", "client");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let small = Readings { first: 0, count: 10 };
    let id = caller.push(readings::JOB, readings::ENTITY, small.file()).await;
    small.assert_counted(&caller.ended(&id).await);
    readings::watch_target(&site).await;

    let id = caller.push(readings::JOB, readings::ENTITY, FILE.file()).await;
    caller.wait_for(&id, Duration::from_mins(1), |m| m.attempt() > 0).await;
    let began = Instant::now();
    let status = service.stop().await;
    let took = began.elapsed();
    assert!(status.success(), "it ended with {status}");
    // Beyond the drain: closing pools and files, on a busy machine.
    assert!(took < Duration::from_secs(DRAIN_SECONDS + 5), "it took {took:?}");

    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    // A lease that was not handed back would hold the message for three minutes.
    let working = |m: &Message| m.is_final() || matches!(m.status(), "PreProcessing" | "Processing");
    caller.wait_for(&id, Duration::from_secs(20), working).await;
    let ended = caller.ended(&id).await;
    FILE.assert_counted(&ended);
    readings::assert_landed(&site, &[small, FILE]).await;
    assert!(service.stop().await.success());
}
