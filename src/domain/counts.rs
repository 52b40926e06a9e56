//! What became of the records of one load (promise 4).

use serde::{Deserialize, Serialize};

/// Records by outcome. `read = applied + rejected + skipped` must hold before an execution may end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records found in the source.
    pub read: u64,
    /// New rows in the target.
    pub inserted: u64,
    /// Rows changed in the target.
    pub updated: u64,
    /// Records equal to what the target already held.
    pub unchanged: u64,
    /// Rows removed from the target.
    pub deleted: u64,
    /// Records reported with a reason and not applied.
    pub rejected: u64,
    /// Records not attempted.
    pub skipped: u64,
}

impl Counts {
    /// Inserted, updated, unchanged and deleted together.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.inserted + self.updated + self.unchanged + self.deleted
    }

    /// Whether every record read is accounted for (promise 4).
    #[must_use]
    pub fn conserved(&self) -> bool {
        self.read == self.applied() + self.rejected + self.skipped
    }

    /// As the API and webhooks show them, with the rejects that descendants applied.
    #[must_use]
    pub fn shown(&self, repaired: u64) -> serde_json::Value {
        serde_json::json!({
            "read": self.read,
            "applied": self.applied(),
            "inserted": self.inserted,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "deleted": self.deleted,
            "rejected": self.rejected,
            "skipped": self.skipped,
            "repaired": repaired,
        })
    }

    /// Field-wise sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            read: self.read + other.read,
            inserted: self.inserted + other.inserted,
            updated: self.updated + other.updated,
            unchanged: self.unchanged + other.unchanged,
            deleted: self.deleted + other.deleted,
            rejected: self.rejected + other.rejected,
            skipped: self.skipped + other.skipped,
        }
    }
}
