//! How far clocks can have been apart.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::history::{ClockSet, Moment};

/// The furthest any process's clock can have been behind the right time at any moment between these two. None is ever ahead of it, so
/// no two clocks were further apart, and no single one was set by more.
pub fn furthest_behind(clocks: &[ClockSet], from: Moment, to: Moment) -> Duration {
    let mut of_process: BTreeMap<usize, Vec<&ClockSet>> = BTreeMap::new();
    for set in clocks {
        of_process.entry(set.process).or_default().push(set);
    }
    let furthest = of_process.into_values().map(|mut sets| {
        sets.sort_by_key(|set| set.began);
        let before = sets.iter().rev().find(|set| set.ended < from).map(|set| set.behind);
        let within = sets.iter().filter(|set| set.ended >= from && set.began <= to);
        within.map(|set| set.behind).chain(before).max().unwrap_or_default()
    });
    furthest.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(process: usize, began: u64, behind: u64) -> ClockSet {
        ClockSet {
            process,
            began: Duration::from_secs(began),
            ended: Duration::from_secs(began + 1),
            behind: Duration::from_secs(behind),
        }
    }

    #[test]
    fn a_clock_is_behind_from_when_it_is_set_until_it_is_set_right() {
        let clocks = [set(0, 20, 0), set(0, 10, 60), set(1, 30, 5)];
        let at = |from, to| furthest_behind(&clocks, Duration::from_secs(from), Duration::from_secs(to)).as_secs();
        assert_eq!(
            [at(0, 9), at(0, 10), at(12, 13), at(21, 21), at(22, 29)],
            [0, 60, 60, 60, 0]
        );
        assert_eq!([at(22, 30), at(40, 50), at(0, 50)], [5, 5, 60]);
        assert_eq!(
            furthest_behind(&[], Duration::ZERO, Duration::from_secs(9)),
            Duration::ZERO
        );
    }
}
