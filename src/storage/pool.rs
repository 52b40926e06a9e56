//! One body per query, two drivers: the [`Backend`] enum and the macros that expand a body once for each arm.
//!
//! Because each arm is concrete, uuids, bytes and row structs keep their real types. Nothing here knows what a message is.

use sqlx::{PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::StoreError;
use super::dialect::Dialect;

/// The same thing on either database: a pool, a transaction, a borrowed connection.
#[derive(Debug)]
pub(super) enum Backend<S, P> {
    /// On SQLite.
    Sqlite(S),
    /// On PostgreSQL.
    Postgres(P),
}

/// The SQLite side: one connection writes, the others read.
#[derive(Debug, Clone)]
pub(super) struct SqlitePools {
    /// Exactly one connection: SQLite has one writer, and queueing for it here is fairer than its busy handler.
    pub(super) write: SqlitePool,
    /// Read-only connections.
    pub(super) read: SqlitePool,
}

/// The open store's pools.
pub(super) type Pool = Backend<SqlitePools, PgPool>;

/// What reads run on.
pub(super) type Reader<'a> = Backend<&'a SqlitePool, &'a PgPool>;

/// A connection inside a transaction.
pub(super) type Connection<'a> = Backend<&'a mut SqliteConnection, &'a mut PgConnection>;

impl Pool {
    pub(super) fn reader(&self) -> Reader<'_> {
        match self {
            Self::Sqlite(pools) => Backend::Sqlite(&pools.read),
            Self::Postgres(pool) => Backend::Postgres(pool),
        }
    }

    /// Begins a transaction that may write from its first statement on.
    pub(super) async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(Tx(match self {
            // Plain BEGIN would read first and then fail to upgrade its snapshot, whatever the busy timeout.
            Self::Sqlite(pools) => Backend::Sqlite(pools.write.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Backend::Postgres(pool.begin().await?),
        }))
    }
}

/// A running write transaction. Dropped without [`Tx::commit`], it rolls back.
#[derive(Debug)]
pub(super) struct Tx(Backend<Transaction<'static, Sqlite>, Transaction<'static, Postgres>>);

impl Tx {
    /// The connection, for the macros below.
    pub(super) fn db(&mut self) -> Connection<'_> {
        match &mut self.0 {
            Backend::Sqlite(tx) => Backend::Sqlite(tx),
            Backend::Postgres(tx) => Backend::Postgres(tx),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.0 {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Commits and hands on the result of the unit of work.
    pub(super) async fn commit<T>(self, value: T) -> Result<T, StoreError> {
        match self.0 {
            Backend::Sqlite(tx) => tx.commit().await?,
            Backend::Postgres(tx) => tx.commit().await?,
        }
        Ok(value)
    }
}

/// Expands `body` once per driver; `db` is the pool or connection of that driver, `Db` its type.
macro_rules! with_pool {
    ($target:expr, $db:ident: $Db:ident => $body:expr) => {
        match $target {
            $crate::storage::pool::Backend::Sqlite($db) => {
                type $Db = sqlx::Sqlite;
                $body
            }
            $crate::storage::pool::Backend::Postgres($db) => {
                type $Db = sqlx::Postgres;
                $body
            }
        }
    };
}

/// Runs a statement; the number of rows it touched.
macro_rules! execute {
    ($target:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::storage::pool::with_pool!($target, db: Db => {
            sqlx::query::<Db>($sql)$(.bind($bind))*.execute(db).await.map(|done| done.rows_affected())
        })
    };
}

/// Runs a statement and reads at most one row into the given struct or tuple.
macro_rules! fetch_optional {
    ($target:expr, $Row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::storage::pool::with_pool!($target, db: Db => {
            sqlx::query_as::<Db, $Row>($sql)$(.bind($bind))*.fetch_optional(db).await
        })
    };
}

/// Runs a statement and reads all its rows into the given struct or tuple.
macro_rules! fetch_all {
    ($target:expr, $Row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::storage::pool::with_pool!($target, db: Db => {
            sqlx::query_as::<Db, $Row>($sql)$(.bind($bind))*.fetch_all(db).await
        })
    };
}

pub(super) use {execute, fetch_all, fetch_optional, with_pool};
