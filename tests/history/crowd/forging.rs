//! Receipts and correlation ids nobody was given.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Person;
use crate::history::Verb;

/// How long a receipt is.
const RECEIPT_BYTES: usize = 40;

impl Person {
    pub(super) async fn forge(&mut self) {
        let forged = self.forged();
        let queue = self.any_queue();
        let queue = self.queues[queue].queue.clone();
        match self.chance.below(4) {
            0 => {
                // A genuine correlation id makes a forged receipt no better.
                let mut known = self.held.iter().chain(&self.old);
                let correlation = known.find_map(|held| held.lease.correlation.clone());
                self.client.connector_ack(&queue, Some(forged), correlation).await;
            }
            1 => {
                let correlation = Some(uuid::Uuid::new_v4().to_string());
                self.client.connector_ack(&queue, None, correlation).await;
            }
            2 => {
                self.client.act(&forged, Verb::Release).await;
            }
            _ => {
                self.client.act(&forged, Verb::Ack).await;
            }
        }
    }

    /// A genuine receipt with one bit turned (of the message, the epoch or the MAC), or nonsense of the right length.
    fn forged(&mut self) -> String {
        let genuine = self.held.first().or(self.old.first());
        let genuine = genuine.and_then(|held| STANDARD.decode(&held.lease.receipt).ok());
        let mut bytes = genuine.unwrap_or_else(|| vec![7; RECEIPT_BYTES]);
        let at = self.chance.below(bytes.len());
        bytes[at] ^= 1 << self.chance.below(8);
        STANDARD.encode(bytes)
    }
}
