//! One body per query, two drivers: the [`Backend`] enum and the macros that expand a body once for each arm.
//!
//! Because each arm is concrete, uuids, bytes and row structs keep their real types. Nothing here knows what a message is.

use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::StoreError;
use super::depths;
use super::dialect::Dialect;
use super::groups::Group;
use super::home::HomePool;
use super::memory::{Ended, Memory, News, NewsMark, Origin};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::time::Timestamp;
use crate::failpoint;

/// The same thing on either database: a pool, a transaction, a borrowed connection.
#[derive(Debug, Clone)]
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
pub(super) type Pool = Backend<SqlitePools, HomePool>;

/// What reads run on.
pub(super) type Reader<'a> = Backend<&'a SqlitePool, &'a HomePool>;

/// A connection inside a transaction.
pub(super) type Connection<'a> = Backend<&'a mut SqliteConnection, &'a mut PgConnection>;

impl Pool {
    pub(super) fn reader(&self) -> Reader<'_> {
        match self {
            Self::Sqlite(pools) => Backend::Sqlite(&pools.read),
            Self::Postgres(pool) => Backend::Postgres(pool),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Begins a transaction that may write from its first statement on. Only on the runtime that opened the store.
    pub(super) async fn begin(&self, memory: &Memory, sync: Sync) -> Result<Tx, StoreError> {
        let inner = match self {
            Self::Sqlite(pools) => {
                if memory.refused().is_some() {
                    // A connection that is opened while the disk is read-only can only read, for as long as it lives.
                    pools.write.acquire().await?.close().await?;
                }
                // A cached no-op while it is what it was. WAL without a sync per commit is what `relaxed` means.
                if sync != Sync::Full || memory.is_relaxed() {
                    sqlx::query(sync.pragma()).execute(&pools.write).await?;
                    memory.set_relaxed(sync == Sync::Relaxed);
                }
                // Plain BEGIN would read first and then fail to upgrade its snapshot, whatever the busy timeout.
                Backend::Sqlite(pools.write.begin_with("BEGIN IMMEDIATE").await?)
            }
            Self::Postgres(pool) => {
                let mut tx = pool.at_home().begin().await?;
                if sync == Sync::Relaxed {
                    sqlx::query("set local synchronous_commit = off")
                        .execute(&mut *tx)
                        .await?;
                }
                Backend::Postgres(tx)
            }
        };
        Ok(Tx {
            inner,
            memory: memory.clone(),
            news: News::default(),
            depths: depths::Changes::default(),
            origin: memory.origin(),
        })
    }
}

/// Whether a commit waits for stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sync {
    /// It does.
    Full,
    /// It need not: the job said so, and its answers do.
    Relaxed,
}

impl Sync {
    fn pragma(self) -> &'static str {
        match self {
            Self::Full => "pragma synchronous = full",
            Self::Relaxed => "pragma synchronous = normal",
        }
    }
}

/// How far a transaction's news and counts had come.
pub(super) struct Mark {
    news: NewsMark,
    depths: depths::Changes,
}

/// A running write transaction. Dropped without [`Tx::commit`], it rolls back.
#[derive(Debug)]
pub(super) struct Tx {
    inner: Backend<Transaction<'static, Sqlite>, Transaction<'static, Postgres>>,
    memory: Memory,
    news: News,
    depths: depths::Changes,
    origin: Origin,
}

impl Tx {
    /// The connection, for the macros below.
    pub(super) fn db(&mut self) -> Connection<'_> {
        match &mut self.inner {
            Backend::Sqlite(tx) => Backend::Sqlite(tx),
            Backend::Postgres(tx) => Backend::Postgres(tx),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.inner {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
        }
    }

    /// What this process remembers of the store.
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// A message is offered from the commit on: claims must not pass over its place, and who waits for one is woken.
    pub(super) fn offered(&mut self, job: JobId, lane: &str, rank: i64) {
        // At once too, for a claim in this same transaction.
        self.memory.lower(job, lane, rank);
        self.news.offered.push((job, lane.to_owned(), rank));
    }

    /// A message stands elsewhere from the commit on.
    pub(super) fn moved(&mut self, job: JobId, message: MessageId) {
        self.news.moved.push((job, message));
    }

    /// A message came in, from the commit on.
    pub(super) fn enqueued(&mut self, job: JobId, at: Timestamp) {
        self.news.enqueued.push((job, at));
    }

    /// A message has ended, from the commit on.
    pub(super) fn ended(&mut self, ended: Ended) {
        self.news.ended.push(ended);
    }

    /// A lease has lapsed, from the commit on.
    pub(super) fn lapsed(&mut self, holder: &'static str) {
        self.news.lapsed.push(holder);
    }

    /// From the commit on this number is the oldest one of the group that is alive.
    pub(super) fn settled(&mut self, group: Group, oldest: i64) {
        self.news.settled.push((group, oldest));
    }

    /// A message is due then, from the commit on.
    pub(super) fn due_at(&mut self, deadline: Timestamp) {
        self.news.deadline = Some(self.news.deadline.map_or(deadline, |first| first.min(deadline)));
    }

    /// So many more messages of a job wait, and are leased, from the commit on.
    pub(super) fn counted(&mut self, job: JobId, waiting: i64, leased: i64) {
        self.depths.add(job, waiting, leased);
    }

    /// What is to be told and counted so far.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            news: self.news.mark(),
            depths: self.depths.clone(),
        }
    }

    /// What came since the mark was taken back: nothing of it is told or counted.
    pub(super) fn return_to(&mut self, mark: Mark) {
        self.news.return_to(&mark.news);
        self.depths = mark.depths;
    }

    /// Commits and hands on the result of the unit of work.
    pub(super) async fn commit<T>(mut self, value: T) -> Result<T, StoreError> {
        let changes = std::mem::take(&mut self.depths);
        let slot = self.origin.slot();
        depths::write(&mut self, &changes, slot).await?;
        failpoint::reached("store.committing");
        match self.inner {
            Backend::Sqlite(tx) => tx.commit().await?,
            Backend::Postgres(tx) => tx.commit().await?,
        }
        failpoint::reached("store.committed");
        self.memory.announce(&self.news);
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
