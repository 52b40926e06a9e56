//! How a claimed occurrence comes off a worker's hands: ended, with its message in the same transaction, or handed back.

use super::destinations::{self, NewExportDelivery};
use super::enqueue::{NewMessage, insert};
use super::executions::EntityRun;
use super::exported_packages;
use super::occurrences::{ExportOutcome, Occurrence};
use super::pool::{Tx, execute, fetch_optional};
use super::positions;
use super::rows::stored;
use super::runs::{close_execution, write_entity_run};
use super::{Store, StoreError};
use crate::domain::message::Message;
use crate::domain::schedule::SkipReason;
use crate::domain::time::Timestamp;
use crate::failpoint;

impl Store {
    /// Ends a claimed occurrence and queues its message, or notes its package, in the same transaction; the upload row moves to `used` in it too.
    /// Returns the messages queued.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn finish_occurrence(
        &self,
        claimed: &Occurrence,
        outcome: ExportOutcome,
        now: Timestamp,
    ) -> Result<Vec<Message>, StoreError> {
        let claimed = claimed.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let queued = finish(tx, &claimed, outcome, now).await?;
                Ok(queued)
            })
        })
        .await
    }

    /// Hands a claimed occurrence back, to be tried again from `not_before` on. Not `counted`: the attempt never was, as
    /// when the service stopped during it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn release_occurrence(
        &self,
        claimed: &Occurrence,
        not_before: Option<Timestamp>,
        counted: bool,
        note: &str,
    ) -> Result<(), StoreError> {
        let (claimed, note) = (claimed.clone(), note.to_owned());
        self.write(move |tx| Box::pin(async move {
            let text = "update occurrences set state = 'due', owner = null, lease_until = null, not_before = $4, note = $5, \
                attempt = attempt - $6 where job = $1 and due_at = $2 and epoch = $3 and state = 'running'";
            let (job, due_at) = (claimed.job.0, claimed.due_at.micros());
            let not_before = not_before.map(Timestamp::micros);
            let uncounted = i32::from(!counted);
            let note = note.as_str();
            let rows = execute!(tx.db(), text, job, due_at, claimed.epoch, not_before, note, uncounted)?;
            must_touch(tx, rows, &claimed).await?;
            Ok(())
        }))
        .await
    }
}

async fn finish(
    tx: &mut Tx,
    claimed: &Occurrence,
    outcome: ExportOutcome,
    now: Timestamp,
) -> Result<Vec<Message>, StoreError> {
    close(tx, claimed, &outcome, now).await?;
    let (queued, is_out, positions, entities) = match outcome {
        ExportOutcome::Queued {
            messages,
            entities,
            positions,
            acknowledged_by_deliveries,
            ..
        } => {
            let queued = queue(tx, claimed, messages, acknowledged_by_deliveries, now).await?;
            (queued, true, positions, entities)
        }
        ExportOutcome::Packed {
            package,
            entities,
            positions,
            ..
        } => {
            if let Some(execution) = &claimed.execution {
                let run = (claimed.job, claimed.due_at, execution);
                exported_packages::insert(tx, run, &package, now).await?;
            }
            (Vec::new(), true, positions, entities)
        }
        ExportOutcome::Nothing { positions, .. } => (Vec::new(), false, positions, Vec::new()),
        ExportOutcome::Failed(_) | ExportOutcome::Cancelled { .. } => (Vec::new(), false, Vec::new(), Vec::new()),
    };
    if is_out {
        failpoint::reached("export.messages_inserted");
    }
    let messages: Vec<_> = queued.iter().map(|message| message.id).collect();
    let run = (claimed.job, claimed.due_at);
    positions::insert(tx, run, &messages, &positions, is_out, now).await?;
    if is_out {
        failpoint::reached("export.positions_inserted");
    }
    if let Some(execution) = &claimed.execution {
        for (entity_no, (label, records)) in (0..).zip(entities) {
            let run = EntityRun {
                finished_at: Some(now),
                ..EntityRun::exported(entity_no, label, "Finished", records)
            };
            write_entity_run(tx, execution, &run).await?;
        }
        close_execution(tx, execution, messages.first().copied(), now).await?;
    }
    Ok(queued)
}

/// First of all the guard: it locks the row, so that nobody claims the occurrence while its message is queued.
async fn close(tx: &mut Tx, claimed: &Occurrence, outcome: &ExportOutcome, now: Timestamp) -> Result<(), StoreError> {
    let (state, records, note) = match outcome {
        ExportOutcome::Queued { records, note, .. } => ("done", Some(*records), note.clone()),
        ExportOutcome::Packed { entities, note, .. } => {
            let records = entities.iter().map(|(_, records)| records).sum();
            ("done", Some(records), note.clone())
        }
        ExportOutcome::Nothing { note, .. } => ("done", Some(0), Some(note.clone())),
        ExportOutcome::Failed(failure) => ("failed", None, Some(format!("{}: {}", failure.code, failure.detail))),
        ExportOutcome::Cancelled { note } => ("cancelled", None, Some(note.clone())),
    };
    let reason = (state == "cancelled").then_some(SkipReason::Overlap.as_str());
    let text = "update occurrences set state = $4, owner = null, lease_until = null, cancel_asked = null, records = $5, note = $6, \
        finished_at = $7, reason = $8, written_at = $9, stored_at = $10 where job = $1 and due_at = $2 and epoch = $3 and state = 'running'";
    let (job, due_at) = (claimed.job.0, claimed.due_at.micros());
    let rows = execute!(
        tx.db(),
        text,
        job,
        due_at,
        claimed.epoch,
        state,
        records.map(stored),
        note.as_deref(),
        now.micros(),
        reason,
        claimed.written_at.map(Timestamp::micros),
        claimed.stored_at.map(Timestamp::micros)
    )?;
    must_touch(tx, rows, claimed).await
}

/// Queues the messages of a run.
async fn queue(
    tx: &mut Tx,
    claimed: &Occurrence,
    messages: Vec<(NewMessage, Vec<NewExportDelivery>)>,
    acknowledged_by_deliveries: bool,
    now: Timestamp,
) -> Result<Vec<Message>, StoreError> {
    let execution = claimed.execution.as_ref().map(|id| id.0.as_str());
    let mut queued = Vec::new();
    for (message, deliveries) in messages {
        let message = insert(tx, message, execution, now).await?;
        let of = (claimed.job, message.id);
        destinations::insert(tx, of, &deliveries, acknowledged_by_deliveries, now).await?;
        queued.push(message);
    }
    if let Some(first) = queued.first() {
        let text = "update occurrences set message = $3 where job = $1 and due_at = $2";
        execute!(tx.db(), text, claimed.job.0, claimed.due_at.micros(), first.id.0)?;
    }
    Ok(queued)
}

async fn must_touch(tx: &mut Tx, rows: u64, claimed: &Occurrence) -> Result<(), StoreError> {
    if rows == 1 {
        return Ok(());
    }
    let text = "select state, epoch from occurrences where job = $1 and due_at = $2";
    let found: Option<(String, i64)> =
        fetch_optional!(tx.db(), (String, i64), text, claimed.job.0, claimed.due_at.micros())?;
    Err(StoreError::Conflict {
        what: "occurrence",
        id: format!("{} at {}", claimed.job, claimed.due_at),
        state: found.map_or_else(
            || "unknown".to_owned(),
            |(state, epoch)| format!("{state}, lease {epoch}"),
        ),
    })
}
