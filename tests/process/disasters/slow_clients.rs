//! Thousands of clients that say one byte now and then (slow loris): others are served, memory stays bounded, and they are let go.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::support::is_long;
use crate::wire::http;

/// A request that never comes to the end of its head.
const HEAD: &[u8] = b"POST /api/v1/jobs/x/messages HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
/// A client says a byte so often.
const BETWEEN: Duration = Duration::from_secs(5);
/// A head may take half a minute; then the client is let go.
const LET_GO: Duration = Duration::from_mins(1);
/// What a connection that waits may cost, in KiB: of an unoptimised build, too.
const KIB_EACH: u64 = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_finish_a_request_keep_nobody_out() {
    let clients: usize = if is_long() { 10_000 } else { 2_000 };
    // For both of them: the service has the limits of whoever starts it.
    let most = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, limit).expect("a process may have what it may have");
    let site = Site::on(TestDatabase::sqlite()).await;
    std::fs::create_dir_all(site.path("jobs")).expect("a folder");
    std::fs::create_dir_all(site.path("entities")).expect("a folder");
    let service = site.start("data").await;
    let address = service.base.trim_start_matches("http://").to_owned();
    let before = service.resident_kib();
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        crowd.spawn(async move { dawdle(&mut stream).await });
    }
    let client = http();
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let began = Instant::now();
        let answer = client.get(format!("{}/health/ready", service.base)).send().await;
        assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
        slowest = slowest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let grown = service.resident_kib().saturating_sub(before);
    assert!(slowest < Duration::from_secs(5), "an answer took {slowest:?}");
    assert!(grown < KIB_EACH * clients as u64, "{clients} clients cost {grown} KiB");
    let began = Instant::now();
    while let Some(ended) = crowd.join_next().await {
        ended.expect("it does not panic");
        assert!(began.elapsed() < LET_GO, "{} are still connected", crowd.len());
    }
    assert!(service.stop().await.success());
}

/// Says a byte now and then until the service has had enough.
async fn dawdle(stream: &mut TcpStream) {
    if stream.write_all(HEAD).await.is_err() {
        return;
    }
    let mut answer = [0; 256];
    loop {
        match tokio::time::timeout(BETWEEN, stream.read(&mut answer)).await {
            Ok(Ok(read)) if read > 0 => {}
            Ok(_) => return,
            Err(_) if stream.write_all(b"x").await.is_err() => return,
            Err(_) => {}
        }
    }
}
