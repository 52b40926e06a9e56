//! The audit log: entries are appended, never changed, and each holds the hash of the one before it.
//!
//! An entry is written in the transaction of what it tells of: a store that is [`Store::audited`] appends it there. What takes
//! several transactions is told twice, before the first and after the last.

mod chain;
mod listing;
mod prune;
mod verify;

pub use chain::{Head, Link};
pub use listing::{AuditEntry, AuditFilter};
pub use verify::{Fault, Verified};

use std::sync::Arc;

use super::dialect::lock_audit;
use super::pool::{Tx, execute, fetch_optional};
use super::{Store, StoreError};
use crate::domain::audit::{NewEntry, Outcome};

impl Store {
    /// The same store for one act: what is done by it appends this entry, in the same transaction, if it has any effect.
    ///
    /// Methods that take several transactions do not: see [`Self::note`].
    #[must_use]
    pub fn audited(&self, entry: NewEntry) -> Self {
        Self {
            entry: Some(Arc::new(entry)),
            ..self.clone()
        }
    }

    /// Appends an entry by itself; its number.
    pub async fn note(&self, entry: NewEntry, outcome: Outcome) -> Result<i64, StoreError> {
        self.write(move |tx| Box::pin(async move { append(tx, &entry, outcome).await }))
            .await
    }

    /// The newest entry's number and hash; `None` while there is no entry.
    pub async fn audit_head(&self) -> Result<Option<Head>, StoreError> {
        let text = "select seq, hash from audit order by seq desc limit 1";
        let head: Option<(i64, Vec<u8>)> = fetch_optional!(self.reader(), (i64, Vec<u8>), text)?;
        Ok(head.map(|(seq, hash)| Head { seq, hash }))
    }
}

/// Appends an entry; its number. Last of what its transaction does, for from here on nobody else appends before the commit.
pub(super) async fn append(tx: &mut Tx, entry: &NewEntry, outcome: Outcome) -> Result<i64, StoreError> {
    lock_audit(tx).await?;
    let text = "select seq, hash from audit order by seq desc limit 1";
    let head: Option<(i64, Vec<u8>)> = fetch_optional!(tx.db(), (i64, Vec<u8>), text)?;
    let (last, previous) = head.unwrap_or_else(|| (0, chain::BEGINNING.to_vec()));
    let link = Link {
        previous,
        seq: last + 1,
        at: entry.at.micros(),
        actor: entry.actor.clone(),
        surface: entry.surface.as_str().to_owned(),
        action: entry.action.as_str().to_owned(),
        target: entry.target.clone(),
        outcome: outcome.as_str().to_owned(),
        detail: serde_json::Value::Object(entry.detail.clone()).to_string(),
    };
    let text = "insert into audit (seq, at, actor, surface, action, target, outcome, detail, previous, hash) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    execute!(
        tx.db(),
        text,
        link.seq,
        link.at,
        link.actor.as_str(),
        link.surface.as_str(),
        link.action.as_str(),
        link.target.as_str(),
        link.outcome.as_str(),
        link.detail.as_str(),
        link.previous.clone(),
        link.hash().to_vec()
    )?;
    Ok(link.seq)
}
