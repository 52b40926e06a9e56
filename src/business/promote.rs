//! Staging to target: one set statement per chunk, one transaction per chunk, a marker in it.

use super::staging::{Chunk, Load};
use super::{BusinessError, Database};
use crate::domain::counts::Counts;
use crate::domain::reject::{RecordError, RejectId};

/// A reject as the business database keeps it until the store has it.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptReject {
    /// Its id.
    pub reject: RejectId,
    /// 0 for the record's first error.
    pub ordinal: i32,
    /// The reject it came back from.
    pub origin: Option<RejectId>,
    /// Whether the target refused it (otherwise it failed before).
    pub by_target: bool,
    /// What is wrong.
    pub error: RecordError,
}

impl Database {
    /// The chunks fixed when staging ended, in order.
    pub async fn chunks(&self, _load: Load<'_>) -> Result<Vec<Chunk>, BusinessError> {
        todo!()
    }

    /// Promotes one chunk by upsert on the key (only the fields the file brings are updated); what the target itself refuses
    /// is isolated by bisection and rejected. A chunk whose marker is there is left alone.
    pub async fn promote_chunk(&self, _load: Load<'_>, _fields: &[String], _chunk: Chunk) -> Result<(), BusinessError> {
        todo!()
    }

    /// What became of the load, summed from its markers.
    pub async fn load_counts(&self, _load: Load<'_>) -> Result<LoadCounts, BusinessError> {
        todo!()
    }

    /// Rejects of the load in order of record and ordinal, after the given place.
    pub async fn kept_rejects(
        &self,
        _load: Load<'_>,
        _after: Option<(u64, i32)>,
        _limit: u32,
    ) -> Result<Vec<KeptReject>, BusinessError> {
        todo!()
    }

    /// Rejects of ancestors that this load's applied records corrected.
    pub async fn repaired(&self, _load: Load<'_>) -> Result<Vec<RejectId>, BusinessError> {
        todo!()
    }
}

/// Sums over the markers of one load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadCounts {
    /// By outcome; conserved once every chunk is promoted or stopped.
    pub counts: Counts,
    /// Records rejected before promotion.
    pub staging_errors: u64,
    /// Records the target refused.
    pub target_errors: u64,
}
