//! A history looked up by message, receipt, bytes and key.

use std::collections::{BTreeMap, HashMap};

use crate::history::{Act, ConnectorAck, Deed, Enqueue, History, Lease, Queue, Record, Row, Stored};

/// A record with its place in the history.
pub struct Of<'a, T> {
    pub at: usize,
    pub record: &'a Record,
    pub deed: &'a T,
}

// Derived, they would ask the same of `T`.
impl<T> Clone for Of<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Of<'_, T> {}

/// Something that may have ended a message: an acknowledgement, or a rejection for good.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    pub at: usize,
    pub record: &'a Record,
    /// Whether it was answered that it did.
    pub certain: bool,
}

/// A history, indexed.
pub struct Index<'a> {
    pub history: &'a History,
    pub rows: HashMap<&'a str, &'a Row>,
    pub enqueues: Vec<Of<'a, Enqueue>>,
    /// By digest: the requests that sent these bytes.
    pub by_digest: BTreeMap<&'a str, Vec<Of<'a, Enqueue>>>,
    /// By message, in the order of their epochs.
    pub leases: BTreeMap<&'a str, Vec<Of<'a, Lease>>>,
    by_receipt: HashMap<&'a str, Of<'a, Lease>>,
    by_correlation: HashMap<&'a str, &'a str>,
    pub acts: Vec<Of<'a, Act>>,
    acts_by_receipt: HashMap<&'a str, Vec<Of<'a, Act>>>,
    pub connector_acks: Vec<Of<'a, ConnectorAck>>,
    ends: HashMap<&'a str, Vec<End<'a>>>,
}

impl<'a> Index<'a> {
    pub fn of(history: &'a History) -> Self {
        let mut index = Self {
            history,
            rows: history.rows.iter().map(|row| (row.id.as_str(), row)).collect(),
            enqueues: Vec::new(),
            by_digest: BTreeMap::new(),
            leases: BTreeMap::new(),
            by_receipt: HashMap::new(),
            by_correlation: HashMap::new(),
            acts: Vec::new(),
            acts_by_receipt: HashMap::new(),
            connector_acks: Vec::new(),
            ends: HashMap::new(),
        };
        for row in &history.rows {
            index.by_correlation.insert(&row.correlation, &row.id);
        }
        for (at, record) in history.records.iter().enumerate() {
            index.file(at, record);
        }
        for leases in index.leases.values_mut() {
            leases.sort_by_key(|lease| lease.deed.epoch);
        }
        index.find_ends();
        index
    }

    fn file(&mut self, at: usize, record: &'a Record) {
        match &record.deed {
            Deed::Enqueue(deed) => {
                let enqueue = Of { at, record, deed };
                self.enqueues.push(enqueue);
                self.by_digest.entry(&deed.digest).or_default().push(enqueue);
            }
            Deed::Lease(deed) => {
                let lease = Of { at, record, deed };
                self.leases.entry(&deed.message).or_default().push(lease);
                self.by_receipt.insert(&deed.receipt, lease);
                if let Some(correlation) = &deed.correlation {
                    self.by_correlation.insert(correlation, &deed.message);
                }
            }
            Deed::Act(deed) => {
                let act = Of { at, record, deed };
                self.acts.push(act);
                self.acts_by_receipt.entry(&deed.receipt).or_default().push(act);
            }
            Deed::ConnectorAck(deed) => self.connector_acks.push(Of { at, record, deed }),
            Deed::LeasesLost { .. } | Deed::Fetch { .. } => {}
        }
    }

    fn find_ends(&mut self) {
        let mut ends: HashMap<&str, Vec<End<'_>>> = HashMap::new();
        for act in &self.acts {
            if act.deed.verb.ends_message()
                && act.deed.answer.maybe()
                && let Some(lease) = self.lease(&act.deed.receipt)
            {
                ends.entry(&lease.deed.message).or_default().push(End {
                    at: act.at,
                    record: act.record,
                    certain: act.deed.answer == crate::history::Answer::Accepted,
                });
            }
        }
        for ack in &self.connector_acks {
            if ack.deed.answer.maybe()
                && let Some(message) = self.named(ack.deed)
            {
                ends.entry(message).or_default().push(End {
                    at: ack.at,
                    record: ack.record,
                    certain: ack.deed.answer == crate::history::Answer::Accepted,
                });
            }
        }
        self.ends = ends;
    }

    /// The lease a receipt was handed out with.
    pub fn lease(&self, receipt: &str) -> Option<Of<'a, Lease>> {
        self.by_receipt.get(receipt).copied()
    }

    /// The message a connector's acknowledgement names: by its receipt, or without one by its correlation id.
    pub fn named(&self, ack: &ConnectorAck) -> Option<&'a str> {
        match (&ack.receipt, &ack.correlation) {
            (Some(receipt), _) => self.lease(receipt).map(|lease| lease.deed.message.as_str()),
            (None, Some(correlation)) => self.by_correlation.get(correlation.as_str()).copied(),
            (None, None) => None,
        }
    }

    /// What was done with a receipt on `/api/v1`.
    pub fn acts_with(&self, receipt: &str) -> &[Of<'a, Act>] {
        self.acts_by_receipt.get(receipt).map_or(&[], Vec::as_slice)
    }

    /// What may have ended a message.
    pub fn ends(&self, message: &str) -> &[End<'a>] {
        self.ends.get(message).map_or(&[], Vec::as_slice)
    }

    /// The queue of that name.
    pub fn queue(&self, name: &str) -> Option<&'a Queue> {
        self.history.queues.iter().find(|queue| queue.name == name)
    }

    /// The digest of a message's bytes: as stored, or as it was answered when it was stored or handed out.
    pub fn digest(&self, message: &str) -> Option<&'a str> {
        if let Some(row) = self.rows.get(message) {
            return Some(&row.digest);
        }
        let mut leased = self.leases.get(message).into_iter().flatten();
        leased
            .find_map(|lease| lease.deed.digest.as_deref())
            .or_else(|| self.accepted_as(message).map(|enqueue| enqueue.deed.digest.as_str()))
    }

    fn accepted_as(&self, message: &str) -> Option<&Of<'a, Enqueue>> {
        self.enqueues
            .iter()
            .find(|enqueue| matches!(&enqueue.deed.answer, Stored::Accepted { id, .. } if id == message))
    }
}
