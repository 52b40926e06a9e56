//! The store as it was at one moment, copied beside a running service, and a store made from such a copy.
//!
//! Owns: what of a database belongs to the store, how all of it is read in one snapshot, and what has to change in a store that goes
//! on from an earlier moment. SQLite copies itself (`VACUUM INTO`); of PostgreSQL each table is a `COPY` in one repeatable-read
//! transaction, so that neither needs a tool beside it and a database shared with others gives what is ours only. Refuses:
//! blobs, and whether files are whole: `crate::backup` keeps those.

mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::dialect::{Dialect, sql};
use super::pool::{Tx, execute};
use super::{StoreError, StoreSettings};
use crate::domain::ids::BlobKey;
use crate::domain::message::Digest;
use crate::domain::time::Timestamp;

/// What the store's part of a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Of which database. A backup of one is none of the other.
    pub database: DatabaseKind,
    /// Number of the newest step of its schema.
    pub schema: i64,
    /// PostgreSQL: its tables, in an order in which they can be filled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
    /// PostgreSQL: the last number each sequence gave.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sequences: BTreeMap<String, i64>,
}

/// A database the store can be on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// A table and the columns its file has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in the order of the file.
    pub columns: Vec<String>,
}

/// A blob that the store names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBlob {
    /// Where it lies.
    pub key: BlobKey,
    /// Its length.
    pub bytes: u64,
    /// SHA-256, in hexadecimal digits.
    pub sha256: String,
}

impl Contents {
    /// Number of the newest step that this version of the program knows.
    #[must_use]
    pub fn newest_known(&self) -> i64 {
        let dialect = match self.database {
            DatabaseKind::Sqlite => Dialect::Sqlite,
            DatabaseKind::Postgres => Dialect::Postgres,
        };
        dialect.migrations().last().map_or(0, |step| step.number)
    }

    /// The files of the store's part, relative to the folder.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        match self.database {
            DatabaseKind::Sqlite => vec![sqlite::FILE.to_owned()],
            DatabaseKind::Postgres => self.tables.iter().map(|table| postgres::file_of(&table.name)).collect(),
        }
    }
}

/// Copies the store at `url` into `folder`, and tells every blob that it names as of the same moment.
///
/// # Errors
/// [`StoreError::Missing`] when there is no store, [`StoreError::Settings`] when the folder cannot be written.
pub async fn copy(
    url: &str,
    folder: &Path,
    tell: &mut (dyn FnMut(KeptBlob) -> io::Result<()> + Send),
) -> Result<Contents, StoreError> {
    if url.starts_with("sqlite:") {
        sqlite::copy(url, folder, tell).await
    } else {
        postgres::copy(url, folder, tell).await
    }
}

/// Makes a store from a copy, where there is none. Whenever this ends early there is none still.
///
/// # Errors
/// [`StoreError::Settings`] when there is a store already, or the copy is of the other kind of database.
pub async fn restore(
    settings: &StoreSettings,
    folder: &Path,
    contents: &Contents,
    now: Timestamp,
) -> Result<(), StoreError> {
    match (contents.database, settings.url.starts_with("sqlite:")) {
        (DatabaseKind::Sqlite, true) => sqlite::restore(&settings.url, folder, now).await,
        (DatabaseKind::Postgres, false) => postgres::restore(&settings.url, folder, contents, now).await,
        (of, _) => {
            let of = if of == DatabaseKind::Sqlite {
                "SQLite"
            } else {
                "PostgreSQL"
            };
            let why = format!("the backup is of a store on {of}, and `store.url` names the other kind of database");
            Err(StoreError::Settings(why))
        }
    }
}

/// Further than any lease can have been counted since the copy was made.
const EPOCHS_APART: i64 = 1_000_000;
/// Whose leases are counted, each with the table of it.
const LEASED: [&str; 5] = [
    "queue",
    "outcomes",
    "occurrences",
    "webhook_deliveries",
    "export_deliveries",
];

/// Changes what must not be as it was. The business databases may have seen leases that this store does not know of, and their
/// fences would refuse the same numbers again; receipts of then are worth nothing now; nobody is signed in; and the folder of blobs is
/// another one.
pub(super) async fn begin_anew(tx: &mut Tx) -> Result<(), StoreError> {
    for table in LEASED {
        let text = format!("update {table} set epoch = epoch + {EPOCHS_APART}");
        execute!(tx.db(), sql(text))?;
    }
    execute!(tx.db(), "delete from console_sessions")?;
    execute!(tx.db(), "delete from console_links")?;
    execute!(tx.db(), "delete from store_facts where name = 'blob_folder'")?;
    Ok(())
}

/// Every blob that is in use, with what is known of it. A place that was handed out and has no content yet has no digest.
const BLOBS: &str = "select u.key, coalesce(m.digest, d.digest, b.digest), coalesce(m.bytes, d.bytes, b.bytes) from uploads u \
    left join messages m on m.id = u.message left join dmf_blobs d on d.key = u.key left join dmf_blocks b on b.key = u.key \
    where u.state = 'used'";

type BlobRow = (String, Option<Vec<u8>>, Option<i64>);

fn tell_of(
    (key, digest, bytes): BlobRow,
    tell: &mut (dyn FnMut(KeptBlob) -> io::Result<()> + Send),
) -> Result<(), StoreError> {
    let Some(digest) = digest else { return Ok(()) };
    let corrupt = |column, detail: String| StoreError::Corrupt {
        table: "messages",
        column,
        id: key.clone(),
        detail,
    };
    let found = digest.len();
    let digest = <[u8; 32]>::try_from(digest).map_err(|_| corrupt("digest", format!("{found} bytes")))?;
    let bytes = u64::try_from(bytes.unwrap_or_default()).map_err(|error| corrupt("bytes", error.to_string()))?;
    tell(KeptBlob {
        bytes,
        sha256: Digest(digest).hex(),
        key: BlobKey(key),
    })
    .map_err(|error| StoreError::Settings(format!("the list of blobs cannot be written: {error}")))
}

fn unwritable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Settings(format!("{} cannot be written: {error}", path.display()))
}

fn unreadable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Settings(format!("{} cannot be read: {error}", path.display()))
}
