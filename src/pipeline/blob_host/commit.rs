//! Committing a list of blocks: one blob is made of them, in the list's order, and takes the place of what was there.
//!
//! Blocks are small and of any size, so they cannot be parts of an upload to a bucket: they are copied, and hashed on the way. A
//! commit is made from what was there at one moment; if the content is another one when it is through, it begins anew.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};

use super::{BlobHostError, Cut, Put, PutExtra, outcome, receive, store};
use crate::blob::{BlobError, ByteStream};
use crate::domain::dmf::BlobPath;
use crate::domain::ids::BlobKey;
use crate::pipeline::Context;
use crate::pipeline::payload::PayloadError;
use crate::storage::dmf_blobs::DmfContent;
use crate::storage::dmf_blocks::{Block, Staged};

/// Most blocks a list may name, as with Azure.
pub const BLOCKS_MAX: usize = 50_000;
/// How often a commit begins anew when others change the blob meanwhile.
const ATTEMPTS: usize = 5;

/// Where a block of a list is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// In the content there is.
    Committed,
    /// Among those put since.
    Uncommitted,
    /// Among those put since, then in the content.
    Latest,
}

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Where the block is.
    pub pick: Pick,
    /// Its id.
    pub id: String,
}

/// A block and where its bytes are.
#[derive(Debug, Clone)]
enum Piece {
    /// Put since.
    Staged(Block),
    /// In the content.
    Content { key: BlobKey, from: u64, bytes: u64 },
}

impl Piece {
    fn bytes(&self) -> u64 {
        match self {
            Self::Staged(block) => block.bytes,
            Self::Content { bytes, .. } => *bytes,
        }
    }
}

/// Makes the blob of these blocks. Runs to its end also when the client leaves, so that one that asks again finds it done.
///
/// # Errors
/// [`BlobHostError`]; nothing has changed.
pub async fn commit(context: &Context, put: Put, list: Vec<Listed>) -> Result<DmfContent, BlobHostError> {
    let (runtime, context) = (context.runtime.clone(), context.clone());
    let committing = runtime.spawn(async move {
        for _ in 0..ATTEMPTS {
            match attempt(&context, &put, &list).await {
                // A block that was there is not: somebody committed or replaced it.
                Err(BlobHostError::Overtaken | BlobHostError::Payload(PayloadError::Blob(BlobError::Missing(_)))) => {}
                other => return other,
            }
        }
        Err(BlobHostError::Overtaken)
    });
    // Only the end of the runtime cancels it.
    committing
        .await
        .unwrap_or(Err(BlobHostError::Payload(PayloadError::Lost)))
}

async fn attempt(context: &Context, put: &Put, list: &[Listed]) -> Result<DmfContent, BlobHostError> {
    let now = context.clock.now();
    let staged = context.store.dmf_staged(&put.path, now).await?;
    let staged = staged.ok_or(BlobHostError::Missing)?;
    let there = staged.blob.content.as_ref();
    let version = there.map(DmfContent::version);
    put.conditions
        .check_write(version.as_ref())
        .map_err(BlobHostError::Unmet)?;
    let before = read_layout(staged.layout.as_deref());
    let pieces = resolve(list, &staged, &before)?;
    let max_bytes = context.limits.queue.max_payload_bytes;
    let total = pieces
        .iter()
        .fold(0_u64, |sum, piece| sum.saturating_add(piece.bytes()));
    if total > max_bytes {
        return Err(PayloadError::TooLarge { max_bytes }.into());
    }
    let layout = layout(list, &pieces);
    let committed = pieces.iter().all(|piece| matches!(piece, Piece::Content { .. }));
    // What a client gets that asks once more, because the answer took too long for it.
    if let Some(there) = there.filter(|_| committed && staged.layout.as_deref() == Some(layout.as_str())) {
        let kept = context
            .store
            .keep_dmf_content(&put.path, staged.base, put.conditions.clone(), now);
        return outcome(kept.await?).map(|()| there.clone());
    }
    let received = receive(context, bytes_of(context.clone(), pieces), put.md5).await?;
    if received.bytes != total {
        let flaw = format!("the blocks of {} have {} bytes, not {total}", put.path, received.bytes);
        return Err(BlobError::failed(flaw).into());
    }
    let extra = PutExtra {
        layout: Some(layout),
        base: Some(staged.base),
        copied: None,
    };
    store(context, put.clone(), received, extra).await
}

/// Finds each block of a list.
fn resolve(list: &[Listed], staged: &Staged, before: &[(String, u64)]) -> Result<Vec<Piece>, BlobHostError> {
    let mut committed: HashMap<&str, Piece> = HashMap::new();
    if let Some(content) = &staged.blob.content {
        let mut from = 0;
        for (id, bytes) in before {
            let (key, bytes) = (content.key.clone(), *bytes);
            committed.entry(id).or_insert(Piece::Content { key, from, bytes });
            from += bytes;
        }
    }
    let of = |listed: &Listed| {
        let waiting = || staged.blocks.get(&listed.id).cloned().map(Piece::Staged);
        let there = || committed.get(listed.id.as_str()).cloned();
        let found = match listed.pick {
            Pick::Committed => there(),
            Pick::Uncommitted => waiting(),
            Pick::Latest => waiting().or_else(there),
        };
        found.ok_or_else(|| BlobHostError::InvalidBlockList {
            block: listed.id.clone(),
        })
    };
    list.iter().map(of).collect()
}

/// The blocks' bytes, one block after the other.
fn bytes_of(context: Context, pieces: Vec<Piece>) -> impl Stream<Item = Result<Bytes, Cut>> {
    stream::iter(pieces)
        .then(move |piece| {
            let context = context.clone();
            async move {
                match open(&context, piece).await {
                    Ok(bytes) => bytes.map(|chunk| chunk.map_err(Cut::Store)).boxed(),
                    Err(error) => stream::iter([Err(Cut::Store(error))]).boxed(),
                }
            }
        })
        .flatten()
}

async fn open(context: &Context, piece: Piece) -> Result<ByteStream, BlobError> {
    match piece {
        Piece::Staged(block) => {
            let reader = context.blobs.reader(&block.key, block.digest).await?;
            Ok(reader.into_stream().boxed())
        }
        Piece::Content { key, from, bytes } => context.blobs.range(&key, from..from + bytes).await,
    }
}

fn read_layout(layout: Option<&str>) -> Vec<(String, u64)> {
    layout
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn layout(list: &[Listed], pieces: &[Piece]) -> String {
    let blocks: Vec<(&str, u64)> = list
        .iter()
        .zip(pieces)
        .map(|(listed, piece)| (listed.id.as_str(), piece.bytes()))
        .collect();
    serde_json::to_string(&blocks).unwrap_or_default()
}

/// The blocks of a blob with their sizes.
#[derive(Debug)]
pub struct Blocks {
    /// Those of its content, in order; none where it was put in one go.
    pub committed: Vec<(String, u64)>,
    /// Those put since.
    pub uncommitted: Vec<(String, u64)>,
    /// The content.
    pub content: Option<DmfContent>,
}

/// The blocks of a blob, committed and not.
///
/// # Errors
/// [`BlobHostError::Missing`].
pub async fn blocks(context: &Context, path: &BlobPath) -> Result<Blocks, BlobHostError> {
    let staged = context.store.dmf_staged(path, context.clock.now()).await?;
    let staged = staged.ok_or(BlobHostError::Missing)?;
    let mut uncommitted: Vec<(String, u64)> = staged.blocks.into_iter().map(|(id, b)| (id, b.bytes)).collect();
    uncommitted.sort();
    Ok(Blocks {
        committed: read_layout(staged.layout.as_deref()),
        uncommitted,
        content: staged.blob.content,
    })
}
