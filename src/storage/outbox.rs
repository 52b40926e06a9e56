//! Outboxes: tables of deliveries, written by the transactions that make something to be told or sent, and emptied under
//! leases with epochs by any process. What webhooks and destinations have in common.
//!
//! A delivery is `pending` until it arrived or was given up. One column says when it may be claimed, be it for the next
//! attempt or because a lease ran out, so nobody has to look for lapsed leases. Refuses: HTTP, secrets, deciding when to try
//! again.

use sqlx::FromRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use super::dialect::{Dialect, sql};
use super::pool::{Reader, Tx, execute, fetch_all, fetch_optional, with_pool};
use super::{Store, StoreError};
use crate::domain::ids::DeliveryId;
use crate::domain::time::Timestamp;

/// Most lanes one look finds; those with the oldest deliveries.
const LANES_MAX: i64 = 1000;
/// Most rows one pruning removes: others get a turn in between.
pub(super) const PRUNED_PER_TRANSACTION: u64 = 1000;

/// Where deliveries wait to be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueLane {
    /// What shares a bound on attempts at once: host and port, bucket or folder.
    pub lane: String,
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
pub struct Claim {
    /// In this lane.
    pub lane: String,
    /// At most this many.
    pub limit: usize,
    /// Who claims, for the operator's eyes.
    pub owner: String,
    /// When others may take them.
    pub until: Timestamp,
}

/// What an attempt met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastAnswer {
    /// When.
    pub at: Timestamp,
    /// HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The beginning of the answer, or why there was none.
    pub detail: Option<String>,
}

/// A table of deliveries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outbox {
    /// Its name.
    pub table: &'static str,
    /// Its column that names the lane.
    pub lane: &'static str,
    /// Its word for what was given up.
    pub given_up: &'static str,
    /// The columns of its rows.
    pub columns: &'static str,
    /// What errors call one of them.
    pub what: &'static str,
}

/// A row of either database.
pub(super) trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

impl<R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin> Row for R {}

impl Outbox {
    /// Every lane that something may be sent in now, those that wait longest first.
    pub async fn due(self, reader: Reader<'_>, now: Timestamp) -> Result<Vec<DueLane>, StoreError> {
        let Self { table, lane, .. } = self;
        // From one lane to the next through the index: a long backlog in one of them costs nothing here.
        let text = format!(
            "with recursive each (lane) as (\
             select min({lane}) from {table} where state = 'pending' union all \
             select (select min(d.{lane}) from {table} d where d.state = 'pending' \
             and d.{lane} > each.lane) from each where each.lane is not null) \
             select lane, due_at from (select lane, (select min(d.due_at) from {table} d \
             where d.state = 'pending' and d.{lane} = each.lane) as due_at from each) as heads \
             where due_at <= $1 order by due_at, lane limit $2"
        );
        let rows = fetch_all!(reader, (String, i64), sql(text), now.micros(), LANES_MAX)?;
        let rows = rows.into_iter().map(|(lane, due_at)| DueLane {
            lane,
            due_at: Timestamp(due_at),
        });
        Ok(rows.collect())
    }

    /// Claims deliveries in one lane, the longest due first: epoch + 1, attempt + 1.
    pub async fn claim<R: Row>(self, tx: &mut Tx, claim: &Claim, now: Timestamp) -> Result<Vec<R>, StoreError> {
        let limit = i64::try_from(claim.limit).unwrap_or(i64::MAX);
        let text = self.claim_sql(tx.dialect());
        Ok(with_pool!(tx.db(), db: Db => {
            sqlx::query_as::<Db, R>(sql(text))
                .bind(now.micros())
                .bind(claim.owner.as_str())
                .bind(claim.until.micros())
                .bind(claim.lane.as_str())
                .bind(limit)
                .fetch_all(db)
                .await
        })?)
    }

    fn claim_sql(self, dialect: Dialect) -> String {
        let Self {
            table, lane, columns, ..
        } = self;
        // Materialised, so that no plan can run the locking part twice and take more rows than the limit.
        format!(
            "with due as materialized (select id from {table} where state = 'pending' and {lane} = $4 \
             and due_at <= $1 order by due_at limit $5{}) \
             update {table} set epoch = epoch + 1, attempt = attempt + 1, owner = $2, due_at = $3 \
             where id in (select id from due) and state = 'pending' and due_at <= $1 returning {columns}",
            dialect.skip_locked()
        )
    }

    /// Writes down what an attempt met and what becomes of the delivery. `false`: somebody else has claimed it since.
    pub async fn settle(
        self,
        tx: &mut Tx,
        (id, epoch): (DeliveryId, i64),
        next: Next,
        answer: &LastAnswer,
    ) -> Result<bool, StoreError> {
        let (state, due_at) = match next {
            Next::Delivered => ("delivered", None),
            Next::Again(at) => ("pending", Some(at)),
            Next::Dead => (self.given_up, None),
        };
        let finished_at = (state != "pending").then_some(answer.at);
        let text = format!(
            "update {} set state = $3, owner = null, due_at = coalesce($4, due_at), finished_at = $5, \
             last_at = $6, last_status = $7, last_detail = $8 where id = $1 and epoch = $2 and state = 'pending'",
            self.table
        );
        let rows = execute!(
            tx.db(),
            sql(text),
            id.0,
            epoch,
            state,
            due_at.map(Timestamp::micros),
            finished_at.map(Timestamp::micros),
            answer.at.micros(),
            answer.status.map(i32::from),
            answer.detail.as_deref()
        )?;
        Ok(rows == 1)
    }

    /// Keeps a claimed delivery until then. `false`: somebody else has claimed it since.
    pub async fn extend(self, tx: &mut Tx, held: (DeliveryId, i64), until: Timestamp) -> Result<bool, StoreError> {
        let text = format!(
            "update {} set due_at = $3 where id = $1 and epoch = $2 and state = 'pending' and owner is not null",
            self.table
        );
        Ok(execute!(tx.db(), sql(text), held.0.0, held.1, until.micros())? == 1)
    }

    /// Hands a claimed delivery back as if it had not been claimed, to be taken at once.
    pub async fn release(self, tx: &mut Tx, held: (DeliveryId, i64), now: Timestamp) -> Result<bool, StoreError> {
        let text = format!(
            "update {} set owner = null, due_at = $3, attempt = attempt - 1 \
             where id = $1 and epoch = $2 and state = 'pending' and owner is not null",
            self.table
        );
        Ok(execute!(tx.db(), sql(text), held.0.0, held.1, now.micros())? == 1)
    }

    /// Sends an ended delivery once more, under its old id and with all its attempts before it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it has not ended.
    pub async fn replay<R: Row>(self, tx: &mut Tx, id: DeliveryId, now: Timestamp) -> Result<R, StoreError> {
        let text = format!(
            "update {} set state = 'pending', attempt = 0, epoch = epoch + 1, due_at = $2, finished_at = null \
             where id = $1 and state <> 'pending' returning {}",
            self.table, self.columns
        );
        let row = with_pool!(tx.db(), db: Db => {
            sqlx::query_as::<Db, R>(sql(text)).bind(id.0).bind(now.micros()).fetch_optional(db).await
        })?;
        row.ok_or_else(|| StoreError::Conflict {
            what: self.what,
            id: id.to_string(),
            state: "pending: it is being sent, or waits for its next attempt".to_owned(),
        })
    }

    /// The row of this id.
    pub async fn find<R: Row>(self, reader: Reader<'_>, id: DeliveryId) -> Result<Option<R>, StoreError> {
        let text = format!("select {} from {} where id = $1", self.columns, self.table);
        Ok(fetch_optional!(reader, R, sql(text), id.0)?)
    }

    /// The statement that removes some deliveries in this state that ended before `$1`, and of which `condition` is true.
    pub fn prune_sql(self, state: &str, condition: &str) -> String {
        let table = self.table;
        format!(
            "delete from {table} where id in (select id from {table} \
             where state = '{state}' and finished_at < $1 and {condition} limit {PRUNED_PER_TRANSACTION})"
        )
    }
}

impl Store {
    /// Runs statements that each remove some rows older than a time, until none is left. Returns how many rows went.
    pub(super) async fn prune(&self, statements: Vec<(String, Timestamp)>) -> Result<u64, StoreError> {
        let mut pruned = 0;
        for (text, before) in statements {
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

/// Host and port of a URL; its scheme and what follows up to the path where it has none that can be connected to.
pub(super) fn lane_of(url: &str) -> String {
    let parsed = url::Url::parse(url).ok();
    let place = parsed.and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    place.unwrap_or_else(|| url.to_owned())
}
