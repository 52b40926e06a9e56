//! The same at commits by their number, which are more than have names: all of them in the long form, some of them otherwise.

use std::time::Duration;

use super::imports::{LANES, Sent, assert_all_ended, site_of_imports};
use super::place::Payloads;
use crate::on_both_databases;
use crate::support::chance::Chance;
use crate::support::databases::TestDatabase;
use crate::wire::Caller;

on_both_databases!(an_import_killed_at_any_commit_lands_once,);

/// More commits than a start and an import have.
const COMMITS_MAX: usize = 60;
/// So many of them are tried on each side of each database's commits, beside the first one.
const TRIED: usize = 4;
/// After what was asked of it; an import takes less.
const A_LIFE: Duration = Duration::from_secs(2);
/// After so many lives in a row that came to no such commit there are no more of them.
const WHOLE_LIVES: usize = 3;

async fn an_import_killed_at_any_commit_lands_once(store: TestDatabase) {
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let long = crate::support::is_long();
    let place = site_of_imports(store, Payloads::Files).await;
    let (mut sent, mut died) = (Vec::new(), 0);
    for side in tranship::failpoint::COMMITS {
        // There is one in each life, however slow it is.
        let first = format!("{side}:1");
        sent.push(Sent::new(sent.len() + 1, &LANES[0], &first));
        place
            .die_at(&first, async |caller| offer_all(&mut sent, caller).await)
            .await;
        died += 1;
        let (mut up_to, mut whole) = (COMMITS_MAX / 2, 0);
        for number in 0..if long { COMMITS_MAX } else { TRIED } {
            let count = if long { 2 + number } else { 1 + chance.below(up_to) };
            let failpoint = format!("{side}:{count}");
            sent.push(Sent::new(sent.len() + 1, &LANES[sent.len() % LANES.len()], &failpoint));
            let act = async |caller: &Caller| offer_all(&mut sent, caller).await;
            if place.may_die_at(&failpoint, A_LIFE, act).await {
                (died, whole) = (died + 1, 0);
                continue;
            }
            // Nobody comes that far: below there may be more.
            (up_to, whole) = ((count - 1).max(1), whole + 1);
            if long && whole == WHOLE_LIVES {
                break;
            }
        }
    }
    assert_all_ended(&place, &sent).await;
    eprintln!(
        "crash matrix: {died} of {} imports killed at a commit, each record landed once",
        sent.len()
    );
}

async fn offer_all(sent: &mut [Sent], caller: &Caller) {
    for one in sent {
        one.offer(caller).await;
    }
}
