//! Writing an execution while it runs: its row once, its entities as they progress.

use super::dialect::sql;
use super::executions::{EntityRun, Execution};
use super::pool::{Tx, execute, fetch_optional, with_pool};
use super::rows::stored;
use super::transition::{WORKED, hold_worker_lease, message_conflict};
use super::{Store, StoreError};
use crate::domain::ids::{ExecutionId, JobId, MessageId};
use crate::domain::message::Fence;
use crate::domain::time::Timestamp;

impl Store {
    /// Creates the execution of a claimed message once, or returns the one it has: it keeps its id across crashes.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch; [`StoreError::Exists`] when another message has this execution.
    pub async fn begin_execution(
        &self,
        fence: Fence,
        id: ExecutionId,
        now: Timestamp,
    ) -> Result<Execution, StoreError> {
        let id = self
            .write(move |tx| {
                Box::pin(async move {
                    let id = execution_of(tx, fence, id, now).await?;
                    Ok(id)
                })
            })
            .await?;
        self.execution(&id).await?.ok_or_else(|| StoreError::Conflict {
            what: "execution",
            id: id.to_string(),
            state: "gone".to_owned(),
        })
    }

    /// Writes one entity's progress.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn save_entity_run(
        &self,
        fence: Fence,
        execution: &ExecutionId,
        run: &EntityRun,
    ) -> Result<(), StoreError> {
        let (execution, run) = (execution.clone(), run.clone());
        self.write(move |tx| {
            Box::pin(async move {
                hold_worker_lease(tx, fence).await?;
                write_entity_run(tx, &execution, &run).await?;
                Ok(())
            })
        })
        .await
    }
}

async fn execution_of(tx: &mut Tx, fence: Fence, id: ExecutionId, now: Timestamp) -> Result<ExecutionId, StoreError> {
    let text = format!(
        "update queue set execution = coalesce(execution, $3) where message = $1 and epoch = $2 and {WORKED} \
         returning execution, job, started_at"
    );
    let found = fetch_optional!(
        tx.db(),
        (String, uuid::Uuid, Option<i64>),
        sql(text),
        fence.message.0,
        fence.epoch,
        id.0.as_str()
    )?;
    let Some((execution, job, started_at)) = found else {
        return Err(message_conflict(tx, fence.message).await?);
    };
    let is_new = execution == id.0;
    let execution = ExecutionId(execution);
    if is_new && insert_execution(tx, &execution, JobId(job), Some(fence.message), now).await? == 0 {
        let text = "select message from executions where id = $1";
        let other: Option<(Option<uuid::Uuid>,)> =
            fetch_optional!(tx.db(), (Option<uuid::Uuid>,), text, execution.0.as_str())?;
        if other != Some((Some(fence.message.0),)) {
            return Err(StoreError::Exists {
                what: "execution",
                name: execution.0,
            });
        }
        // One that was asked for was there before anybody began: from now on it says when that was, the same in every attempt.
        let text = "update executions set started_at = $2 where id = $1 and started_at <> $2 \
            and exists (select 1 from package_requests r where r.execution = $1)";
        execute!(tx.db(), text, execution.0.as_str(), started_at.unwrap_or(now.micros()))?;
    }
    Ok(execution)
}

/// Inserts the execution's row unless there is one of this id; how many were inserted.
pub(super) async fn insert_execution(
    tx: &mut Tx,
    id: &ExecutionId,
    job: JobId,
    message: Option<MessageId>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let text =
        "insert into executions (id, job, message, started_at) values ($1, $2, $3, $4) on conflict (id) do nothing";
    let message = message.map(|id| id.0);
    Ok(execute!(tx.db(), text, id.0.as_str(), job.0, message, now.micros())?)
}

/// Notes when an execution ended.
pub(super) async fn close_execution(
    tx: &mut Tx,
    id: &ExecutionId,
    message: Option<MessageId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let text = "update executions set finished_at = $2, message = coalesce(message, $3) where id = $1";
    execute!(tx.db(), text, id.0.as_str(), now.micros(), message.map(|id| id.0))?;
    Ok(())
}

/// Inserts or replaces one entity's line.
pub(super) async fn write_entity_run(tx: &mut Tx, execution: &ExecutionId, run: &EntityRun) -> Result<(), StoreError> {
    let text = "insert into execution_entities (execution, entity_no, label, company, staging_status, staging_records, \
        staging_errors, target_status, records_read, inserted, updated, unchanged, deleted, rejected, skipped, \
        target_errors, truncated, started_at, finished_at, warnings) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) \
        on conflict (execution, entity_no) do update set label = excluded.label, company = excluded.company, \
        staging_status = excluded.staging_status, staging_records = excluded.staging_records, \
        staging_errors = excluded.staging_errors, target_status = excluded.target_status, \
        records_read = excluded.records_read, inserted = excluded.inserted, updated = excluded.updated, \
        unchanged = excluded.unchanged, deleted = excluded.deleted, rejected = excluded.rejected, \
        skipped = excluded.skipped, target_errors = excluded.target_errors, \
        truncated = excluded.truncated, started_at = excluded.started_at, finished_at = excluded.finished_at, warnings = excluded.warnings";
    let warnings = serde_json::json!(run.warnings).to_string();
    with_pool!(tx.db(), db: Db => {
        sqlx::query::<Db>(text)
            .bind(execution.0.as_str())
            .bind(run.entity_no)
            .bind(run.label.as_str())
            .bind(run.company.as_deref())
            .bind(run.staging_status.as_str())
            .bind(stored(run.staging_records))
            .bind(stored(run.staging_errors))
            .bind(run.target_status.as_str())
            .bind(stored(run.counts.read))
            .bind(stored(run.counts.inserted))
            .bind(stored(run.counts.updated))
            .bind(stored(run.counts.unchanged))
            .bind(stored(run.counts.deleted))
            .bind(stored(run.counts.rejected))
            .bind(stored(run.counts.skipped))
            .bind(stored(run.target_errors))
            .bind(stored(run.truncated))
            .bind(run.started_at.map(Timestamp::micros))
            .bind(run.finished_at.map(Timestamp::micros))
            .bind(warnings)
            .execute(db)
            .await
            .map(|_| ())
    })?;
    Ok(())
}
