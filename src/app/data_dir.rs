//! The data folder: what is in it is nobody's business but the service's.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use crate::folders;

/// Makes the folder where there is none, for this user alone: payloads, hashes of secrets and signing keys lie in it. One that is there
/// keeps the rights it has.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        folders::make(parent)?;
    }
    match folders::make_by(std::fs::DirBuilder::new().mode(0o700), folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
