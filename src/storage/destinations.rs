//! Deliveries to destinations: the outbox of export jobs, written by the transaction that queues a message.
//!
//! How they are claimed and settled is [`outbox`](super::outbox)'s. The transaction that writes down the last arrival of a message that
//! waits for nobody to collect it acknowledges that message too. Refuses: HTTP, blobs, secrets, deciding when to try again.

use uuid::Uuid;

use super::dialect::{placeholders, sql, value_rows};
use super::groups::{Of, lock_groups_of};
use super::outbox::{Claim, DueLane, LastAnswer, Next, Outbox, lane_of};
use super::pool::{Tx, fetch_all, fetch_optional, with_pool};
use super::rows::corrupt;
use super::steps::{AckBy, ack_leniently};
use super::{Store, StoreError};
use crate::domain::ids::{DeliveryId, JobId, MessageId};
use crate::domain::message::Fence;
use crate::domain::time::Timestamp;

/// The outbox of destinations.
const DESTINATIONS: Outbox = Outbox {
    table: "export_deliveries",
    lane: "lane",
    given_up: "failed",
    columns: COLUMNS,
    what: "delivery",
};

const COLUMNS: &str = "id, job, message, destination, lane, path, acknowledges, state, epoch, attempt, owner, due_at, created_at, \
    finished_at, last_at, last_status, last_detail";
const NEW_COLUMNS: usize = 12;

/// A delivery about to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExportDelivery {
    /// Name of the destination.
    pub destination: String,
    /// Its URL.
    pub url: String,
    /// Where below it.
    pub path: Option<String>,
}

/// A delivery as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The export job.
    pub job: JobId,
    /// The message whose payload it brings.
    pub message: MessageId,
    /// Name of the destination.
    pub destination: String,
    /// What it shares a bound on attempts at once with.
    pub lane: String,
    /// Where below the destination's URL.
    pub path: Option<String>,
    /// Whether the message is acknowledged once it and the like of it have arrived.
    pub acknowledges: bool,
    /// Where it stands.
    pub state: ExportDeliveryState,
    /// Number of the latest claim.
    pub epoch: i64,
    /// Attempts since it was made or last replayed.
    pub attempt: i32,
    /// Who is sending it.
    pub owner: Option<String>,
    /// When it is tried next; while it is being sent: when others may take it.
    pub due_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it arrived or was given up.
    pub finished_at: Option<Timestamp>,
    /// What the last attempt met.
    pub last: Option<LastAnswer>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportDeliveryState {
    /// To be sent, now or later.
    Pending,
    /// The destination has it.
    Delivered,
    /// Given up, until it is replayed.
    Failed,
}

impl ExportDeliveryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// The word in columns and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// Which deliveries of a job to list, newest first.
#[derive(Debug, Clone, Copy)]
pub struct ExportDeliveryFilter {
    /// The job.
    pub job: JobId,
    /// In this state only.
    pub state: Option<ExportDeliveryState>,
    /// Made before this one.
    pub before: Option<DeliveryId>,
    /// At most this many.
    pub limit: u32,
}

/// A row of `export_deliveries`.
#[derive(Debug, sqlx::FromRow)]
struct DeliveryRow {
    id: Uuid,
    job: Uuid,
    message: Uuid,
    destination: String,
    lane: String,
    path: Option<String>,
    acknowledges: bool,
    state: String,
    epoch: i64,
    attempt: i32,
    owner: Option<String>,
    due_at: i64,
    created_at: i64,
    finished_at: Option<i64>,
    last_at: Option<i64>,
    last_status: Option<i32>,
    last_detail: Option<String>,
}

impl TryFrom<DeliveryRow> for ExportDelivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        let bad = |column, detail: &str| corrupt("export_deliveries", column, &row.id, detail);
        let state = ExportDeliveryState::ALL.into_iter().find(|s| s.as_str() == row.state);
        let status = row.last_status.map(u16::try_from).transpose();
        let status = status.map_err(|_| bad("last_status", "no HTTP status"))?;
        Ok(Self {
            state: state.ok_or_else(|| bad("state", &row.state))?,
            last: row.last_at.map(|at| LastAnswer {
                at: Timestamp(at),
                status,
                detail: row.last_detail,
            }),
            id: DeliveryId(row.id),
            job: JobId(row.job),
            message: MessageId(row.message),
            destination: row.destination,
            lane: row.lane,
            path: row.path,
            acknowledges: row.acknowledges,
            epoch: row.epoch,
            attempt: row.attempt,
            owner: row.owner,
            due_at: Timestamp(row.due_at),
            created_at: Timestamp(row.created_at),
            finished_at: row.finished_at.map(Timestamp),
        })
    }
}

impl Store {
    /// Every lane that something may be sent in now, those that wait longest first.
    pub async fn due_export_lanes(&self, now: Timestamp) -> Result<Vec<DueLane>, StoreError> {
        DESTINATIONS.due(self.reader(), now).await
    }

    /// Claims deliveries in one lane, the longest due first: epoch + 1, attempt + 1.
    pub async fn claim_export_deliveries(
        &self,
        claim: Claim,
        now: Timestamp,
    ) -> Result<Vec<ExportDelivery>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let rows: Vec<DeliveryRow> = DESTINATIONS.claim(tx, &claim, now).await?;
                rows.into_iter().map(ExportDelivery::try_from).collect()
            })
        })
        .await
    }

    /// Keeps a claimed delivery until then. `false`: somebody else has claimed it since.
    pub async fn extend_export_delivery(&self, claimed: &ExportDelivery, until: Timestamp) -> Result<bool, StoreError> {
        let held = (claimed.id, claimed.epoch);
        self.write(move |tx| Box::pin(async move { DESTINATIONS.extend(tx, held, until).await }))
            .await
    }

    /// Writes down what an attempt met and what becomes of the delivery, and acknowledges the message where it was the last
    /// one that it waited for. `false`: somebody else has claimed it since.
    pub async fn settle_export_delivery(
        &self,
        claimed: &ExportDelivery,
        next: Next,
        answer: LastAnswer,
    ) -> Result<bool, StoreError> {
        let claimed = claimed.clone();
        self.write(move |tx| Box::pin(async move { settle(tx, &claimed, next, &answer).await }))
            .await
    }

    /// Hands a claimed delivery back as if it had not been claimed, to be taken at once.
    pub async fn release_export_delivery(&self, claimed: &ExportDelivery, now: Timestamp) -> Result<bool, StoreError> {
        let held = (claimed.id, claimed.epoch);
        self.write(move |tx| Box::pin(async move { DESTINATIONS.release(tx, held, now).await }))
            .await
    }

    /// Sends an ended delivery once more, under the same idempotency key.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it has not ended.
    pub async fn replay_export_delivery(&self, id: DeliveryId, now: Timestamp) -> Result<ExportDelivery, StoreError> {
        self.write_audited(
            |_, _| true,
            move |tx| Box::pin(async move { DESTINATIONS.replay::<DeliveryRow>(tx, id, now).await?.try_into() }),
        )
        .await
    }

    /// Removes deliveries that arrived before `delivered`, and those that failed before `failed`; of messages that have not
    /// ended none goes. Returns how many rows went.
    pub async fn prune_export_deliveries(&self, delivered: Timestamp, failed: Timestamp) -> Result<u64, StoreError> {
        const OF_ENDED: &str = "not exists (select 1 from queue q where q.message = export_deliveries.message)";
        self.prune(vec![
            (DESTINATIONS.prune_sql("delivered", OF_ENDED), delivered),
            (DESTINATIONS.prune_sql(DESTINATIONS.given_up, OF_ENDED), failed),
        ])
        .await
    }

    /// The delivery of this id.
    pub async fn export_delivery(&self, id: DeliveryId) -> Result<Option<ExportDelivery>, StoreError> {
        let row: Option<DeliveryRow> = DESTINATIONS.find(self.reader(), id).await?;
        row.map(ExportDelivery::try_from).transpose()
    }

    /// Deliveries of a job, newest first.
    pub async fn export_deliveries(&self, filter: ExportDeliveryFilter) -> Result<Vec<ExportDelivery>, StoreError> {
        let mut wanted = "job = $1".to_owned();
        if filter.state.is_some() {
            wanted.push_str(" and state = $2");
        }
        if filter.before.is_some() {
            wanted.push_str(" and id < $3");
        }
        let text = format!("select {COLUMNS} from export_deliveries where {wanted} order by id desc limit $4");
        let rows: Vec<DeliveryRow> = fetch_all!(
            self.reader(),
            DeliveryRow,
            sql(text),
            filter.job.0,
            filter.state.map(ExportDeliveryState::as_str),
            filter.before.map(|id| id.0),
            i64::from(filter.limit)
        )?;
        rows.into_iter().map(ExportDelivery::try_from).collect()
    }

    /// The deliveries of these messages, in the order of the destinations' names.
    pub async fn export_deliveries_of(&self, messages: &[MessageId]) -> Result<Vec<ExportDelivery>, StoreError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let text = format!(
            "select {COLUMNS} from export_deliveries where message in ({}) order by message, destination",
            placeholders(1, messages.len())
        );
        let rows = with_pool!(self.reader(), db: Db => {
            let mut select = sqlx::query_as::<Db, DeliveryRow>(sql(text));
            for message in messages {
                select = select.bind(message.0);
            }
            select.fetch_all(db).await
        })?;
        rows.into_iter().map(ExportDelivery::try_from).collect()
    }
}

/// Writes the deliveries of a message. Belongs into the transaction that queues it.
pub(super) async fn insert(
    tx: &mut Tx,
    (job, message): (JobId, MessageId),
    new: &[NewExportDelivery],
    acknowledge: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    let text = format!(
        "insert into export_deliveries (id, job, message, destination, lane, path, acknowledges, state, epoch, attempt, due_at, \
         created_at) values {}",
        value_rows(tx.dialect(), new.len(), NEW_COLUMNS)
    );
    with_pool!(tx.db(), db: Db => {
        let mut insert = sqlx::query::<Db>(sql(text));
        for new in new {
            insert = insert
                .bind(DeliveryId::generate().0)
                .bind(job.0)
                .bind(message.0)
                .bind(new.destination.as_str())
                .bind(lane_of(&new.url))
                .bind(new.path.as_deref())
                .bind(acknowledge)
                .bind(ExportDeliveryState::Pending.as_str())
                .bind(0_i64)
                .bind(0_i32)
                .bind(now.micros())
                .bind(now.micros());
        }
        insert.execute(db).await.map(|_| ())
    })?;
    Ok(())
}

async fn settle(tx: &mut Tx, claimed: &ExportDelivery, next: Next, answer: &LastAnswer) -> Result<bool, StoreError> {
    let held = (claimed.id, claimed.epoch);
    if !claimed.acknowledges || next != Next::Delivered {
        return DESTINATIONS.settle(tx, held, next, answer).await;
    }
    let locked = lock_groups_of(tx, Of::Queue, &[claimed.message]).await?;
    // One at a time of a message's deliveries: of two that arrive at once, neither would see the other's arrival.
    let text = format!("select 1 from queue where message = $1{}", tx.dialect().lock_row());
    let _: Option<(i32,)> = fetch_optional!(tx.db(), (i32,), sql(text), claimed.message.0)?;
    if !DESTINATIONS.settle(tx, held, next, answer).await? {
        return Ok(false);
    }
    let text = "select 1 from export_deliveries where message = $1 and acknowledges and state <> 'delivered' limit 1";
    let missing: Option<(i32,)> = fetch_optional!(tx.db(), (i32,), text, claimed.message.0)?;
    if missing.is_none() {
        let any_lease = AckBy::Receipt(Fence {
            message: claimed.message,
            epoch: 0,
        });
        ack_leniently(tx, &locked, claimed.job, any_lease, answer.at).await?;
    }
    Ok(true)
}
