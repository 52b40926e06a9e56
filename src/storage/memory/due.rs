//! Up to when everything the clock brings about is known to be brought up.
//!
//! Deadlines lie ahead when they are set, so below a floor that lags behind the clock by [`LAG_SECONDS`] nothing new comes:
//! neither from a transaction that took long nor from a process whose clock is behind. What this process commits below it all the
//! same takes the floor away; what others do is found by the next look without a floor.

use std::time::{Duration, Instant};

use super::looks::Looks;
use crate::domain::time::Timestamp;

/// What is due is looked for once in this long, by the clock or by what has really passed.
const EVERY: Duration = Duration::from_millis(100);
const EVERY_MICROS: i64 = 100_000;
/// Clocks are seldom that far apart, nor do transactions take that long.
const LOOK_AFTER: Duration = Duration::from_secs(10);
/// How far a floor stays behind the clock.
const LAG_SECONDS: i64 = 120;

/// One look for what is due: after which deadline.
#[derive(Debug, Clone, Copy)]
pub(in crate::storage) struct DueLook {
    pub(in crate::storage) after: Timestamp,
    pub(in crate::storage) now: Timestamp,
    begun: Instant,
    /// How often the floor had sunk.
    sunk: u64,
}

/// What is remembered of deadlines.
#[derive(Debug)]
pub(super) struct DueFloor {
    after: Timestamp,
    /// When it was last looked for, by the clock and in this process's life.
    last: Option<(Timestamp, Instant)>,
    looks: Looks,
    sunk: u64,
}

const ALWAYS: Timestamp = Timestamp(i64::MIN);

impl Default for DueFloor {
    fn default() -> Self {
        Self {
            after: ALWAYS,
            last: None,
            looks: Looks::seldom(LOOK_AFTER),
            sunk: 0,
        }
    }
}

impl DueFloor {
    /// Whether it is time to look at all. Who asks may have waited for its turn, so its time may lie before the last one's.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.last.is_none_or(|(at, then)| {
            now.micros().saturating_sub(at.micros()) >= EVERY_MICROS || then.elapsed() >= EVERY
        })
    }

    pub(super) fn begin(&mut self, now: Timestamp) -> DueLook {
        let begun = Instant::now();
        // A clock that went back behind the floor has deadlines ahead that lie below it.
        let went_back = now <= self.after;
        if went_back || self.looks.is_due(begun) {
            self.after = ALWAYS;
        }
        let latest = self.last.filter(|_| !went_back).map_or(now, |(at, _)| at.max(now));
        self.last = Some((latest, begun));
        DueLook {
            after: self.after,
            now,
            begun,
            sunk: self.sunk,
        }
    }

    /// That look found what there is.
    pub(super) fn found(&mut self, look: DueLook) {
        if look.after == ALWAYS {
            self.looks.looked(look.begun);
        }
    }

    /// Everything that look found is brought up.
    pub(super) fn done(&mut self, look: DueLook) {
        if look.sunk == self.sunk {
            self.after = look.now.plus_seconds(-LAG_SECONDS);
        }
    }

    /// A deadline was committed. One that lies below where the floor is, or comes to be with the look under way, takes it away: what
    /// waited long for its turn, or for the clock to go on, has a deadline that is over already.
    pub(super) fn committed(&mut self, deadline: Timestamp) {
        if self
            .last
            .is_some_and(|(at, _)| deadline <= at.plus_seconds(-LAG_SECONDS))
        {
            self.after = ALWAYS;
            self.sunk += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_700_000_000_000_000);
    fn looked(floor: &mut DueFloor, now: Timestamp) -> Timestamp {
        let look = floor.begin(now);
        floor.found(look);
        floor.done(look);
        look.after
    }

    #[test]
    fn a_floor_follows_the_clock_at_a_distance() {
        let mut floor = DueFloor::default();
        assert_eq!(looked(&mut floor, NOON), ALWAYS);
        assert!(!floor.is_due(NOON) && floor.is_due(NOON.plus_seconds(1)));
        assert_eq!(
            looked(&mut floor, NOON.plus_seconds(1)),
            NOON.plus_seconds(-LAG_SECONDS)
        );
    }

    #[test]
    fn who_waited_for_its_turn_is_no_step_of_the_clock() {
        let mut floor = DueFloor::default();
        looked(&mut floor, NOON);
        assert!(!floor.is_due(NOON.plus_seconds(-1)));
        assert_eq!(
            looked(&mut floor, NOON.plus_seconds(-1)),
            NOON.plus_seconds(-LAG_SECONDS)
        );
        assert!(!floor.is_due(NOON), "the latest time counts");
    }

    #[test]
    fn a_clock_that_goes_back_behind_the_floor_takes_it_away() {
        let mut floor = DueFloor::default();
        looked(&mut floor, NOON);
        assert_eq!(looked(&mut floor, NOON.plus_seconds(-600)), ALWAYS);
        assert!(floor.is_due(NOON.plus_seconds(-599)));
    }

    #[test]
    fn what_comes_late_takes_the_floor_away_also_during_a_look() {
        let late = NOON.plus_seconds(-LAG_SECONDS);
        let mut floor = DueFloor::default();
        looked(&mut floor, NOON);
        floor.committed(late);
        assert_eq!(looked(&mut floor, NOON.plus_seconds(1)), ALWAYS);
        let look = floor.begin(NOON.plus_seconds(2));
        floor.committed(late);
        floor.done(look);
        assert_eq!(floor.begin(NOON.plus_seconds(3)).after, ALWAYS);
    }

    #[test]
    fn a_deadline_above_the_floor_leaves_it() {
        let mut floor = DueFloor::default();
        looked(&mut floor, NOON);
        floor.committed(NOON.plus_seconds(1 - LAG_SECONDS));
        assert_eq!(
            looked(&mut floor, NOON.plus_seconds(1)),
            NOON.plus_seconds(-LAG_SECONDS)
        );
    }
}
