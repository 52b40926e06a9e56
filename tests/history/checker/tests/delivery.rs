//! Leases, receipts and ends.

use super::story::{LOOSE, Story, after, between, receipt, refused};
use crate::checker::Rule;
use crate::history::{Answer, Deed, Verb};

/// A message leased at 2 to 3, for ten seconds.
fn leased() -> Story {
    let mut story = Story::new();
    story.enqueued("m", between(0, 1));
    story.leased("m", 1, between(2, 3));
    story
}

#[test]
fn a_second_lease_while_the_first_runs_is_seen() {
    let mut story = leased();
    story.leased("m", 2, between(5, 6));
    story.acked("m", 2, between(7, 8));
    assert_eq!(story.broken(), [Rule::OneLiveLease]);
}

#[test]
fn a_second_lease_after_the_first_lapsed_is_good() {
    let mut story = leased();
    story.leased("m", 2, between(5, 12));
    story.acked("m", 2, between(13, 14));
    assert_eq!(story.broken(), []);
}

#[test]
fn a_lease_given_by_a_clock_that_was_behind_is_over_as_much_sooner() {
    for (behind, broken) in [(3, vec![Rule::OneLiveLease]), (7, Vec::new())] {
        let mut story = leased();
        story.clock_set(0, between(0, 1), behind);
        story.clock_set(0, between(3, 4), 0);
        story.leased("m", 2, between(5, 6));
        story.acked("m", 2, between(7, 8));
        assert_eq!(story.broken(), broken, "{behind} seconds behind");
    }
}

#[test]
fn a_clock_that_was_set_right_before_a_lease_excuses_nothing() {
    let mut story = Story::new();
    story.enqueued("m", between(0, 1));
    story.clock_set(0, between(2, 3), 3600);
    story.clock_set(0, between(4, 5), 0);
    story.leased("m", 1, between(6, 7));
    story.leased("m", 2, between(8, 9));
    story.acked("m", 2, between(10, 11));
    assert_eq!(story.broken(), [Rule::OneLiveLease]);
}

#[test]
fn a_second_lease_after_the_first_was_given_up_is_good_answered_or_not() {
    for verb in [Verb::Release, Verb::Reject { dead_letter: false }] {
        for when in [between(4, 5), after(4)] {
            let mut story = leased();
            story.act("m", 1, verb, when);
            story.leased("m", 2, between(6, 7));
            story.acked("m", 2, between(8, 9));
            assert_eq!(story.broken(), [], "{verb:?}");
        }
    }
}

#[test]
fn a_second_lease_before_the_first_was_given_up_is_seen() {
    let mut story = leased();
    story.leased("m", 2, between(4, 5));
    story.acted(
        receipt("m", 1),
        Verb::Release,
        between(6, 7),
        Answer::Refused(refused(409, "stale_lease")),
    );
    story.acked("m", 2, between(8, 9));
    assert_eq!(story.broken(), [Rule::OneLiveLease]);
}

#[test]
fn an_extended_lease_lasts_longer() {
    let mut story = leased();
    story.act("m", 1, Verb::Extend { seconds: 10 }, between(10, 11));
    story.leased("m", 2, between(15, 16));
    story.acked("m", 2, between(17, 18));
    assert_eq!(story.broken(), [Rule::OneLiveLease]);

    let mut story = leased();
    story.act("m", 1, Verb::Extend { seconds: 10 }, between(10, 11));
    story.leased("m", 2, between(19, 21));
    story.acked("m", 2, between(22, 23));
    assert_eq!(story.broken(), []);
}

#[test]
fn a_lease_extended_to_less_or_perhaps_extended_may_be_over_sooner() {
    for when in [between(4, 5), after(4)] {
        let mut story = leased();
        story.act("m", 1, Verb::Extend { seconds: 1 }, when);
        story.leased("m", 2, between(6, 7));
        story.acked("m", 2, between(8, 9));
        assert_eq!(story.broken(), []);
    }
}

#[test]
fn epochs_that_repeat_or_fall_are_seen() {
    let mut story = leased();
    story.leased("m", 1, between(20, 21));
    story.acked("m", 1, between(22, 23));
    assert_eq!(story.broken(), [Rule::EpochsGrow]);

    let mut story = Story::new();
    story.enqueued("m", between(0, 1));
    story.leased("m", 2, between(2, 3));
    story.leased("m", 1, between(20, 21));
    story.acked("m", 2, between(4, 5));
    assert_eq!(story.broken(), [Rule::EpochsGrow, Rule::EndedStaysEnded]);
}

#[test]
fn an_ack_after_the_lease_lapsed_is_good_as_long_as_nobody_else_has_it() {
    let mut story = leased();
    story.acked("m", 1, between(30, 31));
    assert_eq!(story.broken(), []);

    let mut story = leased();
    story.leased("m", 2, between(20, 21));
    story.act("m", 1, Verb::Ack, between(22, 23));
    story.acked("m", 2, between(24, 25));
    assert_eq!(story.broken(), [Rule::StaleReceiptDoesNothing]);
}

#[test]
fn an_ack_that_overlaps_the_next_lease_is_stale_in_any_order() {
    let mut story = leased();
    story.leased("m", 2, between(20, 25));
    story.acked("m", 1, between(21, 24));
    assert_eq!(story.broken(), [Rule::StaleReceiptDoesNothing]);
}

#[test]
fn every_verb_under_a_stale_epoch_is_seen() {
    for verb in [
        Verb::Ack,
        Verb::Extend { seconds: 5 },
        Verb::Release,
        Verb::Reject { dead_letter: false },
        Verb::Reject { dead_letter: true },
    ] {
        let mut story = leased();
        story.leased("m", 2, between(20, 21));
        story.act("m", 1, verb, between(22, 23));
        story.acked("m", 2, between(24, 25));
        assert!(story.broken().contains(&Rule::StaleReceiptDoesNothing), "{verb:?}");
    }
}

#[test]
fn a_stale_act_that_was_refused_or_came_before_the_next_lease_is_good() {
    let mut story = leased();
    story.act("m", 1, Verb::Extend { seconds: 1 }, between(19, 22));
    story.leased("m", 2, between(20, 21));
    story.acted(
        receipt("m", 1),
        Verb::Ack,
        between(22, 23),
        Answer::Refused(refused(409, "stale_lease")),
    );
    story.acked("m", 2, between(24, 25));
    assert_eq!(story.broken(), []);
}

#[test]
fn an_act_after_the_end_is_seen_and_a_repeated_ack_is_good() {
    let mut story = super::plain();
    story.act("m", 1, Verb::Extend { seconds: 5 }, between(6, 7));
    assert_eq!(story.broken(), [Rule::StaleReceiptDoesNothing]);

    let mut story = super::plain();
    story.act("m", 1, Verb::Ack, between(6, 7));
    assert_eq!(story.broken(), []);

    // Also with the connector's word between them.
    let mut story = super::plain();
    story.connector_acked(Some(receipt("m", 1)), None, between(6, 7), Answer::Accepted);
    story.act("m", 1, Verb::Ack, between(8, 9));
    assert_eq!(story.broken(), []);
}

#[test]
fn an_ack_after_the_connector_ended_the_message_is_stale() {
    let mut story = leased();
    story.connector_acked(Some(receipt("m", 1)), None, between(4, 5), Answer::Accepted);
    story.becomes("m", "Acked");
    story.act("m", 1, Verb::Ack, between(6, 7));
    assert_eq!(story.broken(), [Rule::StaleReceiptDoesNothing]);
}

#[test]
fn a_lease_after_the_end_is_seen() {
    let mut story = leased();
    story.connector_acked(Some(receipt("m", 1)), None, between(4, 5), Answer::Accepted);
    story.becomes("m", "Acked");
    story.leased("m", 2, between(20, 21));
    assert_eq!(story.broken(), [Rule::EndedStaysEnded]);
}

#[test]
fn a_lease_after_an_ack_that_was_never_answered_is_good() {
    let mut story = leased();
    story.act("m", 1, Verb::Ack, after(4));
    story.leased("m", 2, between(20, 21));
    story.acked("m", 2, between(22, 23));
    assert_eq!(story.broken(), []);
}

#[test]
fn a_receipt_nobody_was_given_is_seen_on_both_surfaces() {
    let mut story = super::plain();
    story.acted("forged".to_owned(), Verb::Ack, between(4, 5), Answer::Accepted);
    assert_eq!(story.broken(), [Rule::OnlyIssuedReceiptsCount]);

    // Also beside a genuine CorrelationId: a receipt that was sent counts.
    let mut story = super::plain();
    let correlation = Some("correlation of m");
    story.connector_acked(Some("forged".to_owned()), correlation, between(4, 5), Answer::Accepted);
    assert_eq!(story.broken(), [Rule::OnlyIssuedReceiptsCount]);

    let mut story = super::plain();
    story.connector_acked(None, Some("of nobody"), between(4, 5), Answer::Accepted);
    assert_eq!(story.broken(), [Rule::OnlyIssuedReceiptsCount]);
}

#[test]
fn the_connector_takes_any_receipt_of_the_message_and_its_correlation_id() {
    for (shown, correlation) in [(Some(receipt("m", 1)), None), (None, Some("correlation of m"))] {
        let mut story = leased();
        story.leased("m", 2, between(20, 21));
        story.connector_acked(shown, correlation, between(22, 23), Answer::Accepted);
        story.becomes("m", "Acked");
        assert_eq!(story.broken(), []);
    }
}

#[test]
fn a_message_that_never_ends_is_seen() {
    for status in ["Enqueued", "Dequeued"] {
        let mut story = leased();
        story.becomes("m", status);
        assert_eq!(story.broken(), [Rule::EverythingEnds]);
    }
}

#[test]
fn a_message_ended_by_nobody_is_seen() {
    for status in ["Acked", "DeadLettered", "Expired", "Cancelled"] {
        let mut story = leased();
        story.acted(
            receipt("m", 1),
            Verb::Ack,
            between(4, 5),
            Answer::Refused(refused(409, "stale_lease")),
        );
        story.becomes("m", status);
        assert_eq!(story.broken(), [Rule::EverythingEnds], "{status}");
    }
}

#[test]
fn a_message_handed_out_too_often_is_a_dead_letter_also_when_some_of_it_was_never_heard() {
    let mut story = leased();
    story.leased("m", 2, between(20, 21));
    story.did(after(35), Deed::LeasesLost { queue: LOOSE });
    story.becomes("m", "DeadLettered");
    assert_eq!(story.broken(), []);

    let mut story = leased();
    story.leased("m", 2, between(20, 21));
    story.becomes("m", "DeadLettered");
    assert_eq!(story.broken(), [Rule::EverythingEnds]);
}

#[test]
fn a_message_rejected_for_good_is_a_dead_letter() {
    let mut story = leased();
    story.act("m", 1, Verb::Reject { dead_letter: true }, between(4, 5));
    story.becomes("m", "DeadLettered");
    assert_eq!(story.broken(), []);
}
