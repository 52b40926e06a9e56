//! Every difference between SQLite and PostgreSQL, with the reason for each, and the pieces of SQL that are built.
//!
//! Opening a database differs too; that is `connect`. Nothing else in the store says which database it is on.

use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::StoreError;
use super::groups::Group;
use super::pool::{Backend, Tx};
use crate::domain::ids::JobId;

/// Which database the store is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded, one process, one writer.
    Sqlite,
    /// A server, any number of processes.
    Postgres,
}

impl Dialect {
    /// Makes a claim pass over rows another process is claiming. SQLite has one writer: there is nothing to pass over.
    pub(super) fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for update skip locked",
        }
    }

    /// Keeps the row a select found as it is until the transaction ends. On SQLite `BEGIN IMMEDIATE` did that already.
    pub(super) fn lock_row(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for no key update",
        }
    }

    /// `message` is one of those that `select` finds. Said so that PostgreSQL goes by the primary key from there: any other
    /// plan for it walks the table.
    pub(super) fn message_among(self, select: &str) -> String {
        match self {
            Self::Sqlite => format!("message in ({select})"),
            Self::Postgres => format!("message = any(array({select}))"),
        }
    }

    /// Joins the row that `table` may have of message `m`, as `alias`. On PostgreSQL in a form that leaves no other way than one
    /// look-up each: where its statistics say that the table is nearly empty, it would walk all of it for every message.
    pub(super) fn with_row_of(self, table: &str, alias: &str) -> String {
        match self {
            Self::Sqlite => format!("left join {table} {alias} on {alias}.message = m.id"),
            Self::Postgres => {
                format!("left join lateral (select * from {table} where message = m.id offset 0) {alias} on true")
            }
        }
    }

    /// What ids are stored as, for a NULL that has to say so.
    pub(super) fn uuid_type(self) -> &'static str {
        match self {
            Self::Sqlite => "blob",
            Self::Postgres => "uuid",
        }
    }

    /// As [`Self::skip_locked`], where the rows of one table of a join are meant.
    pub(super) fn skip_locked_of(self, table: &'static str) -> String {
        match self {
            Self::Sqlite => String::new(),
            Self::Postgres => format!(" for update of {table} skip locked"),
        }
    }

    /// An id as a literal, for statements without values to bind.
    pub(super) fn id_literal(self, id: Uuid) -> String {
        match self {
            Self::Sqlite => format!("x'{}'", id.simple()),
            Self::Postgres => format!("'{id}'::uuid"),
        }
    }

    /// The migrations written in this dialect.
    pub(super) fn migrations(self) -> &'static [super::migrate::Migration] {
        match self {
            Self::Sqlite => super::migrate::SQLITE,
            Self::Postgres => super::migrate::POSTGRES,
        }
    }
}

/// Takes the right to decide what a job runs next, until the transaction ends; `false` when another process has it.
///
/// "Nothing else of this job is running" is a fact about rows that are *not* there, which no row lock can hold. On SQLite
/// the write transaction is the lock.
pub(super) async fn try_job_lock(tx: &mut Tx, job: JobId) -> Result<bool, StoreError> {
    match tx.db() {
        Backend::Sqlite(_) => Ok(true),
        Backend::Postgres(db) => {
            let (head, tail) = job.0.as_u64_pair();
            let (taken,): (bool,) = sqlx::query_as("select pg_try_advisory_xact_lock($1)")
                .bind((head ^ tail).cast_signed())
                .fetch_one(db)
                .await?;
            Ok(taken)
        }
    }
}

/// Who may try ended messages again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retries {
    /// Whoever takes the lock so, beside others who do.
    Allow,
    /// Nobody until the transaction ends.
    Forbid,
}

/// Keeps housekeeping from dropping a day while one of its messages is tried again, and the other way round. On SQLite
/// nothing is dropped by the day.
pub(super) async fn lock_retries(tx: &mut Tx, retries: Retries) -> Result<(), StoreError> {
    let Backend::Postgres(db) = tx.db() else {
        return Ok(());
    };
    let text = match retries {
        Retries::Allow => "select pg_advisory_xact_lock_shared($1)",
        Retries::Forbid => "select pg_advisory_xact_lock($1)",
    };
    sqlx::query(text).bind(RETRIES).execute(db).await?;
    Ok(())
}

/// The advisory lock of retries, among other users of the same database.
const RETRIES: i64 = 0x7472_7265_7472_7900;

/// Lets nobody else append to the audit log until the transaction ends, so that its chain has no branches. On SQLite the write
/// transaction is the lock.
pub(super) async fn lock_audit(tx: &mut Tx) -> Result<(), StoreError> {
    if let Backend::Postgres(db) = tx.db() {
        let text = "select pg_advisory_xact_lock($1)";
        sqlx::query(text).bind(AUDIT).execute(db).await?;
    }
    Ok(())
}

/// The advisory lock of the audit log, among other users of the same database.
const AUDIT: i64 = 0x7472_6175_6469_7400;

/// Lets nobody else rotate signing keys until the transaction ends. On SQLite the write transaction is the lock.
pub(super) async fn lock_keys(tx: &mut Tx) -> Result<(), StoreError> {
    if let Backend::Postgres(db) = tx.db() {
        let text = "select pg_advisory_xact_lock($1)";
        sqlx::query(text).bind(KEYS).execute(db).await?;
    }
    Ok(())
}

/// The advisory lock of signing keys, among other users of the same database.
const KEYS: i64 = 0x7472_6b65_7973_0000;

/// Takes the locks of these groups until the transaction ends, in one order for everybody. On SQLite the write transaction
/// is the lock.
///
/// Locks are shared out over a fixed number of stripes, so that no transaction can exhaust the server's lock table.
pub(super) async fn lock_groups(tx: &mut Tx, groups: &BTreeSet<Group>) -> Result<(), StoreError> {
    let Backend::Postgres(db) = tx.db() else {
        return Ok(());
    };
    let stripes: BTreeSet<i32> = groups.iter().map(stripe).collect();
    for stripe in stripes {
        sqlx::query("select pg_advisory_xact_lock($1, $2)")
            .bind(GROUP_LOCKS)
            .bind(stripe)
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

/// The advisory locks of groups, among other users of the same database.
const GROUP_LOCKS: i32 = 0x7472_6772;
const STRIPES: u64 = 1024;

fn stripe(group: &Group) -> i32 {
    // Every process and version must agree, so no `Hasher` of the standard library's.
    let (head, tail) = group.job.as_u64_pair();
    let mut hash = head ^ tail ^ 0xcbf2_9ce4_8422_2325;
    for byte in group.grp.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    i32::try_from(hash % STRIPES).unwrap_or(0)
}

/// Rows for one statement. There is room for `size` of them, which is one of few numbers, so that each shape of a statement
/// is prepared once; the last row fills what is left over.
#[derive(Debug)]
pub(super) struct Portion<'r, T> {
    rows: &'r [T],
    size: usize,
    dialect: Dialect,
}

/// The sizes there are. 512 rows of 30 columns stay below what either database takes in one statement.
const SIZES: [usize; 16] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512];

/// All rows, in portions.
pub(super) fn portions<T>(dialect: Dialect, rows: &[T]) -> impl Iterator<Item = Portion<'_, T>> {
    rows.chunks(SIZES[SIZES.len() - 1]).map(move |rows| {
        let fits = SIZES.into_iter().find(|size| *size >= rows.len());
        Portion {
            rows,
            size: fits.unwrap_or(rows.len()),
            dialect,
        }
    })
}

impl<'r, T> Portion<'r, T> {
    /// The rows, and the last one again until there are `size`; whether each is a row or fills.
    pub(super) fn filled(&self) -> impl Iterator<Item = (&'r T, bool)> + use<'r, T> {
        let last = self.rows.last();
        let left = self.size - self.rows.len();
        let filling = last
            .into_iter()
            .flat_map(move |last| std::iter::repeat_n((last, false), left));
        self.rows.iter().map(|row| (row, true)).chain(filling)
    }

    /// How many rows there are.
    pub(super) fn count(&self) -> i64 {
        i64::try_from(self.rows.len()).unwrap_or(i64::MAX)
    }

    /// The only row, if it is.
    pub(super) fn only(&self) -> Option<&'r T> {
        match self.rows {
            [only] => Some(only),
            _ => None,
        }
    }

    /// A list to compare with, which is all that is bound.
    pub(super) fn list(&self) -> String {
        match self.dialect {
            Dialect::Sqlite => unnumbered(self.size),
            Dialect::Postgres => placeholders(1, self.size),
        }
    }

    /// A list to compare with, after other values: `$first, $first+1, …`.
    pub(super) fn list_from(&self, first: usize) -> String {
        placeholders(first, self.size)
    }

    /// Rows to compare with, which are all that is bound.
    pub(super) fn values(&self, columns: usize) -> String {
        value_rows(self.dialect, self.size, columns)
    }

    /// What follows `insert into t (…)`: as many rows as the number bound last says.
    pub(super) fn inserted(&self, columns: usize) -> String {
        let limit = match self.dialect {
            Dialect::Sqlite => "?".to_owned(),
            Dialect::Postgres => format!("${}", self.size * columns + 1),
        };
        format!("select * from (values {}) as given limit {limit}", self.values(columns))
    }
}

/// Marks SQL that was put together from constants of this module and counted placeholders; values are always bound.
pub(super) fn sql(text: String) -> AssertSqlSafe<String> {
    AssertSqlSafe(text)
}

/// `?, ?, …`. SQLite looks a numbered parameter up among all others of its statement, and again for every value that is
/// bound: of ten thousand that takes a second.
fn unnumbered(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// `$first, $first+1, …`: as many placeholders as there are values to bind.
pub(super) fn placeholders(first: usize, count: usize) -> String {
    (first..first + count)
        .map(|n| format!("${n}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `($1, $2), ($3, $4), …` or `(?, ?), (?, ?), …`: rows of placeholders for a multi-row `values`, which are all that is bound.
pub(super) fn value_rows(dialect: Dialect, rows: usize, columns: usize) -> String {
    let row = |row: usize| match dialect {
        Dialect::Sqlite => unnumbered(columns),
        Dialect::Postgres => placeholders(1 + row * columns, columns),
    };
    (0..rows)
        .map(|at| format!("({})", row(at)))
        .collect::<Vec<_>>()
        .join(", ")
}
