//! A backlog drains, and its last tenth as fast as its first.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{RELAY, define_relay, depth};
use crate::on_both_databases;
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::wire::Caller;

on_both_databases!(a_backlog_drains,);

/// Messages; the long form by `TRANSHIP_TEST_LONG`.
const MESSAGES: (usize, usize) = (10_000, 1_000_000);
/// At once: as many as a call takes.
const AT_ONCE: usize = 1_000;
/// How much longer the slowest tenth may take than the fastest, on a machine that does other things too.
const SLOWER: u32 = 4;

async fn a_backlog_drains(store: TestDatabase) {
    let is_long = crate::support::is_long();
    let messages = if is_long { MESSAGES.1 } else { MESSAGES.0 };
    let kind = store.url.split(':').next().unwrap_or_default().to_owned();
    let site = Site::on(store).await;
    define_relay(&site);
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let batch = json!({ "messages": vec![json!({ "text": "a parcel" }); AT_ONCE] }).to_string();
    let began = Instant::now();
    for _ in 0..messages / AT_ONCE {
        let sent = caller
            .post(&format!("/api/v1/jobs/{RELAY}/messages/batch"), batch.clone())
            .await;
        let sent: Value = sent.json().await.expect("JSON");
        let stored = sent["results"].as_array().expect("results").iter();
        assert_eq!(stored.filter(|one| one["status"] == 201).count(), AT_ONCE, "{sent}");
    }
    let filled = began.elapsed();
    assert_eq!(depth(&caller, RELAY).await, messages as u64);
    let mut tenths = Vec::new();
    for _ in 0..10 {
        let began = Instant::now();
        for _ in 0..messages / AT_ONCE / 10 {
            assert_eq!(take(&caller).await, AT_ONCE);
        }
        tenths.push(began.elapsed());
    }
    assert_eq!(take(&caller).await, 0);
    assert_eq!(depth(&caller, RELAY).await, 0);
    let drained: Duration = tenths.iter().sum();
    println!(
        "backlog {kind}: {}",
        json!({ "messages": messages, "filled_s": filled.as_secs_f64(), "drained_s": drained.as_secs_f64(),
                "tenths_s": tenths.iter().map(Duration::as_secs_f64).collect::<Vec<_>>() })
    );
    let (fastest, slowest) = (tenths.iter().min().expect("ten"), tenths.iter().max().expect("ten"));
    assert!(*slowest <= *fastest * SLOWER + Duration::from_secs(2), "{tenths:?}");
    assert!(service.stop().await.success());
}

/// Leases and acknowledges as many as a call takes.
async fn take(caller: &Caller) -> usize {
    let asked = json!({ "max": AT_ONCE }).to_string();
    let leased = caller.post(&format!("/api/v1/jobs/{RELAY}/leases"), asked).await;
    assert_eq!(leased.status(), StatusCode::OK);
    let leased: Value = leased.json().await.expect("JSON");
    let handed_out = leased["leases"].as_array().expect("leases");
    if handed_out.is_empty() {
        return 0;
    }
    let items: Vec<Value> = handed_out
        .iter()
        .map(|lease| json!({ "action": "ack", "receipt": lease["receipt"] }))
        .collect();
    let done_with = caller
        .post("/api/v1/leases/batch", json!({ "items": items }).to_string())
        .await;
    let done_with: Value = done_with.json().await.expect("JSON");
    let done = done_with["results"].as_array().expect("results").iter();
    done.filter(|one| one["message_status"] == "Acked").count()
}
