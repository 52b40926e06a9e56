//! What becomes of a lease: in time, too late, again, and on either surface.

use super::Person;
use crate::client::Held;
use crate::history::{Answer, Verb};

/// Most items of a batch.
const BATCH_MAX: usize = 5;

impl Person {
    pub(super) async fn act_on_held(&mut self) {
        if self.held.is_empty() {
            return;
        }
        if self.chance.one_in(8) {
            return self.act_on_several().await;
        }
        let held = self.held.swap_remove(self.chance.below(self.held.len()));
        let queue = self.queue_of(&held).queue.clone();
        let lease = &held.lease;
        match self.chance.below(100) {
            // Through the connector: by receipt with or without the correlation id, or by that alone.
            0..15 => {
                let correlation = lease.correlation.clone();
                let receipt = Some(lease.receipt.clone());
                let answer = self.client.connector_ack(&queue, receipt, correlation).await;
                self.conclude(held, Verb::Ack, answer.as_ref());
            }
            15..22 if lease.correlation.is_some() => {
                let correlation = lease.correlation.clone();
                let answer = self.client.connector_ack(&queue, None, correlation).await;
                self.conclude(held, Verb::Ack, answer.as_ref());
            }
            _ => {
                let verb = self.any_verb();
                let mut answer = self.client.act(&lease.receipt, verb).await;
                if answer == Some(Answer::Unknown) && self.chance.one_in(2) {
                    // As a client does that heard nothing.
                    self.client.process = self.chance.below(self.processes);
                    answer = self.client.act(&lease.receipt, verb).await;
                }
                self.conclude(held, verb, answer.as_ref());
            }
        }
    }

    async fn act_on_several(&mut self) {
        let mut chosen = Vec::new();
        for _ in 0..=self.chance.below(BATCH_MAX) {
            if !self.held.is_empty() {
                let held = self.held.swap_remove(self.chance.below(self.held.len()));
                chosen.push((held, self.any_verb()));
            }
        }
        let acts = chosen.iter().map(|(held, verb)| (held.lease.receipt.clone(), *verb));
        let acts: Vec<(String, Verb)> = acts.collect();
        let answers = self.client.act_on_each(&acts).await.unwrap_or_default();
        let mut answers = answers.into_iter();
        for (held, verb) in chosen {
            self.conclude(held, verb, answers.next().as_ref());
        }
    }

    /// Something with a receipt that should be worth nothing any more on `/api/v1`, and on the connector still is.
    pub(super) async fn act_on_old(&mut self) {
        if self.old.is_empty() {
            return;
        }
        let held = self.old[self.chance.below(self.old.len())].clone();
        if self.chance.one_in(6) {
            let queue = self.queue_of(&held).queue.clone();
            let receipt = Some(held.lease.receipt.clone());
            let answer = self.client.connector_ack(&queue, receipt, None).await;
            if answer == Some(Answer::Accepted) {
                self.queue_of(&held).went();
            }
        } else {
            let verb = self.any_verb();
            self.client.act(&held.lease.receipt, verb).await;
        }
    }

    fn any_verb(&mut self) -> Verb {
        match self.chance.below(100) {
            0..62 => Verb::Ack,
            62..76 => Verb::Extend {
                seconds: 1 + u64::from(self.chance.one_in(2)),
            },
            76..88 => Verb::Release,
            _ => Verb::Reject {
                dead_letter: self.chance.one_in(4),
            },
        }
    }

    fn conclude(&mut self, held: Held, verb: Verb, answer: Option<&Answer>) {
        let accepted = answer == Some(&Answer::Accepted);
        if accepted && verb.ends_message() {
            self.queue_of(&held).went();
        }
        if answer.is_none() || (accepted && !verb.ends_lease()) {
            self.held.push(held);
        } else {
            self.is_done_with(held);
        }
    }
}
