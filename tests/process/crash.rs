//! Promise 2: a service killed at any moment of an import loses nothing and does nothing twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::on_both_databases;
use crate::readings::{self, Readings};
use crate::site::{Credentials, Site};
use crate::support::chance::Chance;
use crate::support::databases::TestDatabase;
use crate::support::is_long;
use crate::wire::{Caller, Message};

/// Records in each file.
const RECORDS: u64 = 4_000;
/// Small batches and chunks, so that a kill has many places to hit.
const AT_ONCE: &str = "200";

on_both_databases!(
    an_import_killed_at_random_moments_completes_once,
    a_file_that_replaces_another_is_never_there_in_part,
);

async fn an_import_killed_at_random_moments_completes_once(store: TestDatabase) {
    // Each costs seconds: the import once more in a build without optimisation, and on PostgreSQL a dead worker's lease that lapses.
    let kills_wanted = if is_long() { 50 } else { 8 };
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let (site, tester) = crash_site(store).await;
    let undisturbed = first_import(&site, &tester).await;

    let mut files = vec![file(0)];
    let mut kills = 0;
    while kills < kills_wanted {
        let next = file(files.len() as u64);
        files.push(next);
        let moments = (kills..kills_wanted).map(|_| chance.up_to(undisturbed.mul_f64(0.8)));
        kills += import_under_fire(&site, &tester, next, moments).await;
    }
    readings::assert_landed(&site, &files).await;
}

async fn a_file_that_replaces_another_is_never_there_in_part(store: TestDatabase) {
    let kills_wanted = if is_long() { 12 } else { 4 };
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let (site, tester) = crash_site(store).await;
    readings::define_replacing(&site);
    let undisturbed = first_import(&site, &tester).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let watching = readings::watch_rows(site.business_url().to_owned(), Arc::clone(&is_over));
    let watching = tokio::spawn(watching);

    let (mut kills, mut index) = (0, 0);
    while kills < kills_wanted {
        index += 1;
        let moments = (kills..kills_wanted).map(|_| chance.up_to(undisturbed.mul_f64(0.8)));
        kills += import_under_fire(&site, &tester, file(index), moments).await;
        readings::assert_landed(&site, &[file(index)]).await;
    }
    is_over.store(true, Ordering::Relaxed);
    let seen = watching.await.expect("the watch ends");
    let whole = i64::try_from(file(0).good()).expect("small");
    assert_eq!(seen, [whole].into(), "rows at each look");
}

/// Pushes one file and kills the service that long after each time a worker takes the message. Returns how many of the kills
/// came before the end of the import.
async fn import_under_fire(
    site: &Site,
    tester: &Credentials,
    file: Readings,
    moments: impl Iterator<Item = Duration>,
) -> u32 {
    let mut service = site.start("data").await;
    let mut caller = Caller::new(&service, tester).await;
    let id = caller.push(readings::JOB, readings::ENTITY, file.file()).await;
    let (mut kills, mut attempt) = (0, 0);
    for moment in moments {
        let taken = |m: &Message| m.attempt() > attempt || m.is_final();
        attempt = caller.wait_for(&id, Duration::from_mins(1), taken).await.attempt();
        tokio::time::sleep(moment).await;
        service.kill9();
        service = site.start("data").await;
        caller = Caller::new(&service, tester).await;
        let message = caller.message(&id).await;
        // Where it is not taken up again it was faster than the kill. One that is may have ended by now.
        if message.attempt() > attempt || !message.is_final() {
            kills += 1;
        }
        if message.is_final() {
            break;
        }
    }
    file.assert_counted(&caller.ended(&id).await);
    assert!(service.stop().await.success());
    kills
}

/// Short leases, so that a dead worker is soon replaced.
async fn crash_site(store: TestDatabase) -> (Site, Credentials) {
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_IMPORT__BATCH_RECORDS", AT_ONCE);
    site.set("TRANSHIP_IMPORT__CHUNK_RECORDS", AT_ONCE);
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    readings::define(&site);
    let tester = site.add_client("tester", "client");
    (site, tester)
}

/// Imports the first file in peace: how long that takes, which is longer than a worker takes, bounds the moments of the kills, and it makes
/// the table to watch.
async fn first_import(site: &Site, tester: &Credentials) -> Duration {
    let service = site.start("data").await;
    let caller = Caller::new(&service, tester).await;
    let began = Instant::now();
    let id = caller.push(readings::JOB, readings::ENTITY, file(0).file()).await;
    let ended = caller.ended(&id).await;
    let took = began.elapsed();
    file(0).assert_counted(&ended);
    assert!(service.stop().await.success());
    readings::watch_target(site).await;
    took
}

fn file(index: u64) -> Readings {
    Readings {
        first: index * RECORDS,
        count: RECORDS,
    }
}
