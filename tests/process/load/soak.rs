//! An even load of everything at once: memory, open files, write-ahead log, depth and latency are at the end what they were in the beginning.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::usage::{Usage, median, most};
use super::{RELAY, define_relay, depth};
use crate::on_both_databases;
use crate::readings::{self, Readings};
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::wire::{Caller, in_path};

on_both_databases!(an_even_load_leaves_nothing_behind,);

/// The short form; `TRANSHIP_SOAK_SECONDS` says otherwise.
const SECONDS: u64 = 30;
/// Parcels in a second, and rest between two files.
const PARCEL_EVERY: Duration = Duration::from_millis(40);
const FILE_EVERY: Duration = Duration::from_secs(1);
const RECORDS: u64 = 200;
/// Memory that may come on top between the second fifth and the last: caches fill, and the allocator keeps some.
const KIB_MORE: u64 = 16 * 1024;
const DESCRIPTORS_MORE: u64 = 12;
const WAL_BYTES_MAX: u64 = 64 << 20;
/// Who collects the parcels: each makes one request after the other, which on a machine that does other things too takes its time.
const COLLECTORS: usize = 3;
/// So many looks, one a second, even out what else the machine does: then times and the write-ahead log are compared, too.
const LOOKS_FOR_TIMES: usize = 600;
const MICROS_MORE: u64 = 250_000;
const WAL_BYTES_MORE: u64 = 8 << 20;
/// What nobody has collected yet.
const WAITING_MAX: u64 = 400;

const EXPORT: &str = r#"
id = "00000000-0000-4000-8000-0000000000e6"
name = "Readings out"
direction = "export"
clients = ["tester"]
[schedule]
cron = "*/5 * * * * *"
missed = "skip"
[export]
format = "csv"
prevent_upload_when_zero_records = true
[[export.entities]]
entity = "Meter readings"
refresh = "incremental"
"#;

/// What the load shares.
#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    slowest_micros: AtomicU64,
    sent: AtomicU64,
    collected: AtomicU64,
    files: AtomicU64,
}

async fn an_even_load_leaves_nothing_behind(store: TestDatabase) {
    let seconds = std::env::var("TRANSHIP_SOAK_SECONDS").map_or(SECONDS, |text| text.parse().expect("seconds"));
    let url = store.url.clone();
    let mut site = Site::on(store).await;
    // As long as anybody may ask for.
    site.set("TRANSHIP_SERVER__TOKEN_SECONDS", "86400");
    define_relay(&site);
    readings::define(&site);
    site.write("jobs/readings-out.toml", EXPORT);
    let tester = site.add_client("tester", "operator");
    let mut service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let shared = Arc::new(Shared::default());
    let mut load = tokio::task::JoinSet::new();
    load.spawn(send_parcels(caller.clone(), Arc::clone(&shared)));
    for _ in 0..COLLECTORS {
        load.spawn(collect(caller.clone(), RELAY, Arc::clone(&shared)));
    }
    load.spawn(collect(caller.clone(), "Readings%20out", Arc::clone(&shared)));
    load.spawn(send_files(caller.clone(), Arc::clone(&shared)));

    let mut looks = Vec::new();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let slowest = Duration::from_micros(shared.slowest_micros.swap(0, Ordering::Relaxed));
        looks.push(Usage::of(&service, &url, depth(&caller, RELAY).await, slowest));
        assert!(service.is_running(), "{}", service.log());
    }
    shared.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = load.join_next().await {
        ended.expect("the load ends well");
    }
    judge(&looks, &shared, &url);
    assert!(service.stop().await.success());
}

fn micros(look: &Usage) -> u64 {
    look.slowest.as_micros().try_into().unwrap_or(u64::MAX)
}

/// The second fifth against the last: in the first everything is still filling up.
fn judge(looks: &[Usage], shared: &Shared, url: &str) {
    let fifth = looks.len() / 5;
    let (early, late) = (&looks[fifth..2 * fifth], &looks[looks.len() - fifth..]);
    let figures = |looks: &[Usage]| {
        json!({
            "held_kib": median(looks, |look| look.held_kib), "descriptors": median(looks, |look| look.descriptors),
            "wal_bytes": most(looks, |look| look.wal_bytes), "waiting": most(looks, |look| look.waiting),
            "slowest_enqueue_ms": median(looks, micros) / 1000,
        })
    };
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (sent, collected) = (count(&shared.sent), count(&shared.collected));
    println!(
        "soak {} {} s: {}",
        url.split(':').next().unwrap_or_default(),
        looks.len(),
        json!({ "early": figures(early), "late": figures(late), "parcels": sent, "files": count(&shared.files), "collected": collected })
    );
    assert!(sent > looks.len() as u64, "{sent} parcels in {} s", looks.len());
    assert!(collected >= sent, "what was sent was collected: {collected} of {sent}");
    let held = |looks| median(looks, |look: &Usage| look.held_kib);
    assert!(
        held(late) <= held(early) + KIB_MORE,
        "memory grew: {:?} {:?}",
        figures(early),
        figures(late)
    );
    let open = |looks| median(looks, |look: &Usage| look.descriptors);
    assert!(
        open(late) <= open(early) + DESCRIPTORS_MORE,
        "open files grew from {} to {}",
        open(early),
        open(late)
    );
    assert!(
        most(looks, |look| look.wal_bytes) <= WAL_BYTES_MAX,
        "the write-ahead log grew"
    );
    assert!(most(late, |look| look.waiting) <= WAITING_MAX, "the queue grew");
    if looks.len() >= LOOKS_FOR_TIMES {
        let (slow, wal) = (
            |looks| median(looks, micros),
            |looks| most(looks, |look: &Usage| look.wal_bytes),
        );
        assert!(
            slow(late) <= 3 * slow(early) + MICROS_MORE,
            "answers took longer and longer: {:?} {:?}",
            figures(early),
            figures(late)
        );
        assert!(wal(late) <= 2 * wal(early) + WAL_BYTES_MORE, "the write-ahead log grew");
    }
}

async fn send_parcels(caller: Caller, shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(PARCEL_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !shared.is_over.load(Ordering::Relaxed) {
        tick.tick().await;
        let began = Instant::now();
        let answer = caller
            .post(&format!("/api/v1/jobs/{RELAY}/messages"), "p".repeat(1024))
            .await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let micros = began.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        shared.slowest_micros.fetch_max(micros, Ordering::Relaxed);
        shared.sent.fetch_add(1, Ordering::Relaxed);
    }
}

async fn send_files(caller: Caller, shared: Arc<Shared>) {
    let mut number = 0;
    while !shared.is_over.load(Ordering::Relaxed) {
        let file = Readings {
            first: number * RECORDS,
            count: RECORDS,
        };
        let id = caller.push(readings::JOB, readings::ENTITY, file.file()).await;
        file.assert_counted(&caller.ended(&id).await);
        shared.files.fetch_add(1, Ordering::Relaxed);
        number += 1;
        tokio::time::sleep(FILE_EVERY).await;
    }
}

/// Leases, downloads and acknowledges until it is over and nothing is left.
async fn collect(caller: Caller, job: &str, shared: Arc<Shared>) {
    let asked = json!({ "max": 20, "wait_seconds": 1 }).to_string();
    loop {
        let was_over = shared.is_over.load(Ordering::Relaxed);
        let leased: Value = caller
            .post(&format!("/api/v1/jobs/{job}/leases"), asked.clone())
            .await
            .json()
            .await
            .expect("JSON");
        let handed_out = leased["leases"].as_array().expect("leases");
        if handed_out.is_empty() && was_over {
            return;
        }
        for lease in handed_out {
            let payload = caller.get(lease["links"]["payload"].as_str().expect("a link")).await;
            assert_eq!(payload.status(), StatusCode::OK);
            payload.bytes().await.expect("the payload");
            let receipt = in_path(lease["receipt"].as_str().expect("a receipt"));
            let done_with = caller.post(&format!("/api/v1/leases/{receipt}/ack"), "").await;
            assert_eq!(done_with.status(), StatusCode::OK);
            if job == RELAY {
                shared.collected.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
