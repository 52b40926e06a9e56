//! Source to staging: batches of typed records, each one transaction under the fence, with a marker that says how far
//! the source was read, so that a rerun goes on after the last staged record.

use super::{BusinessError, Database};
use crate::domain::cell::Cell;
use crate::domain::entity::Entity;
use crate::domain::message::Fence;
use crate::domain::reject::{RecordError, RecordPlace, RejectId};

/// One entity's load: which message, which entity of it, and the fields its file brings.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    /// Under which lease.
    pub fence: Fence,
    /// Position of the entity within the message, from 0.
    pub entity_no: i32,
    /// The entity.
    pub entity: &'a Entity,
}

/// How far reading the source has come: the place after the last staged or rejected record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourcePosition {
    /// Records read so far.
    pub records: u64,
    /// Physical line the next record starts on.
    pub line: u64,
    /// Byte the next record starts at.
    pub byte: u64,
}

/// A typed record on its way into staging.
#[derive(Debug, Clone)]
pub struct StagedRecord {
    /// Where it stands in the source.
    pub place: RecordPlace,
    /// The reject it corrects, when it came from a rejects file.
    pub origin: Option<RejectId>,
    /// One cell per field of [`LoadState::fields`], in that order.
    pub cells: Vec<Cell>,
}

/// A record that did not pass parsing or typing. Never empty.
#[derive(Debug, Clone)]
pub struct RejectedRecord {
    /// The reject it corrects, when it came from a rejects file.
    pub origin: Option<RejectId>,
    /// What is wrong, first error first.
    pub errors: Vec<RecordError>,
}

/// What one staging transaction writes.
#[derive(Debug, Clone, Default)]
pub struct StagingBatch {
    /// Good records.
    pub records: Vec<StagedRecord>,
    /// Bad ones.
    pub rejected: Vec<RejectedRecord>,
    /// Where the next record starts.
    pub after: SourcePosition,
}

/// What a load has come to, read back on a rerun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadState {
    /// Names of the entity's fields the file brings, in staging order (as given to `begin_load`).
    pub fields: Vec<String>,
    /// How far the source was read.
    pub position: SourcePosition,
    /// Whether staging is complete and the chunk ranges are fixed.
    pub staged: bool,
    /// Whether promotion was given up for all records not yet promoted, and why (error threshold).
    pub stopped: Option<String>,
}

/// A fixed range of records promoted in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Position, from 0.
    pub chunk_no: i64,
    /// First record number in it.
    pub first_record: u64,
    /// Last record number in it.
    pub last_record: u64,
    /// Whether its marker is there.
    pub done: bool,
}

impl Database {
    /// Raises the message's fence to this epoch; everything of an older epoch is refused from here on.
    ///
    /// # Errors
    /// [`BusinessError::Fenced`] when a newer epoch is there already.
    pub async fn raise_fence(&self, _fence: Fence) -> Result<(), BusinessError> {
        todo!()
    }

    /// Begins a load or returns what an earlier attempt left. `fields` is stored by the first call and stays.
    pub async fn begin_load(&self, _load: Load<'_>, _fields: &[String]) -> Result<LoadState, BusinessError> {
        todo!()
    }

    /// Stages a batch: rows, rejects and the new source position in one transaction.
    pub async fn stage(&self, _load: Load<'_>, _fields: &[String], _batch: &StagingBatch) -> Result<(), BusinessError> {
        todo!()
    }

    /// Rejects staged duplicates (the first of a key stands) and records whose parent is missing, range by range, then fixes
    /// the chunk ranges of `chunk_records` records each and marks staging complete. `parents` holds the entities that
    /// `references` name. Safe to repeat.
    pub async fn finish_staging(
        &self,
        _load: Load<'_>,
        _parents: &[&Entity],
        _chunk_records: u64,
    ) -> Result<(), BusinessError> {
        todo!()
    }

    /// Gives up all chunks not yet promoted: their good records count as skipped, with this reason.
    pub async fn stop_load(&self, _load: Load<'_>, _reason: &str) -> Result<(), BusinessError> {
        todo!()
    }

    /// Deletes the load's staging rows, in bounded steps. Markers and rejects stay.
    pub async fn clear_staging(&self, _load: Load<'_>) -> Result<(), BusinessError> {
        todo!()
    }

    /// Deletes the rejects of a finished message (the store has them by then); its fence and markers stay.
    pub async fn forget_rejects(&self, _fence: Fence) -> Result<(), BusinessError> {
        todo!()
    }
}
