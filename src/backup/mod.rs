//! Backups: the store and every blob it names, as they were at one moment, in a folder; and a service's state made from one.
//!
//! ```text
//! backup.json    what is in it, with digests of the other files; written last: a folder without it is no backup
//! blobs.jsonl    every blob the store named, one a line: key, bytes, SHA-256
//! store.db       the store on SQLite; store/TABLE.copy on PostgreSQL
//! blobs/…        the blobs, unless they were left out
//! ```
//!
//! The store is copied first and the blobs after it, which is one moment all the same: a blob is there before the row that names it
//! (promise 1), is never changed, and goes only when its message is over and its time has come. Business databases are their
//! owners' to back up: they may be ahead of a restored store, because loads there are marked, and their positions are too.
//!
//! Owns: the folder, its digests, what is lost. Refuses: the content of databases (`storage::backup`).

mod folder;
mod manifest;
mod restore;
mod take;

pub use manifest::Manifest;
pub use restore::{Restore, Restored, check, restore};
pub use take::{Take, take};

use std::path::Path;

use crate::blob::BlobError;
use crate::disk;
use crate::storage::StoreError;

/// How many blobs are copied at once: most of the time each waits for a disk or a network.
const AT_ONCE: usize = 8;
/// Most lost blobs that are named; a backup with more of them is none.
const LOST_MAX: usize = 1000;

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blobs.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The folder, or what is in it.
    #[error("{0}")]
    Folder(String),
}

impl BackupError {
    fn at(path: &Path, what: &str, error: &std::io::Error) -> Self {
        Self::Folder(format!("{} cannot be {what}: {}", path.display(), disk::told(error)))
    }
}
