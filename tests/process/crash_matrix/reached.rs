//! No place is forgotten: each of the lists is gone through by a matrix, which fails where the service does not come to it.

use std::collections::BTreeSet;

use super::imports::LANES;

#[test]
fn every_place_of_the_other_imports_is_in_a_lane() {
    let in_lanes: BTreeSet<&str> = LANES.iter().flat_map(|lane| lane.failpoints).copied().collect();
    for failpoint in tranship::failpoint::OTHER_IMPORTS {
        assert!(in_lanes.contains(failpoint), "no lane is killed at {failpoint}");
    }
}

#[test]
fn every_place_of_a_message_handed_out_is_a_step() {
    let steps: BTreeSet<&str> = super::handed_out::STEPS
        .iter()
        .map(|(failpoint, _)| *failpoint)
        .collect();
    assert_eq!(steps, tranship::failpoint::HANDED_OUT.into());
}
