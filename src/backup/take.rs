//! Taking a backup, beside a running service or without one.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use futures_util::stream::{self, StreamExt as _};

use super::folder::{self, BlobList};
use super::manifest::{BLOBS, Blobs as BlobNote, FORMAT, Manifest};
use super::{AT_ONCE, BackupError, LOST_MAX};
use crate::blob::{BlobError, Blobs};
use crate::domain::message::Digest;
use crate::domain::time::Timestamp;
use crate::storage::StoreError;
use crate::storage::backup::{KeptBlob, copy};
use crate::storage::doctor::Examination;

/// What to back up, and where to.
#[derive(Debug)]
pub struct Take<'a> {
    /// `store.url`
    pub store: &'a str,
    /// Where its blobs are.
    pub blobs: &'a Blobs,
    /// A folder that is new or empty.
    pub folder: &'a Path,
    /// Whether blobs are copied; otherwise only their list is kept, for a bucket that keeps what was deleted.
    pub with_blobs: bool,
    /// When.
    pub now: Timestamp,
}

/// Takes a backup; `seen` is told of every blob that was copied, by its bytes.
///
/// # Errors
/// [`BackupError`]; the folder is as it was then.
pub async fn take(take: &Take<'_>, seen: impl Fn(u64)) -> Result<Manifest, BackupError> {
    let was_new = folder::make(take.folder)?;
    let taken = fill(take, seen).await;
    if taken.is_err()
        && let Err(error) = folder::clear(take.folder, was_new)
    {
        tracing::warn!(folder = %take.folder.display(), %error, "what the backup that failed has written remains");
    }
    taken
}

async fn fill(take: &Take<'_>, seen: impl Fn(u64)) -> Result<Manifest, BackupError> {
    let path = take.folder.join(BLOBS);
    let failed = |error: &std::io::Error| BackupError::at(&path, "written", error);
    let mut list = BufWriter::new(std::fs::File::create(&path).map_err(|error| failed(&error))?);
    let mut blobs = BlobNote {
        count: 0,
        bytes: 0,
        copied: take.with_blobs,
        lost: Vec::new(),
        gone: Vec::new(),
    };
    let store = copy(take.store, take.folder, &mut |blob| {
        blobs.count += 1;
        blobs.bytes += blob.bytes;
        serde_json::to_writer(&mut list, &blob)?;
        list.write_all(b"\n")
    })
    .await
    .map_err(|error| without_room(take.folder, error))?;
    list.flush().map_err(|error| failed(&error))?;
    drop(list);
    if take.with_blobs {
        let missed = copy_blobs(take, seen).await?;
        (blobs.lost, blobs.gone) = lost_and_gone(take.store, missed).await?;
    }
    let names = store.files().into_iter().chain([BLOBS.to_owned()]);
    let files = names
        .map(|name| folder::seal(take.folder, name))
        .collect::<Result<_, _>>()?;
    let manifest = Manifest {
        format: FORMAT,
        tranship: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at: take.now,
        store,
        files,
        blobs,
    };
    folder::write_manifest(take.folder, &manifest)?;
    Ok(manifest)
}

/// The store is only read for a backup: a disk that takes nothing is the backup's.
fn without_room(folder: &Path, error: StoreError) -> BackupError {
    match error.disk_fault() {
        Some(fault) => BackupError::Folder(format!(
            "the store cannot be copied to {}, because the disk {fault}: {}",
            folder.display(),
            fault.cure()
        )),
        None => error.into(),
    }
}

/// Copies every blob on the list; the keys of those that could not be had.
async fn copy_blobs(take: &Take<'_>, seen: impl Fn(u64)) -> Result<Vec<KeptBlob>, BackupError> {
    let to = folder::blobs(take.folder)?;
    let list = BlobList::open(take.folder).await?;
    let listed = stream::unfold(list, async |mut list| {
        let next = list.next().await.transpose()?;
        Some((next, list))
    });
    let copied = listed.map(async |blob| {
        let blob = blob?;
        let whole = copy_blob(take.blobs, &to, &blob).await?;
        Ok::<_, BackupError>((blob, whole))
    });
    let mut copied = std::pin::pin!(copied.buffer_unordered(AT_ONCE));
    let mut missed = Vec::new();
    while let Some(done) = copied.next().await {
        let (blob, is_whole) = done?;
        seen(blob.bytes);
        if !is_whole {
            missed.push(blob);
        }
        if missed.len() > LOST_MAX {
            let why =
                format!("more than {LOST_MAX} blobs are gone or damaged: is blobs.url the place they were written to?");
            return Err(BackupError::Folder(why));
        }
    }
    Ok(missed)
}

/// Copies one blob, its digest verified on the way. `false`: it is gone, or not what was written.
///
/// # Errors
/// Whatever may be better another time.
pub(super) async fn copy_blob(from: &Blobs, to: &Blobs, blob: &KeptBlob) -> Result<bool, BackupError> {
    let digest = digest_of(blob)?;
    let mut reader = match from.reader(&blob.key, digest).await {
        Ok(reader) => reader,
        Err(BlobError::Missing(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    // A copy that was cut short may be there.
    let mut writer = to.replacing_writer(&blob.key);
    loop {
        match reader.next().await {
            Ok(Some(chunk)) => writer.write(chunk).await?,
            Ok(None) => break,
            Err(BlobError::Damaged { .. }) => {
                writer.abort().await;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
    }
    writer.finish().await?;
    Ok(true)
}

pub(super) fn digest_of(blob: &KeptBlob) -> Result<Digest, BackupError> {
    Digest::from_hex(&blob.sha256)
        .ok_or_else(|| BackupError::Folder(format!("{BLOBS}: the digest of {} is none: {}", blob.key, blob.sha256)))
}

/// Of those that could not be had, the keys the store still names, and those it no longer does.
async fn lost_and_gone(store: &str, missed: Vec<KeptBlob>) -> Result<(Vec<String>, Vec<String>), BackupError> {
    let (mut lost, mut gone) = (Vec::new(), Vec::new());
    if missed.is_empty() {
        return Ok((lost, gone));
    }
    let mut store = Examination::open(store)
        .await?
        .ok_or_else(|| BackupError::Folder("the store went away while it was backed up".to_owned()))?;
    for blob in missed {
        if store.is_blob_kept(&blob.key).await? {
            lost.push(blob.key.0);
        } else {
            gone.push(blob.key.0);
        }
    }
    store.close().await;
    Ok((lost, gone))
}
