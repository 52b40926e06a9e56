//! What `GetExecutionErrors` tells.

use serde_json::Value;

use super::super::Api;
use super::super::problem::Problem;
use crate::domain::message::Message;
use crate::domain::wire;
use crate::storage::occurrences::Occurrence;

/// Most errors one `GetExecutionErrors` lists; the native API pages through the rest.
const ERRORS_MAX: u32 = 5000;

/// A JSON array in a string. A failure before staging is one element without record and field (PKG-14a).
pub(super) async fn of_message(api: &Api, message: &Message) -> Result<String, Problem> {
    let mut items = Vec::new();
    if let Some(failure) = &message.failure {
        items.push(error_item("", "", &told(&failure.code, &failure.detail)));
    }
    let stored = api.context.store.record_errors(message.id, None, ERRORS_MAX).await?;
    for stored in &stored {
        let error = &stored.error;
        let record = format!("{:06}", error.place.record);
        let field = error.field.as_deref().unwrap_or_default().to_uppercase();
        items.push(error_item(
            &record,
            &field,
            &told(&error.code.to_string(), &error.reason),
        ));
    }
    if stored.len() >= ERRORS_MAX as usize {
        let text = format!(
            "These are the first {ERRORS_MAX} errors; /api/v1/messages/{}/errors pages through all",
            message.id
        );
        items.push(error_item("", "", &text));
    }
    Ok(format!("[{}]", items.join(",")))
}

/// Our code, the reason, and behind it the number clients search for (FMT-14), unless the reason has it.
fn told(code: &str, reason: &str) -> String {
    match wire::error_number(code).filter(|number| !reason.contains(number)) {
        Some(number) => format!("{code}: {reason} ({number})"),
        None => format!("{code}: {reason}"),
    }
}

/// The same for an export: what it failed of.
pub(super) fn of_export(occurrence: &Occurrence) -> String {
    let reason = occurrence.note.as_deref().filter(|_| occurrence.state == "failed");
    let item = reason.map(|reason| error_item("", "", reason));
    format!("[{}]", item.unwrap_or_default())
}

/// One error, its members in the order one client's pattern needs (PKG-14).
fn error_item(record: &str, field: &str, text: &str) -> String {
    let quote = |t: &str| Value::from(t).to_string();
    format!(
        "{{\"RecordId\":{},\"Field\":{},\"ErrorMessage\":{}}}",
        quote(record),
        quote(field),
        quote(text)
    )
}
