//! What only a SQLite store has: a file, a log beside it, and a mode the file is in.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use super::super::lock::beside;
use super::{LogSize, Setting};
use crate::storage::StoreError;

/// A read waits for nobody but a switch of the journal's mode.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Where a database file says which version of the format a reader must know, and the one with a write-ahead log.
const WAL_VERSION_AT: usize = 19;
const WAL_VERSION: u8 = 2;

/// Connects to a file that is there.
pub(in crate::storage) async fn open(url: &str) -> Result<Option<(SqliteConnection, PathBuf)>, StoreError> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|e| StoreError::Settings(format!("`store.url` is not a SQLite URL: {e}")))?
        .read_only(true)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT);
    let file = options.get_filename().to_owned();
    if !file.exists() {
        return Ok(None);
    }
    // Without a log nobody has it open. Reading it the usual way would make a log, which a connection that cannot write also
    // cannot remove, and which would belong to whoever runs the doctor.
    let is_closed = !beside(&file, "-wal").exists();
    let connection = SqliteConnection::connect_with(&options.immutable(is_closed)).await?;
    Ok(Some((connection, file)))
}

pub(super) async fn version(connection: &mut SqliteConnection) -> Result<String, StoreError> {
    let (version,): (String,) = sqlx::query_as("select sqlite_version()").fetch_one(connection).await?;
    Ok(format!("SQLite {version}"))
}

/// The mode the file keeps, as its header has it: a connection that opened the file as one that nobody changes says otherwise.
/// `synchronous` is each connection's own affair: the service sets `full` on the one that writes, and WAL mode where it is not.
pub(super) fn durability(file: &Path) -> Result<Vec<Setting>, StoreError> {
    let mut header = [0; WAL_VERSION_AT + 1];
    File::open(file)
        .and_then(|mut file| file.read_exact(&mut header))
        .map_err(|error| StoreError::from(sqlx::Error::Io(error)))?;
    let mode = match header[WAL_VERSION_AT] {
        WAL_VERSION => "wal",
        _ => "delete",
    };
    let setting = |name, value: &str| Setting {
        name,
        value: value.to_owned(),
        is_weak: false,
    };
    Ok(vec![setting("journal_mode", mode), setting("synchronous", "full")])
}

pub(super) fn log_size(file: &Path) -> LogSize {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    LogSize::File {
        bytes: size(&beside(file, "-wal")),
        database_bytes: size(file),
    }
}

pub(super) async fn damage(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = sqlx::query_as("pragma quick_check(5)").fetch_all(connection).await?;
    let found = rows.into_iter().map(|(sentence,)| sentence);
    Ok(found.filter(|sentence| sentence != "ok").collect())
}
