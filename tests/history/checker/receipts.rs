//! What a receipt may do: nothing when it is stale, on `/api/v1`; nothing anywhere when it was never issued.

use super::index::{Index, Of};
use super::{Rule, Violation};
use crate::history::{Act, Answer, Lease};

pub fn check(index: &Index<'_>, found: &mut Vec<Violation>) {
    for act in index.acts.iter().filter(|act| act.deed.answer == Answer::Accepted) {
        if let Some(lease) = index.lease(&act.deed.receipt) {
            stale(index, *act, lease, found);
        } else {
            let what = format!("{:?} was accepted with a receipt nobody was given", act.deed.verb);
            found.push(Violation::new(Rule::OnlyIssuedReceiptsCount, what, &[act.at]));
        }
    }
    for ack in &index.connector_acks {
        if ack.deed.answer == Answer::Accepted && index.named(ack.deed).is_none() {
            let what = "the connector took an acknowledgement whose receipt nobody was given, and whose CorrelationId \
                        belongs to no message";
            found.push(Violation::new(
                Rule::OnlyIssuedReceiptsCount,
                what.to_owned(),
                &[ack.at],
            ));
        }
    }
}

/// An accepted act is stale when a later lease was out before it began, when the message had ended by then in another way,
/// and, if it ended the message itself, when a later lease was out at any time: before, and the act was stale, or after, and
/// the end was none.
fn stale(index: &Index<'_>, act: Of<'_, Act>, lease: Of<'_, Lease>, found: &mut Vec<Violation>) {
    let (message, epoch) = (lease.deed.message.as_str(), lease.deed.epoch);
    let verb = act.deed.verb;
    for later in &index.leases[message] {
        if later.deed.epoch > epoch && (later.record.surely_before(act.record) || verb.ends_message()) {
            let what = format!(
                "{verb:?} of {message} was accepted under epoch {epoch} beside epoch {}",
                later.deed.epoch
            );
            let mut evidence = vec![lease.at, later.at, act.at];
            evidence.extend(index.ends(message).iter().map(|end| end.at));
            found.push(Violation::new(Rule::StaleReceiptDoesNothing, what, &evidence));
            return;
        }
    }
    let ended = index.ends(message).iter().find(|end| {
        // The same asked twice with one receipt is no harm: the first answer may have been lost.
        let mut others = index
            .acts_with(&act.deed.receipt)
            .iter()
            .filter(|other| other.at != act.at);
        let repeats = others
            .any(|other| other.deed.verb == verb && other.deed.answer.maybe() && other.record.maybe_before(end.record));
        end.certain && !repeats && end.record.surely_before(act.record)
    });
    if let Some(end) = ended {
        let what = format!("{verb:?} was accepted after {message} had ended");
        let evidence = [lease.at, end.at, act.at];
        found.push(Violation::new(Rule::StaleReceiptDoesNothing, what, &evidence));
    }
}
