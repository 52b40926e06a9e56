//! Removing entries that are older than the settings want to keep. The log says so itself, with the hash where it goes on.

use super::append;
use super::chain::hex;
use crate::domain::audit::{Action, NewEntry, Outcome};
use crate::domain::time::Timestamp;
use crate::storage::dialect::lock_audit;
use crate::storage::pool::{execute, fetch_all};
use crate::storage::{Store, StoreError};

/// Entries removed by one transaction.
const PORTION: i64 = 5000;

impl Store {
    /// Removes the oldest entries, up to the first one that is not from before this time: a portion. How many went.
    pub async fn prune_audit(&self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                lock_audit(tx).await?;
                let text = "select seq, at, hash from audit order by seq limit $1";
                let oldest: Vec<(i64, i64, Vec<u8>)> = fetch_all!(tx.db(), (i64, i64, Vec<u8>), text, PORTION)?;
                let over = oldest.iter().take_while(|(_, at, _)| *at < before.micros());
                let Some((last, _, hash)) = over.last() else {
                    return Ok(0);
                };
                let entry = NewEntry::of_service(now, Action::AuditPrune, last);
                let entry = entry.with("hash", hex(hash)).with("before", before.wire());
                append(tx, &entry, Outcome::Done).await?;
                Ok(execute!(tx.db(), "delete from audit where seq <= $1", *last)?)
            })
        })
        .await
    }
}
