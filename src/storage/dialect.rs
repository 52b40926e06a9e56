//! Every difference between SQLite and PostgreSQL, with the reason for each, and the pieces of SQL that are built.
//!
//! Opening a database differs too; that is `connect`. Nothing else in the store says which database it is on.

use sqlx::AssertSqlSafe;

use super::StoreError;
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

/// Marks SQL that was put together from constants of this module and counted placeholders; values are always bound.
pub(super) fn sql(text: String) -> AssertSqlSafe<String> {
    AssertSqlSafe(text)
}

/// `$first, $first+1, …`: as many placeholders as there are values to bind.
pub(super) fn placeholders(first: usize, count: usize) -> String {
    (first..first + count)
        .map(|n| format!("${n}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `($1, $2), ($3, $4), …`: rows of placeholders for a multi-row `values`.
pub(super) fn value_rows(rows: usize, columns: usize) -> String {
    (0..rows)
        .map(|row| format!("({})", placeholders(1 + row * columns, columns)))
        .collect::<Vec<_>>()
        .join(", ")
}
