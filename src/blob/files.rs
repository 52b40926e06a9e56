//! Blobs as files under one folder, which is created with the first blob.
//!
//! Owns what `object_store` leaves open on a local disk: that the folders a blob lies in survive a power cut, also when two
//! writers meet in a new one, and that a deletion does. Refuses to run on the async threads: all of it blocks.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::local::LocalFileSystem;

use super::BlobError;
use super::folder_id::BlobFolder;
use crate::disk::DiskFault;
use crate::domain::ids::BlobKey;

/// What is written to see whether the disk takes anything again.
const TRIED_BYTES: usize = 64 * 1024;

/// The folder.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    /// Folders whose names are known to be on stable storage.
    durable: Mutex<HashSet<PathBuf>>,
    /// Whether the disk refused the latest write.
    refused: AtomicBool,
}

impl Files {
    /// Blobs under `root`, which need not exist.
    pub(super) fn at(root: &str) -> Result<Arc<Self>, BlobError> {
        // Absolute from here on: a later change of the working directory must not move the store.
        let root = std::path::absolute(root).map_err(|cause| BlobError::Settings(format!("file://{root}: {cause}")))?;
        Ok(Arc::new(Self {
            root,
            durable: Mutex::default(),
            refused: AtomicBool::default(),
        }))
    }

    /// The store as it is, or nothing before the first write.
    pub(super) async fn existing(self: &Arc<Self>) -> Result<Option<LocalFileSystem>, BlobError> {
        self.blocking(|files| {
            if files.root.try_exists().map_err(BlobError::failed)? {
                files.store().map(Some)
            } else {
                Ok(None)
            }
        })
        .await
    }

    /// The store, once the folder this key belongs in is on stable storage.
    pub(super) async fn with_folder_of(self: &Arc<Self>, key: &BlobKey) -> Result<LocalFileSystem, BlobError> {
        let file = self.root.join(&key.0);
        self.blocking(move |files| {
            files
                .settle(file.parent().unwrap_or(&files.root))
                .map_err(BlobError::failed)?;
            files.store()
        })
        .await
    }

    /// Removes a blob and what an upload cut short left beside it, durably.
    pub(super) async fn delete(self: &Arc<Self>, key: &BlobKey) -> Result<(), BlobError> {
        let file = self.root.join(&key.0);
        self.blocking(move |_| delete_durably(&file).map_err(BlobError::failed))
            .await
    }

    /// The folder and its id, which is made when there is none.
    pub(super) async fn identify(self: &Arc<Self>) -> Result<BlobFolder, BlobError> {
        self.blocking(|files| {
            let failed = |cause: io::Error| BlobError::failed(format!("{}: {cause}", files.root.display()));
            files.settle(&files.root).map_err(failed)?;
            BlobFolder::identify(&files.root).map_err(failed)
        })
        .await
    }

    /// Notes how a write ended, as far as that says something of the disk, and says so.
    pub(super) fn judge(&self, written: Result<(), BlobError>) -> Result<(), BlobError> {
        let error = match written {
            Ok(()) => {
                self.refused.store(false, Ordering::Relaxed);
                return Ok(());
            }
            Err(BlobError::Store(error)) => error,
            Err(other) => return Err(other),
        };
        let Some(fault) = DiskFault::of(&error) else {
            return Err(BlobError::Store(error));
        };
        self.refused.store(true, Ordering::Relaxed);
        Err(BlobError::Disk {
            folder: self.root.clone(),
            fault,
            cause: error.to_string(),
        })
    }

    /// Whether the folder is there, or the nearest one above it is a folder in which it can be made; and, where the disk refused the
    /// latest write, whether it takes one.
    pub(super) async fn probe(self: &Arc<Self>) -> Result<(), BlobError> {
        self.blocking(|files| {
            if files.refused.load(Ordering::Relaxed) {
                files.judge(try_writing(&files.root).map_err(BlobError::failed))?;
            }
            for folder in files.root.ancestors() {
                match folder.metadata() {
                    Ok(found) if found.is_dir() => return Ok(()),
                    Ok(_) => return Err(BlobError::failed(format!("{} is not a folder", folder.display()))),
                    Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                    Err(cause) => return Err(BlobError::failed(format!("{}: {cause}", folder.display()))),
                }
            }
            Err(BlobError::failed("the file system has no root"))
        })
        .await
    }

    fn store(&self) -> Result<LocalFileSystem, BlobError> {
        Ok(LocalFileSystem::new_with_prefix(&self.root)?.with_fsync(true))
    }

    /// Creates a folder and syncs every name on the way to it, once per process.
    ///
    /// `object_store` syncs the folders it creates itself. That is not enough: a second writer finds the folder, does not
    /// wait for that sync, and may be answered before it. Here whoever comes second waits for the lock. A folder found
    /// existing is synced too, for it may stem from a process that was killed between the two steps.
    fn settle(&self, folder: &Path) -> io::Result<()> {
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        let chain: Vec<&Path> = folder.ancestors().take_while(|made| !durable.contains(*made)).collect();
        if chain.is_empty() {
            return Ok(());
        }
        std::fs::create_dir_all(folder)?;
        for parent in chain.iter().filter_map(|made| made.parent()) {
            match sync_folder(parent) {
                // Where we may not even look, we made nothing.
                Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => break,
                synced => synced?,
            }
        }
        durable.extend(chain.into_iter().map(Path::to_path_buf));
        Ok(())
    }

    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let files = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&files))
            .await
            .map_err(BlobError::failed)?
    }
}

/// Writes a little into a file without a name.
fn try_writing(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    tempfile::tempfile_in(folder)?.write_all(&vec![0; TRIED_BYTES])
}

/// Removes `file` and its staged siblings `file#1`, `file#2`, … (the names `object_store` gives to what is not finished),
/// then syncs the folder, so that what was deleted does not come back with a power cut.
fn delete_durably(file: &Path) -> io::Result<()> {
    let mut removed = remove_if_there(file)?;
    for number in 1.. {
        let mut staged = file.as_os_str().to_owned();
        staged.push(format!("#{number}"));
        if !remove_if_there(Path::new(&staged))? {
            break;
        }
        removed = true;
    }
    match file.parent() {
        Some(folder) if removed => sync_folder(folder),
        _ => Ok(()),
    }
}

fn remove_if_there(file: &Path) -> io::Result<bool> {
    match std::fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(cause),
    }
}

/// Puts a folder's list of names on stable storage. Only Unix can; elsewhere the file system is trusted.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_on_the_way_is_created_and_remembered_as_durable() {
        let home = tempfile::tempdir().expect("a folder");
        let files = Files::at(home.path().join("a/b").to_str().expect("a path")).expect("opens");
        let folder = files.root.join("payloads/7f");
        files.settle(&folder).expect("settles");
        assert!(folder.is_dir());
        let durable = files.durable.lock().expect("a lock");
        for made in [
            &folder,
            &files.root.join("payloads"),
            &files.root,
            &home.path().join("a"),
        ] {
            assert!(durable.contains(made), "{}", made.display());
        }
    }

    #[test]
    fn deleting_takes_the_staged_files_of_a_killed_upload_along() {
        let home = tempfile::tempdir().expect("a folder");
        let file = home.path().join("key");
        for name in ["key", "key#1", "key#2", "key2", "other#1"] {
            std::fs::write(home.path().join(name), b"x").expect("written");
        }
        delete_durably(&file).expect("deletes");
        delete_durably(&file).expect("deletes what is gone");
        let mut left: Vec<_> = std::fs::read_dir(home.path())
            .expect("lists")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["key2", "other#1"]);
    }
}
