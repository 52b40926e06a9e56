//! Files of a backup's folder: written to stable storage, read as they were written.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};

use super::BackupError;
use super::manifest::{BLOB_FOLDER, BLOBS, FILE, FORMAT, File, Manifest};
use crate::blob::{Blobs, PayloadHasher};
use crate::folders;
use crate::storage::backup::KeptBlob;

/// Makes the folder, for this user alone: it will hold payloads and signing keys. It must be new or empty: nothing is ever written over.
/// Whether it was new.
pub(super) fn make(folder: &Path) -> Result<bool, BackupError> {
    let failed = |error: io::Error| BackupError::at(folder, "made", &error);
    if let Some(parent) = folder.parent() {
        folders::make(parent).map_err(failed)?;
    }
    match folders::make_by(std::fs::DirBuilder::new().mode(0o700), folder) {
        Ok(()) => return Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let mut entries = std::fs::read_dir(folder).map_err(|error| BackupError::at(folder, "read", &error))?;
    match entries.next() {
        None => Ok(false),
        Some(_) => Err(BackupError::Folder(format!(
            "{} is not empty: each backup needs a folder of its own",
            folder.display()
        ))),
    }
}

/// Takes away what a backup that failed has written: it would be taken for one, or be in the way of the next.
pub(super) fn clear(folder: &Path, was_new: bool) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            std::fs::remove_dir_all(path)?;
        } else {
            std::fs::remove_file(path)?;
        }
    }
    if was_new { std::fs::remove_dir(folder) } else { Ok(()) }
}

/// The blobs in the folder.
pub(super) fn blobs(folder: &Path) -> Result<Blobs, BackupError> {
    let folder = std::path::absolute(folder).map_err(|error| BackupError::at(folder, "found", &error))?;
    Ok(Blobs::open(&format!("file://{}", folder.join(BLOB_FOLDER).display()))?)
}

/// Makes a file durable; what it is.
pub(super) fn seal(folder: &Path, name: String) -> Result<File, BackupError> {
    let path = folder.join(&name);
    let sealed = look_at(&path).and_then(|(bytes, sha256)| {
        std::fs::File::open(&path)?.sync_all()?;
        Ok(File { name, bytes, sha256 })
    });
    sealed.map_err(|error| BackupError::at(&path, "read", &error))
}

/// Refuses a file that is not the one that was written.
pub(super) fn verify(folder: &Path, file: &File) -> Result<(), BackupError> {
    let path = folder.join(&file.name);
    let (bytes, sha256) = look_at(&path).map_err(|error| BackupError::at(&path, "read", &error))?;
    if (bytes, &sha256) == (file.bytes, &file.sha256) {
        return Ok(());
    }
    Err(BackupError::Folder(format!(
        "{} is damaged: {bytes} bytes with SHA-256 {sha256}, and {} with {} were written",
        path.display(),
        file.bytes,
        file.sha256
    )))
}

fn look_at(path: &Path) -> io::Result<(u64, String)> {
    let mut file = std::fs::File::open(path)?;
    let (mut hasher, mut buffer) = (PayloadHasher::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hasher.count(), hasher.finish().hex())),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// Writes the manifest under its name, once everything else is on stable storage.
pub(super) fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let draft = folder.join(format!("{FILE}.new"));
    let written = serde_json::to_vec_pretty(manifest)
        .map_err(io::Error::from)
        .and_then(|text| {
            let mut file = std::fs::File::create(&draft)?;
            file.write_all(&text)?;
            file.sync_all()?;
            sync_folders(folder, manifest)?;
            std::fs::rename(&draft, folder.join(FILE))?;
            std::fs::File::open(folder)?.sync_all()
        });
    written.map_err(|error| BackupError::at(&folder.join(FILE), "written", &error))
}

/// The folders that hold the files, and the one that holds the backup: a name that is lost is a file that is lost.
fn sync_folders(folder: &Path, manifest: &Manifest) -> io::Result<()> {
    let own = manifest.files.iter().map(|file| folder.join(&file.name));
    let mut folders: Vec<PathBuf> = own.filter_map(|path| path.parent().map(Path::to_owned)).collect();
    folders.push(folder.to_owned());
    folders.extend(
        folder
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .map(Path::to_owned),
    );
    folders.sort();
    folders.dedup();
    folders
        .iter()
        .try_for_each(|folder| std::fs::File::open(folder)?.sync_all())
}

/// Reads the manifest.
pub(super) fn read_manifest(folder: &Path) -> Result<Manifest, BackupError> {
    let path = folder.join(FILE);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let why = format!(
                "{} has no {FILE}: it is no backup, or one that did not come to its end",
                folder.display()
            );
            return Err(BackupError::Folder(why));
        }
        Err(error) => return Err(BackupError::at(&path, "read", &error)),
    };
    let unfit = |why: String| BackupError::Folder(format!("{}: {why}", path.display()));
    let format = serde_json::from_slice::<serde_json::Value>(&text).map_err(|error| unfit(error.to_string()))?;
    if format["format"] != FORMAT {
        let why = format!("its format is {}, and this version reads {FORMAT}", format["format"]);
        return Err(unfit(why));
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| unfit(error.to_string()))?;
    let (found, known) = (manifest.store.schema, manifest.store.newest_known());
    if found > known {
        let why =
            format!("its store is at step {found} of the schema, and this version knows {known}: use a newer one");
        return Err(unfit(why));
    }
    Ok(manifest)
}

/// The list of blobs, line by line: it may be longer than memory.
pub(super) struct BlobList {
    path: PathBuf,
    lines: Lines<BufReader<tokio::fs::File>>,
}

impl BlobList {
    pub(super) async fn open(folder: &Path) -> Result<Self, BackupError> {
        let path = folder.join(BLOBS);
        let file = tokio::fs::File::open(&path).await;
        let file = file.map_err(|error| BackupError::at(&path, "read", &error))?;
        let lines = BufReader::new(file).lines();
        Ok(Self { path, lines })
    }

    pub(super) async fn next(&mut self) -> Result<Option<KeptBlob>, BackupError> {
        let line = self.lines.next_line().await;
        let Some(line) = line.map_err(|error| BackupError::at(&self.path, "read", &error))? else {
            return Ok(None);
        };
        serde_json::from_str(&line)
            .map(Some)
            .map_err(|error| BackupError::Folder(format!("{}: {error}", self.path.display())))
    }
}
