//! Every message ends, and somebody ended it.

use super::index::Index;
use super::{Rule, Violation};
use crate::history::{Deed, Row, Verb};

pub fn check(index: &Index<'_>, found: &mut Vec<Violation>) {
    for row in &index.history.rows {
        let what = if !row.ended {
            format!("{} is {} after the drain", row.id, row.status)
        } else if !accounted_for(index, row) {
            format!("{} is {} and nobody did that", row.id, row.status)
        } else {
            continue;
        };
        found.push(Violation::new(Rule::EverythingEnds, what, &evidence(index, &row.id)));
    }
}

fn accounted_for(index: &Index<'_>, row: &Row) -> bool {
    match row.status.as_str() {
        // Rejections for good are among the ends, so an acknowledgement is looked for by name.
        "Acked" => index.ends(&row.id).iter().any(|end| is_ack(&end.record.deed)),
        "DeadLettered" => index.ends(&row.id).iter().any(|end| !is_ack(&end.record.deed)) || worn_out(index, row),
        _ => false,
    }
}

fn is_ack(deed: &Deed) -> bool {
    match deed {
        Deed::Act(act) => act.verb == Verb::Ack,
        Deed::ConnectorAck(_) => true,
        _ => false,
    }
}

/// Whether it can have been handed out as often as its queue allows, counting what nobody heard of.
fn worn_out(index: &Index<'_>, row: &Row) -> bool {
    let seen = index.leases.get(row.id.as_str()).map_or(0, Vec::len);
    let lost = index
        .history
        .records
        .iter()
        .filter(|record| matches!(&record.deed, Deed::LeasesLost { queue } if *queue == row.queue));
    let allowed = index.queue(row.queue).map_or(usize::MAX, |queue| queue.max_deliveries);
    seen + lost.count() >= allowed
}

fn evidence(index: &Index<'_>, message: &str) -> Vec<usize> {
    let leases = index.leases.get(message).into_iter().flatten();
    let ends = index.ends(message).iter().map(|end| end.at);
    leases
        .flat_map(|lease| {
            let acts = index.acts_with(&lease.deed.receipt).iter().map(|act| act.at);
            acts.chain([lease.at]).collect::<Vec<_>>()
        })
        .chain(ends)
        .collect()
}
