//! Every difference between SQLite and PostgreSQL in business databases, and nothing else. Each entry says why it differs.

use sqlx::error::DatabaseError;

use crate::domain::entity::{Field, FieldType};

/// Which database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    Sqlite,
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Write,
    /// One consistent view over several statements.
    Snapshot,
}

/// What a driver error asks of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The data breaks a rule of the table: the record is at fault, and another one may pass.
    Record,
    /// Statement and tables do not fit: no retry will help.
    Definition,
    /// Anything else: out of reach, busy, deadlock.
    Other,
}

/// Quotes an identifier. The only way a name gets into a statement.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Dialect {
    /// Longest identifier. PostgreSQL cuts longer ones silently, so that two names could become one.
    pub(super) fn name_bytes_max(self) -> usize {
        match self {
            Self::Postgres => 63,
            Self::Sqlite => 200,
        }
    }

    /// SQLite takes the write lock at once: a reader cannot be upgraded once another has written, whatever the timeout.
    /// Constraints that wait for the commit are asked at once on PostgreSQL, so that they name their record.
    pub(super) fn begin(self, purpose: Purpose) -> &'static str {
        match (self, purpose) {
            (Self::Postgres, Purpose::Write) => {
                // A worker that stands still inside a transaction must not hold the fence for ever: its session is ended
                // after the length of a default lease, and its successor goes on.
                "begin; set constraints all immediate; set local idle_in_transaction_session_timeout = '15s'"
            }
            (Self::Postgres, Purpose::Snapshot) => "begin isolation level repeatable read read only",
            (Self::Sqlite, Purpose::Write) => "begin immediate",
            (Self::Sqlite, Purpose::Snapshot) => "begin",
        }
    }

    /// A statement that reads, to fix a snapshot. SQLite must touch the file for it; PostgreSQL says which transaction it is.
    pub(super) fn first_look(self) -> &'static str {
        match self {
            Self::Postgres => "select pg_backend_pid()::bigint, extract(epoch from now())::text",
            Self::Sqlite => "select count(*), '' from sqlite_schema",
        }
    }

    /// Serialises the making of tables. On SQLite the write lock of the transaction does.
    pub(super) fn schema_lock(self) -> Option<&'static str> {
        match self {
            Self::Postgres => Some("select pg_advisory_xact_lock(8386098701)"),
            Self::Sqlite => None,
        }
    }

    /// Locks the row read. SQLite has one writer anyway.
    pub(super) fn for_update(self) -> &'static str {
        match self {
            Self::Postgres => " for update",
            Self::Sqlite => "",
        }
    }

    /// Locks the row read against change, but not against others that read it so. SQLite has one writer anyway.
    pub(super) fn for_share(self) -> &'static str {
        match self {
            Self::Postgres => " for share",
            Self::Sqlite => "",
        }
    }

    /// What staging's indexes hold of a column, and lookups through them compare first. PostgreSQL refuses an index row of
    /// more than a third of a page, and a long text is the target's to judge.
    pub(super) fn indexed(self, kind: &FieldType, column: &str) -> String {
        match (self, self.staging_type(kind)) {
            (Self::Postgres, "text") => format!("hashtextextended({column}, 0)"),
            _ => column.to_owned(),
        }
    }

    /// Equality of two staged columns of this type, through an index on either.
    pub(super) fn same_value(self, kind: &FieldType, one: &str, other: &str) -> String {
        let (indexed_one, indexed_other) = (self.indexed(kind, one), self.indexed(kind, other));
        if indexed_one == one {
            return format!("{one} = {other}");
        }
        format!("{indexed_one} = {indexed_other} and {one} = {other}")
    }

    /// Equality of two values either of which may be missing.
    pub(super) fn same_or_both_missing(self, one: &str, other: &str) -> String {
        match self {
            Self::Postgres => format!("{one} is not distinct from {other}"),
            Self::Sqlite => format!("{one} is {other}"),
        }
    }

    /// Tells the planner about a freshly loaded table; SQLite's plans here do not depend on statistics.
    pub(super) fn analyze(self, quoted_table: &str) -> Option<String> {
        match self {
            Self::Postgres => Some(format!("analyze {quoted_table}")),
            Self::Sqlite => None,
        }
    }

    /// The same for a few columns and from a small sample, in a fiftieth of the time; for the rest of the transaction.
    pub(super) fn analyze_roughly(self, quoted_table: &str, columns: &[String]) -> Option<String> {
        match self {
            Self::Postgres => Some(format!(
                "set local default_statistics_target = 10; analyze {quoted_table} ({})",
                columns.join(", ")
            )),
            Self::Sqlite => None,
        }
    }

    /// The first words of a statement that plans without running.
    pub(super) fn explain(self) -> &'static str {
        match self {
            Self::Postgres => "explain",
            Self::Sqlite => "explain query plan",
        }
    }

    /// The placeholder of a long list of values, from 1. SQLite looks numbered ones up by name, which is quadratic.
    pub(super) fn placeholder(self, number: usize) -> String {
        match self {
            Self::Postgres => format!("${number}"),
            Self::Sqlite => "?".to_owned(),
        }
    }

    /// A table whose rows may be lost when the database crashes, and then all of them. SQLite has no such thing.
    pub(super) fn unlogged_table(self) -> &'static str {
        match self {
            Self::Postgres => "unlogged table",
            Self::Sqlite => "table",
        }
    }

    /// Whether a crash of the database may take the rows of staging.
    pub(super) fn may_lose_staging(self) -> bool {
        self == Self::Postgres
    }

    /// SQL that writes a number as text, filled up with zeros to at least `width` digits.
    pub(super) fn padded(self, number: &str, width: u8) -> String {
        let text = format!("cast({number} as text)");
        match self {
            _ if width == 0 => text,
            // `lpad` alone would cut a longer number.
            Self::Postgres => format!("lpad({text}, greatest({width}, length({text})), '0')"),
            Self::Sqlite => format!("printf('%0{width}d', {number})"),
        }
    }

    /// A field of a staged record as a rule is to see it. SQLite keeps decimals as text, which would compare as text.
    pub(super) fn comparable(self, kind: &FieldType, column: &str) -> String {
        match (self, kind) {
            (Self::Sqlite, FieldType::Decimal { .. }) => format!("cast({column} as numeric)"),
            _ => column.to_owned(),
        }
    }

    /// Column type of message ids.
    pub(super) fn id_type(self) -> &'static str {
        match self {
            Self::Postgres => "uuid",
            Self::Sqlite => "blob",
        }
    }

    /// Column type of a field in a created target. SQLite has no decimal, date or GUID: their canonical text is stored,
    /// never a binary fraction. `DECIMAL_TEXT` has text affinity and still tells a reader what it holds.
    pub(super) fn target_type(self, field: &Field) -> String {
        match (self, &field.kind) {
            (_, FieldType::String) => field
                .max_length
                .map_or_else(|| "text".to_owned(), |n| format!("varchar({n})")),
            (
                Self::Postgres,
                FieldType::Decimal {
                    precision,
                    scale: Some(scale),
                },
            ) => {
                format!("numeric({precision},{scale})")
            }
            (Self::Sqlite, FieldType::Decimal { precision, scale }) => match scale {
                Some(scale) => format!("decimal_text({precision},{scale})"),
                None => format!("decimal_text({precision})"),
            },
            (_, kind) => self.staging_type(kind).to_owned(),
        }
    }

    /// Column type of a field in staging: without limits of length or precision, because those are the target's to judge,
    /// record by record.
    pub(super) fn staging_type(self, kind: &FieldType) -> &'static str {
        match (self, kind) {
            (Self::Postgres, FieldType::Int) => "bigint",
            // Exactly this word makes a single-column key SQLite's own row id.
            (Self::Sqlite, FieldType::Int) => "integer",
            (_, FieldType::Bool) => "boolean",
            (Self::Postgres, FieldType::Decimal { .. }) => "numeric",
            (Self::Postgres, FieldType::Date) => "date",
            (Self::Postgres, FieldType::Datetime) => "timestamp without time zone",
            (Self::Postgres, FieldType::Time) => "time without time zone",
            (Self::Postgres, FieldType::Guid) => "uuid",
            _ => "text",
        }
    }

    /// A column constraint for what the type does not enforce: SQLite ignores the length in `varchar(n)`. Enum values get
    /// none: a list that grows would need the table rebuilt.
    pub(super) fn length_check(self, field: &Field) -> Option<String> {
        match (self, field.max_length) {
            (Self::Sqlite, Some(n)) if field.kind == FieldType::String => {
                Some(format!("check (length({}) <= {n})", quote(&field.name)))
            }
            _ => None,
        }
    }

    /// SQL that turns a column into its canonical text (see [`crate::domain::cell::Cell`]; truth values as `Yes` and `No`).
    pub(super) fn canonical(self, kind: &FieldType, column: &str) -> String {
        match (self, kind) {
            (_, FieldType::Bool) => format!("case when {column} then 'Yes' when not {column} then 'No' end"),
            (_, FieldType::Guid) => format!("lower(cast({column} as text))"),
            // The session speaks ISO dates in UTC, and an existing column may have a time zone.
            (Self::Postgres, FieldType::Date | FieldType::Datetime | FieldType::Time) => {
                format!("cast(cast({column} as {}) as text)", self.staging_type(kind))
            }
            _ => format!("cast({column} as text)"),
        }
    }

    /// What this error asks of us.
    pub(super) fn kind(self, error: &sqlx::Error) -> FaultKind {
        let sqlx::Error::Database(error) = error else {
            return FaultKind::Other;
        };
        let code = error.code().unwrap_or_default();
        match self {
            // What passes by itself is named, and what no record can be blamed for; all else is about the data: constraints,
            // limits of an index, and whatever code a trigger raises. 3D and 28 are a database or a role on its way.
            Self::Postgres => match code.get(..2) {
                None | Some("08" | "25" | "28" | "3D" | "40" | "53" | "55" | "57" | "58" | "F0" | "XX") => {
                    FaultKind::Other
                }
                Some("0A" | "26" | "42") => FaultKind::Definition,
                Some(_) => FaultKind::Record,
            },
            // The low byte is the primary code: 1 SQL error, 18 too big, 19 constraint (and RAISE), 20 mismatch.
            Self::Sqlite => match code.parse::<i32>().map(|code| code & 0xff) {
                Ok(18..=20) => FaultKind::Record,
                Ok(1) => FaultKind::Definition,
                _ => FaultKind::Other,
            },
        }
    }

    /// Whether a statement met a missing table, by the error's code: the words come in the server's language.
    pub(super) fn is_missing_table(self, error: &dyn DatabaseError) -> bool {
        match self {
            Self::Postgres => error.code().as_deref() == Some("42P01"),
            // SQLite has one code for all that is wrong with a statement, and one language.
            Self::Sqlite => error.message().starts_with("no such table"),
        }
    }
}
