//! `backup.json`: what a backup holds, and by which digests it is known to be whole.

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;
use crate::storage::backup::Contents;

/// Its name in the folder.
pub(super) const FILE: &str = "backup.json";
/// The list of blobs.
pub(super) const BLOBS: &str = "blobs.jsonl";
/// The folder of copied blobs.
pub(super) const BLOB_FOLDER: &str = "blobs";
/// Of the layout of the folder.
pub(super) const FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Layout of the folder; this program reads and writes 1.
    pub format: u32,
    /// Version of the program that made it.
    pub tranship: String,
    /// When the store was copied. What was enqueued later is not in it.
    pub taken_at: Timestamp,
    /// The store's part.
    pub store: Contents,
    /// Every file but this one and the blobs.
    pub files: Vec<File>,
    /// The blobs.
    pub blobs: Blobs,
}

/// A file of the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path in the folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// The blobs of a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Blobs {
    /// How many the store named.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether they are in the backup; otherwise it has only their list.
    pub copied: bool,
    /// Keys of those that could not be had: gone or damaged where they should have been.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// Keys of those whose time came while the backup ran: their messages were over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
}
