//! Which lanes of a job have something to take, and from which place on.
//!
//! Each lane has a floor: the place up to which everything is known to be taken. A floor is a hint: whatever this process
//! puts below it lowers it, and what another process put there is found by a search without the floor. In the same way a
//! lane that was found empty is passed over until something comes to it, or a look at the whole job finds it again.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use super::Memory;
use super::looks::Looks;
use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;

/// How far the floor of a lane in which nothing was found stays behind the clock.
const LAG_SECONDS: i64 = 120;
/// Lanes remembered; more, and the memory starts anew.
const LANES_MAX: usize = 10_000;

/// A place in a lane: after the message of this rank and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::storage) struct Place {
    pub(in crate::storage) rank: i64,
    pub(in crate::storage) seq: i64,
}

impl Place {
    /// Before every message.
    const START: Self = Self {
        rank: i64::MIN,
        seq: i64::MIN,
    };
}

#[derive(Debug)]
struct Floor {
    at: Place,
    /// The lowest place something came to while the oldest claim under way was, and when it last did.
    lowered: Option<(Place, u64)>,
    looks: Looks,
    /// When a claim last took from it: lanes take turns.
    served: u64,
    /// Whether something may be there to take.
    offered: bool,
}

impl Floor {
    fn new() -> Self {
        Self {
            at: Place::START,
            lowered: None,
            looks: Looks::default(),
            served: 0,
            offered: false,
        }
    }
}

#[derive(Debug, Default)]
struct OfJob {
    lanes: HashMap<String, Floor>,
    /// Looks at which lanes there are.
    looks: Looks,
}

/// The lanes of all jobs.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    jobs: HashMap<JobId, OfJob>,
    count: usize,
    /// Looks at which jobs have something for a worker.
    worker_looks: Looks,
    /// Counts what happens here: an order of events that no clock can upset.
    tick: u64,
    /// When each claim under way began.
    under_way: BTreeSet<u64>,
}

impl Lanes {
    fn tick(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }

    pub(super) fn begin(&mut self) -> u64 {
        let begun = self.tick();
        self.under_way.insert(begun);
        begun
    }

    fn floor(&mut self, job: JobId, lane: &str) -> &mut Floor {
        let known = self.jobs.get(&job).is_some_and(|of| of.lanes.contains_key(lane));
        if !known {
            if self.count >= LANES_MAX {
                self.jobs.clear();
                self.count = 0;
            }
            self.count += 1;
        }
        let of = self.jobs.entry(job).or_default();
        of.lanes.entry(lane.to_owned()).or_insert_with(Floor::new)
    }

    /// Something came to this place of a lane.
    pub(super) fn lower(&mut self, job: JobId, lane: &str, rank: i64) {
        let place = Place {
            rank: rank.saturating_sub(1),
            seq: i64::MAX,
        };
        let tick = self.tick();
        let oldest = self.under_way.first().copied();
        let floor = self.floor(job, lane);
        floor.offered = true;
        floor.at = floor.at.min(place);
        floor.lowered = oldest.map(|oldest| match floor.lowered {
            Some((lowest, when)) if when > oldest => (lowest.min(place), tick),
            _ => (place, tick),
        });
    }

    /// Everything up to there was taken, by a claim that began then; `empty`: and nothing is left.
    fn raise(&mut self, taken: &Taken, begun: u64) {
        let floor = self.floor(taken.job, &taken.lane);
        let meanwhile = floor
            .lowered
            .filter(|(_, when)| *when > begun)
            .map(|(lowest, _)| lowest);
        if let Some(last) = taken.last {
            floor.at = meanwhile.map_or(last, |lowest| lowest.min(last));
        }
        if taken.empty && meanwhile.is_none() {
            floor.offered = false;
        }
    }
}

/// From where to search a lane.
#[derive(Debug, Clone, Copy)]
pub(in crate::storage) struct Search {
    pub(in crate::storage) after: Place,
    begun: Instant,
    whole: bool,
}

/// What a search took.
#[derive(Debug)]
struct Taken {
    job: JobId,
    lane: String,
    last: Option<Place>,
    empty: bool,
    whole: bool,
}

/// Claims in one transaction; what they found is remembered when it is committed.
pub(in crate::storage) struct Claims {
    memory: Memory,
    begun: u64,
    taken: Vec<Taken>,
}

impl Claims {
    pub(super) fn new(memory: Memory, begun: u64) -> Self {
        Self {
            memory,
            begun,
            taken: Vec::new(),
        }
    }

    /// From where to search this lane now.
    pub(in crate::storage) fn search(&self, job: JobId, lane: &str) -> Search {
        let mut memory = self.memory.lock();
        let floor = memory.lanes.floor(job, lane);
        let begun = Instant::now();
        // What this transaction took it need not pass again, and what it found below the floor goes on from there.
        let before = self
            .taken
            .iter()
            .rev()
            .find(|taken| taken.job == job && taken.lane == lane);
        if let Some((last, whole)) = before.and_then(|taken| Some((taken.last?, taken.whole))) {
            let after = last;
            return Search { after, begun, whole };
        }
        let whole = floor.at == Place::START || floor.looks.is_due(begun);
        Search {
            after: if whole { Place::START } else { floor.at },
            begun,
            whole,
        }
    }

    /// The floor of this lane, for who only looks: it takes no look at the whole.
    pub(in crate::storage) fn floor(&self, job: JobId, lane: &str) -> Place {
        self.memory.lock().lanes.floor(job, lane).at
    }

    /// Says how far a search at `now` came: everything up to `last` was taken; `empty`: all there was.
    pub(in crate::storage) fn searched(
        &mut self,
        job: JobId,
        lane: &str,
        search: Search,
        last: Option<Place>,
        empty: bool,
        now: Timestamp,
    ) {
        let mut memory = self.memory.lock();
        let tick = memory.lanes.tick();
        let floor = memory.lanes.floor(job, lane);
        if last.is_some() {
            floor.served = tick;
        }
        if search.whole {
            floor.looks.looked(search.begun);
        }
        // Where nothing is, the next search begins just behind the clock and not at the beginning again.
        let nothing = (search.whole && empty).then(|| Place {
            rank: now.plus_seconds(-LAG_SECONDS).micros(),
            seq: i64::MAX,
        });
        let last = last.or(nothing);
        drop(memory);
        self.taken.push(Taken {
            job,
            lane: lane.to_owned(),
            last,
            empty,
            whole: search.whole,
        });
    }

    /// The lanes of a job in which something may be, the one served longest ago first; `None`: look which there are, and
    /// say so by [`Claims::found`].
    pub(in crate::storage) fn lanes(&self, job: JobId) -> Option<Vec<String>> {
        let memory = self.memory.lock();
        let of = memory.lanes.jobs.get(&job)?;
        if of.looks.is_due(Instant::now()) {
            return None;
        }
        Some(offered(of))
    }

    /// As [`Claims::lanes`], where whether to look was decided for all jobs together.
    pub(in crate::storage) fn offered_lanes(&self, job: JobId) -> Vec<String> {
        self.memory.lock().lanes.jobs.get(&job).map_or_else(Vec::new, offered)
    }

    /// Whether it is time to look which jobs have something for a worker.
    pub(in crate::storage) fn is_worker_look_due(&self) -> bool {
        self.memory.lock().lanes.worker_looks.is_due(Instant::now())
    }

    /// A look that began then found these lanes with something to take.
    pub(in crate::storage) fn found(&self, job: JobId, lanes: &[String], begun: Instant) {
        let mut memory = self.memory.lock();
        for lane in lanes {
            memory.lanes.floor(job, lane).offered = true;
        }
        memory.lanes.jobs.entry(job).or_default().looks.looked(begun);
    }

    /// A look for all of a worker's jobs that began then is over.
    pub(in crate::storage) fn found_for_workers(&self, begun: Instant) {
        self.memory.lock().lanes.worker_looks.looked(begun);
    }

    /// When a lane was last served; 0: never.
    pub(in crate::storage) fn served(&self, job: JobId, lane: &str) -> u64 {
        let memory = self.memory.lock();
        let floor = memory.lanes.jobs.get(&job).and_then(|of| of.lanes.get(lane));
        floor.map_or(0, |floor| floor.served)
    }

    /// The transaction is committed: what was taken is gone.
    pub(in crate::storage) fn committed(mut self) {
        let mut memory = self.memory.lock();
        for taken in std::mem::take(&mut self.taken) {
            memory.lanes.raise(&taken, self.begun);
        }
    }
}

fn offered(of: &OfJob) -> Vec<String> {
    let mut lanes: Vec<(&String, u64)> = of
        .lanes
        .iter()
        .filter(|(_, floor)| floor.offered)
        .map(|(lane, floor)| (lane, floor.served))
        .collect();
    lanes.sort_by_key(|(lane, served)| (*served, *lane));
    lanes.into_iter().map(|(lane, _)| lane.clone()).collect()
}

impl Drop for Claims {
    fn drop(&mut self) {
        self.memory.lock().lanes.under_way.remove(&self.begun);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_700_000_000_000_000);

    fn claim(memory: &Memory, job: JobId, place: Option<Place>, empty: bool, meanwhile: impl FnOnce()) {
        let mut claims = memory.begin_claims();
        let search = claims.search(job, "");
        meanwhile();
        claims.searched(job, "", search, place, empty, NOON);
        claims.committed();
    }

    fn floor(memory: &Memory, job: JobId) -> Place {
        memory.begin_claims().search(job, "").after
    }

    fn place(rank: i64) -> Place {
        Place { rank, seq: 7 }
    }

    fn before(rank: i64) -> Place {
        Place { rank, seq: i64::MIN }
    }

    #[test]
    fn a_floor_rises_with_what_is_taken_and_sinks_under_what_comes() {
        let (memory, job) = (Memory::default(), JobId::generate());
        assert_eq!(floor(&memory, job), Place::START);
        claim(&memory, job, Some(place(100)), false, || {});
        assert_eq!(floor(&memory, job), place(100));
        memory.lower(job, "", 50);
        assert!(floor(&memory, job) < before(50));
    }

    #[test]
    fn what_comes_while_a_claim_is_under_way_is_not_passed_over() {
        let (memory, job) = (Memory::default(), JobId::generate());
        claim(&memory, job, Some(place(10)), false, || {});
        claim(&memory, job, Some(place(100)), true, || memory.lower(job, "", 50));
        assert!(floor(&memory, job) < before(50));
        assert_eq!(memory.begin_claims().offered_lanes(job), [""]);
    }

    #[test]
    fn a_claim_that_is_not_committed_raises_nothing() {
        let (memory, job) = (Memory::default(), JobId::generate());
        memory.lower(job, "", 50);
        let mut claims = memory.begin_claims();
        let search = claims.search(job, "");
        claims.searched(job, "", search, Some(place(100)), true, NOON);
        drop(claims);
        assert!(floor(&memory, job) < before(50));
        assert_eq!(memory.begin_claims().offered_lanes(job), [""]);
    }

    #[test]
    fn where_nothing_is_the_next_search_begins_behind_the_clock() {
        let (memory, job) = (Memory::default(), JobId::generate());
        claim(&memory, job, None, true, || {});
        let after = floor(&memory, job).rank;
        assert_eq!(after, NOON.plus_seconds(-LAG_SECONDS).micros());
        claim(&memory, job, None, true, || memory.lower(job, "", 50));
        assert!(floor(&memory, job) < before(50));
    }

    #[test]
    fn an_empty_lane_is_passed_over_until_something_comes_or_is_found() {
        let (memory, job) = (Memory::default(), JobId::generate());
        memory.lower(job, "usmf", 1);
        memory.lower(job, "demf", 2);
        assert_eq!(memory.begin_claims().lanes(job), None);
        memory.begin_claims().found(job, &[], Instant::now());
        assert_eq!(
            memory.begin_claims().lanes(job),
            Some(vec!["demf".to_owned(), "usmf".to_owned()])
        );
        let mut claims = memory.begin_claims();
        let search = claims.search(job, "demf");
        claims.searched(job, "demf", search, Some(place(2)), true, NOON);
        claims.committed();
        assert_eq!(memory.begin_claims().offered_lanes(job), ["usmf"]);
        memory.begin_claims().found(job, &["demf".to_owned()], Instant::now());
        // Served last, it comes last.
        assert_eq!(memory.begin_claims().offered_lanes(job), ["usmf", "demf"]);
    }
}
