//! What a run met: a history in which nothing went wrong proves nothing.

use std::collections::{BTreeSet, HashMap};

use crate::history::{Answer, Deed, Enqueue, History, Stored};

/// How often what happened.
#[derive(Debug, Default)]
pub struct Coverage {
    pub enqueues: usize,
    pub batched: usize,
    pub replays: usize,
    pub keys_refused: usize,
    pub unanswered: usize,
    pub leases: usize,
    pub handed_out_again: usize,
    pub acks: usize,
    pub connector_acks: usize,
    pub stale_refused: usize,
    pub forged_refused: usize,
    pub dead_letters: usize,
    pub runs: usize,
    pub runs_taken_over: usize,
}

impl Coverage {
    /// Counts what one more history met.
    pub fn add(&mut self, history: &History) {
        let mut epochs: HashMap<&str, BTreeSet<u64>> = HashMap::new();
        for record in &history.records {
            self.unanswered += usize::from(record.ended.is_none());
            match &record.deed {
                Deed::Enqueue(enqueue) => self.count_enqueue(enqueue),
                Deed::Lease(lease) => {
                    self.leases += 1;
                    epochs.entry(&lease.message).or_default().insert(lease.epoch);
                }
                Deed::Act(act) => match &act.answer {
                    Answer::Accepted => self.acks += usize::from(act.verb == crate::history::Verb::Ack),
                    Answer::Refused(refusal) if refusal.status == 409 => self.stale_refused += 1,
                    Answer::Refused(_) => self.forged_refused += 1,
                    Answer::Unknown => {}
                },
                Deed::ConnectorAck(ack) => self.connector_acks += usize::from(ack.answer == Answer::Accepted),
                Deed::LeasesLost { .. } | Deed::Fetch { .. } => {}
            }
        }
        self.handed_out_again += epochs.values().filter(|epochs| epochs.len() > 1).count();
        let dead = history.rows.iter().filter(|row| row.status == "DeadLettered");
        self.dead_letters += dead.count();
        self.runs += history.runs.rows.len();
        self.runs_taken_over += history.runs.rows.iter().filter(|run| run.taken > 1).count();
    }

    fn count_enqueue(&mut self, enqueue: &Enqueue) {
        match &enqueue.answer {
            Stored::Accepted { replay, .. } => {
                self.enqueues += 1;
                self.batched += usize::from(enqueue.place > 0);
                self.replays += usize::from(*replay);
            }
            Stored::Refused(refusal) => self.keys_refused += usize::from(refusal.status == 422),
            Stored::Unknown => {}
        }
    }

    /// What should have happened and did not, often enough.
    pub fn missing(&self) -> Vec<&'static str> {
        [
            ("enqueues", self.enqueues, 200),
            ("enqueues in batches", self.batched, 10),
            ("replays", self.replays, 5),
            ("keys refused", self.keys_refused, 1),
            ("requests without an answer", self.unanswered, 10),
            ("leases", self.leases, 200),
            ("messages handed out again", self.handed_out_again, 20),
            ("acknowledgements", self.acks, 100),
            ("acknowledgements on the connector", self.connector_acks, 5),
            ("stale receipts refused", self.stale_refused, 5),
            ("forged receipts refused", self.forged_refused, 1),
            ("dead letters", self.dead_letters, 1),
            ("runs of the schedule", self.runs, 10),
        ]
        .into_iter()
        .filter(|(_, met, wanted)| met < wanted)
        .map(|(name, ..)| name)
        .collect()
    }
}
