//! Turns a batch of typed records into what each database loads fastest: COPY text on PostgreSQL, multi-row VALUES with
//! bound values on SQLite.

use super::dialect::{Dialect, quote};
use super::session::{Session, Value, int};
use super::staging::{Load, StagedRecord};
use crate::domain::cell::Cell;

/// SQLite's limit of bound values in one statement.
const BOUND_MAX: usize = 32_766;
/// More rows in one statement gain nothing, and the statement stays in the cache.
const ROWS_MAX: usize = 400;
/// Staging's own columns, in the order both forms write them.
const OWN_COLUMNS: [&str; 8] = [
    "tranship_message",
    "tranship_entity_no",
    "tranship_record",
    "tranship_line",
    "tranship_byte_start",
    "tranship_byte_end",
    "tranship_origin",
    "tranship_state",
];

/// A batch ready to move into its transaction.
pub(super) enum PreparedRows {
    Nothing,
    Copy { sql: String, data: Vec<u8> },
    Values(Vec<(String, Vec<Value>)>),
}

impl PreparedRows {
    pub(super) fn new(dialect: Dialect, load: Load<'_>, fields: &[String], records: &[StagedRecord]) -> Self {
        if records.is_empty() {
            return Self::Nothing;
        }
        let columns = OWN_COLUMNS
            .iter()
            .map(|name| quote(name))
            .chain(fields.iter().map(|name| quote(name)));
        let columns = columns.collect::<Vec<_>>().join(", ");
        let staging = quote(&load.entity.staging_table());
        match dialect {
            Dialect::Postgres => Self::Copy {
                sql: format!("copy {staging} ({columns}) from stdin"),
                data: copy_text(load, records),
            },
            Dialect::Sqlite => {
                let width = OWN_COLUMNS.len() + fields.len();
                let rows = (BOUND_MAX / width).clamp(1, ROWS_MAX);
                let statements = records.chunks(rows).map(|records| {
                    let sql = format!(
                        "insert into {staging} ({columns}) values {}",
                        values_list(dialect, records.len(), width)
                    );
                    (sql, records.iter().flat_map(|record| bound(load, record)).collect())
                });
                Self::Values(statements.collect())
            }
        }
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

fn bound(load: Load<'_>, record: &StagedRecord) -> impl Iterator<Item = Value> {
    let own = [
        Value::Id(load.fence.message.0),
        Value::Int(load.entity_no.into()),
        record.place.record.into(),
        record.place.line.into(),
        record.place.byte_start.into(),
        record.place.byte_end.into(),
        Value::OptText(record.origin.map(|origin| origin.to_string())),
        Value::Int(i64::from(record.state())),
    ];
    own.into_iter().chain(record.cells.iter().map(|cell| match cell {
        Cell::Null => Value::OptText(None),
        Cell::Int(number) => Value::Int(*number),
        Cell::Bool(flag) => Value::Flag(*flag),
        Cell::Text(text) => Value::Text(text.clone()),
    }))
}

fn copy_text(load: Load<'_>, records: &[StagedRecord]) -> Vec<u8> {
    use std::io::Write as _;
    const IN_MEMORY: &str = "writing to memory cannot fail";
    let head = format!("{}\t{}", load.fence.message, load.entity_no);
    let mut out = Vec::with_capacity(records.len() * 256);
    for record in records {
        let place = record.place;
        let (line, from, to) = (int(place.line), int(place.byte_start), int(place.byte_end));
        write!(out, "{head}\t{}\t{line}\t{from}\t{to}\t", int(place.record)).expect(IN_MEMORY);
        match record.origin {
            Some(origin) => write!(out, "{origin}").expect(IN_MEMORY),
            None => out.extend_from_slice(b"\\N"),
        }
        write!(out, "\t{}", record.state()).expect(IN_MEMORY);
        for cell in &record.cells {
            out.push(b'\t');
            match cell {
                Cell::Null => out.extend_from_slice(b"\\N"),
                Cell::Int(number) => write!(out, "{number}").expect(IN_MEMORY),
                Cell::Bool(flag) => out.push(if *flag { b't' } else { b'f' }),
                Cell::Text(text) => escape(text, &mut out),
            }
        }
        out.push(b'\n');
    }
    out
}

/// COPY's text form gives these four a meaning; everything else is itself.
fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            other => out.push(other),
        }
    }
}
