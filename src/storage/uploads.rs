//! Upload rows: who is writing which blob, so that the sweep never deletes what a message names (promise 1).
//!
//! States: `open` (being written; its owner beats) → `used` (a message names it) or `dead` (abandoned) → row deleted after
//! the blob was. Each arrow is one guarded statement, so of an insert and a sweep one fails.

use super::{Store, StoreError};
use crate::domain::ids::BlobKey;
use crate::domain::time::Timestamp;

impl Store {
    /// Commits an `open` row before the first byte of the blob is written.
    pub async fn begin_upload(&self, _key: &BlobKey, _owner: &str, _now: Timestamp) -> Result<(), StoreError> {
        todo!()
    }

    /// Says the owner is alive. `false` when the row is no longer open: the upload has lost.
    pub async fn beat_upload(&self, _key: &BlobKey, _now: Timestamp) -> Result<bool, StoreError> {
        todo!()
    }

    /// Moves an open row to `dead`. `false` when it was not open.
    pub async fn abandon_upload(&self, _key: &BlobKey, _now: Timestamp) -> Result<bool, StoreError> {
        todo!()
    }

    /// Moves open rows whose last beat is before `stale_before` to `dead`, and returns up to `limit` dead keys.
    pub async fn dead_uploads(
        &self,
        _stale_before: Timestamp,
        _now: Timestamp,
        _limit: u32,
    ) -> Result<Vec<BlobKey>, StoreError> {
        todo!()
    }

    /// Forgets a dead row once its blob is deleted.
    pub async fn forget_upload(&self, _key: &BlobKey) -> Result<(), StoreError> {
        todo!()
    }
}
