//! Three times what it takes: native clients are told to come back, connectors wait and then are; what is acknowledged is there, and when it
//! is over everything is as quick as before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;

use super::{RELAY, define_relay, depth};
use crate::on_both_databases;
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::wire::{Caller, http};

on_both_databases!(too_much_is_turned_away_and_nothing_of_it_stays,);

/// Enqueues at once that the service takes; there are three times as many native clients, and more connectors.
const CAPACITY: usize = 4;
const SECONDS: u64 = 8;
const ADMIT_WAIT_SECONDS: u64 = 1;
/// A body has five pieces, so it takes longer than anybody waits: what comes while its sender waits is there at once when it is let in.
const BETWEEN_PIECES: Duration = Duration::from_millis(300);
/// Most that an answer may take while there is too much: admission, and a slow machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Tally {
    is_over: AtomicBool,
    taken: AtomicU64,
    told_429: AtomicU64,
    told_503: AtomicU64,
}

async fn too_much_is_turned_away_and_nothing_of_it_stays(store: TestDatabase) {
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_QUEUE__MAX_ENQUEUES", &CAPACITY.to_string());
    site.set("TRANSHIP_QUEUE__ADMIT_WAIT_SECONDS", &ADMIT_WAIT_SECONDS.to_string());
    define_relay(&site);
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let calm = enqueue_alone(&caller).await;
    let tally = Arc::new(Tally::default());
    let mut load = tokio::task::JoinSet::new();
    let native = format!("{}/api/v1/jobs/{RELAY}/messages", service.base);
    let connector = format!(
        "{}/api/connector/enqueue/00000000-0000-4000-8000-0000000000e5",
        service.base
    );
    // Connectors wait for their turn, so it takes more of them until the wait is too long.
    let clients = [vec![native; 3 * CAPACITY], vec![connector; 8 * CAPACITY]].concat();
    for url in clients {
        load.spawn(insist(url, caller.token().to_owned(), Arc::clone(&tally)));
    }
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    tally.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = load.join_next().await {
        ended.expect("the load ends well");
    }
    let after = enqueue_alone(&caller).await;
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (taken, told_429, told_503) = (count(&tally.taken), count(&tally.told_429), count(&tally.told_503));
    println!(
        "overload: {}",
        json!({ "taken": taken, "429": told_429, "503": told_503, "ms_before": calm.as_millis(), "ms_after": after.as_millis() })
    );
    assert!(
        taken > 0 && told_429 > 0 && told_503 > 0,
        "{taken} taken, {told_429} and {told_503} told to come back"
    );
    // The ten before and after.
    assert_eq!(
        depth(&caller, RELAY).await,
        taken + 20,
        "what was acknowledged, and nothing else"
    );
    assert!(
        after < calm * 5 + Duration::from_millis(200),
        "{after:?} after it, {calm:?} before"
    );
    assert!(service.stop().await.success());
}

/// How long an enqueue takes when nobody else is there: the middle one of ten.
async fn enqueue_alone(caller: &Caller) -> Duration {
    let mut times = Vec::new();
    for _ in 0..10 {
        let began = Instant::now();
        let answer = caller.post(&format!("/api/v1/jobs/{RELAY}/messages"), "alone").await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[5]
}

/// Enqueues without a rest, and without heeding `Retry-After`. A slow body keeps its place for a while.
async fn insist(url: String, token: String, tally: Arc<Tally>) {
    let http = http();
    let is_native = url.contains("/api/v1/");
    while !tally.is_over.load(Ordering::Relaxed) {
        let pieces = futures_util::stream::unfold(0, |piece| async move {
            tokio::time::sleep(BETWEEN_PIECES).await;
            (piece < 5).then(|| (Ok::<_, std::io::Error>(vec![b'x'; 200]), piece + 1))
        });
        let began = Instant::now();
        let request = http.post(&url).bearer_auth(&token);
        let sent = request.body(reqwest::Body::wrap_stream(pieces)).send().await;
        // A refusal may come while the body is still under way, and then looks like a broken connection.
        let Ok(answer) = sent else { continue };
        assert!(began.elapsed() < ANSWERED_WITHIN, "{url} took {:?}", began.elapsed());
        match answer.status() {
            StatusCode::CREATED | StatusCode::OK => tally.taken.fetch_add(1, Ordering::Relaxed),
            StatusCode::TOO_MANY_REQUESTS if is_native => told(&answer, &tally.told_429),
            StatusCode::SERVICE_UNAVAILABLE if !is_native => told(&answer, &tally.told_503),
            other => panic!("{url}: {other}: {:?}", answer.text().await),
        };
    }
}

/// Turned away, and told when to come again.
fn told(answer: &reqwest::Response, counter: &AtomicU64) -> u64 {
    let again = answer.headers()["retry-after"].to_str().expect("a text");
    assert!(again.parse::<u32>().is_ok(), "{again}");
    counter.fetch_add(1, Ordering::Relaxed)
}
