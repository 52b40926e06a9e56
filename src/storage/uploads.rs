//! Upload rows: who is writing which blob, so that the sweep never deletes what a message names (promise 1).
//!
//! States: `open` (being written; its owner beats) → `used` (a message names it) or `dead` (abandoned) → row deleted after
//! the blob was. Each arrow is one guarded statement, so of an insert and a sweep one fails.

use super::error::taken;
use super::pool::{execute, fetch_all};
use super::{Store, StoreError};
use crate::domain::ids::BlobKey;
use crate::domain::time::Timestamp;

impl Store {
    /// Commits an `open` row before the first byte of the blob is written.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the key was used before.
    pub async fn begin_upload(&self, key: &BlobKey, owner: &str, now: Timestamp) -> Result<(), StoreError> {
        let (key, owner) = (key.clone(), owner.to_owned());
        self.write(move |mut tx| async move {
            let text = "insert into uploads (key, state, owner, created_at, beat_at) values ($1, 'open', $2, $3, $3)";
            execute!(tx.db(), text, key.0.as_str(), owner.as_str(), now.micros())
                .map_err(|e| taken(e, "upload", &key.0))?;
            tx.commit(()).await
        })
        .await
    }

    /// Says the owner is alive. `false` when the row is no longer open: the upload has lost.
    pub async fn beat_upload(&self, key: &BlobKey, now: Timestamp) -> Result<bool, StoreError> {
        let key = key.clone();
        self.write(move |mut tx| async move {
            let text = "update uploads set beat_at = $2 where key = $1 and state = 'open'";
            let rows = execute!(tx.db(), text, key.0.as_str(), now.micros())?;
            tx.commit(rows == 1).await
        })
        .await
    }

    /// Moves an open row to `dead`. `false` when it was not open.
    pub async fn abandon_upload(&self, key: &BlobKey, now: Timestamp) -> Result<bool, StoreError> {
        let key = key.clone();
        self.write(move |mut tx| async move {
            let text = "update uploads set state = 'dead', beat_at = $2 where key = $1 and state = 'open'";
            let rows = execute!(tx.db(), text, key.0.as_str(), now.micros())?;
            tx.commit(rows == 1).await
        })
        .await
    }

    /// Moves open rows whose last beat is before `stale_before` to `dead`, and returns up to `limit` dead keys.
    pub async fn dead_uploads(
        &self,
        stale_before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<BlobKey>, StoreError> {
        self.write(move |mut tx| async move {
            let text = "update uploads set state = 'dead', beat_at = $2 where state = 'open' and beat_at < $1";
            execute!(tx.db(), text, stale_before.micros(), now.micros())?;
            let text = "select key from uploads where state = 'dead' order by beat_at, key limit $1";
            let keys: Vec<(String,)> = fetch_all!(tx.db(), (String,), text, i64::from(limit))?;
            tx.commit(keys.into_iter().map(|(key,)| BlobKey(key)).collect()).await
        })
        .await
    }

    /// Forgets a dead row once its blob is deleted.
    pub async fn forget_upload(&self, key: &BlobKey) -> Result<(), StoreError> {
        let key = key.clone();
        self.write(move |mut tx| async move {
            execute!(
                tx.db(),
                "delete from uploads where key = $1 and state = 'dead'",
                key.0.as_str()
            )?;
            tx.commit(()).await
        })
        .await
    }
}
