//! Folders that a power cut does not take.
//!
//! A new folder is a name in its parent, and a name lasts once the folder it is in was synced. Who syncs a file and the folder the file is
//! in has nothing yet, if that folder is new itself.

use std::fs::{DirBuilder, File};
use std::io;
use std::path::Path;

/// Makes a folder and those it is in, where they are missing; what is made is on stable storage.
///
/// # Errors
/// The system's.
pub fn make(folder: &Path) -> io::Result<()> {
    make_by(DirBuilder::new().recursive(true), folder)
}

/// The same as the builder says.
///
/// # Errors
/// The system's.
pub fn make_by(builder: &DirBuilder, folder: &Path) -> io::Result<()> {
    let is_new = |made: &&Path| !made.as_os_str().is_empty() && !made.exists();
    let new: Vec<&Path> = folder.ancestors().take_while(is_new).collect();
    builder.create(folder)?;
    new.into_iter().filter_map(Path::parent).try_for_each(sync)
}

/// Puts a folder's names on stable storage. Only Unix can; elsewhere the file system is trusted.
///
/// # Errors
/// The system's.
pub fn sync(folder: &Path) -> io::Result<()> {
    let named = !folder.as_os_str().is_empty();
    if cfg!(unix) {
        File::open(if named { folder } else { Path::new(".") })?.sync_all()
    } else {
        Ok(())
    }
}
