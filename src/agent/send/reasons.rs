//! Why a file is in the error folder: a JSON file beside it.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::REASONS;
use crate::agent::config::{SendFolder, Target};
use crate::agent::files::{blocking, file_name, write_whole};
use crate::agent::record::{Ending, Parcel};
use crate::agent::shared::Shared;
use crate::agent::trouble::{Kind, Trouble};

/// Writes what is known, and what the server tells of it. Written once more after a crash, with the same content or newer.
///
/// # Errors
/// The disk's; the server's while it is away, because later it can tell.
pub(super) async fn write(
    shared: &Arc<Shared>,
    folder: &SendFolder,
    parcel: &Parcel,
    to: &Path,
    ending: &Ending,
) -> Result<(), Trouble> {
    let mut reasons = json!({
        "file": parcel.name,
        "folder": folder.name,
        "picked_from": parcel.source.display().to_string(),
        "status": ending.status,
        "reason": ending.failure,
        "told_at": shared.clock.now(),
    });
    if let Some(message) = &ending.message {
        let id = if parcel.execution.is_some() {
            "execution_id"
        } else {
            "message_id"
        };
        reasons[id] = message.as_str().into();
        ask(shared, folder, message, &mut reasons).await?;
    }
    let path = to.with_file_name(format!("{}{REASONS}", file_name(to)));
    let text = serde_json::to_vec_pretty(&reasons).unwrap_or_default();
    blocking(move || write_whole(&path, &text).map_err(|error| Trouble::local("write", &path, &error))).await
}

/// Record errors (PKG-14, RI-33), counts by entity (RI-27), and where Tranship gives the rejected records back.
async fn ask(shared: &Arc<Shared>, folder: &SendFolder, message: &str, reasons: &mut Value) -> Result<(), Trouble> {
    reasons["errors"] = told(shared.client.errors(message).await, reasons, "errors_missing")?;
    let Target::Queue { job, .. } = &folder.to else {
        return Ok(());
    };
    let status = shared.client.job_status(*job, message).await;
    let detail = status.map(|status| status.execution_detail.unwrap_or_default().into());
    reasons["entities"] = told(detail, reasons, "entities_missing")?;
    if let Some(server) = &shared.message_pages {
        let base = server.as_str().trim_end_matches('/');
        reasons["rejects"] = format!("{base}/api/v1/messages/{message}/rejects").into();
    }
    Ok(())
}

/// What was told, or why it was not.
fn told(answered: Result<Value, Trouble>, reasons: &mut Value, missing: &str) -> Result<Value, Trouble> {
    match answered {
        Err(trouble) if trouble.kind == Kind::Away => Err(trouble),
        Err(trouble) => {
            reasons[missing] = trouble.what.into();
            Ok(Value::Null)
        }
        Ok(value) => Ok(value),
    }
}
