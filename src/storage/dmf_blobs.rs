//! Blobs of the blob host: what is at which path, and the upload rows its bytes hang on.
//!
//! A content and a block each own an upload row in state `used`; whatever takes their place, or ends them, moves that row to
//! `dead` in the same transaction, and the sweep deletes the bytes (promise 1).

use super::dialect::sql;
use super::pool::{Tx, execute, fetch_all, fetch_optional};
use super::rows::{corrupt, stored, unsigned};
use super::{Store, StoreError};
use crate::domain::dmf::{BlobPath, Conditions, Unmet, Version};
use crate::domain::ids::BlobKey;
use crate::domain::message::Digest;
use crate::domain::time::Timestamp;

/// Expired blobs removed in one go.
const PORTION: usize = 50;

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmfBlob {
    /// Where it is.
    pub path: BlobPath,
    /// The client that asked for its link.
    pub client: String,
    /// From when on it is not there.
    pub expires_at: Timestamp,
    /// What was put, if anything was.
    pub content: Option<DmfContent>,
    /// Where the blob store itself takes it from the client.
    pub direct: Option<Direct>,
}

/// The content of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmfContent {
    /// Where its bytes are; its own.
    pub key: BlobKey,
    /// How many.
    pub bytes: u64,
    /// Their SHA-256.
    pub digest: Digest,
    /// Their MD5, which is what clients of Azure storage compare.
    pub md5: [u8; 16],
    /// What the client says it is.
    pub content_type: String,
    /// When it was put.
    pub written_at: Timestamp,
}

impl DmfContent {
    /// Which content it is.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::of(&self.key, self.written_at)
    }
}

/// An object that a client writes by the blob store's own link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Direct {
    /// Its key.
    pub key: BlobKey,
    /// The version of it that the content is a copy of.
    pub copied: Option<String>,
}

/// A content to be put.
#[derive(Debug, Clone)]
pub struct PutContent {
    /// The content; its upload row is open.
    pub content: DmfContent,
    /// The blocks it was committed from.
    pub layout: Option<String>,
    /// On what conditions.
    pub conditions: Conditions,
    /// Of a commit: what it was made from.
    pub base: Option<Base>,
    /// Of a copy: the version of the client's object.
    pub copied: Option<String>,
    /// It is kept at least until then.
    pub keep_until: Timestamp,
}

/// What a commit of blocks was made from.
#[derive(Debug, Clone)]
pub struct Base {
    /// The content there was.
    pub key: Option<BlobKey>,
    /// The number of the last block that was there.
    pub blocks_put: i64,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It was made.
    Done,
    /// There is nothing at this path.
    Missing,
    /// A condition does not hold.
    Unmet(Unmet),
    /// The upload's row was taken from it.
    Lost,
    /// What it was made from is not there any more.
    Overtaken,
}

/// Path, key and direct key of a blob that has expired.
type Expired = (String, Option<String>, Option<String>);

/// A row of `dmf_blobs` without its layout.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct BlobRow {
    path: String,
    client: String,
    expires_at: i64,
    key: Option<String>,
    bytes: Option<i64>,
    digest: Option<Vec<u8>>,
    md5: Option<Vec<u8>>,
    content_type: Option<String>,
    written_at: Option<i64>,
    pub(super) blocks_put: i64,
    pub(super) staged_blocks: i64,
    pub(super) staged_bytes: i64,
    direct_key: Option<String>,
    direct_version: Option<String>,
}

const COLUMNS: &str = "path, client, expires_at, key, bytes, digest, md5, content_type, written_at, blocks_put, \
    staged_blocks, staged_bytes, direct_key, direct_version";

impl BlobRow {
    fn version(&self) -> Option<Version> {
        let key = BlobKey(self.key.clone()?);
        Some(Version::of(&key, Timestamp(self.written_at.unwrap_or_default())))
    }

    pub(super) fn read(self) -> Result<DmfBlob, StoreError> {
        let path = self.path;
        let bad = |column| corrupt("dmf_blobs", column, &path, "not what a content has");
        let content = match self.key {
            None => None,
            Some(key) => Some(DmfContent {
                key: BlobKey(key),
                bytes: unsigned("dmf_blobs", "bytes", &path, self.bytes.unwrap_or(-1))?,
                digest: Digest(fixed(self.digest).ok_or_else(|| bad("digest"))?),
                md5: fixed(self.md5).ok_or_else(|| bad("md5"))?,
                content_type: self.content_type.ok_or_else(|| bad("content_type"))?,
                written_at: Timestamp(self.written_at.ok_or_else(|| bad("written_at"))?),
            }),
        };
        let direct = self.direct_key.map(|key| Direct {
            key: BlobKey(key),
            copied: self.direct_version,
        });
        Ok(DmfBlob {
            path: BlobPath::read(&path).ok_or_else(|| bad("path"))?,
            client: self.client,
            expires_at: Timestamp(self.expires_at),
            content,
            direct,
        })
    }
}

pub(super) fn fixed<const LENGTH: usize>(bytes: Option<Vec<u8>>) -> Option<[u8; LENGTH]> {
    bytes?.try_into().ok()
}

/// The row at a path, kept as it is until the transaction ends.
pub(super) async fn locked(tx: &mut Tx, path: &BlobPath, now: Timestamp) -> Result<Option<BlobRow>, StoreError> {
    let lock = tx.dialect().lock_row();
    let text = format!("select {COLUMNS} from dmf_blobs where path = $1 and expires_at > $2{lock}");
    Ok(fetch_optional!(
        tx.db(),
        BlobRow,
        sql(text),
        path.as_str(),
        now.micros()
    )?)
}

/// Moves an upload row from `open` to `used`. `false`: it was given up.
pub(super) async fn take_upload(tx: &mut Tx, key: &BlobKey) -> Result<bool, StoreError> {
    let text = "update uploads set state = 'used' where key = $1 and state = 'open'";
    Ok(execute!(tx.db(), text, key.0.as_str())? == 1)
}

/// Gives the bytes under a key to the sweep.
pub(super) async fn release(tx: &mut Tx, key: &str, now: Timestamp) -> Result<(), StoreError> {
    let text = "update uploads set state = 'dead', beat_at = $2 where key = $1 and state = 'used'";
    execute!(tx.db(), text, key, now.micros())?;
    Ok(())
}

/// Ends the blocks of a path up to this number.
async fn release_blocks(tx: &mut Tx, path: &str, up_to: i64, now: Timestamp) -> Result<(), StoreError> {
    let text = "update uploads set state = 'dead', beat_at = $3 where state = 'used' \
        and key in (select b.key from dmf_blocks b where b.path = $1 and b.number <= $2)";
    execute!(tx.db(), text, path, up_to, now.micros())?;
    let text = "delete from dmf_blocks where path = $1 and number <= $2";
    execute!(tx.db(), text, path, up_to)?;
    let text = "update dmf_blobs set staged_blocks = (select count(*) from dmf_blocks b where b.path = $1), \
        staged_bytes = (select cast(coalesce(sum(b.bytes), 0) as bigint) from dmf_blocks b where b.path = $1) where path = $1";
    execute!(tx.db(), text, path)?;
    Ok(())
}

impl Store {
    /// Makes a path known, before its link is told. With `direct`, a used upload row for that key goes along, so that what a
    /// client may put there is removed with the path.
    ///
    /// # Errors
    /// [`StoreError::Driver`], also when the path is taken: none is made twice.
    pub async fn add_dmf_blob(
        &self,
        path: &BlobPath,
        client: &str,
        direct: Option<&BlobKey>,
        owner: &str,
        (now, expires_at): (Timestamp, Timestamp),
    ) -> Result<(), StoreError> {
        let (path, client, owner, direct) = (path.clone(), client.to_owned(), owner.to_owned(), direct.cloned());
        self.write(move |tx| {
            Box::pin(async move {
                if let Some(key) = &direct {
                    let text =
                        "insert into uploads (key, state, owner, created_at, beat_at) values ($1, 'used', $2, $3, $3)";
                    execute!(tx.db(), text, key.0.as_str(), owner.as_str(), now.micros())?;
                }
                let text = "insert into dmf_blobs (path, client, created_at, expires_at, direct_key) values ($1, $2, $3, $4, $5)";
                let direct = direct.as_ref().map(|key| key.0.as_str());
                let (from, until) = (now.micros(), expires_at.micros());
                execute!(tx.db(), text, path.as_str(), client.as_str(), from, until, direct)?;
                Ok(())
            })
        })
        .await
    }

    /// What is at a path now.
    pub async fn dmf_blob(&self, path: &BlobPath, now: Timestamp) -> Result<Option<DmfBlob>, StoreError> {
        let text = format!("select {COLUMNS} from dmf_blobs where path = $1 and expires_at > $2");
        let row: Option<BlobRow> = fetch_optional!(self.reader(), BlobRow, sql(text), path.as_str(), now.micros())?;
        row.map(BlobRow::read).transpose()
    }

    /// The blob that a client puts under this key by the store's own link.
    pub async fn dmf_blob_by_direct_key(&self, key: &BlobKey, now: Timestamp) -> Result<Option<DmfBlob>, StoreError> {
        let text = format!("select {COLUMNS} from dmf_blobs where direct_key = $1 and expires_at > $2");
        let row: Option<BlobRow> = fetch_optional!(self.reader(), BlobRow, sql(text), key.0.as_str(), now.micros())?;
        row.map(BlobRow::read).transpose()
    }

    /// Puts a content, whose bytes are durable, in place of what there is. Blocks that were not committed go, but for those
    /// put after the commit looked.
    pub async fn put_dmf_content(
        &self,
        path: &BlobPath,
        put: PutContent,
        now: Timestamp,
    ) -> Result<Changed, StoreError> {
        let path = path.clone();
        self.write(move |tx| Box::pin(async move { replace(tx, &path, &put, now).await }))
            .await
    }

    /// Ends a commit that makes of the blob what it is already: only uncommitted blocks go.
    pub async fn keep_dmf_content(
        &self,
        path: &BlobPath,
        base: Base,
        conditions: Conditions,
        now: Timestamp,
    ) -> Result<Changed, StoreError> {
        let path = path.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let Some(row) = locked(tx, &path, now).await? else {
                    return Ok(Changed::Missing);
                };
                if row.key != base.key.map(|key| key.0) {
                    return Ok(Changed::Overtaken);
                }
                if let Err(unmet) = conditions.check_write(row.version().as_ref()) {
                    return Ok(Changed::Unmet(unmet));
                }
                release_blocks(tx, path.as_str(), base.blocks_put, now).await?;
                Ok(Changed::Done)
            })
        })
        .await
    }

    /// Takes the content away. The path stays, and its link may fill it again.
    pub async fn delete_dmf_content(
        &self,
        path: &BlobPath,
        conditions: Conditions,
        now: Timestamp,
    ) -> Result<Changed, StoreError> {
        let path = path.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let row = locked(tx, &path, now).await?;
                let Some((row, key)) = row.and_then(|row| row.key.clone().map(|key| (row, key))) else {
                    return Ok(Changed::Missing);
                };
                if let Err(unmet) = conditions.check_write(row.version().as_ref()) {
                    return Ok(Changed::Unmet(unmet));
                }
                release(tx, &key, now).await?;
                let text = "update dmf_blobs set key = null, bytes = null, digest = null, md5 = null, content_type = null, \
                    written_at = null, layout = null where path = $1";
                execute!(tx.db(), text, path.as_str())?;
                release_blocks(tx, path.as_str(), row.blocks_put, now).await?;
                Ok(Changed::Done)
            })
        })
        .await
    }

    /// Removes a portion of the blobs that have expired, and gives their bytes to the sweep; how many.
    pub(super) async fn release_dmf_blobs(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let text = format!(
                    "select path, key, direct_key from dmf_blobs where expires_at <= $1 order by expires_at limit {PORTION}{}",
                    tx.dialect().skip_locked()
                );
                let expired: Vec<Expired> = fetch_all!(tx.db(), Expired, sql(text), now.micros())?;
                for (path, key, direct) in &expired {
                    for key in [key, direct].into_iter().flatten() {
                        release(tx, key, now).await?;
                    }
                    release_blocks(tx, path, i64::MAX, now).await?;
                    execute!(tx.db(), "delete from dmf_blobs where path = $1", path.as_str())?;
                }
                Ok(expired.len() as u64)
            })
        })
        .await
    }
}

async fn replace(tx: &mut Tx, path: &BlobPath, put: &PutContent, now: Timestamp) -> Result<Changed, StoreError> {
    let Some(row) = locked(tx, path, now).await? else {
        return Ok(Changed::Missing);
    };
    let base_key = put.base.as_ref().map(|base| base.key.as_ref().map(|key| &key.0));
    if base_key.is_some_and(|key| row.key.as_ref() != key) {
        return Ok(Changed::Overtaken);
    }
    if let Err(unmet) = put.conditions.check_write(row.version().as_ref()) {
        return Ok(Changed::Unmet(unmet));
    }
    let content = &put.content;
    if !take_upload(tx, &content.key).await? {
        return Ok(Changed::Lost);
    }
    if let Some(old) = &row.key {
        release(tx, old, now).await?;
    }
    let text = "update dmf_blobs set key = $2, bytes = $3, digest = $4, md5 = $5, content_type = $6, written_at = $7, layout = $8, \
        direct_version = $9, expires_at = case when expires_at < $10 then $10 else expires_at end where path = $1";
    execute!(
        tx.db(),
        text,
        path.as_str(),
        content.key.0.as_str(),
        stored(content.bytes),
        content.digest.0.as_slice(),
        content.md5.as_slice(),
        content.content_type.as_str(),
        content.written_at.micros(),
        put.layout.as_deref(),
        put.copied.as_deref(),
        put.keep_until.micros()
    )?;
    let up_to = put.base.as_ref().map_or(row.blocks_put, |base| base.blocks_put);
    release_blocks(tx, path.as_str(), up_to, now).await?;
    Ok(Changed::Done)
}
