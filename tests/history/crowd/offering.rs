//! Enqueues: single, in batches, on the connector; again after a lost answer; and with keys that were used before.

use super::{Person, REMEMBERED_MAX};
use crate::client::Offer;
use crate::history::Stored;

/// Groups of the ordered queue.
const GROUPS: usize = 24;
/// Most messages of a batch.
const BATCH_MAX: usize = 10;
/// How often a request with a key is sent again while no answer comes.
const RETRIES: usize = 4;
/// Large enough for the blob store.
const LARGE_BYTES: usize = 20 * 1024;

impl Person {
    pub(super) async fn offer(&mut self) {
        let at = self.any_queue();
        if self.queues[at].is_full() {
            return self.take().await;
        }
        match self.chance.below(100) {
            0..55 => {
                let offer = self.new_offer(at, true);
                self.offer_one(at, offer).await;
            }
            55..75 => self.offer_batch(at).await,
            75..90 => {
                let offer = self.new_offer(at, false);
                let answer = self.client.connector_enqueue(&self.queues[at].queue, &offer).await;
                self.count(at, answer.as_slice());
            }
            _ => self.offer_known_key().await,
        }
    }

    /// Sends it, and again while there is no answer, which a key makes safe.
    async fn offer_one(&mut self, at: usize, offer: Offer) {
        for _ in 0..=RETRIES {
            let announced = self.chance.one_in(2);
            let queue = &self.queues[at].queue;
            let answer = self.client.enqueue(queue, &offer, announced).await;
            self.count(at, answer.as_slice());
            if offer.key.is_none() || !matches!(answer, Some(Stored::Unknown) | None) {
                break;
            }
            self.client.process = self.chance.below(self.processes);
            self.client.patience = self.patience();
        }
        self.remember(at, offer);
    }

    async fn offer_batch(&mut self, at: usize) {
        let mut offers: Vec<Offer> = Vec::new();
        for _ in 0..=self.chance.below(BATCH_MAX) {
            offers.push(self.new_offer(at, true));
        }
        // The same item twice is one message, if it has a key.
        if self.chance.one_in(10)
            && let Some(twin) = offers.iter().find(|offer| offer.key.is_some()).cloned()
        {
            offers.push(twin);
        }
        let answers = self.client.enqueue_batch(&self.queues[at].queue, &offers).await;
        self.count(at, &answers.unwrap_or_default());
        for offer in offers {
            self.remember(at, offer);
        }
    }

    /// A key that was used before: with the same bytes, as after a lost answer, or with others, by mistake.
    async fn offer_known_key(&mut self) {
        if self.keyed.is_empty() {
            return;
        }
        let (at, mut offer) = self.keyed[self.chance.below(self.keyed.len())].clone();
        if self.chance.one_in(4) {
            offer.bytes = self.new_offer(at, false).bytes;
        }
        let announced = self.chance.one_in(2);
        self.client.enqueue(&self.queues[at].queue, &offer, announced).await;
    }

    /// Bytes nobody else has; with a key half the time, where one may be given.
    fn new_offer(&mut self, at: usize, may_have_key: bool) -> Offer {
        self.offers += 1;
        let name = format!("offer {} of client {} ", self.offers, self.client.number);
        let length = if self.chance.one_in(30) {
            LARGE_BYTES + self.chance.below(LARGE_BYTES)
        } else {
            name.len() + self.chance.below(400)
        };
        let mut bytes = name.clone().into_bytes();
        bytes.resize_with(length, || u8::try_from(self.chance.below(256)).expect("a byte"));
        let ordered = self.queues[at].queue.ordered;
        Offer {
            bytes,
            group: ordered.then(|| format!("g{}", self.chance.below(GROUPS))),
            key: (may_have_key && self.chance.one_in(2)).then(|| name.trim().replace(' ', "-")),
        }
    }

    fn remember(&mut self, at: usize, offer: Offer) {
        if offer.key.is_none() {
            return;
        }
        if self.keyed.len() == REMEMBERED_MAX {
            self.keyed.swap_remove(self.chance.below(REMEMBERED_MAX));
        }
        self.keyed.push((at, offer));
    }

    fn count(&self, at: usize, answers: &[Stored]) {
        let stored = answers
            .iter()
            .filter(|answer| matches!(answer, Stored::Accepted { replay: false, .. }));
        self.queues[at].came(stored.count());
    }
}
