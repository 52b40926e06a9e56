//! Order within a group: a queue in a queue, of which only the head is handed out.

use std::collections::{BTreeMap, HashMap};

use super::index::{Index, Of};
use super::{Rule, Violation};
use crate::history::{Enqueue, Lease, Moment, Record, Stored};

/// A message of a group, with what is known of when it came, was handed out, and ended.
struct Member<'a> {
    message: &'a str,
    offers: Vec<Of<'a, Enqueue>>,
    leases: &'a [Of<'a, Lease>],
    /// The earliest moment anything that may have ended it began.
    ends_from: Option<Moment>,
}

pub fn check(index: &Index<'_>, found: &mut Vec<Violation>) {
    for members in groups(index).values() {
        for first in members {
            for next in members {
                if first.message != next.message {
                    waits(index, first, next, found);
                }
            }
        }
    }
}

fn groups<'a>(index: &'a Index<'a>) -> BTreeMap<(&'a str, &'a str), Vec<Member<'a>>> {
    let mut groups: BTreeMap<_, Vec<Member<'a>>> = BTreeMap::new();
    let mut rows_of: HashMap<&str, usize> = HashMap::new();
    for row in &index.history.rows {
        *rows_of.entry(&row.digest).or_default() += 1;
    }
    for row in &index.history.rows {
        let ordered = index.queue(row.queue).is_some_and(|queue| queue.ordered);
        // Two messages of the same bytes are reported elsewhere; which of them came when, nobody knows.
        let alone = rows_of[row.digest.as_str()] == 1;
        let Some(offers) = index.by_digest.get(row.digest.as_str()).filter(|_| ordered && alone) else {
            continue;
        };
        let Some(group) = offers.first().and_then(|offer| offer.deed.group.as_deref()) else {
            continue;
        };
        let taken = offers
            .iter()
            .filter(|offer| !matches!(offer.deed.answer, Stored::Refused(_)));
        groups.entry((row.queue, group)).or_default().push(Member {
            message: &row.id,
            offers: taken.copied().collect(),
            leases: index.leases.get(row.id.as_str()).map_or(&[], Vec::as_slice),
            ends_from: index.ends(&row.id).iter().map(|end| end.record.began).min(),
        });
    }
    groups
}

/// `next` is handed out only once `first` may have ended, if `first` was in the queue before it or was handed out before.
fn waits(index: &Index<'_>, first: &Member<'_>, next: &Member<'_>, found: &mut Vec<Violation>) {
    let came_first = came_before(first, next);
    for lease in next.leases {
        if may_be_over(first, lease.record) {
            continue;
        }
        let handed_out_first = first
            .leases
            .iter()
            .find(|other| other.record.surely_before(lease.record));
        let together = first.leases.iter().find(|other| other.record.call == lease.record.call);
        let Some(reason) = reason(came_first, handed_out_first.is_some(), together.is_some()) else {
            continue;
        };
        let what = format!(
            "{} of {} was handed out before {} had ended, {reason}",
            next.message,
            group_of(next),
            first.message
        );
        let mut evidence: Vec<usize> = first.offers.iter().chain(&next.offers).map(|offer| offer.at).collect();
        evidence.extend(first.leases.iter().map(|lease| lease.at));
        evidence.extend(index.ends(first.message).iter().map(|end| end.at));
        evidence.push(lease.at);
        found.push(Violation::new(Rule::GroupsKeepTheirOrder, what, &evidence));
        return;
    }
}

fn reason(came_first: bool, handed_out_first: bool, together: bool) -> Option<&'static str> {
    match (came_first, handed_out_first, together) {
        (true, ..) => Some("which was there first"),
        (_, true, _) => Some("which was handed out first"),
        (.., true) => Some("which was handed out with it"),
        _ => None,
    }
}

fn group_of<'a>(member: &Member<'a>) -> &'a str {
    let offer = member.offers.first();
    offer.and_then(|offer| offer.deed.group.as_deref()).unwrap_or("?")
}

/// Whether the message can have ended by the time of `lease`.
fn may_be_over(member: &Member<'_>, lease: &Record) -> bool {
    match (member.ends_from, lease.ended) {
        (Some(from), Some(at_last)) => from < at_last,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// Whether `first` must have been in the queue before `next`: one of the requests that can have stored it was answered before
/// any that can have stored the other began, or both came in one batch in this order.
fn came_before(first: &Member<'_>, next: &Member<'_>) -> bool {
    let stored_by = first.offers.iter().filter_map(|offer| match offer.deed.answer {
        Stored::Accepted { .. } => offer.record.ended,
        _ => None,
    });
    let not_before = next.offers.iter().map(|offer| offer.record.began);
    if let (Some(stored), Some(began)) = (stored_by.min(), not_before.min())
        && stored < began
    {
        return true;
    }
    match (first.offers.as_slice(), next.offers.as_slice()) {
        ([one], [other]) => one.record.call == other.record.call && one.deed.place < other.deed.place,
        _ => false,
    }
}
