//! What was offered and what is there: nothing lost, nothing from nowhere, one message for one key.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::index::{Index, Of};
use super::{Rule, Violation};
use crate::history::{Enqueue, Row, Stored};

pub fn check(index: &Index<'_>, found: &mut Vec<Violation>) {
    let mut stored: HashMap<&str, Vec<&Row>> = HashMap::new();
    for row in &index.history.rows {
        stored.entry(&row.digest).or_default().push(row);
    }
    nothing_is_lost(index, found);
    nothing_from_nowhere(index, &stored, found);
    let mut keys: BTreeMap<&str, Vec<Of<'_, Enqueue>>> = BTreeMap::new();
    for enqueue in &index.enqueues {
        if let Some(key) = &enqueue.deed.key {
            keys.entry(key).or_default().push(*enqueue);
        }
    }
    for (key, enqueues) in &keys {
        one_key_is_one_message(key, enqueues, &stored, found);
        same_body_is_a_replay(key, enqueues, found);
    }
}

fn nothing_is_lost(index: &Index<'_>, found: &mut Vec<Violation>) {
    for enqueue in &index.enqueues {
        if let Stored::Accepted { id, .. } = &enqueue.deed.answer
            && !index.rows.contains_key(id.as_str())
        {
            let what = format!("message {id} was acknowledged and is not in {}", enqueue.deed.queue);
            found.push(Violation::new(Rule::NothingAcknowledgedIsLost, what, &[enqueue.at]));
        }
    }
}

/// Each request that may have stored something stored at most one message, all requests with one key together at most one
/// (which [`one_key_is_one_message`] counts), and a refused one none.
fn nothing_from_nowhere(index: &Index<'_>, stored: &HashMap<&str, Vec<&Row>>, found: &mut Vec<Violation>) {
    for (digest, rows) in stored {
        let offers = index.by_digest.get(digest).map_or(&[][..], Vec::as_slice);
        let evidence: Vec<usize> = offers.iter().map(|offer| offer.at).collect();
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let maybe = offers
            .iter()
            .filter(|offer| !matches!(offer.deed.answer, Stored::Refused(_)));
        let room = maybe.count();
        if offers.is_empty() {
            let what = format!("nobody offered what {ids:?} holds ({digest})");
            found.push(Violation::new(Rule::NothingFromNowhere, what, &evidence));
        } else if room == 0 {
            let what = format!("{ids:?} was refused and is stored");
            found.push(Violation::new(Rule::RefusedIsNotStored, what, &evidence));
        } else if rows.len() > room {
            let what = format!("{room} requests made {} messages: {ids:?}", rows.len());
            found.push(Violation::new(Rule::NothingFromNowhere, what, &evidence));
        }
    }
}

fn one_key_is_one_message(
    key: &str,
    enqueues: &[Of<'_, Enqueue>],
    stored: &HashMap<&str, Vec<&Row>>,
    found: &mut Vec<Violation>,
) {
    let mut ids = BTreeSet::new();
    let mut bodies = BTreeSet::new();
    let mut firsts = 0;
    for enqueue in enqueues {
        if let Stored::Accepted { id, replay, .. } = &enqueue.deed.answer {
            ids.insert(id.as_str());
            bodies.insert(enqueue.deed.digest.as_str());
            firsts += usize::from(!replay);
        }
        for row in stored.get(enqueue.deed.digest.as_str()).into_iter().flatten() {
            ids.insert(&row.id);
            bodies.insert(&row.digest);
        }
    }
    let evidence: Vec<usize> = enqueues.iter().map(|enqueue| enqueue.at).collect();
    let mut broken = |what: String| found.push(Violation::new(Rule::OneKeyIsOneMessage, what, &evidence));
    if ids.len() > 1 {
        broken(format!("key {key} made the messages {ids:?}"));
    } else if bodies.len() > 1 {
        broken(format!("key {key} was accepted with the bodies {bodies:?}"));
    } else if firsts > 1 {
        broken(format!("key {key} was answered {firsts} times as if it were new"));
    }
}

/// A key is refused only for another body, and repeated only after it was there.
fn same_body_is_a_replay(key: &str, enqueues: &[Of<'_, Enqueue>], found: &mut Vec<Violation>) {
    for enqueue in enqueues {
        let mut others = enqueues.iter().filter(|other| other.at != enqueue.at);
        let excused = match &enqueue.deed.answer {
            Stored::Refused(refusal) if refusal.code == "idempotency_key_reused" => others
                .any(|other| other.deed.digest != enqueue.deed.digest && other.record.maybe_before(enqueue.record)),
            Stored::Accepted { replay: true, .. } => others
                .any(|other| other.deed.digest == enqueue.deed.digest && other.record.maybe_before(enqueue.record)),
            _ => true,
        };
        if !excused {
            let what = format!("key {key} was taken for a used one, and nobody had used it so");
            let evidence: Vec<usize> = enqueues.iter().map(|enqueue| enqueue.at).collect();
            found.push(Violation::new(Rule::SameBodyIsAReplay, what, &evidence));
        }
    }
}
