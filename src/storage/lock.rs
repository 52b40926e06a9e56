//! The lock file beside a SQLite store: one process, one store (promise 10).
//!
//! The operating system drops the lock with the process, however that ends, so a leftover file locks nobody out.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::StoreError;
use crate::disk;

/// Held as long as the store lives.
#[derive(Debug)]
pub(super) struct StoreLock {
    _file: File,
}

impl StoreLock {
    /// Takes the lock of the database at `path`, or says who cannot have it.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let lock = beside(path, ".lock");
        let unusable = |error: &std::io::Error| {
            let why = disk::told(error);
            StoreError::Settings(format!("the lock file {} cannot be used: {why}", lock.display()))
        };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(|e| unusable(&e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: lock }),
            Err(TryLockError::Error(e)) => Err(unusable(&e)),
        }
    }
}

/// The file of this name with something added to it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
