//! Source to target in one step (`skip_staging`): each batch is staged, checked, promoted and cleared in one transaction.
//!
//! A batch is a chunk then. What is otherwise judged over the whole file is judged over the batch: no two of its records may have
//! the same key (the caller ends a batch before the second), and a record refers to what stands before it.

use std::sync::Arc;

use super::control::LoadKey;
use super::numbers::{Numbering, number_range};
use super::promotion::Promotion;
use super::rejects::{self, Rejected};
use super::rows::PreparedRows;
use super::rules::RuleCheck;
use super::session::{Fault, Session, Value};
use super::staging::{IN_RANGE, Load, NEW_CHUNK, SourcePosition, StagingBatch, mark_staged};
use super::validate::{Checks, check_range};
use super::{BusinessError, Database};
use crate::domain::entity::Entity;
use crate::domain::ids::MessageId;

/// What is asked of every batch of a load.
#[derive(Clone)]
pub struct BatchChecks {
    numberings: Vec<Numbering>,
    checks: Arc<Checks>,
    warnings: Arc<Vec<RuleCheck>>,
}

/// One batch on its way, moved into the transaction's task.
struct Landing {
    database: Database,
    message: MessageId,
    key: LoadKey,
    rows: PreparedRows,
    rejected: Vec<Rejected>,
    after: SourcePosition,
    asked: BatchChecks,
    promotion: Promotion,
}

impl Database {
    /// Gets the checks of a load ready that lands batch by batch. `parents` holds the entities that `references` name.
    ///
    /// # Errors
    /// As [`Self::finish_staging`].
    pub async fn batch_checks_of(
        &self,
        load: Load<'_>,
        fields: &[String],
        parents: &[&Entity],
    ) -> Result<BatchChecks, BusinessError> {
        Ok(BatchChecks {
            numberings: self.numberings(load),
            checks: Arc::new(self.batch_checks(load, fields, parents).await?),
            warnings: Arc::new(self.warning_rules(load).await?),
        })
    }

    /// Lands a batch, no two records of which have the same key: its rows, rejects and marker and the new source position, in one
    /// transaction.
    ///
    /// # Errors
    /// [`BusinessError::TruncateRefused`] when the rows the load replaces cannot be deleted. Nothing of the batch landed then.
    pub async fn land(
        &self,
        load: Load<'_>,
        fields: &[String],
        asked: &BatchChecks,
        batch: &StagingBatch,
    ) -> Result<(), BusinessError> {
        let landing = Landing {
            database: self.clone(),
            message: load.fence.message,
            key: LoadKey::new(load),
            rows: PreparedRows::new(self.dialect(), load, fields, batch).0,
            rejected: batch.rejected.iter().map(Rejected::from).collect(),
            after: batch.after,
            asked: asked.clone(),
            promotion: Promotion::new(self, load, fields, None).await?,
        };
        self.fenced(load.fence, move |session| {
            Box::pin(async move { landing.run(session).await })
        })
        .await
    }

    /// Marks a load complete whose batches have all landed.
    pub async fn end_landing(&self, load: Load<'_>) -> Result<(), BusinessError> {
        let key = LoadKey::new(load);
        self.fenced(load.fence, move |session| {
            Box::pin(async move { mark_staged(session, &key).await })
        })
        .await
    }
}

impl Landing {
    async fn run(self, session: &mut Session) -> Result<(), Fault> {
        let key = &self.key;
        let before = self.database.load_state(session, key).await?;
        let (first, last) = (before.position.records + 1, self.after.records);
        // The same batch again would land its records twice.
        if before.staged || last < before.position.records {
            let problem = "a batch arrived for a load that is complete, or is further on";
            return Err(self.database.corrupt(problem).into());
        }
        let sql = "update tranship_loads set records = $3, line = $4, byte = $5 where message = $1 and entity_no = $2 and not staged";
        let position = [last, self.after.line, self.after.byte].map(Value::from);
        if session.execute(sql, key.with(position)).await? == 0 {
            return Err(BusinessError::Fenced(self.message).into());
        }
        if last < first {
            return Ok(());
        }
        self.rows.write(session).await?;
        rejects::insert(session, key, &self.rejected).await?;
        let errors = self.rejected.len() + self.asked.judge(session, key, first, last).await?;
        let chunk_no = new_chunk(session, key, (first, last), errors as u64).await?;
        self.promotion.run(session, Some(chunk_no)).await?;
        let sql = format!("delete from {} where {IN_RANGE}", key.staging);
        session.execute(sql, key.with([first.into(), last.into()])).await?;
        Ok(())
    }
}

impl BatchChecks {
    /// Numbers the good records of a batch and rejects those that fail a check; returns how many it rejected.
    async fn judge(&self, session: &mut Session, key: &LoadKey, first: u64, last: u64) -> Result<usize, Fault> {
        number_range(session, key, &self.numberings, first, last).await?;
        let mut errors = 0;
        loop {
            let found = check_range(session, key, &self.checks, first, last).await?;
            errors += found;
            // What refers to a record that was just rejected is found in the next look.
            if found == 0 || !self.checks.of_itself() {
                break;
            }
        }
        for rule in self.warnings.iter() {
            rule.count(session, key, first, last).await?;
        }
        Ok(errors)
    }
}

async fn new_chunk(session: &mut Session, key: &LoadKey, (first, last): (u64, u64), errors: u64) -> Result<i64, Fault> {
    let sql = format!(
        "{NEW_CHUNK} select $1, $2, coalesce(max(chunk_no) + 1, 0), $3, $4, false, $5, 0, 0, 0, 0, 0, 0 \
         from tranship_chunks where message = $1 and entity_no = $2 returning chunk_no"
    );
    let values = key.with([first.into(), last.into(), errors.into()]);
    let row = session.row(sql, values).await?.ok_or(sqlx::Error::RowNotFound)?;
    Ok(row.int(0)?)
}
