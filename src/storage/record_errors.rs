//! Record errors: why single records did not land. Written once, read page by page or by kind.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::dialect::{placeholders, sql, value_rows};
use super::executions::{ErrorGroup, StoredError};
use super::pool::{Tx, execute, fetch_all, with_pool};
use super::rows::{corrupt, stored, unsigned};
use super::transition::hold_worker_lease;
use super::{Store, StoreError};
use crate::domain::ids::MessageId;
use crate::domain::message::Fence;
use crate::domain::reject::{RecordCode, RecordError, RecordPlace, RejectId, RejectPhase};

/// Rows per insert: 16 values each, and SQLite binds at most 32,766.
const ROWS_PER_STATEMENT: usize = 500;

const COLUMNS: &str = "message, entity_no, record, ordinal, origin_message, origin_entity_no, origin_record, line, \
    byte_start, byte_end, column_no, field, code, value, reason, by_target";
const COLUMN_COUNT: usize = 16;

/// A row of `record_errors`.
#[derive(Debug, sqlx::FromRow)]
struct ErrorRow {
    message: Uuid,
    entity_no: i32,
    record: i64,
    ordinal: i32,
    origin_message: Option<Uuid>,
    origin_entity_no: Option<i32>,
    origin_record: Option<i64>,
    line: i64,
    byte_start: i64,
    byte_end: i64,
    column_no: Option<i64>,
    field: Option<String>,
    code: String,
    value: Option<String>,
    reason: String,
    by_target: bool,
}

/// Counts a message's errors by kind. Per entity first: the least record of a group is then a plain aggregate, and no
/// database has to sort the errors themselves.
const GROUP_ERRORS: &str = "insert into error_groups \
    (message, code, field, errors, distinct_values, first_entity_no, first_record, first_ordinal) \
    with per_entity as (select code, coalesce(field, '') as field, entity_no, count(*) as errors, min(record) as record \
    from record_errors where message = $1 group by code, coalesce(field, ''), entity_no), \
    per_kind as (select code, field, cast(sum(errors) as bigint) as errors, min(entity_no) as entity_no \
    from per_entity group by code, field), \
    told as (select code, coalesce(field, '') as field, count(distinct value) as distinct_values \
    from record_errors where message = $1 group by code, coalesce(field, '')) \
    select $1, k.code, k.field, k.errors, t.distinct_values, k.entity_no, p.record, (select min(e.ordinal) from record_errors e \
    where e.message = $1 and e.entity_no = p.entity_no and e.record = p.record and e.code = p.code \
    and coalesce(e.field, '') = p.field) \
    from per_kind k join per_entity p on p.code = k.code and p.field = k.field and p.entity_no = k.entity_no \
    join told t on t.code = k.code and t.field = k.field";

/// A row of the groups' query: the first error of a kind, and how many there are.
#[derive(Debug, sqlx::FromRow)]
struct GroupRow {
    #[sqlx(flatten)]
    first: ErrorRow,
    errors: i64,
    distinct_values: i64,
}

impl Store {
    /// Stores record errors; those already there stay as they are, so a rerun adds nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn save_record_errors(&self, fence: Fence, errors: &[StoredError]) -> Result<(), StoreError> {
        let errors = errors.to_vec();
        self.write(move |tx| {
            Box::pin(async move {
                hold_worker_lease(tx, fence).await?;
                for rows in errors.chunks(ROWS_PER_STATEMENT) {
                    insert(tx, rows).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Record errors of a message in order of entity, record and ordinal, after the given place.
    pub async fn record_errors(
        &self,
        message: MessageId,
        after: Option<(i32, u64, i32)>,
        limit: u32,
    ) -> Result<Vec<StoredError>, StoreError> {
        let (entity_no, record, ordinal) = after.unwrap_or((-1, 0, -1));
        let text = format!(
            "select {COLUMNS} from record_errors where message = $1 and (entity_no, record, ordinal) > ($2, $3, $4) \
             order by entity_no, record, ordinal limit $5"
        );
        let rows: Vec<ErrorRow> = fetch_all!(
            self.reader(),
            ErrorRow,
            sql(text),
            message.0,
            entity_no,
            stored(record),
            ordinal,
            i64::from(limit)
        )?;
        rows.into_iter().map(StoredError::try_from).collect()
    }

    /// Record errors of one entity of a message, rejected in any phase or in one, in order of record and ordinal, after the given
    /// place.
    pub async fn record_errors_of(
        &self,
        (message, entity_no): (MessageId, i32),
        phase: Option<RejectPhase>,
        (record, ordinal): (u64, i32),
        limit: u32,
    ) -> Result<Vec<StoredError>, StoreError> {
        let of_phase = match phase {
            None => "",
            Some(RejectPhase::Staging) => "and not by_target",
            Some(RejectPhase::Target) => "and by_target",
        };
        let text = format!(
            "select {COLUMNS} from record_errors where message = $1 and entity_no = $2 and (record, ordinal) > ($3, $4) \
             {of_phase} order by record, ordinal limit $5"
        );
        let rows: Vec<ErrorRow> = fetch_all!(
            self.reader(),
            ErrorRow,
            sql(text),
            message.0,
            entity_no,
            stored(record),
            ordinal,
            i64::from(limit)
        )?;
        rows.into_iter().map(StoredError::try_from).collect()
    }

    /// Which rejects of a message's entity, after the first of these records and up to the second, were repaired since, and by which
    /// descendant.
    pub async fn repaired_records(
        &self,
        (message, entity_no): (MessageId, i32),
        (after, last): (u64, u64),
    ) -> Result<BTreeMap<u64, MessageId>, StoreError> {
        let text =
            "select record, child from repairs where message = $1 and entity_no = $2 and record > $3 and record <= $4";
        let rows: Vec<(i64, Uuid)> = fetch_all!(
            self.reader(),
            (i64, Uuid),
            text,
            message.0,
            entity_no,
            stored(after),
            stored(last)
        )?;
        let repaired = rows.into_iter();
        Ok(repaired
            .map(|(record, child)| (record.unsigned_abs(), MessageId(child)))
            .collect())
    }

    /// By which descendants the rejects of a page of a message's errors were repaired since; the page in order, as it is read.
    pub async fn repairs_of(
        &self,
        message: MessageId,
        page: &[StoredError],
    ) -> Result<BTreeMap<RejectId, MessageId>, StoreError> {
        let mut repairs = BTreeMap::new();
        for errors in page.chunk_by(|a, b| a.reject.entity_no == b.reject.entity_no) {
            let (Some(first), Some(last)) = (errors.first(), errors.last()) else {
                continue;
            };
            let (entity_no, after) = (first.reject.entity_no, first.reject.record.saturating_sub(1));
            let repaired = self.repaired_records((message, entity_no), (after, last.reject.record));
            repairs.extend(repaired.await?.into_iter().map(|(record, child)| {
                let reject = RejectId {
                    message,
                    entity_no,
                    record,
                };
                (reject, child)
            }));
        }
        Ok(repairs)
    }

    /// Which of these records of a message's entity were rejected.
    pub async fn rejected_records(
        &self,
        message: MessageId,
        entity_no: i32,
        records: &[u64],
    ) -> Result<Vec<u64>, StoreError> {
        let mut found = Vec::new();
        for records in records.chunks(ROWS_PER_STATEMENT) {
            let text = format!(
                "select record from record_errors where message = $1 and entity_no = $2 and ordinal = 0 and record in ({})",
                placeholders(3, records.len())
            );
            let rows = with_pool!(self.reader(), db: Db => {
                let mut select = sqlx::query_as::<Db, (i64,)>(sql(text)).bind(message.0).bind(entity_no);
                for record in records {
                    select = select.bind(stored(*record));
                }
                select.fetch_all(db).await
            })?;
            for (record,) in rows {
                found.push(unsigned("record_errors", "record", &message, record)?);
            }
        }
        Ok(found)
    }

    /// Record errors of an ended message by code and field, most frequent first.
    pub async fn error_groups(&self, message: MessageId, limit: u32) -> Result<Vec<ErrorGroup>, StoreError> {
        let text = format!(
            "select {COLUMNS}, errors, distinct_values from (select errors, distinct_values, first_entity_no, first_record, first_ordinal \
             from error_groups where message = $1 \
             order by errors desc, first_entity_no, first_record, first_ordinal limit $2) as kinds \
             join record_errors on message = $1 and entity_no = first_entity_no and record = first_record \
             and ordinal = first_ordinal order by errors desc, entity_no, record, ordinal"
        );
        let rows: Vec<GroupRow> = fetch_all!(self.reader(), GroupRow, sql(text), message.0, i64::from(limit))?;
        rows.into_iter()
            .map(|row| {
                let count = unsigned("record_errors", "errors", &message, row.errors)?;
                let distinct_values = unsigned("record_errors", "distinct_values", &message, row.distinct_values)?;
                let sample = StoredError::try_from(row.first)?;
                Ok(ErrorGroup {
                    code: sample.error.code,
                    field: sample.error.field.clone(),
                    count,
                    distinct_values,
                    sample,
                })
            })
            .collect()
    }
}

/// Writes down how many errors of which kind a message has. Once, at its end: a status poll must not count them.
pub(super) async fn group_errors(tx: &mut Tx, message: MessageId) -> Result<(), StoreError> {
    execute!(tx.db(), GROUP_ERRORS, message.0)?;
    Ok(())
}

async fn insert(tx: &mut Tx, errors: &[StoredError]) -> Result<(), StoreError> {
    let text = format!(
        "insert into record_errors ({COLUMNS}) values {} on conflict (message, entity_no, record, ordinal) do nothing",
        value_rows(tx.dialect(), errors.len(), COLUMN_COUNT)
    );
    with_pool!(tx.db(), db: Db => {
        let mut insert = sqlx::query::<Db>(sql(text));
        for StoredError { reject, ordinal, origin, by_target, error } in errors {
            insert = insert
                .bind(reject.message.0)
                .bind(reject.entity_no)
                .bind(stored(reject.record))
                .bind(*ordinal)
                .bind(origin.map(|origin| origin.message.0))
                .bind(origin.map(|origin| origin.entity_no))
                .bind(origin.map(|origin| stored(origin.record)))
                .bind(stored(error.place.line))
                .bind(stored(error.place.byte_start))
                .bind(stored(error.place.byte_end))
                .bind(error.column.map(i64::from))
                .bind(error.field.as_deref())
                .bind(error.code.as_str())
                .bind(error.value.as_deref())
                .bind(error.reason.as_str())
                .bind(*by_target);
        }
        insert.execute(db).await.map(|_| ())
    })?;
    Ok(())
}

impl TryFrom<ErrorRow> for StoredError {
    type Error = StoreError;

    fn try_from(row: ErrorRow) -> Result<Self, StoreError> {
        const TABLE: &str = "record_errors";
        let id = format!("{}.{}.{}/{}", row.message, row.entity_no, row.record, row.ordinal);
        let count = |column, value| unsigned(TABLE, column, &id, value);
        let record = count("record", row.record)?;
        let origin = match (row.origin_message, row.origin_entity_no, row.origin_record) {
            (Some(message), Some(entity_no), Some(record)) => Some(RejectId {
                message: MessageId(message),
                entity_no,
                record: count("origin_record", record)?,
            }),
            (None, None, None) => None,
            _ => return Err(corrupt(TABLE, "origin_message", &id, "a part of a reject id")),
        };
        let column = row
            .column_no
            .map(|no| u32::try_from(no).map_err(|_| corrupt(TABLE, "column_no", &id, &no.to_string())));
        Ok(Self {
            reject: RejectId {
                message: MessageId(row.message),
                entity_no: row.entity_no,
                record,
            },
            ordinal: row.ordinal,
            origin,
            by_target: row.by_target,
            error: RecordError {
                place: RecordPlace {
                    record,
                    line: count("line", row.line)?,
                    byte_start: count("byte_start", row.byte_start)?,
                    byte_end: count("byte_end", row.byte_end)?,
                },
                column: column.transpose()?,
                field: row.field,
                code: RecordCode::parse(&row.code).ok_or_else(|| corrupt(TABLE, "code", &id, &row.code))?,
                value: row.value,
                reason: row.reason,
            },
        })
    }
}
