//! Forgetting an execution because somebody asked for that, before housekeeping would.

use uuid::Uuid;

use super::dialect::sql;
use super::pool::{Tx, execute, fetch_optional};
use super::{Store, StoreError};
use crate::domain::ids::ExecutionId;
use crate::domain::time::Timestamp;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// Nothing of it is left but that its message or its run was there.
    Done,
    /// It has not ended, or the message it made is still out: nothing was changed.
    NotEnded,
    /// There is no such execution.
    Unknown,
}

impl Store {
    /// Deletes what is kept of an ended execution: its entities, its record errors, the package it made and what was asked. The
    /// message and the run stay, without it, for as long as others; a package that was not fetched is told again (promise 7).
    pub async fn forget_execution(&self, id: &ExecutionId, now: Timestamp) -> Result<Forgotten, StoreError> {
        let id = id.clone();
        self.write_audited(
            |forgotten, _| *forgotten == Forgotten::Done,
            move |tx| Box::pin(async move { forget(tx, &id, now).await }),
        )
        .await
    }
}

async fn forget(tx: &mut Tx, id: &ExecutionId, now: Timestamp) -> Result<Forgotten, StoreError> {
    let (lock, id) = (tx.dialect().lock_row(), id.0.as_str());
    let text = format!("select message from executions where id = $1{lock}");
    let Some((message,)) = fetch_optional!(tx.db(), (Option<Uuid>,), sql(text), id)? else {
        return Ok(Forgotten::Unknown);
    };
    let text = format!("select state from occurrences where execution = $1{lock}");
    let run: Option<(String,)> = fetch_optional!(tx.db(), (String,), sql(text), id)?;
    if run
        .as_ref()
        .is_some_and(|(state,)| ["due", "running"].contains(&state.as_str()))
    {
        return Ok(Forgotten::NotEnded);
    }
    if let Some(message) = message {
        // The outcome is locked: a message that is being tried again keeps what it has.
        let text = format!("select execution from outcomes where message = $1{lock}");
        let ended: Option<(Option<String>,)> = fetch_optional!(tx.db(), (Option<String>,), sql(text), message)?;
        match ended {
            None => return Ok(Forgotten::NotEnded),
            Some((latest,)) if latest.as_deref() == Some(id) => forget_load(tx, message).await?,
            // It was tried again since, and what is known of its records is of that.
            Some(_) => {}
        }
    } else if run.is_none() {
        return Ok(Forgotten::NotEnded);
    }
    // Housekeeping removes what has expired.
    let text = "update dmf_blobs set expires_at = $2 where expires_at > $2 \
        and path in (select e.path from exported_packages e where e.execution = $1)";
    execute!(tx.db(), text, id, now.micros())?;
    for text in [
        "delete from exported_packages where execution = $1",
        "update occurrences set execution = null where execution = $1",
        "delete from execution_entities where execution = $1",
        "delete from package_requests where execution = $1",
        "delete from executions where id = $1",
    ] {
        execute!(tx.db(), text, id)?;
    }
    Ok(Forgotten::Done)
}

/// What is kept of a message's load.
async fn forget_load(tx: &mut Tx, message: Uuid) -> Result<(), StoreError> {
    for text in [
        "delete from record_errors where message = $1",
        "delete from error_groups where message = $1",
        "update outcomes set execution = null where message = $1",
    ] {
        execute!(tx.db(), text, message)?;
    }
    Ok(())
}
