//! Rejects and repairs as the business database keeps them until the store has them.

use super::control::LoadKey;
use super::promote::KeptReject;
use super::rows::{few_sizes, values_list};
use super::session::{DbRow, Fault, Session, Value, message_of};
use super::staging::Load;
use super::{BusinessError, Database};
use crate::domain::message::Fence;
use crate::domain::reject::{RecordCode, RecordError, RecordPlace, RejectId};

/// Columns of one reject as written.
const COLUMNS: usize = 14;
/// Rejects written by one statement.
const ROWS_MAX: usize = 200;
const INSERT: &str = "insert into tranship_rejects (message, entity_no, record, ordinal, origin, by_target, \
     line, byte_start, byte_end, column_no, field, code, value, reason) values ";
const SELECT: &str = "select record, ordinal, origin, by_target, line, byte_start, byte_end, column_no, field, code, \
     value, reason from tranship_rejects where message = $1 and entity_no = $2 and (record, ordinal) > ($3, $4) \
     order by record, ordinal limit $5";

/// A rejected record: everything wrong with it, first error first.
#[derive(Debug, Clone)]
pub(super) struct Rejected {
    /// As text, because it only passes through.
    pub(super) origin: Option<String>,
    pub(super) by_target: bool,
    pub(super) errors: Vec<RecordError>,
}

impl Rejected {
    /// Its record's number.
    pub(super) fn record(&self) -> Option<u64> {
        self.errors.first().map(|error| error.place.record)
    }
}

/// Writes rejects in the transaction that finds them.
pub(super) async fn insert(session: &mut Session, key: &LoadKey, rejected: &[Rejected]) -> Result<(), sqlx::Error> {
    let rows: Vec<_> = rejected
        .iter()
        .flat_map(|record| {
            record
                .errors
                .iter()
                .zip(0..)
                .map(|(error, ordinal)| values(key, record, error, ordinal))
        })
        .collect();
    for rows in few_sizes(&rows, ROWS_MAX) {
        let sql = format!("{INSERT}{}", values_list(session.dialect, rows.len(), COLUMNS));
        session.execute(sql, rows.concat()).await?;
    }
    Ok(())
}

fn values(key: &LoadKey, record: &Rejected, error: &RecordError, ordinal: i64) -> Vec<Value> {
    let place = error.place;
    key.with([
        place.record.into(),
        Value::Int(ordinal),
        Value::OptText(record.origin.clone()),
        Value::Flag(record.by_target),
        place.line.into(),
        place.byte_start.into(),
        place.byte_end.into(),
        Value::OptInt(error.column.map(i64::from)),
        Value::OptText(error.field.clone()),
        Value::Text(error.code.as_str().to_owned()),
        Value::OptText(error.value.as_deref().map(RecordError::clip)),
        Value::Text(error.reason.clone()),
    ])
}

impl Database {
    /// Rejects of the load in order of record and ordinal, after the given place.
    pub async fn kept_rejects(
        &self,
        load: Load<'_>,
        after: Option<(u64, i32)>,
        limit: u32,
    ) -> Result<Vec<KeptReject>, BusinessError> {
        let key = LoadKey::new(load);
        let (message, entity_no) = (load.fence.message, load.entity_no);
        let place = after.map_or([Value::Int(-1), Value::Int(-1)], |(record, ordinal)| {
            [record.into(), Value::Int(ordinal.into())]
        });
        let values = key.with(place.into_iter().chain([Value::Int(limit.into())]));
        let database = self.clone();
        self.fenced_read(load.fence, move |session| {
            Box::pin(async move {
                let rows = session.rows(SELECT, values).await?;
                let mut kept = Vec::with_capacity(rows.len());
                for row in &rows {
                    let reject = RejectId {
                        message,
                        entity_no,
                        record: row.count(0)?,
                    };
                    kept.push(database.kept_reject(reject, row)?);
                }
                Ok(kept)
            })
        })
        .await
    }

    fn kept_reject(&self, reject: RejectId, row: &DbRow) -> Result<KeptReject, Fault> {
        let place = RecordPlace {
            record: reject.record,
            line: row.count(4)?,
            byte_start: row.count(5)?,
            byte_end: row.count(6)?,
        };
        let code = row.text(9)?;
        let error = RecordError {
            place,
            column: row.opt_int(7)?.and_then(|column| u32::try_from(column).ok()),
            field: row.opt_text(8)?,
            code: RecordCode::parse(&code)
                .ok_or_else(|| self.corrupt(format!("reject {reject} has the unknown code `{code}`")))?,
            value: row.opt_text(10)?,
            reason: row.text(11)?,
        };
        let ordinal =
            i32::try_from(row.int(1)?).map_err(|_| self.corrupt(format!("reject {reject} has too many errors")))?;
        let origin = row.opt_text(2)?.map(|text| self.origin(&text)).transpose()?;
        Ok(KeptReject {
            reject,
            ordinal,
            origin,
            by_target: row.flag(3)?,
            error,
        })
    }

    /// Rejects of ancestors that this load's applied records corrected.
    pub async fn repaired(&self, load: Load<'_>) -> Result<Vec<RejectId>, BusinessError> {
        let values = LoadKey::new(load).with([]);
        let database = self.clone();
        self.fenced_read(load.fence, move |session| {
            Box::pin(async move {
                let sql = "select origin from tranship_repairs where message = $1 and entity_no = $2 order by origin";
                let rows = session.rows(sql, values).await?;
                rows.iter().map(|row| Ok(database.origin(&row.text(0)?)?)).collect()
            })
        })
        .await
    }

    /// Deletes rejects and warnings of a finished message (the store has them by then); its fence and markers stay.
    pub async fn forget_rejects(&self, fence: Fence) -> Result<(), BusinessError> {
        let doomed = "select entity_no, record, ordinal from tranship_rejects where message = $1 limit 5000";
        let sql =
            format!("delete from tranship_rejects where message = $1 and (entity_no, record, ordinal) in ({doomed})");
        loop {
            let (sql, values) = (sql.clone(), vec![Value::Id(fence.message.0)]);
            let deleted = self.fenced(fence, move |session| {
                Box::pin(async move { Ok(session.execute(sql, values).await?) })
            });
            if deleted.await? == 0 {
                break;
            }
        }
        self.fenced(fence, move |session| {
            Box::pin(async move {
                let sql = "delete from tranship_warnings where message = $1";
                if session.execute(sql, vec![Value::Id(fence.message.0)]).await? == 0 {
                    session.discard();
                }
                Ok(())
            })
        })
        .await
    }

    fn origin(&self, text: &str) -> Result<RejectId, BusinessError> {
        text.parse()
            .map_err(|_| self.corrupt(format!("`{text}` is stored as a reject id")))
    }
}

/// What the target said about one record.
pub(super) fn by_target(error: &sqlx::Error, place: RecordPlace, field: Option<String>) -> RecordError {
    let reason = format!("the target table refuses the record: {}", message_of(error));
    RecordError {
        place,
        column: None,
        field,
        code: RecordCode::TargetRejected,
        value: None,
        reason,
    }
}
