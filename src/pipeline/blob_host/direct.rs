//! Uploads that go straight to the bucket, by a link of its own (`blobs.presigned`).
//!
//! What a client puts there we see when we are asked for it, and the client may write over it for as long as its link is good. So it
//! is copied once it is needed, and only the copy, whose digest is known, is worked with.

use futures_util::StreamExt as _;

use super::{BlobHostError, Cut, Put, PutExtra, find, receive, reserved_until, store};
use crate::blob::BlobError;
use crate::domain::dmf::{BlobPath, Conditions};
use crate::domain::ids::{BlobKey, CorrelationId};
use crate::domain::time::Timestamp;
use crate::pipeline::Context;
use crate::storage::StoreError;
use crate::storage::dmf_blobs::{DmfBlob, DmfContent};

/// What a content is that came without a word about it.
const CONTENT_TYPE: &str = "application/octet-stream";

/// As [`super::reserve`], for a client that will put the blob into the bucket itself: with the key to put it under.
///
/// # Errors
/// [`StoreError`].
pub async fn reserve_direct(
    context: &Context,
    client: &str,
    chosen: &str,
    now: Timestamp,
) -> Result<(CorrelationId, BlobKey), StoreError> {
    let (id, path) = BlobPath::generate(chosen);
    let key = BlobKey::generate();
    let times = (now, reserved_until(context, now));
    let owner = &context.owner;
    context
        .store
        .add_dmf_blob(&path, client, Some(&key), owner, times)
        .await?;
    Ok((id, key))
}

/// The path of what a client puts into the bucket at this URL path; nothing when we never gave such a key away.
///
/// # Errors
/// [`StoreError`].
pub async fn find_direct(context: &Context, url_path: &str) -> Result<Option<BlobPath>, StoreError> {
    // A key has three segments; before it stand the bucket and its prefix.
    let Some((at, _)) = url_path.rmatch_indices('/').nth(2) else {
        return Ok(None);
    };
    let key = BlobKey(url_path[at + 1..].to_owned());
    if key.0.chars().any(char::is_control) {
        return Ok(None);
    }
    let blob = context.store.dmf_blob_by_direct_key(&key, context.clock.now()).await?;
    Ok(blob.map(|blob| blob.path))
}

/// What is at a path, for work on it: what a client put into the bucket is copied first, unless the copy is of that already.
///
/// # Errors
/// [`BlobHostError::Missing`] when nothing is there yet, or a store failed.
pub async fn open(context: &Context, path: &BlobPath) -> Result<(DmfBlob, DmfContent), BlobHostError> {
    let blob = context.store.dmf_blob(path, context.clock.now()).await?;
    let blob = blob.ok_or(BlobHostError::Missing)?;
    if let Some(direct) = &blob.direct
        && let Some(object) = context.blobs.object(&direct.key).await?
        && direct.copied.as_ref() != Some(&object.version)
    {
        copy(context, path, &direct.key, object.bytes, object.version).await?;
    }
    find(context, path).await
}

async fn copy(
    context: &Context,
    path: &BlobPath,
    key: &BlobKey,
    bytes: u64,
    version: String,
) -> Result<(), BlobHostError> {
    let source = context.blobs.range(key, 0..bytes).await?;
    let received = receive(context, source.map(|chunk| chunk.map_err(Cut::Store)), None).await?;
    if received.bytes != bytes {
        let flaw = format!("the object {key} has {} bytes, not {bytes}", received.bytes);
        return Err(BlobError::failed(flaw).into());
    }
    let put = Put {
        path: path.clone(),
        conditions: Conditions::default(),
        content_type: CONTENT_TYPE.to_owned(),
        md5: None,
    };
    let extra = PutExtra {
        copied: Some(version),
        ..PutExtra::default()
    };
    store(context, put, received, extra).await.map(|_| ())
}
