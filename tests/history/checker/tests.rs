//! The checker is shown good and bad histories: it objects to each bad one with the right rule, and to no good one.

mod delivery;
mod order;
mod runs;
mod storage;
mod story;

use story::{Story, between};

/// One message, enqueued, leased and acknowledged, is the good history every bad one is made from.
fn plain() -> Story {
    let mut story = Story::new();
    story.enqueued("m", between(0, 1));
    story.leased("m", 1, between(2, 3));
    story.acked("m", 1, between(4, 5));
    story
}

#[test]
fn a_plain_history_is_good() {
    assert_eq!(plain().broken(), []);
}

#[test]
fn an_empty_history_is_good() {
    assert_eq!(Story::new().broken(), []);
}

#[test]
fn a_violation_tells_its_records_in_the_order_they_began() {
    let mut story = Story::new();
    story.enqueued("m", between(0, 1));
    story.leased("m", 2, between(4, 5));
    story.leased("m", 1, between(2, 3));
    story.acked("m", 2, between(6, 7));
    let history = story.end();
    let told = super::check(&history)[0].told(&history).to_string();
    let lines: Vec<&str> = told.lines().collect();
    assert!(
        lines[0].starts_with("OneLiveLease: m was handed out again (epoch 2)"),
        "{told}"
    );
    assert!(
        lines[1].contains("[2.000000 – 3.000000]") && lines[1].contains("epoch: 1"),
        "{told}"
    );
    assert!(
        lines[2].contains("[4.000000 – 5.000000]") && lines[2].contains("epoch: 2"),
        "{told}"
    );
    assert_eq!(lines.len(), 3, "{told}");
}
