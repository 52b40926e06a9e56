//! Judges a recorded run: pure code, which sees a [`History`] and nothing else.
//!
//! Clients overlap, so a request takes effect at some moment between its beginning and its answer, and one without an
//! answer at any later moment or never. A rule speaks only where every such choice of moments breaks a promise: what it
//! reports is certain, and what cannot be told apart from good behaviour passes.

mod bytes;
mod clocks;
mod ends;
mod enqueues;
mod index;
mod leases;
mod order;
mod receipts;
mod runs;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::history::{History, Record};
use index::Index;

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// An enqueue that was acknowledged is there.
    NothingAcknowledgedIsLost,
    /// What is there was asked for, as often as it was asked for.
    NothingFromNowhere,
    /// What was refused is not there.
    RefusedIsNotStored,
    /// Bytes out are bytes in.
    BytesAreKept,
    /// One idempotency key is one message.
    OneKeyIsOneMessage,
    /// A key is refused only for another body.
    SameBodyIsAReplay,
    /// Of a message's leases one is live.
    OneLiveLease,
    /// Each lease of a message has a higher epoch than those before.
    EpochsGrow,
    /// A message that ended is not handed out.
    EndedStaysEnded,
    /// `/api/v1` does nothing for a receipt whose lease was followed by another, or whose message has ended.
    StaleReceiptDoesNothing,
    /// Only what was handed out can be acknowledged.
    OnlyIssuedReceiptsCount,
    /// In an ordered queue a group's next message waits for the one before.
    GroupsKeepTheirOrder,
    /// After the drain nothing is unfinished, and what finished a message is known.
    EverythingEnds,
    /// Each due time of a schedule runs, and makes one message.
    EachDueTimeRunsOnce,
}

/// A rule broken.
#[derive(Debug)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// How, in a sentence.
    pub what: String,
    /// The records that show it, by their place in the history.
    pub evidence: Vec<usize>,
}

impl Violation {
    fn new(rule: Rule, what: String, evidence: &[usize]) -> Self {
        let mut evidence = evidence.to_vec();
        evidence.sort_unstable();
        evidence.dedup();
        Self { rule, what, evidence }
    }

    /// The violation with its records, one a line, as they began.
    pub fn told<'a>(&'a self, history: &'a History) -> impl fmt::Display + 'a {
        let mut evidence: Vec<&Record> = self.evidence.iter().map(|at| &history.records[*at]).collect();
        evidence.sort_by_key(|record| record.began);
        fmt::from_fn(move |f| {
            writeln!(f, "{:?}: {}", self.rule, self.what)?;
            evidence.iter().try_for_each(|record| writeln!(f, "    {record}"))
        })
    }
}

/// Every broken promise there is proof of.
pub fn check(history: &History) -> Vec<Violation> {
    let index = Index::of(history);
    let mut found = Vec::new();
    enqueues::check(&index, &mut found);
    bytes::check(&index, &mut found);
    leases::check(&index, &mut found);
    receipts::check(&index, &mut found);
    order::check(&index, &mut found);
    ends::check(&index, &mut found);
    runs::check(&history.runs, &mut found);
    found
}
