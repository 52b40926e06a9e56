//! What was offered against what is there.

use super::story::{LOOSE, Story, accepted, after, between, digest, refused, replayed};
use crate::checker::Rule;
use crate::history::{Deed, Stored};

#[test]
fn an_acknowledged_message_that_is_gone_is_lost() {
    let mut story = super::plain();
    story.lose("m");
    assert_eq!(story.broken(), [Rule::NothingAcknowledgedIsLost]);
}

#[test]
fn a_message_nobody_was_told_about_may_be_there_or_not() {
    let mut story = super::plain();
    story.offered("there", None, after(0), Stored::Unknown);
    story.row(LOOSE, "there", "Enqueued");
    story.leased("there", 1, between(9, 10));
    story.acked("there", 1, between(11, 12));
    story.offered("not there", None, after(0), Stored::Unknown);
    assert_eq!(story.broken(), []);
}

#[test]
fn a_message_nobody_offered_is_from_nowhere() {
    let mut story = super::plain();
    story.row(LOOSE, "ghost", "Acked");
    // Nobody can have acknowledged it either.
    assert_eq!(story.broken(), [Rule::NothingFromNowhere, Rule::EverythingEnds]);
}

#[test]
fn one_request_that_made_two_messages_is_seen() {
    let mut story = super::plain();
    let mut history = {
        story.leased("twin", 1, between(2, 3));
        story.act("twin", 1, crate::history::Verb::Ack, between(4, 5));
        story.row(LOOSE, "twin", "Acked");
        story.end()
    };
    for row in &mut history.rows {
        row.digest = digest("m");
    }
    for record in &mut history.records {
        if let Deed::Lease(lease) = &mut record.deed {
            lease.digest = Some(digest("m"));
        }
    }
    let rules: Vec<Rule> = crate::checker::check(&history).iter().map(|v| v.rule).collect();
    assert_eq!(rules, [Rule::NothingFromNowhere]);
}

#[test]
fn what_was_refused_and_is_there_is_seen() {
    let mut story = super::plain();
    story.offered("full", None, between(0, 1), Stored::Refused(refused(429, "queue_full")));
    story.row(LOOSE, "full", "Acked");
    story.leased("full", 1, between(2, 3));
    story.acked("full", 1, between(4, 5));
    assert_eq!(story.broken(), [Rule::RefusedIsNotStored]);
}

#[test]
fn a_replay_after_a_lost_answer_is_good() {
    let mut story = super::plain();
    story.offered("k", Some("key"), after(0), Stored::Unknown);
    story.offered("k", Some("key"), between(1, 2), replayed("k"));
    story.offered("k", Some("key"), between(3, 4), replayed("k"));
    story.row(LOOSE, "k", "Enqueued");
    story.leased("k", 1, between(2, 3));
    story.acked("k", 1, between(4, 5));
    assert_eq!(story.broken(), []);
}

#[test]
fn a_key_with_two_ids_is_seen() {
    let mut story = super::plain();
    story.offered("k", Some("key"), between(0, 1), accepted("m"));
    story.offered("k", Some("key"), between(2, 3), replayed("n"));
    assert!(story.broken().contains(&Rule::OneKeyIsOneMessage));
}

#[test]
fn a_key_with_two_stored_messages_is_seen_though_only_one_was_acknowledged() {
    let mut story = super::plain();
    story.offered("k", Some("key"), after(0), Stored::Unknown);
    story.offered("k", Some("key"), between(1, 2), accepted("k"));
    let mut history = story.end();
    for id in ["k", "k again"] {
        let mut row = history.rows[0].clone();
        (row.id, row.digest) = (id.to_owned(), digest("k"));
        history.rows.push(row);
    }
    let rules: Vec<Rule> = crate::checker::check(&history).iter().map(|v| v.rule).collect();
    assert!(rules.contains(&Rule::OneKeyIsOneMessage), "{rules:?}");
}

#[test]
fn a_key_answered_twice_as_new_is_seen() {
    let mut story = super::plain();
    story.offered("m", Some("key"), between(0, 1), accepted("m"));
    story.offered("m", Some("key"), between(2, 3), accepted("m"));
    assert_eq!(story.broken(), [Rule::OneKeyIsOneMessage]);
}

#[test]
fn a_key_that_takes_another_body_is_seen() {
    let mut story = super::plain();
    story.offered("m", Some("key"), between(0, 1), accepted("m"));
    story.offered("other", Some("key"), between(2, 3), replayed("m"));
    assert!(story.broken().contains(&Rule::OneKeyIsOneMessage));
}

#[test]
fn a_key_refused_for_another_body_is_good_and_for_the_same_it_is_not() {
    let reused = || Stored::Refused(refused(422, "idempotency_key_reused"));
    let mut story = super::plain();
    story.offered("m", Some("key"), between(0, 1), replayed("m"));
    story.offered("m", Some("key"), between(0, 1), accepted("m"));
    story.offered("other", Some("key"), between(2, 3), reused());
    assert_eq!(story.broken(), []);

    let mut story = super::plain();
    story.offered("m", Some("key"), between(0, 1), accepted("m"));
    story.offered("m", Some("key"), between(2, 3), reused());
    assert_eq!(story.broken(), [Rule::SameBodyIsAReplay]);
}

#[test]
fn a_replay_of_what_was_never_there_is_seen() {
    let mut story = super::plain();
    story.offered("m", Some("key"), between(0, 1), replayed("m"));
    assert_eq!(story.broken(), [Rule::SameBodyIsAReplay]);
}

#[test]
fn bytes_that_changed_are_seen_wherever_they_show() {
    let wrong = Stored::Accepted {
        id: "m".to_owned(),
        digest: Some(digest("other")),
        replay: false,
    };
    let mut acknowledged = Story::new();
    acknowledged.enqueued("m", between(0, 1));
    acknowledged.leased("m", 1, between(2, 3));
    acknowledged.acked("m", 1, between(4, 5));
    acknowledged.offered("m", None, between(0, 1), wrong);
    assert_eq!(acknowledged.broken(), [Rule::BytesAreKept]);

    let mut fetched = super::plain();
    let (message, bytes) = ("m".to_owned(), digest("other"));
    fetched.did(between(3, 4), Deed::Fetch { message, digest: bytes });
    assert_eq!(fetched.broken(), [Rule::BytesAreKept]);

    let mut history = super::plain().end();
    for record in &mut history.records {
        if let Deed::Lease(lease) = &mut record.deed {
            lease.digest = Some(digest("other"));
        }
    }
    let rules: Vec<Rule> = crate::checker::check(&history).iter().map(|v| v.rule).collect();
    assert_eq!(rules, [Rule::BytesAreKept]);
}

#[test]
fn bytes_stored_under_another_messages_id_are_seen() {
    let mut story = super::plain();
    story.offered("n", None, between(0, 1), accepted("m"));
    assert_eq!(story.broken(), [Rule::BytesAreKept]);
}
