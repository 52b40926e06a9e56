//! Upload rows: who is writing which blob, so that the sweep never deletes what a message names (promise 1).
//!
//! States: `open` (being written; its owner beats) → `used` (a message names it) or `dead` (abandoned) → row deleted after
//! the blob was. Each arrow is one guarded statement, so of an insert and a sweep one fails.

use super::dialect::sql;
use super::error::taken;
use super::pool::{execute, fetch_all, fetch_optional};
use super::{Store, StoreError};
use crate::domain::ids::BlobKey;
use crate::domain::time::Timestamp;

/// Finds a blob that something names.
pub(super) const KEPT: &str = "select 1 from uploads where key = $1 and state = 'used'";

impl Store {
    /// Commits an `open` row before the first byte of the blob is written.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the key was used before.
    pub async fn begin_upload(&self, key: &BlobKey, owner: &str, now: Timestamp) -> Result<(), StoreError> {
        let (key, owner) = (key.clone(), owner.to_owned());
        self.write(move |tx| {
            Box::pin(async move {
                let text =
                    "insert into uploads (key, state, owner, created_at, beat_at) values ($1, 'open', $2, $3, $3)";
                execute!(tx.db(), text, key.0.as_str(), owner.as_str(), now.micros())
                    .map_err(|e| taken(e, "upload", &key.0))?;
                Ok(())
            })
        })
        .await
    }

    /// Says the owner is alive. `false` when the row is no longer open: the upload has lost.
    pub async fn beat_upload(&self, key: &BlobKey, now: Timestamp) -> Result<bool, StoreError> {
        let key = key.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let text = "update uploads set beat_at = $2 where key = $1 and state = 'open'";
                let rows = execute!(tx.db(), text, key.0.as_str(), now.micros())?;
                Ok(rows == 1)
            })
        })
        .await
    }

    /// Moves an open row to `dead`. `false` when it was not open.
    pub async fn abandon_upload(&self, key: &BlobKey, now: Timestamp) -> Result<bool, StoreError> {
        let key = key.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let text = "update uploads set state = 'dead', beat_at = $2 where key = $1 and state = 'open'";
                let rows = execute!(tx.db(), text, key.0.as_str(), now.micros())?;
                Ok(rows == 1)
            })
        })
        .await
    }

    /// Moves up to `limit` open rows whose last beat is before `stale_before` to `dead`, and returns up to `limit` dead keys.
    /// Passes over rows that are being used or beat at this moment: waiting for a batch of them, in an order of its own,
    /// would be a deadlock.
    pub async fn dead_uploads(
        &self,
        stale_before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<BlobKey>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let text = format!(
                    "update uploads set state = 'dead', beat_at = $2 where state = 'open' and key in \
                     (select key from uploads where state = 'open' and beat_at < $1 order by beat_at, key limit {limit}{})",
                    tx.dialect().skip_locked()
                );
                execute!(tx.db(), sql(text), stale_before.micros(), now.micros())?;
                let text = "select key from uploads where state = 'dead' order by beat_at, key limit $1";
                let keys: Vec<(String,)> = fetch_all!(tx.db(), (String,), text, i64::from(limit))?;
                Ok(keys.into_iter().map(|(key,)| BlobKey(key)).collect())
            })
        })
        .await
    }

    /// Whether a message's blob is still kept.
    pub async fn is_blob_kept(&self, key: &BlobKey) -> Result<bool, StoreError> {
        let kept: Option<(i32,)> = fetch_optional!(self.reader(), (i32,), KEPT, key.0.as_str())?;
        Ok(kept.is_some())
    }

    /// Whether no message names this upload and none will: its row is dead, or gone.
    pub async fn is_upload_gone(&self, key: &BlobKey) -> Result<bool, StoreError> {
        let text = "select state from uploads where key = $1";
        let state: Option<(String,)> = fetch_optional!(self.reader(), (String,), text, key.0.as_str())?;
        Ok(state.is_none_or(|(state,)| state == "dead"))
    }

    /// Puts a dead row at the end of the line.
    pub async fn postpone_upload(&self, key: &BlobKey, now: Timestamp) -> Result<(), StoreError> {
        let key = key.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let text = "update uploads set beat_at = $2 where key = $1 and state = 'dead'";
                execute!(tx.db(), text, key.0.as_str(), now.micros())?;
                Ok(())
            })
        })
        .await
    }

    /// Forgets a dead row once its blob is deleted.
    pub async fn forget_upload(&self, key: &BlobKey) -> Result<(), StoreError> {
        let key = key.clone();
        self.write(move |tx| {
            Box::pin(async move {
                execute!(
                    tx.db(),
                    "delete from uploads where key = $1 and state = 'dead'",
                    key.0.as_str()
                )?;
                Ok(())
            })
        })
        .await
    }
}
