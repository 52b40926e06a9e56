//! The service store: Tranship's own database, on SQLite or PostgreSQL.
//!
//! Owns: messages, payloads, uploads, leases, executions, record errors, occurrences, clients, keys, facts. Every method is a
//! complete unit of work: no transaction handle leaves this module, and what changes state is one guarded statement
//! or one transaction named after the event. Refuses: files, HTTP, business tables; it never asks what time it is.
//!
//! Writes run on a task of their own, so a caller that is dropped (a client that disconnects) cancels nothing half-way.

mod acks;
mod claims;
pub mod clients;
mod connect;
pub mod dialect;
pub mod error;
pub mod executions;
mod facts;
mod finish;
pub mod keys;
pub mod leases;
mod lock;
pub mod messages;
pub mod migrate;
pub mod occurrences;
mod pool;
mod queue_text;
mod record_errors;
mod rows;
mod runs;
mod schedules;
mod transition;
pub mod uploads;

pub use error::StoreError;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::domain::message::Durability;
use lock::StoreLock;
use pool::{Backend, Pool, Reader, Tx, fetch_optional};

/// How to reach the store.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// `sqlite://…` or `postgres://…`.
    pub url: String,
    /// Most connections (PostgreSQL), or most read connections (SQLite; there is one writer).
    pub max_connections: u32,
    /// Who else may have it open.
    pub sharing: Sharing,
}

/// Who else may have a SQLite store open. PostgreSQL serves any number of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// A service: it alone (promise 10).
    Exclusive,
    /// A command that adds a client, beside a running service or without one: takes no lock and no lease.
    Beside,
}

/// What the database server really does with a commit, read at start (promise 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerDurability {
    /// The class an enqueue answer may name.
    pub class: Durability,
    /// Every setting that weakens it, as `name = value`.
    pub weakened_by: Vec<String>,
}

/// The service store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pool: Pool,
    durability: ServerDurability,
    /// Where writes run: they outlive the future of whoever asked for them.
    runtime: Handle,
    writes: TaskTracker,
    /// Last, so that the connections go first.
    lock: Option<StoreLock>,
}

impl Store {
    /// Opens the store, creates or migrates its schema, and reads the server's durability settings.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be reached or migrated, or when another process holds a SQLite store.
    pub async fn connect(settings: &StoreSettings) -> Result<Self, StoreError> {
        // Only the note of when a migration ran depends on this time; everything else is told what time it is.
        let opened = connect::open(settings, Clock::system().now()).await?;
        let shared = Shared {
            pool: opened.pool,
            durability: opened.durability,
            runtime: Handle::current(),
            writes: TaskTracker::new(),
            lock: opened.lock,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// What the server really does with a commit.
    #[must_use]
    pub fn durability(&self) -> &ServerDurability {
        &self.shared.durability
    }

    /// Whether this process is the only one the store can have: a SQLite store under its lock.
    #[must_use]
    pub fn has_one_process(&self) -> bool {
        self.shared.lock.is_some()
    }

    /// A read that touches the database, for readiness.
    pub async fn ping(&self) -> Result<(), StoreError> {
        fetch_optional!(
            self.reader(),
            (i64,),
            "select number from schema_migrations order by number limit 1"
        )?;
        Ok(())
    }

    /// Closes all connections after running writes have ended.
    pub async fn close(&self) {
        self.shared.writes.close();
        self.shared.writes.wait().await;
        match &self.shared.pool {
            Backend::Sqlite(pools) => {
                // The writer last: the last connection to go writes the log back into the file.
                pools.read.close().await;
                pools.write.close().await;
            }
            Backend::Postgres(pool) => pool.close().await,
        }
    }

    fn reader(&self) -> Reader<'_> {
        self.shared.pool.reader()
    }

    /// Runs a unit of work in a write transaction, on a task of its own: a caller that is dropped (a client that
    /// disconnected) must not cancel a transaction half-way and leave its connection in it.
    ///
    /// The work ends with [`Tx::commit`]; on an error the transaction rolls back.
    async fn write<T, W, F>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(Tx) -> F + Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let task = async move { work(shared.pool.begin().await?).await };
        match self.shared.writes.spawn_on(task, &self.shared.runtime).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Only the end of the runtime cancels this task.
            Err(_) => Err(StoreError::Driver(sqlx::Error::PoolClosed)),
        }
    }
}
