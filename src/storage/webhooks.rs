//! Webhook deliveries: an outbox, written by the transactions that end messages and emptied under leases with epochs by any
//! process.
//!
//! A delivery is `pending` until it arrived or was given up. One column says when it may be claimed, be it for the next
//! attempt or because a lease ran out, so nobody has to look for lapsed leases. Refuses: HTTP, secrets, deciding when to try
//! again.

mod delivery;
mod listing;
mod outcome;

pub use delivery::{Delivery, DeliveryState, LastAnswer, NewDelivery};
pub use listing::DeliveryFilter;
pub use outcome::{Ended, Rule, Rules};
pub(super) use outcome::{name_webhook, note_outcomes};

use delivery::{COLUMNS, DeliveryRow};

use super::dialect::{Dialect, sql, value_rows};
use super::pool::{Tx, execute, fetch_all, fetch_optional, with_pool};
use super::{Store, StoreError};
use crate::domain::ids::DeliveryId;
use crate::domain::time::Timestamp;

/// Most destinations one look finds; those with the oldest deliveries.
const DESTINATIONS_MAX: i64 = 1000;
/// Most rows one pruning removes: others get a turn in between.
const PRUNED_PER_TRANSACTION: u64 = 1000;

/// Where deliveries wait to be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDestination {
    /// Host and port.
    pub destination: String,
    /// Since when the oldest waits.
    pub due_at: Timestamp,
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It arrived.
    Delivered,
    /// It is tried again then.
    Again(Timestamp),
    /// It is given up.
    Dead,
}

/// Which deliveries to claim.
#[derive(Debug, Clone)]
pub struct ClaimDeliveries {
    /// To this host and port.
    pub destination: String,
    /// At most this many.
    pub limit: usize,
    /// Who claims, for the operator's eyes.
    pub owner: String,
    /// When others may take them.
    pub until: Timestamp,
}

impl Store {
    /// Says which jobs tell somebody, from now on.
    pub fn set_webhook_rules(&self, rules: Rules) {
        self.memory().webhooks().set(rules);
    }

    /// Stores a delivery that tells of no message.
    pub async fn insert_delivery(&self, new: NewDelivery, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                insert_deliveries(tx, &[new], now).await?;
                Ok(())
            })
        })
        .await
    }

    /// Every destination that something may be sent to now, those that wait longest first.
    pub async fn due_destinations(&self, now: Timestamp) -> Result<Vec<DueDestination>, StoreError> {
        // From one destination to the next through the index: a long backlog for one of them costs nothing here.
        let text = "with recursive each (destination) as (\
            select min(destination) from webhook_deliveries where state = 'pending' union all \
            select (select min(d.destination) from webhook_deliveries d where d.state = 'pending' \
            and d.destination > each.destination) from each where each.destination is not null) \
            select destination, due_at from (select destination, (select min(d.due_at) from webhook_deliveries d \
            where d.state = 'pending' and d.destination = each.destination) as due_at from each) as heads \
            where due_at <= $1 order by due_at, destination limit $2";
        let rows = fetch_all!(self.reader(), (String, i64), text, now.micros(), DESTINATIONS_MAX)?;
        let rows = rows.into_iter().map(|(destination, due_at)| DueDestination {
            destination,
            due_at: Timestamp(due_at),
        });
        Ok(rows.collect())
    }

    /// Claims deliveries to one destination, the longest due first: epoch + 1, attempt + 1.
    pub async fn claim_deliveries(&self, claim: ClaimDeliveries, now: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let claimed = claim_due(tx, &claim, now).await?;
                Ok(claimed)
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
        let (id, epoch) = (claimed.id, claimed.epoch);
        self.write(move |tx| {
            Box::pin(async move {
                let settled = settle(tx, id, epoch, next, &answer).await?;
                Ok(settled)
            })
        })
        .await
    }

    /// Hands a claimed delivery back as if it had not been claimed, to be taken at once.
    pub async fn release_delivery(&self, claimed: &Delivery, now: Timestamp) -> Result<bool, StoreError> {
        let (id, epoch) = (claimed.id, claimed.epoch);
        self.write(move |tx| {
            Box::pin(async move {
                let text = "update webhook_deliveries set owner = null, due_at = $3, attempt = attempt - 1 \
                where id = $1 and epoch = $2 and state = 'pending' and owner is not null";
                let rows = execute!(tx.db(), text, id.0, epoch, now.micros())?;
                Ok(rows == 1)
            })
        })
        .await
    }

    /// Sends an ended delivery once more, under its old id and with all its attempts before it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it has not ended.
    pub async fn replay_delivery(&self, id: DeliveryId, now: Timestamp) -> Result<Delivery, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let replayed = replay(tx, id, now).await?;
                Ok(replayed)
            })
        })
        .await
    }

    /// Removes deliveries that arrived before `delivered`, those given up before `dead`, and what messages enqueued before
    /// `dead` named. Returns how many rows went.
    pub async fn prune_deliveries(&self, delivered: Timestamp, dead: Timestamp) -> Result<u64, StoreError> {
        let ended = |state| {
            format!(
                "delete from webhook_deliveries where id in (select id from webhook_deliveries \
                 where state = '{state}' and finished_at < $1 limit {PRUNED_PER_TRANSACTION})"
            )
        };
        let named = format!(
            "delete from message_webhooks where message in (select message from message_webhooks \
             where created_at < $1 limit {PRUNED_PER_TRANSACTION})"
        );
        let mut pruned = 0;
        for (text, before) in [(ended("delivered"), delivered), (ended("dead"), dead), (named, dead)] {
            loop {
                let text = text.clone();
                let rows = self
                    .write(move |tx| {
                        Box::pin(async move {
                            let rows = execute!(tx.db(), sql(text), before.micros())?;
                            Ok(rows)
                        })
                    })
                    .await?;
                pruned += rows;
                if rows < PRUNED_PER_TRANSACTION {
                    break;
                }
            }
        }
        Ok(pruned)
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
                .bind(destination(&new.url))
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

/// Host and port of a URL; the URL itself where it has none, which is never sent to.
fn destination(url: &str) -> String {
    let parsed = url::Url::parse(url).ok();
    let place = parsed.and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    place.unwrap_or_else(|| url.to_owned())
}

async fn claim_due(tx: &mut Tx, claim: &ClaimDeliveries, now: Timestamp) -> Result<Vec<Delivery>, StoreError> {
    let limit = i64::try_from(claim.limit).unwrap_or(i64::MAX);
    let text = claim_sql(tx.dialect());
    let rows = fetch_all!(
        tx.db(),
        DeliveryRow,
        sql(text),
        now.micros(),
        claim.owner.as_str(),
        claim.until.micros(),
        claim.destination.as_str(),
        limit
    )?;
    rows.into_iter().map(Delivery::try_from).collect()
}

fn claim_sql(dialect: Dialect) -> String {
    // Materialised, so that no plan can run the locking part twice and take more rows than the limit.
    format!(
        "with due as materialized (select id from webhook_deliveries where state = 'pending' and destination = $4 \
         and due_at <= $1 order by due_at limit $5{}) \
         update webhook_deliveries set epoch = epoch + 1, attempt = attempt + 1, owner = $2, due_at = $3 \
         where id in (select id from due) and state = 'pending' and due_at <= $1 returning {COLUMNS}",
        dialect.skip_locked()
    )
}

async fn settle(tx: &mut Tx, id: DeliveryId, epoch: i64, next: Next, answer: &LastAnswer) -> Result<bool, StoreError> {
    let (state, due_at) = match next {
        Next::Delivered => (DeliveryState::Delivered, None),
        Next::Again(at) => (DeliveryState::Pending, Some(at)),
        Next::Dead => (DeliveryState::Dead, None),
    };
    let finished_at = (state != DeliveryState::Pending).then_some(answer.at);
    let text = "update webhook_deliveries set state = $3, owner = null, due_at = coalesce($4, due_at), finished_at = $5, \
        last_at = $6, last_status = $7, last_detail = $8 where id = $1 and epoch = $2 and state = 'pending'";
    let rows = execute!(
        tx.db(),
        text,
        id.0,
        epoch,
        state.as_str(),
        due_at.map(Timestamp::micros),
        finished_at.map(Timestamp::micros),
        answer.at.micros(),
        answer.status.map(i32::from),
        answer.detail.as_deref()
    )?;
    Ok(rows == 1)
}

async fn replay(tx: &mut Tx, id: DeliveryId, now: Timestamp) -> Result<Delivery, StoreError> {
    let text = format!(
        "update webhook_deliveries set state = 'pending', attempt = 0, epoch = epoch + 1, due_at = $2, finished_at = null \
         where id = $1 and state <> 'pending' returning {COLUMNS}"
    );
    match fetch_optional!(tx.db(), DeliveryRow, sql(text), id.0, now.micros())? {
        Some(row) => row.try_into(),
        None => Err(StoreError::Conflict {
            what: "webhook delivery",
            id: id.to_string(),
            state: "pending: it is being sent, or waits for its next attempt".to_owned(),
        }),
    }
}
