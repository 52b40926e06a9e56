//! Blocks of the blob host: put one by one, in any order, until a list commits some of them.

use std::collections::HashMap;

use super::dmf_blobs::{Base, BlobRow, DmfBlob, fixed, locked, release, take_upload};
use super::pool::{execute, fetch_all, fetch_optional};
use super::rows::{corrupt, stored, unsigned};
use super::{Store, StoreError};
use crate::domain::dmf::BlobPath;
use crate::domain::ids::BlobKey;
use crate::domain::message::Digest;
use crate::domain::time::Timestamp;

/// A block whose bytes are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Where they are; its own.
    pub key: BlobKey,
    /// How many.
    pub bytes: u64,
    /// Their SHA-256.
    pub digest: Digest,
}

/// How much may wait to be committed to one blob.
#[derive(Debug, Clone, Copy)]
pub struct StagedMax {
    /// Blocks.
    pub blocks: i64,
    /// Their bytes.
    pub bytes: u64,
}

/// What became of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockPut {
    /// It waits to be committed.
    Done,
    /// There is nothing at this path.
    Missing,
    /// The upload's row was taken from it.
    Lost,
    /// There are too many.
    TooMany,
    /// They are too large together.
    TooLarge,
}

/// A blob with all that a commit may name.
#[derive(Debug, Clone)]
pub struct Staged {
    /// The blob.
    pub blob: DmfBlob,
    /// What it was when this was read.
    pub base: Base,
    /// The blocks of its content.
    pub layout: Option<String>,
    /// The blocks that were put since.
    pub blocks: HashMap<String, Block>,
}

#[derive(Debug, sqlx::FromRow)]
struct BlockRow {
    block: String,
    key: String,
    bytes: i64,
    digest: Vec<u8>,
}

impl Store {
    /// Notes a block, in place of the one with the same id.
    pub async fn put_dmf_block(
        &self,
        path: &BlobPath,
        id: &str,
        block: Block,
        max: StagedMax,
        now: Timestamp,
    ) -> Result<BlockPut, StoreError> {
        let (path, id) = (path.clone(), id.to_owned());
        self.write(move |tx| {
            Box::pin(async move {
                let Some(row) = locked(tx, &path, now).await? else {
                    return Ok(BlockPut::Missing);
                };
                let text = "select key, bytes from dmf_blocks where path = $1 and block = $2";
                let before: Option<(String, i64)> =
                    fetch_optional!(tx.db(), (String, i64), text, path.as_str(), id.as_str())?;
                let blocks = row.staged_blocks + i64::from(before.is_none());
                let bytes = row.staged_bytes - before.as_ref().map_or(0, |(_, bytes)| *bytes) + stored(block.bytes);
                if blocks > max.blocks {
                    return Ok(BlockPut::TooMany);
                }
                if bytes > stored(max.bytes) {
                    return Ok(BlockPut::TooLarge);
                }
                if !take_upload(tx, &block.key).await? {
                    return Ok(BlockPut::Lost);
                }
                if let Some((key, _)) = &before {
                    release(tx, key, now).await?;
                }
                let text = "insert into dmf_blocks (path, block, key, bytes, digest, number) values ($1, $2, $3, $4, $5, $6) \
                    on conflict (path, block) do update set key = excluded.key, bytes = excluded.bytes, \
                    digest = excluded.digest, number = excluded.number";
                execute!(
                    tx.db(),
                    text,
                    path.as_str(),
                    id.as_str(),
                    block.key.0.as_str(),
                    stored(block.bytes),
                    block.digest.0.as_slice(),
                    row.blocks_put + 1
                )?;
                let text =
                    "update dmf_blobs set blocks_put = $2, staged_blocks = $3, staged_bytes = $4 where path = $1";
                execute!(tx.db(), text, path.as_str(), row.blocks_put + 1, blocks, bytes)?;
                Ok(BlockPut::Done)
            })
        })
        .await
    }

    /// A blob and its blocks, as of one moment.
    pub async fn dmf_staged(&self, path: &BlobPath, now: Timestamp) -> Result<Option<Staged>, StoreError> {
        let path = path.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let Some(row) = locked(tx, &path, now).await? else {
                    return Ok(None);
                };
                let text = "select layout from dmf_blobs where path = $1";
                let layout: Option<(Option<String>,)> =
                    fetch_optional!(tx.db(), (Option<String>,), text, path.as_str())?;
                let text = "select block, key, bytes, digest from dmf_blocks where path = $1";
                let rows: Vec<BlockRow> = fetch_all!(tx.db(), BlockRow, text, path.as_str())?;
                let blocks = rows.into_iter().map(|row| row.read(&path)).collect::<Result<_, _>>()?;
                staged(row, layout.and_then(|(layout,)| layout), blocks).map(Some)
            })
        })
        .await
    }
}

fn staged(row: BlobRow, layout: Option<String>, blocks: HashMap<String, Block>) -> Result<Staged, StoreError> {
    let blocks_put = row.blocks_put;
    let blob = row.read()?;
    let key = blob.content.as_ref().map(|content| content.key.clone());
    Ok(Staged {
        base: Base { key, blocks_put },
        blob,
        layout,
        blocks,
    })
}

impl BlockRow {
    fn read(self, path: &BlobPath) -> Result<(String, Block), StoreError> {
        let digest = fixed(Some(self.digest));
        let block = Block {
            key: BlobKey(self.key),
            bytes: unsigned("dmf_blocks", "bytes", path, self.bytes)?,
            digest: Digest(digest.ok_or_else(|| corrupt("dmf_blocks", "digest", path, "not 32 bytes"))?),
        };
        Ok((self.block, block))
    }
}
