//! Where a business database is, and how its pools are opened.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, SqlitePool};
use tokio::time::Instant;

use super::BusinessError;
use super::dialect::Dialect;
use super::session::{Pool, message_of};
use crate::folders;

/// Other programs may write to a business database; this long we wait for their lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two tries to switch a file to the write-ahead log.
const SWITCH_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// Longest wait for a connection. Chunks are short, but many loads may queue for SQLite's one writer.
const ACQUIRE_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a server may take to let us in at first use.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// SQLite's write-ahead log is cut back to this when a checkpoint empties it.
const WAL_KEPT_BYTES: &str = "67108864";
/// Pages that a connection for reading keeps, in KiB (SQLite's way to say so is a negative number): the upper levels of a few large tables.
/// Whatever anybody commits empties it, and SQLite's own 2 MiB would stay allocated for each connection.
const READER_CACHE: &str = "-512";
/// Bulk statements may take long, waiting for somebody's lock may not. A role whose commits are not durable by default
/// gets durable ones here; a stronger setting is left alone.
///
/// A machine that is gone without a word may have been in the middle of a `COPY`, where its session waits for more and holds the fence: the
/// server notices within two minutes.
const POSTGRES_SESSION: &str = "set statement_timeout = 0; set lock_timeout = '30s'; set timezone = 'UTC'; \
     set tcp_keepalives_idle = 60; set tcp_keepalives_interval = 15; set tcp_keepalives_count = 4; \
     set datestyle = 'ISO, MDY'; \
     select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'";
/// How often the server looks, in the middle of a statement, whether we are still there: a process that was killed is not. Versions before 14
/// do not know the setting, and refuse it where their system cannot tell.
const POSTGRES_LOOKS: &str = "select set_config(name, '10s', false) from pg_settings \
     where name = 'client_connection_check_interval' and (setting = '0' or setting::int > 10000)";

/// Where a business database is.
pub(super) enum Address {
    Postgres(Box<PgConnectOptions>),
    Sqlite(Box<SqliteConnectOptions>),
}

impl Address {
    /// Reads a URL. The message names the database, not the URL, which may hold a password.
    pub(super) fn parse(name: &str, url: &str) -> Result<Self, BusinessError> {
        let wrong = |detail: String| BusinessError::Settings(format!("databases.{name}.url: {detail}"));
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => {
                let options = SqliteConnectOptions::from_str(url).map_err(|error| wrong(error.to_string()))?;
                let file = options.get_filename();
                if url.contains(":memory:") || url.contains("mode=memory") || file.as_os_str().is_empty() {
                    return Err(wrong("a business database must be a file".to_owned()));
                }
                Ok(Self::Sqlite(Box::new(options.disable_statement_logging())))
            }
            Some("postgres" | "postgresql") => {
                let options = PgConnectOptions::from_str(url).map_err(|error| wrong(error.to_string()))?;
                Ok(Self::Postgres(Box::new(
                    options.application_name("tranship").disable_statement_logging(),
                )))
            }
            _ => Err(wrong(
                "expected `sqlite://path/to/file.db` or `postgres://user@host/database`".to_owned(),
            )),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres(_) => Dialect::Postgres,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    fn file(&self) -> Option<&Path> {
        match self {
            Self::Postgres(_) => None,
            Self::Sqlite(options) => Some(options.get_filename()),
        }
    }

    pub(super) fn is_missing_file(&self) -> bool {
        self.file().is_some_and(|file| !file.exists())
    }

    /// SQLite's write-ahead log, which lies beside the file that links lead to.
    pub(super) fn write_ahead_log(&self) -> Option<PathBuf> {
        let mut log = real_path(self.file()?).into_os_string();
        log.push("-wal");
        Some(log.into())
    }

    pub(super) fn is_file(&self, path: &Path) -> bool {
        self.file().is_some_and(|file| real_path(file) == real_path(path))
    }
}

/// The path without links and dots, also of a file (or folders) that are still to be made.
fn real_path(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => real_path(parent).join(name),
        _ => path,
    }
}

/// Opens the pool for writing; creates a SQLite file and its folder.
pub(super) async fn writer(name: &str, address: &Address, connections: u32) -> Result<Pool, BusinessError> {
    let failed = |source| BusinessError::Driver {
        database: name.to_owned(),
        source,
    };
    match address {
        Address::Postgres(options) => {
            knock(name, options).await?;
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .after_connect(|connection, _| {
                    Box::pin(async move {
                        sqlx::raw_sql(POSTGRES_SESSION).execute(&mut *connection).await?;
                        match sqlx::raw_sql(POSTGRES_LOOKS).execute(connection).await {
                            Ok(_) | Err(sqlx::Error::Database(_)) => Ok(()),
                            Err(error) => Err(error),
                        }
                    })
                })
                .connect_with((**options).clone())
                .await
                .map(Pool::Postgres)
                .map_err(failed)
        }
        Address::Sqlite(options) => {
            if let Some(folder) = options.get_filename().parent() {
                // SQLite syncs its files and the folder they are in, and no other.
                let folder = folder.to_owned();
                let made = tokio::task::spawn_blocking(move || folders::make(&folder)).await;
                made.unwrap_or_else(|error| Err(std::io::Error::other(error)))
                    .map_err(|error| failed(sqlx::Error::Io(error)))?;
            }
            let options = sqlite(options)
                .create_if_missing(true)
                .synchronous(SqliteSynchronous::Full)
                .pragma("journal_size_limit", WAL_KEPT_BYTES);
            // One writer: SQLite has one write lock, and a queue in the pool is fair where busy waiting is not.
            let pool = sqlite_pool(1).connect_with(options).await.map_err(failed)?;
            switch_to_wal(&pool).await.map_err(failed)?;
            Ok(Pool::Sqlite(pool))
        }
    }
}

/// Puts the file into the mode with a write-ahead log, where it stays. One that is in it already is not written to.
///
/// SQLite reads the file's mode first and then does not wait for another's write lock, whatever the busy timeout: of all who
/// open a new file at once, it turns away everyone who meets the first one's switch.
async fn switch_to_wal(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    let began = Instant::now();
    loop {
        let switched = sqlx::query("pragma journal_mode = wal").execute(pool).await;
        match switched {
            Err(error) if is_busy(&error) && began.elapsed() < BUSY_TIMEOUT => {
                tokio::time::sleep(SWITCH_AGAIN_AFTER).await;
            }
            done => return done.map(drop),
        }
    }
}

/// `SQLITE_BUSY` in any of its forms: another connection holds a lock.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.and_then(|code| code.parse::<i32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

/// One plain connection first: a pool asks again and again until its own patience is at an end, and then says only that.
async fn knock(name: &str, options: &PgConnectOptions) -> Result<(), BusinessError> {
    let unreachable = |cause: String| BusinessError::Unreachable {
        database: name.to_owned(),
        server: match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        },
        cause,
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        // We got in; how the farewell goes changes nothing.
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            Ok(())
        }
        Ok(Err(error)) => Err(unreachable(message_of(&error))),
        Err(_) => Err(unreachable(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))),
    }
}

/// Opens SQLite's pool for reading. The file must be there.
pub(super) async fn reader(name: &str, address: &Address, connections: u32) -> Result<Pool, BusinessError> {
    let Address::Sqlite(options) = address else {
        return writer(name, address, connections).await;
    };
    if address.is_missing_file() {
        return Err(BusinessError::Definition(format!(
            "business database `{name}`: there is no file {}",
            options.get_filename().display()
        )));
    }
    let options = sqlite(options)
        .create_if_missing(false)
        .pragma("query_only", "on")
        .pragma("cache_size", READER_CACHE);
    let pool = sqlite_pool(connections).connect_with(options).await;
    pool.map(Pool::Sqlite).map_err(|source| BusinessError::Driver {
        database: name.to_owned(),
        source,
    })
}

pub(super) fn sqlite(options: &SqliteConnectOptions) -> SqliteConnectOptions {
    options.clone().busy_timeout(BUSY_TIMEOUT).foreign_keys(true)
}

fn sqlite_pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
}
