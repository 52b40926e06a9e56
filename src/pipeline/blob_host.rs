//! The blob host: what clients put under `/dmf/` before they import it, and fetch after an export (PKG-1 to PKG-10).
//!
//! Bytes are durable before the path's row names them, and every key is named by one row (promise 1). A content that is written
//! over keeps its key until nobody can ask for it any more; who reads it meanwhile reads it to its end.

mod commit;
mod direct;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::Context;
use super::payload::{PayloadError, Upload};
use crate::blob::{BlobError, BlobReader, ContentHasher};
use crate::domain::dmf::{BlobPath, Conditions, Unmet};
use crate::domain::ids::CorrelationId;
use crate::domain::message::Digest;
use crate::domain::time::Timestamp;
use crate::storage::StoreError;
use crate::storage::dmf_blobs::{Base, Changed, DmfBlob, DmfContent, PutContent};
use crate::storage::dmf_blocks::{Block, BlockPut, StagedMax};

pub use commit::{BLOCKS_MAX, Blocks, Listed, Pick, blocks, commit};
pub use direct::{find_direct, open, reserve_direct};

/// Most blocks that wait to be committed to one blob, twice what a list may name.
const STAGED_BLOCKS_MAX: i64 = 100_000;
const DAY_SECONDS: i64 = 86_400;

/// Why the blob host did not do what it was asked to. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BlobHostError {
    /// Nothing is at this path, or not any more.
    #[error("The specified blob does not exist.")]
    Missing,
    /// A condition of the request does not hold.
    #[error("{}", words(*.0))]
    Unmet(Unmet),
    /// The bytes are not the ones the client described.
    #[error("The MD5 of what arrived is {found}, but the request says {expected}; nothing was stored, send it again.")]
    Md5Mismatch {
        /// What arrived, in Base64.
        found: String,
        /// What was announced.
        expected: String,
    },
    /// The transfer broke off.
    #[error("The transfer broke off after {bytes} bytes: {detail}; nothing was stored, send it again.")]
    Interrupted {
        /// Bytes received.
        bytes: u64,
        /// What the transport said.
        detail: String,
    },
    /// The list names a block that is not there.
    #[error("The block list names the block {block}, which is not there.")]
    InvalidBlockList {
        /// The block's id.
        block: String,
    },
    /// Too many blocks wait to be committed.
    #[error("{STAGED_BLOCKS_MAX} blocks wait to be committed to this blob, and no more may.")]
    TooManyBlocks,
    /// Others changed the blob again and again meanwhile.
    #[error("The blob was changed by other requests while this one was carried out; send it again.")]
    Overtaken,
    /// The bytes could not be taken in.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

impl From<StoreError> for BlobHostError {
    fn from(error: StoreError) -> Self {
        Self::Payload(error.into())
    }
}

impl From<BlobError> for BlobHostError {
    fn from(error: BlobError) -> Self {
        Self::Payload(error.into())
    }
}

fn words(unmet: Unmet) -> &'static str {
    match unmet {
        Unmet::Condition => "The condition specified using HTTP conditional header(s) is not met.",
        Unmet::Exists => "The specified blob already exists.",
        Unmet::NotModified => "The blob is the one the client has.",
        Unmet::Overwrite => "This link allows to create the blob, not to write over it.",
    }
}

/// A blob to be put.
#[derive(Debug, Clone)]
pub struct Put {
    /// Where.
    pub path: BlobPath,
    /// On what conditions.
    pub conditions: Conditions,
    /// What the client says it is.
    pub content_type: String,
    /// The MD5 the client says it has.
    pub md5: Option<[u8; 16]>,
}

/// Makes a path known for a client to upload to; what the client calls the blob need not be new (PKG-2).
///
/// # Errors
/// [`StoreError`].
pub async fn reserve(
    context: &Context,
    client: &str,
    chosen: &str,
    now: Timestamp,
) -> Result<(CorrelationId, BlobPath), StoreError> {
    let (id, path) = BlobPath::generate(chosen);
    let times = (now, reserved_until(context, now));
    let owner = &context.owner;
    context.store.add_dmf_blob(&path, client, None, owner, times).await?;
    Ok((id, path))
}

/// A path outlives the link to it by a day at least: nothing may be put where housekeeping has been.
fn reserved_until(context: &Context, now: Timestamp) -> Timestamp {
    let link = i64::from(context.limits.blobs.upload_link_seconds) + DAY_SECONDS;
    now.plus_seconds(link.max(kept_seconds(context)))
}

/// Until when a content is kept that is put now.
pub(super) fn kept_until(context: &Context, now: Timestamp) -> Timestamp {
    now.plus_seconds(kept_seconds(context))
}

fn kept_seconds(context: &Context) -> i64 {
    i64::from(context.limits.blobs.retention_days) * DAY_SECONDS
}

/// What is at a path.
///
/// # Errors
/// [`BlobHostError::Missing`] when nothing is, or the store failed.
pub async fn find(context: &Context, path: &BlobPath) -> Result<(DmfBlob, DmfContent), BlobHostError> {
    let blob = context.store.dmf_blob(path, context.clock.now()).await?;
    let mut blob = blob.ok_or(BlobHostError::Missing)?;
    let found = blob.content.take().ok_or(BlobHostError::Missing)?;
    Ok((blob, found))
}

/// Opens a content from its start; its digest is verified on the way.
///
/// # Errors
/// [`BlobError`].
pub async fn read(context: &Context, of: &DmfContent) -> Result<BlobReader, BlobError> {
    context.blobs.reader(&of.key, of.digest).await
}

/// Whether a put would be refused as things stand, before its body is read.
///
/// # Errors
/// [`BlobHostError::Missing`], [`BlobHostError::Unmet`].
pub async fn check(context: &Context, path: &BlobPath, conditions: &Conditions) -> Result<(), BlobHostError> {
    let blob = context.store.dmf_blob(path, context.clock.now()).await?;
    let there = blob.ok_or(BlobHostError::Missing)?.content;
    let version = there.as_ref().map(DmfContent::version);
    conditions.check_write(version.as_ref()).map_err(BlobHostError::Unmet)
}

/// Puts a blob in one go. What is returned is on stable storage.
///
/// # Errors
/// [`BlobHostError`]; nothing is stored.
pub async fn put<S, E>(context: &Context, put: Put, body: S) -> Result<DmfContent, BlobHostError>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    check(context, &put.path, &put.conditions).await?;
    let received = receive(context, of_client(body), put.md5).await?;
    store(context, put, received, PutExtra::default()).await
}

/// Puts a block, to be committed later; its MD5.
///
/// # Errors
/// [`BlobHostError`]; nothing is stored.
pub async fn put_block<S, E>(
    context: &Context,
    path: &BlobPath,
    id: &str,
    md5: Option<[u8; 16]>,
    body: S,
) -> Result<[u8; 16], BlobHostError>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    check(context, path, &Conditions::default()).await?;
    let Received {
        upload,
        bytes,
        digest,
        md5,
    } = receive(context, of_client(body), md5).await?;
    let block = Block {
        key: upload.key.clone(),
        bytes,
        digest,
    };
    let max_bytes = context.limits.queue.max_payload_bytes;
    let max = StagedMax {
        blocks: STAGED_BLOCKS_MAX,
        bytes: max_bytes,
    };
    match context
        .store
        .put_dmf_block(path, id, block, max, context.clock.now())
        .await?
    {
        BlockPut::Done => {
            upload.keep();
            Ok(md5)
        }
        BlockPut::Missing => Err(BlobHostError::Missing),
        BlockPut::Lost => Err(PayloadError::Lost.into()),
        BlockPut::TooMany => Err(BlobHostError::TooManyBlocks),
        BlockPut::TooLarge => Err(PayloadError::TooLarge { max_bytes }.into()),
    }
}

/// Takes a blob's content away.
///
/// # Errors
/// [`BlobHostError::Missing`], [`BlobHostError::Unmet`].
pub async fn delete(context: &Context, path: &BlobPath, conditions: Conditions) -> Result<(), BlobHostError> {
    let changed = context
        .store
        .delete_dmf_content(path, conditions, context.clock.now())
        .await?;
    outcome(changed)
}

fn outcome(changed: Changed) -> Result<(), BlobHostError> {
    match changed {
        Changed::Done => Ok(()),
        Changed::Missing => Err(BlobHostError::Missing),
        Changed::Unmet(unmet) => Err(BlobHostError::Unmet(unmet)),
        Changed::Lost => Err(PayloadError::Lost.into()),
        Changed::Overtaken => Err(BlobHostError::Overtaken),
    }
}

/// Bytes that are durable and that no row names yet.
struct Received {
    upload: Upload,
    bytes: u64,
    digest: Digest,
    md5: [u8; 16],
}

/// What ends a stream of bytes before its time.
enum Cut {
    /// The client, in the transport's words.
    Client(String),
    /// The blob store they are copied from.
    Store(BlobError),
}

fn of_client<S, E>(body: S) -> impl Stream<Item = Result<Bytes, Cut>>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    body.map(|chunk| chunk.map_err(|error| Cut::Client(error.to_string())))
}

/// Streams bytes into a blob of their own.
async fn receive(
    context: &Context,
    body: impl Stream<Item = Result<Bytes, Cut>>,
    expected: Option<[u8; 16]>,
) -> Result<Received, BlobHostError> {
    let max_bytes = context.limits.queue.max_payload_bytes;
    let mut upload = Upload::begin(context).await?;
    let mut hasher = ContentHasher::new();
    let mut body = std::pin::pin!(body);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|cut| match cut {
            Cut::Client(detail) => BlobHostError::Interrupted {
                bytes: hasher.count(),
                detail,
            },
            Cut::Store(error) => error.into(),
        })?;
        hasher.update(&chunk);
        if hasher.count() > max_bytes {
            return Err(PayloadError::TooLarge { max_bytes }.into());
        }
        upload.write(chunk).await?;
    }
    let bytes = hasher.count();
    let (digest, md5) = hasher.finish();
    compare(md5, expected)?;
    upload.finish().await?;
    Ok(Received {
        upload,
        bytes,
        digest,
        md5,
    })
}

/// Whether bytes that are all there are the ones the client described.
///
/// # Errors
/// [`BlobHostError::Md5Mismatch`].
pub fn verify_md5(bytes: &[u8], expected: [u8; 16]) -> Result<(), BlobHostError> {
    let mut hasher = ContentHasher::new();
    hasher.update(bytes);
    compare(hasher.finish().1, Some(expected))
}

fn compare(md5: [u8; 16], expected: Option<[u8; 16]>) -> Result<(), BlobHostError> {
    match expected {
        Some(expected) if expected != md5 => Err(BlobHostError::Md5Mismatch {
            found: base64(&md5),
            expected: base64(&expected),
        }),
        _ => Ok(()),
    }
}

/// As `Content-MD5` has it.
fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// What a plain put has nothing of.
#[derive(Debug, Default)]
struct PutExtra {
    layout: Option<String>,
    base: Option<Base>,
    copied: Option<String>,
}

/// Lets the path's row name what was received.
async fn store(context: &Context, put: Put, received: Received, extra: PutExtra) -> Result<DmfContent, BlobHostError> {
    let now = context.clock.now();
    let stored = DmfContent {
        key: received.upload.key.clone(),
        bytes: received.bytes,
        digest: received.digest,
        md5: received.md5,
        content_type: put.content_type,
        written_at: now,
    };
    let change = PutContent {
        content: stored.clone(),
        layout: extra.layout,
        conditions: put.conditions,
        base: extra.base,
        copied: extra.copied,
        keep_until: kept_until(context, now),
    };
    outcome(context.store.put_dmf_content(&put.path, change, now).await?)?;
    received.upload.keep();
    Ok(stored)
}
