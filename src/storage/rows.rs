//! Rows as the drivers read them, and their way into domain types.
//!
//! A row that no version of this program wrote is [`StoreError::Corrupt`], with table, column and id.

use uuid::Uuid;

use super::StoreError;
use super::dialect::Dialect;
use crate::domain::counts::Counts;
use crate::domain::ids::{BlobKey, CorrelationId, ExecutionId, JobId, MessageId};
use crate::domain::job::Direction;
use crate::domain::message::{Digest, Durability, Failure, Message, PayloadAt, Wait};
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::domain::trace::TraceContext;

/// What `messages` says.
macro_rules! message_columns {
    () => {
        "select m.id, m.job, m.direction, m.entity, m.company, m.external_id, m.enqueued_by, m.digest, m.bytes, m.blob_key, \
         m.durability, m.parent, m.forced, m.traceparent, m.enqueued_at, "
    };
}

/// What all three tables say.
const MESSAGES: &str = concat!(
    message_columns!(),
    "coalesce(q.status, o.status) as status, q.wait, coalesce(q.grp, o.grp) as grp, coalesce(q.epoch, o.epoch) as epoch, \
     coalesce(q.attempt, o.attempt) as attempt, coalesce(q.stalled, 0) as stalled, coalesce(q.owner, o.owner) as owner, q.lease_until, q.redeliver_at, \
     q.not_before, q.expires_at, coalesce(q.execution, o.execution) as execution, \
     coalesce(q.dequeued_at, o.dequeued_at) as dequeued_at, \
     coalesce(q.previous_dequeued_at, o.previous_dequeued_at) as previous_dequeued_at, \
     coalesce(q.started_at, o.started_at) as started_at, o.finished_at, o.failure_code, o.failure_detail, \
     coalesce(q.first_error, o.first_error) as first_error, coalesce(q.last_error, o.last_error) as last_error, \
     coalesce(o.records_read, 0) as records_read, coalesce(o.inserted, 0) as inserted, coalesce(o.updated, 0) as updated, \
     coalesce(o.unchanged, 0) as unchanged, coalesce(o.deleted, 0) as deleted, coalesce(o.rejected, 0) as rejected, \
     coalesce(o.skipped, 0) as skipped, coalesce(o.repaired, 0) as repaired from messages m"
);

/// The same of a message without an outcome.
const LIVE_MESSAGES: &str = concat!(
    message_columns!(),
    "q.status, q.wait, q.grp, q.epoch, q.attempt, q.stalled, q.owner, q.lease_until, q.redeliver_at, q.not_before, q.expires_at, \
     q.execution, q.dequeued_at, q.previous_dequeued_at, q.started_at, cast(null as bigint) as finished_at, \
     cast(null as text) as failure_code, cast(null as text) as failure_detail, q.first_error, q.last_error, \
     cast(0 as bigint) as records_read, cast(0 as bigint) as inserted, cast(0 as bigint) as updated, \
     cast(0 as bigint) as unchanged, cast(0 as bigint) as deleted, cast(0 as bigint) as rejected, \
     cast(0 as bigint) as skipped, cast(0 as bigint) as repaired from messages m"
);

/// Messages wherever they stand, as [`MessageRow`]s; a condition on `m`, `q` and `o` follows.
pub(super) fn messages(dialect: Dialect) -> String {
    let (queue, outcomes) = (dialect.with_row_of("queue", "q"), dialect.with_row_of("outcomes", "o"));
    format!("{MESSAGES} {queue} {outcomes}")
}

/// Messages that are known to be in the queue, as [`MessageRow`]s; a condition on `m` follows.
pub(super) fn live_messages(dialect: Dialect) -> String {
    format!("{LIVE_MESSAGES} {}", dialect.with_row_of("queue", "q"))
}

/// A message as its three tables tell it.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct MessageRow {
    pub(super) id: Uuid,
    job: Uuid,
    direction: String,
    /// NULL: it is in neither table, which no version of this program leaves behind.
    status: Option<String>,
    wait: Option<String>,
    pub(super) grp: Option<String>,
    epoch: Option<i64>,
    attempt: Option<i32>,
    stalled: i32,
    owner: Option<String>,
    lease_until: Option<i64>,
    redeliver_at: Option<i64>,
    not_before: Option<i64>,
    expires_at: Option<i64>,
    entity: Option<String>,
    company: Option<String>,
    external_id: Option<String>,
    enqueued_by: String,
    digest: Vec<u8>,
    bytes: i64,
    blob_key: Option<String>,
    durability: String,
    parent: Option<Uuid>,
    forced: bool,
    traceparent: Option<String>,
    execution: Option<String>,
    enqueued_at: i64,
    dequeued_at: Option<i64>,
    previous_dequeued_at: Option<i64>,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    failure_code: Option<String>,
    failure_detail: Option<String>,
    first_error: Option<String>,
    last_error: Option<String>,
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
        let status = row.status.unwrap_or_default();
        Ok(Self {
            id: MessageId(row.id),
            correlation: CorrelationId::of(MessageId(row.id)),
            job: JobId(row.job),
            direction: Direction::parse(&row.direction).ok_or_else(|| bad("direction", &row.direction))?,
            status: Status::parse(&status).ok_or_else(|| bad("status", &status))?,
            wait: row.wait.as_deref().and_then(Wait::parse),
            group: row.grp,
            epoch: row.epoch.unwrap_or_default(),
            attempt: row.attempt.unwrap_or_default(),
            stalled: row.stalled,
            lease_until: row.lease_until.or(row.redeliver_at).map(Timestamp),
            owner: row.owner,
            not_before: row.not_before.map(Timestamp),
            expires_at: row.expires_at.map(Timestamp),
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
            forced: row.forced,
            traceparent: row.traceparent.as_deref().and_then(TraceContext::parse),
            execution: row.execution.map(ExecutionId),
            enqueued_at: Timestamp(row.enqueued_at),
            last_dequeued_at: row.dequeued_at.map(Timestamp),
            started_at: row.started_at.map(Timestamp),
            finished_at: row.finished_at.map(Timestamp),
            failure,
            first_error: row.first_error,
            last_error: row.last_error,
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
