//! Leases of one message: one at a time, each with a higher epoch, none after the end.

use std::time::Duration;

use super::clocks::furthest_behind;
use super::index::{Index, Of};
use super::{Rule, Violation};
use crate::history::{Act, Answer, Lease, Moment, Record, Verb};

/// The wall clock the service goes by and the monotonic one of the clients may drift apart by this much within a lease.
const CLOCK_DRIFT: Duration = Duration::from_millis(20);

pub fn check(index: &Index<'_>, found: &mut Vec<Violation>) {
    for (message, leases) in &index.leases {
        for (place, earlier) in leases.iter().enumerate() {
            for later in &leases[place + 1..] {
                epochs_grow(message, *earlier, *later, found);
                one_is_live(index, *earlier, *later, found);
            }
        }
        ended_stays_ended(index, message, leases, found);
    }
}

/// `earlier` has the lower epoch, or the same.
fn epochs_grow(message: &str, earlier: Of<'_, Lease>, later: Of<'_, Lease>, found: &mut Vec<Violation>) {
    let (low, high) = (earlier.deed.epoch, later.deed.epoch);
    let what = if low == high {
        format!("epoch {low} of {message} was handed out twice")
    } else if later.record.surely_before(earlier.record) {
        format!("epoch {low} of {message} was handed out after epoch {high}")
    } else {
        return;
    };
    found.push(Violation::new(Rule::EpochsGrow, what, &[earlier.at, later.at]));
}

fn one_is_live(index: &Index<'_>, earlier: Of<'_, Lease>, later: Of<'_, Lease>, found: &mut Vec<Violation>) {
    if later.record.surely_before(earlier.record) {
        // The epochs lie; that is reported, and which lease came first is not known.
        return;
    }
    if is_surely_live(index, earlier, later.record) {
        let (message, epoch) = (&earlier.deed.message, earlier.deed.epoch);
        let what = format!(
            "{message} was handed out again (epoch {}) while the lease of epoch {epoch} still ran",
            later.deed.epoch
        );
        let mut evidence: Vec<usize> = index
            .acts_with(&earlier.deed.receipt)
            .iter()
            .map(|act| act.at)
            .collect();
        evidence.extend([earlier.at, later.at]);
        found.push(Violation::new(Rule::OneLiveLease, what, &evidence));
    }
}

/// Whether `lease`, which began before `other` took effect, must still have run at that moment, whenever it was.
pub fn is_surely_live(index: &Index<'_>, lease: Of<'_, Lease>, other: &Record) -> bool {
    let Some(at_last) = other.ended else { return false };
    let acts = index.acts_with(&lease.deed.receipt);
    let given_up = acts
        .iter()
        .any(|act| act.deed.verb.ends_lease() && act.deed.answer.maybe() && act.record.maybe_before(other));
    let ended = index
        .ends(&lease.deed.message)
        .iter()
        .any(|end| end.record.maybe_before(other));
    // One process counts the lease from a time long ago, and another sees it over at once.
    let apart = furthest_behind(&index.history.clocks, lease.record.began, at_last);
    !given_up && !ended && at_last + CLOCK_DRIFT + apart < runs_until(lease, acts, other)
}

/// The earliest moment at which the lease can have lapsed, as far as `other` could see: it was given from some moment after
/// it was asked for, and each extension counts from some moment after that was asked for.
fn runs_until(lease: Of<'_, Lease>, acts: &[Of<'_, Act>], other: &Record) -> Moment {
    let extensions: Vec<(&Record, bool, Moment)> = acts
        .iter()
        .filter_map(|act| match act.deed.verb {
            Verb::Extend { seconds } if act.deed.answer.maybe() && act.record.maybe_before(other) => Some((
                act.record,
                act.deed.answer == Answer::Accepted,
                act.record.began + Duration::from_secs(seconds),
            )),
            _ => None,
        })
        .collect();
    let given = lease.record.began + Duration::from_secs(lease.deed.seconds);
    // What an accepted extension followed no longer counts.
    let replaced = |by: &Record| {
        extensions
            .iter()
            .any(|(later, accepted, _)| *accepted && by.surely_before(later))
    };
    let first = (!replaced(lease.record)).then_some(given);
    let others = extensions
        .iter()
        .filter(|(record, ..)| !replaced(record))
        .map(|(.., until)| *until);
    first.into_iter().chain(others).min().unwrap_or(given)
}

fn ended_stays_ended(index: &Index<'_>, message: &str, leases: &[Of<'_, Lease>], found: &mut Vec<Violation>) {
    for end in index.ends(message).iter().filter(|end| end.certain) {
        for lease in leases {
            if end.record.surely_before(lease.record) {
                let what = format!(
                    "{message} had ended and was handed out again as epoch {}",
                    lease.deed.epoch
                );
                found.push(Violation::new(Rule::EndedStaysEnded, what, &[end.at, lease.at]));
            }
        }
    }
}
