//! Bytes out are bytes in.

use super::index::Index;
use super::{Rule, Violation};
use crate::history::{Deed, Stored};

pub fn check(index: &Index<'_>, found: &mut Vec<Violation>) {
    let mut differs = |what: String, at: usize| found.push(Violation::new(Rule::BytesAreKept, what, &[at]));
    for enqueue in &index.enqueues {
        let Stored::Accepted { id, digest, .. } = &enqueue.deed.answer else {
            continue;
        };
        let sent = &enqueue.deed.digest;
        if let Some(said) = digest.as_ref().filter(|said| *said != sent) {
            differs(format!("{sent} was sent and acknowledged as {said}"), enqueue.at);
        }
        if let Some(row) = index.rows.get(id.as_str()).filter(|row| row.digest != *sent) {
            differs(
                format!("{sent} was sent as {id} and is stored as {}", row.digest),
                enqueue.at,
            );
        }
    }
    for lease in index.leases.values().flatten() {
        let (message, said) = (&lease.deed.message, &lease.deed.digest);
        if let (Some(said), Some(row)) = (said, index.rows.get(message.as_str()))
            && row.digest != *said
        {
            differs(
                format!("{message} is {} and was handed out as {said}", row.digest),
                lease.at,
            );
        }
    }
    for (at, record) in index.history.records.iter().enumerate() {
        if let Deed::Fetch { message, digest } = &record.deed
            && let Some(whole) = index.digest(message).filter(|whole| whole != digest)
        {
            differs(format!("{message} is {whole} and its bytes are {digest}"), at);
        }
    }
}
