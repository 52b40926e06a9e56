//! Rows as the drivers read them, and their way into domain types.
//!
//! A row that no version of this program wrote is [`StoreError::Corrupt`], with table, column and id.

use uuid::Uuid;

use super::StoreError;
use crate::domain::counts::Counts;
use crate::domain::ids::{BlobKey, CorrelationId, ExecutionId, JobId, MessageId};
use crate::domain::job::Direction;
use crate::domain::message::{Digest, Durability, Failure, Message, PayloadAt};
use crate::domain::status::Status;
use crate::domain::time::Timestamp;

/// The columns of [`MessageRow`].
pub(super) const MESSAGE_COLUMNS: &str = "seq, id, correlation, job, direction, status, epoch, attempt, stalled, lease_until, \
    redeliver_at, not_before, entity, company, external_id, enqueued_by, digest, bytes, blob_key, durability, parent, \
    execution, enqueued_at, dequeued_at, previous_dequeued_at, started_at, finished_at, failure_code, failure_detail, \
    records_read, inserted, updated, unchanged, deleted, rejected, skipped, repaired";

/// A row of `messages`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct MessageRow {
    pub(super) seq: i64,
    pub(super) id: Uuid,
    correlation: Uuid,
    job: Uuid,
    direction: String,
    status: String,
    epoch: i64,
    attempt: i32,
    stalled: i32,
    lease_until: Option<i64>,
    redeliver_at: Option<i64>,
    not_before: Option<i64>,
    entity: Option<String>,
    company: Option<String>,
    external_id: Option<String>,
    enqueued_by: String,
    digest: Vec<u8>,
    bytes: i64,
    blob_key: Option<String>,
    durability: String,
    parent: Option<Uuid>,
    execution: Option<String>,
    enqueued_at: i64,
    dequeued_at: Option<i64>,
    previous_dequeued_at: Option<i64>,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    failure_code: Option<String>,
    failure_detail: Option<String>,
    #[sqlx(flatten)]
    counts: CountsRow,
    repaired: i64,
}

/// The seven columns of [`Counts`].
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub(super) struct CountsRow {
    records_read: i64,
    inserted: i64,
    updated: i64,
    unchanged: i64,
    deleted: i64,
    rejected: i64,
    skipped: i64,
}

impl CountsRow {
    pub(super) fn read(self, table: &'static str, id: &dyn std::fmt::Display) -> Result<Counts, StoreError> {
        let column = |name, value| unsigned(table, name, id, value);
        Ok(Counts {
            read: column("records_read", self.records_read)?,
            inserted: column("inserted", self.inserted)?,
            updated: column("updated", self.updated)?,
            unchanged: column("unchanged", self.unchanged)?,
            deleted: column("deleted", self.deleted)?,
            rejected: column("rejected", self.rejected)?,
            skipped: column("skipped", self.skipped)?,
        })
    }
}

impl MessageRow {
    /// As the answer to a delivery: the time of the one *before* it (RI-10).
    pub(super) fn into_delivered(mut self) -> Result<Message, StoreError> {
        self.dequeued_at = self.previous_dequeued_at;
        self.try_into()
    }
}

impl TryFrom<MessageRow> for Message {
    type Error = StoreError;

    fn try_from(row: MessageRow) -> Result<Self, StoreError> {
        let id = row.id;
        let bad = |column, detail: &str| corrupt("messages", column, &id, detail);
        let failure = match (row.failure_code, row.failure_detail) {
            (Some(code), Some(detail)) => Some(Failure { code, detail }),
            (None, None) => None,
            _ => {
                return Err(bad(
                    "failure_code",
                    "a code without a detail, or a detail without a code",
                ));
            }
        };
        Ok(Self {
            id: MessageId(row.id),
            correlation: CorrelationId(row.correlation),
            job: JobId(row.job),
            direction: Direction::parse(&row.direction).ok_or_else(|| bad("direction", &row.direction))?,
            status: Status::parse(&row.status).ok_or_else(|| bad("status", &row.status))?,
            epoch: row.epoch,
            attempt: row.attempt,
            stalled: row.stalled,
            lease_until: row.lease_until.or(row.redeliver_at).map(Timestamp),
            not_before: row.not_before.map(Timestamp),
            entity: row.entity,
            company: row.company,
            external_id: row.external_id,
            enqueued_by: row.enqueued_by,
            digest: row
                .digest
                .try_into()
                .map(Digest)
                .map_err(|_| bad("digest", "not 32 bytes"))?,
            bytes: unsigned("messages", "bytes", &id, row.bytes)?,
            payload: row
                .blob_key
                .map_or(PayloadAt::Inline, |key| PayloadAt::Blob(BlobKey(key))),
            durability: [Durability::Full, Durability::Relaxed]
                .into_iter()
                .find(|d| d.as_str() == row.durability)
                .ok_or_else(|| bad("durability", &row.durability))?,
            parent: row.parent.map(MessageId),
            execution: row.execution.map(ExecutionId),
            enqueued_at: Timestamp(row.enqueued_at),
            last_dequeued_at: row.dequeued_at.map(Timestamp),
            started_at: row.started_at.map(Timestamp),
            finished_at: row.finished_at.map(Timestamp),
            failure,
            counts: row.counts.read("messages", &id)?,
            repaired: unsigned("messages", "repaired", &id, row.repaired)?,
        })
    }
}

/// A count as the databases hold it. No count and no size reaches 2^63.
pub(super) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as read; refuses a negative one.
pub(super) fn unsigned(
    table: &'static str,
    column: &'static str,
    id: &dyn std::fmt::Display,
    value: i64,
) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| corrupt(table, column, id, &value.to_string()))
}

/// A value no version of this program wrote.
pub(super) fn corrupt(
    table: &'static str,
    column: &'static str,
    id: &dyn std::fmt::Display,
    detail: &str,
) -> StoreError {
    StoreError::Corrupt {
        table,
        column,
        id: id.to_string(),
        detail: detail.to_owned(),
    }
}
