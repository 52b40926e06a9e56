//! The same at commits by their number, which are more than have names: all of them in the long form, some of them otherwise.

use std::time::Duration;

use super::imports::{LANES, Sent, assert_all_ended, site_of_imports};
use super::place::Payloads;
use crate::on_both_databases;
use crate::support::chance::Chance;
use crate::support::databases::TestDatabase;

on_both_databases!(an_import_killed_at_any_commit_lands_once,);

/// More commits than a start and an import have.
const COMMITS_MAX: usize = 60;
/// So many of them are tried on each side of each database's commits.
const TRIED: usize = 5;
/// After what was asked of it; an import takes less.
const A_LIFE: Duration = Duration::from_secs(2);

async fn an_import_killed_at_any_commit_lands_once(store: TestDatabase) {
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let long = std::env::var_os("TRANSHIP_TEST_LONG").is_some();
    let place = site_of_imports(store, Payloads::Files).await;
    let (mut sent, mut died) = (Vec::new(), 0);
    for side in tranship::failpoint::COMMITS {
        let some = (0..TRIED).map(|_| 1 + chance.below(COMMITS_MAX / 2));
        let counts: Vec<usize> = if long {
            (1..=COMMITS_MAX).collect()
        } else {
            some.collect()
        };
        for count in counts {
            let failpoint = format!("{side}:{count}");
            let lane = &LANES[sent.len() % LANES.len()];
            sent.push(Sent::new(sent.len() + 1, lane, &failpoint));
            let died_here = place.may_die_at(&failpoint, A_LIFE, async |caller| {
                for one in &mut sent {
                    one.offer(caller).await;
                }
            });
            died += usize::from(died_here.await);
        }
    }
    assert_all_ended(&place, &sent).await;
    eprintln!(
        "crash matrix: {died} of {} imports killed at a commit, each record landed once",
        sent.len()
    );
    assert!(died * 2 > sent.len(), "{died} of {} lives were cut short", sent.len());
}
