//! Staging to target: one set statement per chunk, one transaction per chunk (or for all of them), a marker in it.

use super::control::LoadKey;
use super::promotion::Promotion;
use super::session::{DbRow, Fault};
use super::staging::{Chunk, Load};
use super::{BusinessError, Database};
use crate::domain::counts::Counts;
use crate::domain::job::{Atomicity, ErrorThreshold};
use crate::domain::reject::{RecordError, RejectId};

const SUMS: &str = "select cast(coalesce(sum(staging_errors), 0) as bigint), cast(coalesce(sum(inserted), 0) as bigint), \
       cast(coalesce(sum(updated), 0) as bigint), cast(coalesce(sum(unchanged), 0) as bigint), \
       cast(coalesce(sum(target_errors), 0) as bigint), cast(coalesce(sum(skipped), 0) as bigint), \
       cast(coalesce(sum(deleted), 0) as bigint) \
     from tranship_chunks where message = $1 and entity_no = $2";
/// Records rejected so far, while staging runs and no marker counts them yet.
const REJECTED: &str = "select count(distinct record) from tranship_rejects where message = $1 and entity_no = $2";

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

/// Sums over the markers of one load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadCounts {
    /// By outcome; conserved once every chunk is promoted or stopped.
    pub counts: Counts,
    /// Records rejected before promotion.
    pub staging_errors: u64,
    /// Records the target refused, and those rejected with them.
    pub target_errors: u64,
    /// Rows of the target deleted before the first record landed; they are no records, and count in nothing else.
    pub truncated: u64,
}

impl Database {
    /// The chunks fixed when staging ended, in order.
    pub async fn chunks(&self, load: Load<'_>) -> Result<Vec<Chunk>, BusinessError> {
        let values = LoadKey::new(load).with([]);
        self.fenced_read(load.fence, move |session| {
            Box::pin(async move {
                let sql = "select chunk_no, first_record, last_record, done, skipped from tranship_chunks \
                     where message = $1 and entity_no = $2 order by chunk_no";
                let rows = session.rows(sql, values).await?;
                rows.iter().map(chunk).collect()
            })
        })
        .await
    }

    /// Promotes one chunk as the load's mode says (of rows that are there, only the fields the file brings are changed); what
    /// the target itself refuses is isolated by bisection and rejected, and with it what the load's policy says. A chunk
    /// whose marker is there is left alone.
    ///
    /// # Errors
    /// [`BusinessError::TruncateRefused`] when the rows the load replaces cannot be deleted; [`BusinessError::StagingLost`] when the
    /// database lost what was staged. Nothing landed then.
    pub async fn promote_chunk(&self, load: Load<'_>, fields: &[String], chunk: Chunk) -> Result<(), BusinessError> {
        let promotion = Promotion::new(self, load, fields, None).await?;
        // A chunk that splits no document may be wide, and takes as long.
        if load.policy.atomicity == Atomicity::Document {
            return self.promote_long(load, promotion, Some(chunk.chunk_no)).await;
        }
        let promoted = self.fenced(load.fence, move |session| {
            Box::pin(async move { promotion.run(session, Some(chunk.chunk_no)).await })
        });
        self.unless_lost(load, promoted.await).await
    }

    /// Promotes all chunks in one transaction. When more records are rejected than allowed (in staging and by the target
    /// together), nothing lands: the rejects are kept, and the rest is skipped. Chunks whose markers are there are left alone.
    ///
    /// # Errors
    /// [`BusinessError::TruncateRefused`] when the rows the load replaces cannot be deleted; [`BusinessError::StagingLost`] when the
    /// database lost what was staged. Nothing landed then.
    pub async fn promote_file(
        &self,
        load: Load<'_>,
        fields: &[String],
        allowed: Option<ErrorThreshold>,
    ) -> Result<(), BusinessError> {
        let promotion = Promotion::new(self, load, fields, allowed).await?;
        self.promote_long(load, promotion, None).await
    }

    async fn promote_long(
        &self,
        load: Load<'_>,
        promotion: Promotion,
        chunk_no: Option<i64>,
    ) -> Result<(), BusinessError> {
        let steps = promotion.steps.clone();
        let promoted = self.fenced_long(load.fence, steps, move |session| {
            Box::pin(async move { promotion.run(session, chunk_no).await })
        });
        self.unless_lost(load, promoted.await).await
    }

    /// What became of the load, summed from its markers.
    pub async fn load_counts(&self, load: Load<'_>) -> Result<LoadCounts, BusinessError> {
        let key = LoadKey::new(load);
        let database = self.clone();
        self.fenced_read(load.fence, move |session| {
            Box::pin(async move {
                let state = database.load_state(session, &key).await?;
                let row = session.row(SUMS, key.with([])).await?.ok_or(sqlx::Error::RowNotFound)?;
                let staging_errors = if state.staged {
                    row.count(0)?
                } else {
                    let row = session
                        .row(REJECTED, key.with([]))
                        .await?
                        .ok_or(sqlx::Error::RowNotFound)?;
                    row.count(0)?
                };
                let target_errors = row.count(4)?;
                let counts = Counts {
                    read: state.position.records,
                    inserted: row.count(1)?,
                    updated: row.count(2)?,
                    unchanged: row.count(3)?,
                    deleted: row.count(6)?,
                    rejected: staging_errors + target_errors,
                    skipped: row.count(5)?,
                };
                Ok(LoadCounts {
                    counts,
                    staging_errors,
                    target_errors,
                    truncated: state.truncated.unwrap_or(0),
                })
            })
        })
        .await
    }
}

/// The chunk in columns 0 to 3.
pub(super) fn chunk(row: &DbRow) -> Result<Chunk, Fault> {
    Ok(Chunk {
        chunk_no: row.int(0)?,
        first_record: row.count(1)?,
        last_record: row.count(2)?,
        done: row.flag(3)?,
        skipped: row.count(4)?,
    })
}
