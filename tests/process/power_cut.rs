//! Power cuts: `kill -9` leaves what the kernel holds, a power cut does not.
//!
//! The built binary runs under `recorder.c`, which writes down each change of a file and each sync. From that the disk is made as it may be
//! when the power goes at any of these moments: with all that was synced, and of the rest nothing, or some sectors and some names
//! (`disk`). On each such disk the service starts again and every promise is checked. `docs/reliability-crash.md` tells more.

mod check;
mod disk;
mod first_start;
mod journal;
mod load;
mod programs;
mod recording;

use std::time::{Duration, Instant};

use disk::{Disk, Loss};
use load::Told;
use recording::Recording;

use crate::site::{Credentials, Site};
use crate::support::chance::Chance;
use crate::support::databases::TestDatabase;
use crate::support::is_long;

/// How long a recorded service is under load.
const UNDER_LOAD: Duration = Duration::from_millis(2500);
/// Cuts of one recording.
const CUTS: usize = 10;
/// Rounds on PostgreSQL, each with the cut that ends it.
const ROUNDS: usize = 4;

/// How long to go on with new rounds: `TRANSHIP_POWER_SECONDS`, ten minutes in the long form, one round otherwise.
fn seconds() -> u64 {
    let asked = std::env::var("TRANSHIP_POWER_SECONDS").ok();
    let long = if is_long() { 600 } else { 0 };
    asked.and_then(|text| text.parse().ok()).unwrap_or(long)
}

/// Where and how the power goes: right after an answer, or anywhere.
fn cut(chance: &mut Chance, recording: &Recording, told: &[Told]) -> (usize, Loss) {
    let anywhere = chance.below(recording.entries.len() + 1);
    let at = if told.is_empty() || chance.one_in(2) {
        anywhere
    } else {
        let answer = told[chance.below(told.len())].at;
        recording.entries.partition_point(|entry| entry.end <= answer)
    };
    let loss = if chance.one_in(3) {
        Loss::Everything
    } else {
        Loss::Some(chance.number())
    };
    (at, loss)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_on_sqlite() {
    let mut chance = Chance::announced("TRANSHIP_POWER_SEED");
    let (began, mut rounds) = (Instant::now(), 0);
    loop {
        round(&mut chance).await;
        rounds += 1;
        if began.elapsed() >= Duration::from_secs(seconds()) {
            break;
        }
    }
    eprintln!(
        "power cut: {} cuts of {rounds} recordings on SQLite, nothing acknowledged was lost",
        rounds * CUTS
    );
}

/// Records once, and cuts that many times.
async fn round(chance: &mut Chance) {
    eprintln!("TRANSHIP_POWER_SEED={} has this round again", chance.seed());
    let (site, tester) = load::site(Site::empty()).await;
    let base = || Disk::of(&site.data_dir("data"));
    let (mut disk, base) = (base(), base());
    let (recording, told) = under_load(&site, &tester, base).await;
    let mut cuts: Vec<(usize, Loss)> = (0..CUTS).map(|_| cut(chance, &recording, &told)).collect();
    cuts.sort_by_key(|(at, _)| *at);
    let mut done = 0;
    for (number, (at, loss)) in cuts.into_iter().enumerate() {
        for entry in &recording.entries[done..at] {
            disk.apply(&entry.op);
        }
        done = at;
        let reached = at.checked_sub(1).map_or(0, |last| recording.entries[last].end);
        let known: Vec<_> = told.iter().filter(|told| told.at <= reached).collect();
        eprintln!(
            "cut {number}: after entry {at} of {}, {loss:?}, {} answers before it",
            recording.entries.len(),
            known.len()
        );
        let after = load::furnished(Site::empty());
        std::fs::create_dir_all(after.data_dir("data")).expect("a folder");
        disk::write(&disk.after_cut(loss), &after.data_dir("data"));
        check::all(&after, &tester, &known).await;
    }
}

/// What the service does to its files under load, until it is killed; with what it answered.
async fn under_load(site: &Site, tester: &Credentials, base: Disk) -> (Recording, Vec<Told>) {
    let (recorder, service) = recording::start(site).await;
    let told = load::run(&service, tester, &recorder.journal, UNDER_LOAD).await;
    service.kill9();
    let recording = recorder.end(base, &site.data_dir("data"));
    assert!(told.len() > 10, "{} answers", told.len());
    (recording, told)
}

/// PostgreSQL keeps what it committed; the files beside it have to be there for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_is_without_its_blob_on_postgres() {
    let Some(store) = TestDatabase::postgres().await else {
        return;
    };
    let mut chance = Chance::announced("TRANSHIP_POWER_SEED");
    let began = Instant::now();
    let (site, tester) = load::site(Site::on(store).await).await;
    let data = site.data_dir("data");
    let (mut rounds, mut told) = (0, Vec::new());
    while rounds < ROUNDS || began.elapsed() < Duration::from_secs(seconds()) {
        rounds += 1;
        let (recording, now) = under_load(&site, &tester, Disk::of(&data)).await;
        told.extend(now);
        let loss = match rounds % 2 {
            0 => Loss::Some(chance.number()),
            _ => Loss::Everything,
        };
        eprintln!("round {rounds}: {} entries, {loss:?}", recording.entries.len());
        std::fs::remove_dir_all(&data).expect("the old disk goes");
        std::fs::create_dir_all(&data).expect("a folder");
        disk::write(&recording.disk.after_cut(loss), &data);
        let known: Vec<_> = told.iter().collect();
        let now = check::all(&site, &tester, &known).await;
        // Before all of the next round.
        told.extend(now.into_iter().map(|fact| Told { at: 0, fact }));
    }
    eprintln!("power cut: {rounds} rounds on PostgreSQL, no row without its blob");
}
