//! apalis-sqlite in this process, as its users run it: pushers beside one worker that fetches, handles and acknowledges.
//!
//! Its own `setup` turns `synchronous` off on one connection of the pool; here every connection says FULL, because a queue
//! that does not sync is not compared. Everything else is its best: woken by pushes, no separate lock statement, a worker's
//! batch as large as the load allows, and statistics that spare its acknowledgement a walk over every task its worker ever
//! had (`--as-shipped` leaves them out: then its rate falls with the number of tasks done).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use apalis::prelude::*;
use apalis_sqlite::{Config, SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteStorage};
use futures_util::stream;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use tokio::sync::{Mutex, Notify, Semaphore};
use tokio::task::JoinSet;

use crate::tally::{Load, Tally, Window, gather};

const QUEUE: &str = "race";
/// How often the worker looks when no push woke it.
const POLL: Duration = Duration::from_millis(2);

/// What the query planner is told about the table of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistics {
    /// Nothing, as its migrations leave it.
    AsShipped,
    /// What `analyze` would find in a table with many tasks done.
    OfAFullTable,
}

/// What pushers and the worker share: a permit per message between its push and its acknowledgement.
#[derive(Clone)]
struct Flow {
    permits: Arc<Semaphore>,
    pushed: Arc<Notify>,
    handled: Arc<Mutex<Tally>>,
}

pub async fn run(load: &Load, folder: &Path, connections: u32, statistics: Statistics) -> anyhow::Result<Value> {
    let path = folder.join("apalis.db");
    for name in ["apalis.db", "apalis.db-wal", "apalis.db-shm"] {
        let _ = std::fs::remove_file(folder.join(name));
    }
    migrate(&path, statistics).await?;
    let pool = open(&path, connections).await?;
    let window = load.window();
    let flow = Flow {
        permits: Arc::new(Semaphore::new(load.clients * load.batch)),
        pushed: Arc::new(Notify::new()),
        handled: Arc::new(Mutex::new(Tally::new(window))),
    };
    let config = Config::default()
        .queue(QUEUE)
        .lock_tasks(false)
        .batch_size((load.clients * load.batch).min(1000));
    let storage = SqliteStorage::<String>::new(&pool).with_config(config);
    let worker = tokio::spawn(work(storage.clone(), flow.clone(), load.clients * load.batch));
    let mut pushers = JoinSet::new();
    for _ in 0..load.clients {
        pushers.spawn(push(storage.clone(), flow.clone(), load.clone(), window));
    }
    let pushed = gather(pushers, window).await?;
    worker.abort();
    let _ = worker.await;
    let done: i64 = sqlx::query_scalar("select count(*) from Jobs where status = 'Done'")
        .fetch_one(&pool)
        .await?;
    pool.close().await;
    let mut tally = Tally::new(window);
    tally.merge(pushed);
    let handled = std::mem::replace(&mut *flow.handled.lock().await, Tally::new(window));
    tally.merge(handled);
    Ok(tally.report(
        "apalis-sqlite",
        load,
        json!({"connections": connections, "done_in_database": done}),
    ))
}

async fn open(path: &Path, connections: u32) -> anyhow::Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(30))
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "64000")
        .pragma("journal_size_limit", "67108864");
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(60))
        .connect_with(options)
        .await
        .context("SQLite")?;
    let level: i64 = sqlx::query_scalar("pragma synchronous").fetch_one(&pool).await?;
    anyhow::ensure!(level == 2, "synchronous is {level}, not FULL");
    Ok(pool)
}

/// Makes the tables. SQLite reads statistics when a connection opens, so the load gets connections of its own.
async fn migrate(path: &Path, statistics: Statistics) -> anyhow::Result<()> {
    let pool = open(path, 1).await?;
    SqliteStorage::migrations().run(&pool).await?;
    if statistics == Statistics::OfAFullTable {
        sqlx::query("analyze").execute(&pool).await?;
        // A million tasks, all of one worker: an id finds one of them, a worker finds all.
        let rows = "insert into sqlite_stat1 values ('Jobs', 'LIdx', '1000000 1000000'),
            ('Jobs', 'sqlite_autoindex_Jobs_1', '1000000 1')";
        sqlx::query(rows).execute(&pool).await?;
    }
    pool.close().await;
    Ok(())
}

async fn push(mut storage: SqliteStorage<String>, flow: Flow, load: Load, window: Window) -> anyhow::Result<Tally> {
    let mut tally = Tally::new(window);
    let payload = load.payload();
    let permits = u32::try_from(load.batch)?;
    while !window.is_over() {
        let acquired = tokio::time::timeout_at(window.end(), flow.permits.acquire_many(permits)).await;
        let Ok(acquired) = acquired else { break };
        acquired?.forget();
        let started = Instant::now();
        if load.batch == 1 {
            storage.push(payload.clone()).await?;
        } else {
            storage.push_bulk(vec![payload.clone(); load.batch]).await?;
        }
        tally.operation("enqueue", started);
        flow.pushed.notify_one();
    }
    Ok(tally)
}

async fn work(storage: SqliteStorage<String>, flow: Flow, concurrency: usize) -> anyhow::Result<()> {
    let pushed = Arc::clone(&flow.pushed);
    let wake = stream::unfold(pushed, |pushed| async move {
        let _ = tokio::time::timeout(POLL, pushed.notified()).await;
        Some(((), pushed))
    });
    WorkerBuilder::new("race")
        .backend(storage.poll_with_stream(Box::pin(wake)))
        .concurrency(concurrency)
        .data(flow)
        .build(handle)
        .run()
        .await?;
    Ok(())
}

async fn handle(_payload: String, flow: Data<Flow>) -> Result<(), BoxDynError> {
    flow.handled.lock().await.acknowledged(1);
    flow.permits.add_permits(1);
    Ok(())
}
