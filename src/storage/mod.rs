//! The service store: Tranship's own database, on SQLite or PostgreSQL.
//!
//! Owns: messages, payloads, uploads, what the blob host holds, leases, executions, record errors, occurrences, clients,
//! keys, facts, the audit log. Every method is a complete unit of work: no transaction handle leaves this module, and what changes state is
//! one guarded statement or one transaction named after the event. Refuses: files, HTTP, business tables; it never asks what
//! time it is.
//!
//! Writes run on tasks of their own, so a caller that is dropped (a client that disconnects) cancels nothing half-way; what
//! is asked at the same time shares a commit (`commit`).

pub mod asked_runs;
pub mod at_work;
pub mod audit;
pub mod backup;
pub mod cancel;
pub mod claims;
pub mod clients;
mod commit;
mod connect;
mod deliver_again;
pub mod depths;
pub mod destinations;
pub mod dialect;
pub mod dmf_blobs;
pub mod dmf_blocks;
pub mod doctor;
mod due;
pub mod enqueue;
pub mod erase;
pub mod error;
pub mod execution_history;
pub mod executions;
pub mod exported_packages;
mod facts;
pub mod failed;
pub mod failure_groups;
mod finish;
pub mod groups;
pub mod history;
mod home;
pub mod housekeeping;
pub mod keys;
pub mod lately;
pub mod leases;
mod live;
mod lock;
pub mod looks;
mod memory;
pub mod messages;
pub mod migrate;
mod occurrence_claims;
mod occurrence_ends;
pub mod occurrences;
mod offer_now;
pub mod outbox;
pub mod package_imports;
pub mod package_requests;
pub mod pauses;
mod polls;
mod pool;
pub mod positions;
pub mod processes;
pub mod projects;
mod queue_text;
mod record_errors;
pub mod redrive;
pub mod reset;
mod rows;
mod runs;
pub mod schedules;
pub mod sessions;
pub mod steps;
pub mod traffic;
mod transition;
pub mod uploads;
pub mod webhooks;

pub use error::StoreError;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::domain::audit::{NewEntry, Outcome};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::Durability;
use commit::{Ask, Lanes, WorkOf};
use dialect::Dialect;
use lock::StoreLock;
use memory::{Memory, REFUSED_FOR};
use polls::Polls;
use pool::{Backend, Pool, Reader, Sync, Tx, execute, fetch_optional};

/// Longest time of a write of its own on PostgreSQL: a server may be gone without a word. No such write is long.
const WRITE_MAX: Duration = Duration::from_secs(45);

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
    /// A command on a store that is there, beside a running service or without one: takes no lock and no lease. It makes no
    /// store: in the wrong folder, nobody would notice that it looks at another one.
    Beside,
    /// The same for the one command that may come before the first start, and makes the store then.
    BesideOrFirst,
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
    /// What the audit log is to tell of what is done by this handle ([`Store::audited`]).
    entry: Option<Arc<NewEntry>>,
}

#[derive(Debug)]
struct Shared {
    pool: Pool,
    durability: ServerDurability,
    /// What this process knows of its queues, and whom it tells of changes.
    memory: Memory,
    lanes: Lanes,
    polls: Polls,
    /// Ends the lanes, after what was asked of them is done.
    closing: CancellationToken,
    /// Where writes run: they outlive the future of whoever asked for them.
    runtime: Handle,
    writes: TaskTracker,
    /// Which jobs tell somebody how their messages end.
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
        let (runtime, writes) = (Handle::current(), TaskTracker::new());
        let (memory, closing) = (Memory::default(), CancellationToken::new());
        if groups::are_there(opened.pool.reader()).await? {
            memory.saw_group();
        }
        let lanes = Lanes::start(&opened.pool, &memory, &closing, |task| {
            writes.spawn_on(task, &runtime);
        });
        let polls = Polls::start(&opened.pool, &closing, |task| {
            writes.spawn_on(task, &runtime);
        });
        let shared = Shared {
            polls,
            pool: opened.pool,
            durability: opened.durability,
            memory,
            lanes,
            closing,
            runtime,
            writes,
            lock: opened.lock,
        };
        Ok(Self {
            shared: Arc::new(shared),
            entry: None,
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

    /// Whether the disk takes writes. Where it refused none, nothing is asked of it; where it did a while ago, a small one is tried.
    pub async fn try_writing(&self) -> Result<(), StoreError> {
        match self.memory().refused() {
            None => return Ok(()),
            Some((error, ago)) if ago < REFUSED_FOR => return Err(error),
            Some(_) => {}
        }
        self.write(|tx| {
            Box::pin(async move {
                execute!(
                    tx.db(),
                    "insert into store_facts (name, value) values ('disk_probe', '')"
                )?;
                execute!(tx.db(), "delete from store_facts where name = 'disk_probe'")?;
                Ok(())
            })
        })
        .await
    }

    /// Closes all connections after running writes have ended.
    pub async fn close(&self) {
        self.shared.closing.cancel();
        self.shared.writes.close();
        self.shared.writes.wait().await;
        match &self.shared.pool {
            Backend::Sqlite(pools) => {
                // The writer last: the last connection to go writes the log back into the file.
                pools.read.close().await;
                pools.write.close().await;
            }
            Backend::Postgres(pool) => pool.at_home().close().await,
        }
    }

    fn reader(&self) -> Reader<'_> {
        self.shared.pool.reader()
    }

    fn dialect(&self) -> Dialect {
        self.shared.pool.dialect()
    }

    fn lanes(&self) -> &Lanes {
        &self.shared.lanes
    }

    fn memory(&self) -> &Memory {
        &self.shared.memory
    }

    /// Woken when this process commits a message of this job that can be had. Other processes' messages are found by
    /// asking again.
    #[must_use]
    pub fn offers(&self, job: JobId) -> Arc<Notify> {
        self.shared.memory.offers(job)
    }

    /// Told of every message this process moves, after the commit. A hint: who falls behind, and whom other processes'
    /// moves concern, looks again by the clock.
    #[must_use]
    pub fn moves(&self) -> broadcast::Receiver<(JobId, MessageId)> {
        self.shared.memory.moves()
    }

    /// As [`Self::write`], for what the audit log tells of: a store that is [`Self::audited`] appends its entry in the same
    /// transaction, if anything happened. `effect` says whether it did, and adds to the entry what only the work knows.
    async fn write_audited<T, W, E>(&self, effect: E, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
        E: FnOnce(&T, &mut NewEntry) -> bool + Send + 'static,
    {
        let Some(entry) = &self.entry else {
            return self.write(work).await;
        };
        let mut entry = NewEntry::clone(entry);
        self.write(move |tx| {
            Box::pin(async move {
                let value = work(tx).await?;
                if effect(&value, &mut entry) {
                    audit::append(tx, &entry, Outcome::Done).await?;
                }
                Ok(value)
            })
        })
        .await
    }

    /// Runs a unit of work in a write transaction, on a task of its own: a caller that is dropped (a client that
    /// disconnected) must not cancel a transaction half-way and leave its connection in it.
    ///
    /// On an error what the work wrote is taken back.
    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        self.write_with(Sync::Full, work).await
    }

    /// As [`Self::write`], for what a power cut may take back: nobody is told that it is on stable storage.
    async fn write_relaxed<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        self.write_with(Sync::Relaxed, work).await
    }

    async fn write_with<T, W>(&self, sync: Sync, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        if let Some(lane) = &self.shared.lanes.work {
            let (work, done) = WorkOf::boxed(sync, work);
            lane.send(Ask::Work(work)).await?;
            return done.await.map_err(|_| StoreError::closed())?;
        }
        let shared = Arc::clone(&self.shared);
        let task = async move {
            let written = async {
                let mut tx = shared.pool.begin(&shared.memory, sync).await?;
                let value = work(&mut tx).await?;
                tx.commit(value).await
            };
            let written = match &shared.pool {
                Backend::Sqlite(_) => written.await,
                Backend::Postgres(_) => home::answered(WRITE_MAX, written).await,
            };
            shared.memory.note_disk(written.as_ref().err());
            written
        };
        match self.shared.writes.spawn_on(task, &self.shared.runtime).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Only the end of the runtime cancels this task.
            Err(_) => Err(StoreError::closed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came in is counted without a wait for the disk, and what is promised after it waits again.
    #[tokio::test]
    async fn only_what_may_be_lost_is_committed_without_waiting_for_the_disk() {
        let (_folder, store) = store().await;
        store
            .write_relaxed(|_| Box::pin(async { Ok(()) }))
            .await
            .expect("written");
        assert!(store.memory().is_relaxed());
        store.write(|_| Box::pin(async { Ok(()) })).await.expect("written");
        assert!(!store.memory().is_relaxed());
    }

    async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::connect(&StoreSettings {
            url: format!("sqlite://{}/panics.db", folder.path().display()),
            max_connections: 1,
            sharing: Sharing::Exclusive,
        })
        .await
        .expect("opens");
        (folder, store)
    }

    #[tokio::test]
    async fn a_unit_of_work_that_panics_takes_nobody_along() {
        let (_folder, store) = store().await;
        let panics = store.write::<(), _>(|_| Box::pin(async { panic!("on purpose") })).await;
        assert!(panics.is_err());
        let after = store.write(|_| Box::pin(async { Ok(7) })).await;
        assert_eq!(after.expect("the lane goes on"), 7);
    }
}
