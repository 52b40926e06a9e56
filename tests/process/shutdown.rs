//! SIGTERM: what is running is drained within a bound, what is not finished is handed back, and who merely keeps a connection open
//! is not waited for.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
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

/// What clients do between requests.
const QUIET: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_connection_without_a_request_is_kept_open_and_holds_up_no_shutdown() {
    let site = Site::on(TestDatabase::sqlite()).await;
    let service = site.start("data").await;
    let mut connection = TcpStream::connect(service.base.trim_start_matches("http://")).expect("it listens");
    ask_whether_alive(&mut connection);
    std::thread::sleep(QUIET);
    ask_whether_alive(&mut connection);
    let began = Instant::now();
    assert!(service.stop().await.success());
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "it took {took:?}");
}

/// One request and its answer, on a connection that stays open.
fn ask_whether_alive(connection: &mut TcpStream) {
    connection
        .write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("the connection takes a request");
    let mut answer = [0; 1024];
    let length = connection.read(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
}

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
