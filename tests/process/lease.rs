//! Promises 2 and 3: a worker that lost its lease can do nothing, however late it wakes; and one that works does not lose it.

use std::time::Duration;

use crate::readings::{self, Readings};
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::support::files;
use crate::wire::{Caller, Message};

/// Small chunks: each is a transaction, and there is time to stop the worker among them.
const CHUNK_RECORDS: &str = "20";
const FILE: Readings = Readings {
    first: 1_000,
    count: 20_000,
};

/// The worker is stopped (SIGSTOP) in the middle of promotion, past its lease; another process takes the message over and
/// ends it; then the first continues. It must write nothing: no row, no count, no status.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_stopped_past_its_lease_and_continued_writes_nothing() {
    let Some(store) = TestDatabase::postgres().await else {
        return;
    };
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_IMPORT__CHUNK_RECORDS", CHUNK_RECORDS);
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    readings::define(&site);
    let tester = site.add_client("tester", "client");

    let first = site.start("first").await;
    let caller = Caller::new(&first, &tester).await;
    let small = Readings { first: 0, count: 10 };
    let id = caller.push(readings::JOB, readings::ENTITY, small.file()).await;
    small.assert_counted(&caller.ended(&id).await);
    readings::watch_target(&site).await;

    let id = caller.push(readings::JOB, readings::ENTITY, FILE.file()).await;
    let working = |m: &Message| m.is_final() || m.status() == "Processing";
    caller.wait_for(&id, Duration::from_mins(2), working).await;
    while readings::landings(&site).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.pause();
    let landed_at_pause = readings::landings(&site).await;
    assert!(
        landed_at_pause < FILE.good(),
        "it ended before it could be stopped: make the chunks smaller"
    );

    let second = site.start("second").await;
    let other = Caller::new(&second, &tester).await;
    let ended = other.ended(&id).await;
    FILE.assert_counted(&ended);
    assert!(ended.attempt() > 1, "the second process took it over: {}", ended.0);
    let landed = readings::landings(&site).await;

    first.resume();
    // Time for several chunks and heartbeats of the one that woke.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(
        readings::landings(&site).await,
        landed,
        "the stale worker wrote to the target"
    );
    assert_eq!(
        other.message(&id).await.0,
        ended.0,
        "the stale worker changed the status"
    );
    readings::assert_landed(&site, &[small, FILE]).await;

    // And it is none the worse for it.
    let after = Readings {
        first: 100_000,
        count: 10,
    };
    let id = Caller::new(&first, &tester)
        .await
        .push(readings::JOB, readings::ENTITY, after.file())
        .await;
    after.assert_counted(&other.ended(&id).await);
    assert!(first.stop().await.success());
    assert!(second.stop().await.success());
}

/// One step of the reader takes several leases: the heartbeat goes on beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_takes_long_to_read_does_not_cost_the_lease() {
    const CELLS: usize = 3_000_000;
    let mut site = Site::empty();
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    readings::define(&site);
    let (_, job) = readings::definitions();
    site.write("jobs/inbound-meter-readings.toml", &job.replace("\"csv\"", "\"xlsx\""));
    let tester = site.add_client("tester", "client");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;

    let row = |cells: [&str; 2]| {
        let cells = cells.map(|text| format!("<c t=\"inlineStr\"><is><t>{text}</t></is></c>"));
        format!("<row>{}</row>", cells.concat())
    };
    let blank = format!("<row>{}</row>", "<c/>".repeat(CELLS));
    let rows = row(["reading", "meter"]) + &blank + &row(["11", "M"]);
    let file = files::workbook_of(&rows, None, zip::CompressionMethod::Deflated);
    let id = caller.push(readings::JOB, readings::ENTITY, file).await;
    let ended = caller.ended(&id).await;
    assert_eq!(ended.records("applied"), 1, "{:#}", ended.0);
    assert_eq!(ended.attempt(), 1, "it was begun again: {:#}", ended.0);
    assert!(service.stop().await.success());
}
