//! The id of a folder of blobs: a file in it, by which processes tell whether they look at the same folder.
//!
//! Blobs lie below `payloads/`, so no key and no sweep ever touches the file. Whoever copies the folder copies its id along.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::files::sync_folder;
use crate::domain::ids;

/// The file's name.
const ID_FILE: &str = "blobs.id";

/// A folder of blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobFolder {
    /// Its id.
    pub id: String,
    /// The file that holds the id.
    pub id_file: PathBuf,
    /// The folder.
    pub path: PathBuf,
}

impl BlobFolder {
    /// Reads the id of a folder that has one; unlike [`super::Blobs::folder`] it gives none.
    pub fn peek(path: &Path) -> io::Result<Option<Self>> {
        let id_file = path.join(ID_FILE);
        let id = read(&id_file)?;
        Ok(id.map(|id| Self {
            id,
            id_file,
            path: path.to_owned(),
        }))
    }

    /// Reads the id of an existing folder, or gives it one.
    pub(super) fn identify(path: &Path) -> io::Result<Self> {
        let id_file = path.join(ID_FILE);
        let id = match read(&id_file)? {
            Some(id) => id,
            None => create(path, &id_file)?,
        };
        Ok(Self {
            id,
            id_file,
            path: path.to_owned(),
        })
    }
}

fn read(file: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|id| !id.is_empty())),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Writes a new id under another name first, so that nobody ever reads half of one, and returns the id that stands: another
/// process may have been faster.
fn create(folder: &Path, id_file: &Path) -> io::Result<String> {
    let id = ids::new_folder_id();
    let draft = folder.join(format!("{ID_FILE}.{id}"));
    let mut file = File::create_new(&draft)?;
    file.write_all(format!("{id}\n").as_bytes())?;
    file.sync_all()?;
    // A link, unlike a rename, never replaces what another process wrote in the meantime.
    match std::fs::hard_link(&draft, id_file) {
        Ok(()) => std::fs::remove_file(&draft)?,
        Err(_) if read(id_file)?.is_some() => std::fs::remove_file(&draft)?,
        // A file system without links, or a file left empty: two first starts in one moment may then disagree, and the later
        // one is told so by the store.
        Err(_) => std::fs::rename(&draft, id_file)?,
    }
    sync_folder(folder)?;
    read(id_file)?.ok_or_else(|| io::Error::other(format!("{} is empty", id_file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_id_and_no_two_folders_have_the_same() {
        let (one, other) = (
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("a folder"),
        );
        assert_eq!(BlobFolder::peek(one.path()).expect("it reads"), None);
        let first = BlobFolder::identify(one.path()).expect("an id");
        assert_eq!(BlobFolder::peek(one.path()).expect("the id"), Some(first.clone()));
        assert_eq!(BlobFolder::identify(one.path()).expect("the id"), first);
        assert_ne!(BlobFolder::identify(other.path()).expect("an id").id, first.id);
        let left = std::fs::read_dir(one.path()).expect("lists").count();
        assert_eq!(left, 1, "nothing but the file itself stays");
    }

    #[test]
    fn a_folder_that_many_meet_at_once_gets_one_id() {
        let folder = tempfile::tempdir().expect("a folder");
        let ids: Vec<String> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| BlobFolder::identify(folder.path()).expect("an id").id))
                .collect();
            all.into_iter().map(|one| one.join().expect("it ends")).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn a_file_left_empty_is_filled() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(ID_FILE), "").expect("written");
        let id = BlobFolder::identify(folder.path()).expect("an id").id;
        assert!(!id.is_empty());
        assert_eq!(BlobFolder::identify(folder.path()).expect("the id").id, id);
    }
}
