//! The data folder: what is in it is nobody's business but the service's.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use crate::{disk, folders};

/// Makes the folder where there is none, for this user alone: payloads, hashes of secrets and signing keys lie in it. One that is there
/// keeps the rights it has.
///
/// # Errors
/// When it cannot be made: a sentence that says which folder, and why.
pub(crate) fn make(folder: &Path) -> Result<(), String> {
    try_to_make(folder).map_err(|error| {
        let (folder, why) = (folder.display(), disk::told(&error));
        format!("cannot make the folder {folder} (data_dir): {why}")
    })
}

fn try_to_make(folder: &Path) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        folders::make(parent)?;
    }
    match folders::make_by(std::fs::DirBuilder::new().mode(0o700), folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
