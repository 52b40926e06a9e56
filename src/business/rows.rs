//! Turns a batch of typed records into what each database loads fastest: COPY on PostgreSQL, multi-row VALUES with
//! bound values on SQLite.

use super::copy;
use super::dialect::{Dialect, quote};
use super::documents::digest;
use super::session::{Session, Value};
use super::staging::{Load, RejectedRecord, StagedRecord, StagingBatch};
use super::validate::REJECTED;
use crate::domain::cell::Cell;
use crate::domain::reject::{RecordPlace, RejectId};

/// SQLite's limit of bound values in one statement.
const BOUND_MAX: usize = 32_766;
/// More rows in one statement gain nothing, and the statement stays in the cache.
const ROWS_MAX: usize = 400;
/// Staging's own columns, in the order both forms write them.
const OWN_COLUMNS: [&str; 9] = [
    "tranship_message",
    "tranship_entity_no",
    "tranship_record",
    "tranship_line",
    "tranship_byte_start",
    "tranship_byte_end",
    "tranship_origin",
    "tranship_document",
    "tranship_state",
];

/// One row of staging.
pub(super) struct StagedRow<'a> {
    pub(super) place: RecordPlace,
    pub(super) origin: Option<RejectId>,
    pub(super) document: Option<String>,
    pub(super) state: i64,
    pub(super) cells: &'a [Cell],
}

impl<'a> StagedRow<'a> {
    /// Those of a batch: its good records and, where documents land whole, what is known of the others.
    fn all(load: Load<'_>, fields: &[String], batch: &'a StagingBatch, nothing: &'a [Cell]) -> Vec<Self> {
        let position = |name: &String| fields.iter().position(|field| field == name);
        let key: Vec<usize> = load.policy.document_key.iter().filter_map(position).collect();
        let good = |record: &'a StagedRecord| Self {
            place: record.place,
            origin: record.origin,
            document: (!key.is_empty()).then(|| digest(key.iter().map(|at| &record.cells[*at]))),
            state: record.state(),
            cells: &record.cells,
        };
        let bad = |record: &'a RejectedRecord| {
            let known = !record.document_key.is_empty();
            let place = record.errors.first().filter(|_| known)?.place;
            Some(Self {
                place,
                origin: record.origin,
                document: Some(digest(record.document_key.iter())),
                state: REJECTED,
                cells: nothing,
            })
        };
        let good = batch.records.iter().map(good);
        good.chain(batch.rejected.iter().filter_map(bad)).collect()
    }
}

/// A batch ready to move into its transaction.
pub(super) enum PreparedRows {
    Nothing,
    Copy { sql: String, data: Vec<u8> },
    Values(Vec<(String, Vec<Value>)>),
}

impl PreparedRows {
    /// With how many rows there are.
    pub(super) fn new(dialect: Dialect, load: Load<'_>, fields: &[String], batch: &StagingBatch) -> (Self, u64) {
        let nothing = vec![Cell::Null; fields.len()];
        let rows = StagedRow::all(load, fields, batch, &nothing);
        if rows.is_empty() {
            return (Self::Nothing, 0);
        }
        let columns = OWN_COLUMNS
            .iter()
            .map(|name| quote(name))
            .chain(fields.iter().map(|name| quote(name)));
        let columns = columns.collect::<Vec<_>>().join(", ");
        let staging = quote(&load.entity.staging_table());
        let prepared = match dialect {
            Dialect::Postgres => {
                let kinds: Vec<_> = fields
                    .iter()
                    .filter_map(|name| load.entity.field(name))
                    .map(|field| &field.kind)
                    .collect();
                let (data, form) = copy::encode(load, &kinds, &rows);
                Self::Copy {
                    sql: format!("copy {staging} ({columns}) from stdin{form}"),
                    data,
                }
            }
            Dialect::Sqlite => {
                let width = OWN_COLUMNS.len() + fields.len();
                let most = (BOUND_MAX / width).clamp(1, ROWS_MAX).min(rows.len());
                let insert = |rows| {
                    let values = values_list(dialect, rows, width);
                    format!("insert into {staging} ({columns}) values {values}")
                };
                // Thousands of placeholders are not written again for each statement of the same size.
                let whole = insert(most);
                let statements = few_sizes(&rows, most).map(|rows| {
                    let sql = if rows.len() == most {
                        whole.clone()
                    } else {
                        insert(rows.len())
                    };
                    let mut values = Vec::with_capacity(rows.len() * width);
                    values.extend(rows.iter().flat_map(|row| bound(load, row)));
                    (sql, values)
                });
                Self::Values(statements.collect())
            }
        };
        (prepared, rows.len() as u64)
    }

    pub(super) async fn write(self, session: &mut Session) -> Result<(), sqlx::Error> {
        match self {
            Self::Nothing => {}
            Self::Copy { sql, data } => session.copy(&sql, data).await?,
            Self::Values(statements) => {
                for (sql, values) in statements {
                    session.execute(sql, values).await?;
                }
            }
        }
        Ok(())
    }
}

/// Rows in statements of at most `most` of them, and of few sizes: `most`, then powers of two. A statement is prepared once for
/// each size, and batches that lost a bad record or two would have it prepared for every number there is.
pub(super) fn few_sizes<T>(rows: &[T], most: usize) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let power = 1 << rest.len().checked_ilog2()?;
        let size = if rest.len() >= most { most } else { power };
        let (next, after) = rest.split_at(size);
        rest = after;
        Some(next)
    })
}

/// `(?, ?), (?, ?)` or `($1, $2), ($3, $4)`.
pub(super) fn values_list(dialect: Dialect, rows: usize, width: usize) -> String {
    let row = |row: usize| {
        let places: Vec<_> = (1..=width)
            .map(|column| dialect.placeholder(row * width + column))
            .collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

fn bound(load: Load<'_>, record: &StagedRow<'_>) -> impl Iterator<Item = Value> {
    let own = [
        Value::Id(load.fence.message.0),
        Value::Int(load.entity_no.into()),
        record.place.record.into(),
        record.place.line.into(),
        record.place.byte_start.into(),
        record.place.byte_end.into(),
        Value::OptText(record.origin.map(|origin| origin.to_string())),
        Value::OptText(record.document.clone()),
        Value::Int(record.state),
    ];
    own.into_iter().chain(record.cells.iter().map(|cell| match cell {
        Cell::Null => Value::OptText(None),
        Cell::Int(number) => Value::Int(*number),
        Cell::Bool(flag) => Value::Flag(*flag),
        Cell::Text(text) => Value::Text(text.clone()),
    }))
}

#[cfg(test)]
mod tests {
    use super::few_sizes;

    #[test]
    fn any_number_of_rows_is_cut_into_statements_of_few_sizes() {
        let sizes = |rows: usize| few_sizes(&vec![0; rows], 400).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(0), Vec::<usize>::new());
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(800), [400, 400]);
        assert_eq!(sizes(1_195), [400, 400, 256, 128, 8, 2, 1]);
    }
}
