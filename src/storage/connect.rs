//! Opening the store on either database: connection settings, the first creation of a SQLite file, and what the server
//! really does with a commit.

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, PgConnection, PgPool, SqlitePool};

use super::backup::begin_anew;
use super::error::words_of;
use super::home::HomePool;
use super::lock::{StoreLock, beside};
use super::memory::Memory;
use super::migrate::{TABLE, migrate};
use super::pool::{Backend, Pool, SqlitePools, Sync};
use super::{ServerDurability, Sharing, StoreError, StoreSettings};
use crate::disk;
use crate::domain::message::Durability;
use crate::domain::time::Timestamp;
use crate::folders;

/// How long a SQLite connection waits for another one's lock: only a backup tool can hold one against us.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Prepared statements kept per connection: ten sizes of each set-wise statement, and the rest.
const STATEMENTS_CACHED: usize = 300;
/// Pages that a connection for reading keeps, in KiB (SQLite's way to say so is a negative number). Whatever anybody commits empties it, so
/// it never saves more than what one read asks for twice, and SQLite's own 2 MiB would stay allocated for each connection.
const READER_CACHE: &str = "-256";
/// How long a server may take to let us in at start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// No statement of the store is long; one that is stuck must not hold its locks for ever.
const STATEMENT_TIMEOUT: &str = "60s";
/// Longest wait for another transaction's lock.
const LOCK_TIMEOUT: &str = "10s";
/// A process that stands still inside a transaction must not hold its locks for ever.
const IDLE_TIMEOUT: &str = "5s";
/// Server settings without which a commit may not survive a power cut, and the value each must have.
pub(super) const DURABLE_SETTINGS: [&str; 3] = ["fsync", "synchronous_commit", "full_page_writes"];

/// Every statement of the store finds its few rows by an index. Statistics of a table that fills and empties all day are
/// always wrong, and a planner that believes them reads the whole of it, with everything that is dead in it.
///
/// So nothing is gained by planning a statement anew for its values, either, and planning costs as much as running it. The
/// plan is made when the tables are small and kept when they are large: a statement must leave no choice.
const BY_INDEX: [(&str, &str); 8] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_material", "off"),
    ("jit", "off"),
    ("max_parallel_workers_per_gather", "0"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// An open, migrated database.
pub(super) struct Opened {
    pub(super) pool: Pool,
    pub(super) durability: ServerDurability,
    pub(super) lock: Option<StoreLock>,
}

/// Opens the database the settings name.
pub(super) async fn open(settings: &StoreSettings, now: Timestamp) -> Result<Opened, StoreError> {
    match settings.url.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => open_sqlite(settings, now).await,
        Some("postgres" | "postgresql") => open_postgres(settings, now).await,
        // The URL may hold a password: it is not repeated.
        _ => Err(StoreError::Settings(
            "`store.url` must begin with `sqlite://` or `postgres://`".to_owned(),
        )),
    }
}

async fn open_postgres(settings: &StoreSettings, now: Timestamp) -> Result<Opened, StoreError> {
    let options = PgConnectOptions::from_str(&settings.url)
        .map_err(|e| StoreError::Settings(format!("`store.url` is not a PostgreSQL URL: {e}")))?
        .application_name(&settings.sharing.application_name())
        .statement_cache_capacity(STATEMENTS_CACHED)
        .options([
            ("synchronous_commit", "on"),
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("lock_timeout", LOCK_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
        ])
        .options(BY_INDEX);
    knock(&options, settings.sharing).await?;
    let pool = PgPoolOptions::new()
        .max_connections(settings.max_connections.max(1))
        .connect_with(options)
        .await?;
    let durability = server_durability(&pool).await?;
    let pool = Backend::Postgres(HomePool::here(pool));
    migrate_to_newest(&pool, now).await?;
    Ok(Opened {
        pool,
        durability,
        lock: None,
    })
}

/// One plain connection first: a pool asks again and again until its own patience is at an end, and then says only that.
async fn knock(options: &PgConnectOptions, sharing: Sharing) -> Result<(), StoreError> {
    let mut connection = enter(options).await?;
    let (is_there,): (bool,) = sqlx::query_as("select to_regclass($1) is not null")
        .bind(TABLE)
        .fetch_one(&mut connection)
        .await?;
    // We got in; how the farewell goes changes nothing.
    let _ = connection.close().await;
    if is_there || sharing != Sharing::Beside {
        return Ok(());
    }
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    Err(StoreError::Missing {
        place: format!("database `{database}` of {}", server_of(options)),
    })
}

/// Host and port, or socket.
fn server_of(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// Connects once, or says who did not let us in, and why.
pub(super) async fn enter(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let unreachable = |cause: String| StoreError::Unreachable {
        server: server_of(options),
        cause,
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(unreachable(words_of(&error))),
        Err(_) => Err(unreachable(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))),
    }
}

async fn server_durability(pool: &PgPool) -> Result<ServerDurability, StoreError> {
    let mut weakened_by = Vec::new();
    for name in DURABLE_SETTINGS {
        let (value,): (String,) = sqlx::query_as("select current_setting($1)")
            .bind(name)
            .fetch_one(pool)
            .await?;
        // `synchronous_commit` has stronger values than `on` too; only `off` answers before the log is flushed.
        if value == "off" {
            weakened_by.push(format!("{name} = {value}"));
        }
    }
    let class = if weakened_by.is_empty() {
        Durability::Full
    } else {
        Durability::Relaxed
    };
    Ok(ServerDurability { class, weakened_by })
}

async fn open_sqlite(settings: &StoreSettings, now: Timestamp) -> Result<Opened, StoreError> {
    let options = SqliteConnectOptions::from_str(&settings.url)
        .map_err(|e| StoreError::Settings(format!("`store.url` is not a SQLite URL: {e}")))?
        .foreign_keys(true)
        .statement_cache_capacity(STATEMENTS_CACHED)
        .busy_timeout(SQLITE_BUSY_TIMEOUT);
    let path = options.get_filename().to_owned();
    if path.as_os_str().is_empty() || settings.url.contains(":memory:") || settings.url.contains("mode=memory") {
        return Err(StoreError::Settings(
            "`store.url` must name a file: a store in memory would lose what it acknowledged".to_owned(),
        ));
    }
    let lock = match settings.sharing {
        Sharing::Beside | Sharing::BesideOrFirst if path.exists() => None,
        Sharing::Beside => {
            let path = std::path::absolute(&path).unwrap_or(path);
            let place = path.display().to_string();
            return Err(StoreError::Missing { place });
        }
        // Creating the file is the work of one process at a time, too.
        Sharing::Exclusive | Sharing::BesideOrFirst => {
            create_folder(&path)?;
            Some(StoreLock::take(&path)?)
        }
    };
    if !path.exists() {
        create_sqlite(&options, &path, None, now).await?;
    }
    let options = options.synchronous(SqliteSynchronous::Full);
    // What it puts aside is small, and a full folder of temporary files is nothing to the store.
    let write = one_connection(options.clone().pragma("temp_store", "memory")).await?;
    // Restored from a dump, the file may be in another mode. In WAL mode already, this writes nothing.
    sqlx::query("pragma journal_mode = wal").execute(&write).await?;
    let read = SqlitePoolOptions::new()
        .max_connections(settings.max_connections.max(1))
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options.read_only(true).pragma("cache_size", READER_CACHE));
    let pool = Backend::Sqlite(SqlitePools { write, read });
    migrate_to_newest(&pool, now).await?;
    let durability = ServerDurability {
        class: Durability::Full,
        weakened_by: Vec::new(),
    };
    Ok(Opened { pool, durability, lock })
}

/// Makes a store from a copy of one, where there is none.
pub(super) async fn restore_sqlite(url: &str, copy: &Path, now: Timestamp) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|e| StoreError::Settings(format!("`store.url` is not a SQLite URL: {e}")))?
        .foreign_keys(true);
    let path = options.get_filename().to_owned();
    create_folder(&path)?;
    let _lock = StoreLock::take(&path)?;
    if path.exists() {
        return Err(StoreError::Settings(format!(
            "{} is a store already: move it away, or name another place (store.url, data_dir)",
            path.display()
        )));
    }
    create_sqlite(&options, &path, Some(copy), now).await
}

/// Makes the file under another name, complete with its schema and from a copy where there is one, and gives it its name once it is on
/// stable storage.
///
/// A crash leaves no store or a whole one, and a first start costs two syncs instead of one per step of SQLite's own
/// way to a file in WAL mode.
async fn create_sqlite(
    options: &SqliteConnectOptions,
    path: &Path,
    copy: Option<&Path>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let draft = beside(path, ".new");
    // Leftovers of a crash here, and a log whose database is gone: it must not be replayed into the new one.
    for leftover in [
        draft.clone(),
        beside(&draft, "-wal"),
        beside(path, "-wal"),
        beside(path, "-shm"),
    ] {
        if leftover.exists() {
            std::fs::remove_file(&leftover).map_err(|e| cannot("remove", &leftover, &e))?;
        }
    }
    if let Some(copy) = copy {
        std::fs::copy(copy, &draft).map_err(|e| cannot("copy", copy, &e))?;
    }
    let unsynced = options
        .clone()
        .filename(&draft)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Memory)
        .synchronous(SqliteSynchronous::Off);
    let write = one_connection(unsynced).await?;
    let pool = Backend::Sqlite(SqlitePools {
        read: write.clone(),
        write: write.clone(),
    });
    migrate_to_newest(&pool, now).await?;
    if copy.is_some() {
        let mut tx = pool.begin(&Memory::default(), Sync::Full).await?;
        begin_anew(&mut tx).await?;
        tx.commit(()).await?;
    }
    sqlx::query("pragma journal_mode = wal").execute(&write).await?;
    write.close().await;
    sync(&draft)?;
    std::fs::rename(&draft, path).map_err(|e| cannot("rename", &draft, &e))?;
    sync(folder_of(path))
}

async fn one_connection(options: SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        // SQLite ends a transaction by itself when the disk is full, and then fails to roll it back: the driver takes the connection to
        // be inside it for ever, and nothing would be written on it any more.
        .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
        .connect_with(options)
        .await?;
    Ok(pool)
}

async fn migrate_to_newest(pool: &Pool, now: Timestamp) -> Result<(), StoreError> {
    let mut tx = pool.begin(&Memory::default(), Sync::Full).await?;
    migrate(&mut tx, now).await?;
    tx.commit(()).await
}

/// Creates the database's folder; a new folder is an entry in its parent, and that must be on stable storage too.
fn create_folder(path: &Path) -> Result<(), StoreError> {
    let folder = folder_of(path);
    folders::make(folder).map_err(|e| cannot("create", folder, &e))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn sync(path: &Path) -> Result<(), StoreError> {
    std::fs::File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|e| cannot("sync", path, &e))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Settings(format!("cannot {what} {}: {}", path.display(), disk::told(error)))
}
