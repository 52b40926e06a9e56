//! What an operator watches: queues in `/api/v1/jobs` and in `/metrics`, and how durable an enqueue is.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::app::{Backend, TestApp};
use crate::client::{Answered, relay};

crate::on_both_backends!(
    a_queue_tells_how_long_it_is_and_since_when,
    metrics_are_for_whoever_sees_every_job,
);

/// The value of one series of `/metrics`.
async fn series(app: &TestApp, name: &str) -> Option<f64> {
    let text = app.get("/metrics").await.text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

async fn a_queue_tells_how_long_it_is_and_since_when(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Orders", "")).await;
    for _ in 0..3 {
        app.put("Orders", "", "one").await;
    }
    assert_eq!(app.lease("Orders", json!({ "max": 1 })).await.len(), 1);
    let shown = Answered::read(app.get("/api/v1/jobs/Orders").await)
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&shown["queue"]["waiting"], &shown["queue"]["leased"]),
        (&json!(2), &json!(1))
    );
    assert!(shown["queue"]["oldest_enqueued_at"].is_string(), "{shown}");
    let listed = Answered::read(app.get("/api/v1/jobs").await)
        .await
        .expect(StatusCode::OK);
    let mut jobs = listed["jobs"].as_array().unwrap().iter();
    let orders = jobs.find(|job| job["name"] == "Orders").unwrap();
    assert_eq!(
        orders["queue"],
        json!({ "waiting": 2, "max_messages": null, "leased": 1 })
    );

    let waiting = r#"tranship_queue_messages{job="Orders",state="waiting"}"#;
    let leased = r#"tranship_queue_messages{job="Orders",state="leased"}"#;
    assert_eq!(series(&app, waiting).await, Some(2.0));
    assert_eq!(series(&app, leased).await, Some(1.0));
    assert!(
        series(&app, r#"tranship_queue_oldest_seconds{job="Orders"}"#)
            .await
            .is_some()
    );
    let full = series(&app, r#"tranship_store_durability{class="full"}"#).await;
    let relaxed = series(&app, r#"tranship_store_durability{class="relaxed"}"#).await;
    assert_eq!(full.zip(relaxed).map(|(full, relaxed)| full + relaxed), Some(1.0));
    let commits = series(&app, "tranship_store_commits_total").await;
    assert!(commits.is_some_and(|commits| commits >= 2.0), "{commits:?}");
}

/// Here the listener is on loopback but stands for a public address: nobody gets in without a role.
async fn metrics_are_for_whoever_sees_every_job(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        relay(setup, "Private orders", "");
        setup.set("server.public_url", "https://queue.example.test");
    })
    .await;
    let ask = |token: Option<String>| {
        let request = app.request(Method::GET, "/metrics");
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    };
    let secret = app.add_client("watcher", "viewer").await;
    let watcher = app.token_of("watcher", &secret).await;
    let nobody = ask(None).send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    let stranger = app.client("stranger").await;
    assert_eq!(
        ask(Some(stranger)).send().await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(ask(Some(watcher)).send().await.unwrap().status(), StatusCode::OK);
}

/// A service whose metrics nobody reads counts all the same: what it keeps of each duration has to go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn durations_that_nobody_reads_take_no_memory() {
    const DURATIONS: usize = 2_000_000;
    /// Kept one by one, those of a round take 16 MiB.
    const KIB_MORE: u64 = 10 * 1024;
    let _app = TestApp::spawn(Backend::Sqlite).await;
    let name = "tranship_store_commit_seconds";
    let mut held = Vec::new();
    for _ in 0..3 {
        let counted = tokio::task::spawn_blocking(move || {
            let durations = metrics::histogram!(name);
            (0..DURATIONS).for_each(|_| durations.record(0.001));
        });
        counted.await.unwrap();
        // They are summed up every five seconds.
        tokio::time::sleep(Duration::from_secs(11)).await;
        held.push(held_kib());
    }
    // What is kept comes with every round; what the allocator does not give back at once, with one.
    let grows = |round: &[u64]| round[1] > round[0] + KIB_MORE;
    assert!(!held.windows(2).all(grows), "KiB after each round: {held:?}");
}

/// Memory of this process that is no file's.
fn held_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.expect("the kernel says it").trim().parse().expect("a number")
}
