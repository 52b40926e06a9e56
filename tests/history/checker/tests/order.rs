//! Order within a group.

use super::story::{ORDERED, Story, after, between};
use crate::checker::Rule;
use crate::history::Verb;

/// Two messages of one group, the second enqueued after the first was acknowledged.
fn two() -> Story {
    let mut story = Story::new();
    story.enqueued_in_order("a", between(0, 1));
    story.enqueued_in_order("b", between(2, 3));
    story
}

/// The same, enqueued at once.
fn two_at_once() -> Story {
    let mut story = Story::new();
    story.enqueued_in_order("a", between(0, 3));
    story.enqueued_in_order("b", between(1, 2));
    story
}

fn handled(story: &mut Story, message: &str, began: u64) {
    story.leased(message, 1, between(began, began + 1));
    story.acked(message, 1, between(began + 2, began + 3));
}

#[test]
fn one_after_the_other_is_good() {
    let mut story = two();
    handled(&mut story, "a", 10);
    handled(&mut story, "b", 20);
    assert_eq!(story.broken(), []);
}

#[test]
fn the_second_before_the_first_is_seen() {
    let mut story = two();
    handled(&mut story, "b", 10);
    handled(&mut story, "a", 20);
    assert_eq!(story.broken(), [Rule::GroupsKeepTheirOrder]);
}

#[test]
fn the_second_while_the_first_is_leased_or_waits_again_is_seen() {
    let mut story = two();
    story.leased("a", 1, between(10, 11));
    story.leased("b", 1, between(12, 13));
    story.acked("a", 1, between(14, 15));
    story.acked("b", 1, between(16, 17));
    assert_eq!(story.broken(), [Rule::GroupsKeepTheirOrder]);

    let mut story = two();
    story.leased("a", 1, between(10, 11));
    story.act("a", 1, Verb::Reject { dead_letter: false }, between(11, 12));
    handled(&mut story, "b", 14);
    story.leased("a", 2, between(30, 31));
    story.acked("a", 2, between(32, 33));
    assert_eq!(story.broken(), [Rule::GroupsKeepTheirOrder]);
}

#[test]
fn the_second_after_the_first_ended_somehow_is_good() {
    let mut dead = two();
    dead.leased("a", 1, between(10, 11));
    dead.act("a", 1, Verb::Reject { dead_letter: true }, between(12, 13));
    dead.becomes("a", "DeadLettered");
    handled(&mut dead, "b", 14);
    assert_eq!(dead.broken(), []);

    let mut unanswered = two();
    unanswered.leased("a", 1, between(10, 11));
    unanswered.act("a", 1, Verb::Ack, after(12));
    unanswered.becomes("a", "Acked");
    handled(&mut unanswered, "b", 14);
    assert_eq!(unanswered.broken(), []);
}

#[test]
fn messages_enqueued_at_once_may_go_either_way_but_not_both() {
    for (first, second) in [("a", "b"), ("b", "a")] {
        let mut story = two_at_once();
        handled(&mut story, first, 10);
        handled(&mut story, second, 20);
        assert_eq!(story.broken(), [], "{first} before {second}");

        let mut story = two_at_once();
        story.leased(first, 1, between(10, 11));
        handled(&mut story, second, 30);
        story.leased(first, 2, between(40, 41));
        story.acked(first, 2, between(42, 43));
        assert_eq!(
            story.broken(),
            [Rule::GroupsKeepTheirOrder],
            "{second} overtook {first}"
        );
    }
}

#[test]
fn a_whole_group_handed_out_in_one_answer_is_seen() {
    let mut story = two_at_once();
    story.did(between(10, 11), Story::lease("a", 1));
    story.also(between(10, 11), Story::lease("b", 1));
    story.acked("a", 1, between(12, 13));
    story.acked("b", 1, between(12, 13));
    assert_eq!(story.broken(), [Rule::GroupsKeepTheirOrder]);
}

#[test]
fn a_batch_keeps_its_order() {
    for (places, expected) in [([0, 1], vec![]), ([1, 0], vec![Rule::GroupsKeepTheirOrder])] {
        let mut story = Story::new();
        story.did(between(0, 1), Story::in_order("a", places[0]));
        story.also(between(0, 1), Story::in_order("b", places[1]));
        story.row(ORDERED, "a", "Enqueued");
        story.row(ORDERED, "b", "Enqueued");
        handled(&mut story, "a", 10);
        handled(&mut story, "b", 20);
        assert_eq!(story.broken(), expected);
    }
}

#[test]
fn messages_of_a_queue_without_order_go_as_they_like() {
    let mut story = Story::new();
    story.enqueued("a", between(0, 1));
    story.enqueued("b", between(2, 3));
    handled(&mut story, "b", 10);
    handled(&mut story, "a", 20);
    assert_eq!(story.broken(), []);
}
