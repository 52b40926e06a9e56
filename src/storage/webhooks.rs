//! Webhook deliveries: an outbox, written by the transactions that end messages and emptied under leases with epochs by any
//! process.
//!
//! How they are claimed and settled is [`outbox`](super::outbox)'s. Refuses: HTTP, secrets, deciding when to try again.

mod delivery;
mod listing;
mod outcome;

pub use delivery::{Delivery, DeliveryState, NewDelivery};
pub use listing::DeliveryFilter;
pub use outcome::{Ended, Rule, Rules};
pub(super) use outcome::{name_webhook, note_outcomes};

use delivery::{COLUMNS, DeliveryRow};

use super::dialect::{sql, value_rows};
use super::outbox::{Claim, DueLane, LastAnswer, Next, Outbox, PRUNED_PER_TRANSACTION, lane_of};
use super::pool::{Tx, with_pool};
use super::{Store, StoreError};
use crate::domain::ids::DeliveryId;
use crate::domain::time::Timestamp;

/// The outbox of webhooks.
const WEBHOOKS: Outbox = Outbox {
    table: "webhook_deliveries",
    lane: "destination",
    given_up: "dead",
    columns: COLUMNS,
    what: "webhook delivery",
};

impl Store {
    /// Says which jobs tell somebody, from now on.
    pub fn set_webhook_rules(&self, rules: Rules) {
        self.memory().webhooks().set(rules);
    }

    /// Stores a delivery that tells of no message.
    pub async fn insert_delivery(&self, new: NewDelivery, now: Timestamp) -> Result<(), StoreError> {
        self.write_audited(
            |(), _| true,
            move |tx| {
                Box::pin(async move {
                    insert_deliveries(tx, &[new], now).await?;
                    Ok(())
                })
            },
        )
        .await
    }

    /// Every destination that something may be sent to now, those that wait longest first.
    pub async fn due_destinations(&self, now: Timestamp) -> Result<Vec<DueLane>, StoreError> {
        WEBHOOKS.due(self.reader(), now).await
    }

    /// Claims deliveries to one destination, the longest due first: epoch + 1, attempt + 1.
    pub async fn claim_deliveries(&self, claim: Claim, now: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let rows: Vec<DeliveryRow> = WEBHOOKS.claim(tx, &claim, now).await?;
                rows.into_iter().map(Delivery::try_from).collect()
            })
        })
        .await
    }

    /// Writes down what an attempt met and what becomes of the delivery. `false`: somebody else has claimed it since.
    pub async fn settle_delivery(
        &self,
        claimed: &Delivery,
        next: Next,
        answer: LastAnswer,
    ) -> Result<bool, StoreError> {
        let held = (claimed.id, claimed.epoch);
        self.write(move |tx| Box::pin(async move { WEBHOOKS.settle(tx, held, next, &answer).await }))
            .await
    }

    /// Hands a claimed delivery back as if it had not been claimed, to be taken at once.
    pub async fn release_delivery(&self, claimed: &Delivery, now: Timestamp) -> Result<bool, StoreError> {
        let held = (claimed.id, claimed.epoch);
        self.write(move |tx| Box::pin(async move { WEBHOOKS.release(tx, held, now).await }))
            .await
    }

    /// Sends an ended delivery once more, under its old id and with all its attempts before it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it has not ended.
    pub async fn replay_delivery(&self, id: DeliveryId, now: Timestamp) -> Result<Delivery, StoreError> {
        self.write_audited(
            |_, _| true,
            move |tx| Box::pin(async move { WEBHOOKS.replay::<DeliveryRow>(tx, id, now).await?.try_into() }),
        )
        .await
    }

    /// Removes deliveries that arrived before `delivered`, those given up before `dead`, and what messages enqueued before
    /// `dead` named. Returns how many rows went.
    pub async fn prune_deliveries(&self, delivered: Timestamp, dead: Timestamp) -> Result<u64, StoreError> {
        let named = format!(
            "delete from message_webhooks where message in (select message from message_webhooks \
             where created_at < $1 limit {PRUNED_PER_TRANSACTION})"
        );
        self.prune(vec![
            (WEBHOOKS.prune_sql("delivered", "1 = 1"), delivered),
            (WEBHOOKS.prune_sql(WEBHOOKS.given_up, "1 = 1"), dead),
            (named, dead),
        ])
        .await
    }
}

/// The rules in force, changed when definitions are read again.
#[derive(Debug, Default)]
pub(super) struct CurrentRules(std::sync::RwLock<std::sync::Arc<Rules>>);

impl CurrentRules {
    /// Those of this moment.
    pub(super) fn get(&self) -> std::sync::Arc<Rules> {
        let rules = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::sync::Arc::clone(&rules)
    }

    fn set(&self, rules: Rules) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = std::sync::Arc::new(rules);
    }
}

async fn insert_deliveries(tx: &mut Tx, new: &[NewDelivery], now: Timestamp) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    let text = format!(
        "insert into webhook_deliveries (id, job, message, event, url, destination, body, state, epoch, attempt, due_at, \
         created_at) values {}",
        value_rows(tx.dialect(), new.len(), 12)
    );
    with_pool!(tx.db(), db: Db => {
        let mut insert = sqlx::query::<Db>(sql(text));
        for new in new {
            insert = insert
                .bind(new.id.0)
                .bind(new.job.0)
                .bind(new.message.map(|message| message.0))
                .bind(new.event.as_str())
                .bind(new.url.as_str())
                .bind(lane_of(&new.url))
                .bind(new.body.as_str())
                .bind(DeliveryState::Pending.as_str())
                .bind(0_i64)
                .bind(0_i32)
                .bind(now.micros())
                .bind(now.micros());
        }
        insert.execute(db).await.map(|_| ())
    })?;
    Ok(())
}
