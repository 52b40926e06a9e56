//! Restoring a backup: the blobs first, the store last, so that there is no store before everything it names is there.

use std::collections::HashMap;
use std::path::Path;

use futures_util::stream::{self, StreamExt as _};

use super::folder::{self, BlobList};
use super::manifest::Manifest;
use super::take::{copy_blob, digest_of};
use super::{AT_ONCE, BackupError, LOST_MAX};
use crate::blob::{BlobError, Blobs};
use crate::domain::time::Timestamp;
use crate::storage::StoreSettings;
use crate::storage::backup::{self, KeptBlob};

/// What to restore, and where to.
#[derive(Debug)]
pub struct Restore<'a> {
    /// A backup.
    pub folder: &'a Path,
    /// Where there is no store yet.
    pub store: &'a StoreSettings,
    /// Where its blobs go; those that are there already, whole, are left alone.
    pub blobs: &'a Blobs,
    /// Go on although blobs are nowhere to be had. Their messages end as such that lost their payload.
    pub accept_lost: bool,
    /// When.
    pub now: Timestamp,
}

/// What a restore came to.
#[derive(Debug)]
pub struct Restored {
    /// Of the backup.
    pub manifest: Manifest,
    /// Blobs that were copied.
    pub copied: u64,
    /// Blobs that were there.
    pub present: u64,
    /// Keys of blobs that are nowhere to be had.
    pub lost: Vec<String>,
}

/// Reads the whole backup and compares every digest. `seen` is told of every blob by its bytes.
///
/// # Errors
/// [`BackupError`] with the first file that is not what was written.
pub async fn check(folder: &Path, seen: impl Fn(u64)) -> Result<Manifest, BackupError> {
    let manifest = whole_files(folder)?;
    if !manifest.blobs.copied {
        return Ok(manifest);
    }
    let (blobs, missing) = (folder::blobs(folder)?, missing(&manifest));
    let mut list = BlobList::open(folder).await?;
    while let Some(blob) = list.next().await? {
        if !missing.contains_key(blob.key.0.as_str()) && !is_whole(&blobs, &blob).await? {
            return Err(damaged(folder, &blob));
        }
        seen(blob.bytes);
    }
    Ok(manifest)
}

/// Restores a backup where there is no store. Ended early, by whatever it may be, it can be begun again.
///
/// # Errors
/// [`BackupError`]; there is no store then.
pub async fn restore(restore: &Restore<'_>, seen: impl Fn(u64)) -> Result<Restored, BackupError> {
    let manifest = whole_files(restore.folder)?;
    let mut restored = Restored {
        manifest,
        copied: 0,
        present: 0,
        lost: Vec::new(),
    };
    restore_blobs(restore, &mut restored, seen).await?;
    if !restored.lost.is_empty() && !restore.accept_lost {
        let first = &restored.lost[0];
        return Err(BackupError::Folder(format!(
            "{} of {} blobs are whole neither in the backup nor in blobs.url, {first} the first of them: nothing was restored",
            restored.lost.len(),
            restored.manifest.blobs.count
        )));
    }
    backup::restore(restore.store, restore.folder, &restored.manifest.store, restore.now).await?;
    Ok(restored)
}

fn whole_files(folder: &Path) -> Result<Manifest, BackupError> {
    let manifest = folder::read_manifest(folder)?;
    for file in &manifest.files {
        folder::verify(folder, file)?;
    }
    Ok(manifest)
}

/// Blobs that the backup does not have, by key, and whether their absence is a loss.
fn missing(manifest: &Manifest) -> HashMap<&str, Came> {
    let lost = manifest.blobs.lost.iter().map(|key| (key.as_str(), Came::Lost));
    let gone = manifest.blobs.gone.iter().map(|key| (key.as_str(), Came::Gone));
    lost.chain(gone).collect()
}

/// How a blob came to its place.
#[derive(Debug, Clone, Copy)]
enum Came {
    Copied,
    WasThere,
    Lost,
    /// It was not needed any more.
    Gone,
}

async fn restore_blobs(restore: &Restore<'_>, restored: &mut Restored, seen: impl Fn(u64)) -> Result<(), BackupError> {
    let source = Source {
        copies: restored
            .manifest
            .blobs
            .copied
            .then(|| folder::blobs(restore.folder))
            .transpose()?,
        missing: missing(&restored.manifest),
    };
    let list = BlobList::open(restore.folder).await?;
    let listed = stream::unfold(list, async |mut list| {
        let next = list.next().await.transpose()?;
        Some((next, list))
    });
    let placed = listed.map(async |blob| {
        let blob = blob?;
        let came = source.place(&blob, restore).await?;
        Ok::<_, BackupError>((blob, came))
    });
    let mut placed = std::pin::pin!(placed.buffer_unordered(AT_ONCE));
    let (mut copied, mut present, mut losses) = (0, 0, Vec::new());
    while let Some(done) = placed.next().await {
        let (blob, came) = done?;
        seen(blob.bytes);
        match came {
            Came::Copied => copied += 1,
            Came::WasThere => present += 1,
            Came::Gone => {}
            Came::Lost if losses.len() == LOST_MAX => {
                let why = format!("more than {LOST_MAX} blobs are nowhere to be had: is blobs.url the right place?");
                return Err(BackupError::Folder(why));
            }
            Came::Lost => losses.push(blob.key.0),
        }
    }
    (restored.copied, restored.present, restored.lost) = (copied, present, losses);
    Ok(())
}

/// Where blobs come from.
struct Source<'a> {
    /// Copies in the backup, if it has any.
    copies: Option<Blobs>,
    /// Those it does not have.
    missing: HashMap<&'a str, Came>,
}

impl Source<'_> {
    /// Sees to it that a blob is in its place, whole.
    async fn place(&self, blob: &KeptBlob, restore: &Restore<'_>) -> Result<Came, BackupError> {
        if is_whole(restore.blobs, blob).await? {
            return Ok(Came::WasThere);
        }
        if let Some(came) = self.missing.get(blob.key.0.as_str()) {
            return Ok(*came);
        }
        match &self.copies {
            Some(copies) if copy_blob(copies, restore.blobs, blob).await? => Ok(Came::Copied),
            _ => Ok(Came::Lost),
        }
    }
}

/// Whether a blob is there and what it should be.
async fn is_whole(blobs: &Blobs, blob: &KeptBlob) -> Result<bool, BackupError> {
    let mut reader = match blobs.reader(&blob.key, digest_of(blob)?).await {
        Ok(reader) => reader,
        Err(BlobError::Missing(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    loop {
        match reader.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(true),
            Err(BlobError::Damaged { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

fn damaged(folder: &Path, blob: &KeptBlob) -> BackupError {
    BackupError::Folder(format!(
        "blob {} in {} is missing or damaged: take the backup from another copy",
        blob.key,
        folder.display()
    ))
}
