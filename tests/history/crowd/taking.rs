//! Leases: few or many, short, waited for or not, on both surfaces.

use super::{HELD_MAX, Person};
use crate::client::{Held, Wish};

impl Person {
    pub(super) async fn take(&mut self) {
        if self.held.len() >= HELD_MAX {
            return self.act_on_held().await;
        }
        let at = self.any_queue();
        let queue = &self.queues[at].queue;
        let taken: Vec<Held> = if self.chance.below(100) < 70 {
            let wish = Wish {
                max: [1, 1, 2, 5, 10][self.chance.below(5)],
                lease_seconds: [None, Some(1), Some(2), Some(3)][self.chance.below(4)],
                wait_seconds: u64::from(self.chance.one_in(8)),
                inline: self.chance.one_in(3),
            };
            self.client.lease(queue, wish).await.unwrap_or_default()
        } else {
            self.client.dequeue(queue).await.into_iter().collect()
        };
        if self.chance.one_in(6)
            && let Some(held) = taken.first()
        {
            self.client.fetch(held).await;
        }
        self.held.extend(taken);
    }
}
