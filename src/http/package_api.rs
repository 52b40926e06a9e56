//! Package API actions (contract section 4): those that tell how a message or execution stands, and what it rejected.

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::Api;
use super::auth::{Caller, caller, link_base};
use super::connector::member;
use super::dmf;
use super::error_files::{self, ErrorFileKind};
use super::positions;
use super::problem::{Kind, Problem, Surface, no_such_route};
use super::rejects::runs;
use crate::domain::ids::{ExecutionId, JobId, MessageId};
use crate::domain::message::Message;
use crate::domain::wire::{self, Standing};
use crate::storage::executions::EntityRun;
use crate::storage::occurrences::Occurrence;

/// Longest action body.
const BODY_BYTES_MAX: usize = 1024 * 1024;
const NAMESPACE: &str = "Microsoft.Dynamics.DataEntities.";
/// What `GetExecutionIdByMessageId` answers while nothing is scheduled (PKG-17).
const NO_EXECUTION: &str = "00000000-0000-0000-0000-000000000000";
/// Most errors one `GetExecutionErrors` lists; the native API pages through the rest.
const ERRORS_MAX: u32 = 5000;

/// The actions that are about an execution.
const OF_EXECUTION: [&str; 7] = [
    "GetExecutionSummaryStatus",
    "GetEntityExecutionSummaryStatusList",
    "GetExecutionSummaryPageUrl",
    "GetExecutionErrors",
    "GenerateImportTargetErrorKeysFile",
    "GetImportTargetErrorKeysFileUrl",
    "GetImportStagingErrorFileUrl",
];

/// What an execution id leads to.
enum Run {
    /// The load of a message, or the export that made one.
    Message(Box<Message>),
    /// An export without a message: not over, failed, or with nothing to upload.
    Export(Box<Occurrence>),
}

/// `POST /data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{Action}`.
pub async fn action(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let Some(action) = name.strip_prefix(NAMESPACE).map(str::to_owned) else {
        return no_such_route(request).await;
    };
    match run(&api, &request, &action, body).await {
        Ok(Some(value)) => {
            let context = format!("{}/data/$metadata#{}", link_base(&api, &request), type_of(&value));
            HttpResponse::Ok()
                .content_type("application/json; odata.metadata=minimal")
                .insert_header(("OData-Version", "4.0"))
                .json(json!({ "@odata.context": context, "value": value }))
        }
        Ok(None) => no_such_route(request).await,
        Err(problem) => problem.respond(Surface::Data),
    }
}

/// The type of an answer's value (PKG-0b).
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "Edm.Boolean",
        Value::Array(_) => "Collection(Edm.String)",
        _ => "Edm.String",
    }
}

async fn run(api: &Api, request: &HttpRequest, action: &str, body: web::Payload) -> Result<Option<Value>, Problem> {
    let caller = caller(api, request).await?;
    let body = json_body(body, BODY_BYTES_MAX)
        .await
        .map_err(|problem| of_action(action, problem))?;
    let parameter = |name: &str| {
        member(&body, name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let value: Value = match action {
        "GetMessageStatus" => {
            let message = message(api, &caller, action, &parameter("messageId")).await?;
            wire::message_status(Standing::from(&message)).into()
        }
        "GetExecutionIdByMessageId" => {
            let message = message(api, &caller, action, &parameter("_messageId")).await?;
            message
                .execution
                .map_or_else(|| NO_EXECUTION.to_owned(), |e| e.0)
                .into()
        }
        "GetAzureWriteUrl" => {
            let url = dmf::write_url(api, request, &caller, &parameter("uniqueFileName")).await;
            url.map_err(|problem| of_action(action, problem))?.into()
        }
        "ResetVersionToken" => {
            let (project, entity) = (parameter("definitionGroupId"), parameter("entityName"));
            let reset = positions::reset(api, &caller, &project, &entity).await;
            reset.map_err(|problem| of_action(action, problem))?.into()
        }
        action if OF_EXECUTION.contains(&action) => {
            let run = execution(api, &caller, action, &parameter("executionId")).await?;
            of_execution(api, request, action, run, &parameter("entityName")).await?
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

async fn of_execution(
    api: &Api,
    request: &HttpRequest,
    action: &str,
    run: Run,
    entity: &str,
) -> Result<Value, Problem> {
    let as_action = |problem| of_action(action, problem);
    Ok(match (action, run) {
        ("GetExecutionSummaryStatus", Run::Message(message)) => {
            wire::execution_summary(Standing::from(&*message)).into()
        }
        ("GetExecutionSummaryStatus", Run::Export(occurrence)) => wire::export_summary(&occurrence.state).into(),
        ("GetEntityExecutionSummaryStatusList", Run::Message(message)) => entity_list(&runs(api, &message).await?),
        ("GetEntityExecutionSummaryStatusList", Run::Export(_)) => entity_list(&[]),
        ("GetExecutionSummaryPageUrl", run) => format!("{}{}", link_base(api, request), page(&run)).into(),
        ("GetExecutionErrors", Run::Message(message)) => message_errors(api, &message).await?.into(),
        ("GetExecutionErrors", Run::Export(occurrence)) => export_errors(&occurrence).into(),
        ("GenerateImportTargetErrorKeysFile", Run::Message(message)) => {
            let is_there = error_files::is_there(api, *message, entity, ErrorFileKind::ErrorKeys);
            is_there.await.map_err(as_action)?.into()
        }
        ("GenerateImportTargetErrorKeysFile", Run::Export(_)) => false.into(),
        // An export rejects nothing.
        (_, Run::Export(_)) => "".into(),
        (action, Run::Message(message)) => {
            let kind = if action == "GetImportStagingErrorFileUrl" {
                ErrorFileKind::StagingErrors
            } else {
                ErrorFileKind::ErrorKeys
            };
            let link = error_files::link(api, request, *message, entity, kind);
            link.await.map_err(as_action)?.into()
        }
    })
}

/// A failure of the request or of what it is about, as actions tell it; one of ours stays what it is.
fn of_action(action: &str, problem: Problem) -> Problem {
    match problem.kind {
        Kind::Unavailable | Kind::Internal => problem,
        Kind::TooLarge => Problem::new(problem.kind, failed(action, &problem.detail).detail),
        _ => failed(action, &problem.detail),
    }
}

/// Where a person sees how it went (PKG-15a).
fn page(run: &Run) -> String {
    match run {
        Run::Message(message) => format!("/api/v1/messages/{}", message.id),
        Run::Export(occurrence) => format!("/api/v1/jobs/{}/occurrences", occurrence.job),
    }
}

/// A JSON object in a string for each entity (PKG-18).
fn entity_list(runs: &[EntityRun]) -> Value {
    let item = |run: &EntityRun| {
        json!({
            "EntityName": run.label,
            "StagingStatus": run.staging_status,
            "TargetStatus": run.target_status,
            "StagingRecords": run.staging_records,
            "StagingErrors": run.staging_errors,
            "TargetInserted": run.counts.inserted,
            "TargetUpdated": run.counts.updated,
            "TargetErrors": run.target_errors,
        })
    };
    runs.iter().map(|run| item(run).to_string()).collect()
}

/// The lead-in clients skip over, then the cause (ERR-2), as a 400 (ERR-3).
fn failed(action: &str, cause: &str) -> Problem {
    let detail =
        format!("Exception occurred while executing action {action} on Entity DataManagementDefinitionGroup: {cause}");
    Problem::bad("action_failed", detail)
}

async fn message(api: &Api, caller: &Caller, action: &str, id: &str) -> Result<Message, Problem> {
    let unknown = || failed(action, &format!("no message was found for the id {id}"));
    let parsed: MessageId = id.parse().map_err(|_| unknown())?;
    let found = api.context.store.message(parsed).await?;
    found.filter(|m| may_see(api, caller, m.job)).ok_or_else(unknown)
}

/// By execution id, or by message id, which recurring clients pass too (RI-33).
async fn execution(api: &Api, caller: &Caller, action: &str, id: &str) -> Result<Run, Problem> {
    let store = &api.context.store;
    let execution = ExecutionId(id.to_owned());
    let mut found = store.message_by_execution(&execution).await?;
    if let (None, Ok(message)) = (&found, id.parse::<MessageId>()) {
        found = store.message(message).await?;
    }
    let run = if let Some(message) = found {
        Some((message.job, Run::Message(Box::new(message))))
    } else {
        let occurrence = store.occurrence_by_execution(&execution).await?;
        occurrence.map(|occurrence| (occurrence.job, Run::Export(Box::new(occurrence))))
    };
    let seen = run.filter(|(job, _)| may_see(api, caller, *job)).map(|(_, run)| run);
    seen.ok_or_else(|| {
        failed(
            action,
            &format!("Execution details were not found for the execution id {id}"),
        )
    })
}

fn may_see(api: &Api, caller: &Caller, job: JobId) -> bool {
    api.definitions()
        .job(job)
        .map_or(caller.sees_all(), |job| caller.may_see(job))
}

/// A JSON array in a string. A failure before staging is one element without record and field (PKG-14a).
async fn message_errors(api: &Api, message: &Message) -> Result<String, Problem> {
    let mut items = Vec::new();
    if let Some(failure) = &message.failure {
        items.push(error_item("", "", &format!("{}: {}", failure.code, failure.detail)));
    }
    for stored in api.context.store.record_errors(message.id, None, ERRORS_MAX).await? {
        let error = &stored.error;
        let record = format!("{:06}", error.place.record);
        let field = error.field.as_deref().unwrap_or_default().to_uppercase();
        items.push(error_item(
            &record,
            &field,
            &format!("{}: {}", error.code, error.reason),
        ));
    }
    Ok(format!("[{}]", items.join(",")))
}

/// The same for an export: what it failed of.
fn export_errors(occurrence: &Occurrence) -> String {
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

/// Reads a JSON body as clients send it: any content type, empty for no parameters, single-quoted (GEN-7).
pub(super) async fn json_body(mut body: web::Payload, max_bytes: usize) -> Result<Value, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|e| Problem::bad("transfer_interrupted", format!("the body broke off: {e}")))?;
        bytes.extend_from_slice(&chunk);
        if bytes.len() > max_bytes {
            return Err(Problem::new(
                Kind::TooLarge,
                format!("the body is larger than {max_bytes} bytes"),
            ));
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_str(text)
        .or_else(|error| serde_json::from_str(&double_quoted(text)).map_err(|_| error))
        .map_err(|error| Problem::bad("invalid_json", format!("the body is not JSON: {error}")))
}

/// Turns single-quoted JSON into JSON: outside double quotes, `'` delimits and `"` inside it is escaped.
fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut open: Option<char> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (open, character) {
            (Some(_), '\\') => {
                let escaped = characters.next();
                if escaped != Some('\'') {
                    out.push('\\');
                }
                out.extend(escaped);
            }
            (None, '\'' | '"') => {
                open = Some(character);
                out.push('"');
            }
            (Some(quote), c) if c == quote => {
                open = None;
                out.push('"');
            }
            (Some('\''), '"') => out.push_str("\\\""),
            (_, c) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::double_quoted;

    #[test]
    fn single_quoted_json_becomes_json() {
        for (sent, want) in [
            ("{'messageId':'x'}", r#"{"messageId":"x"}"#),
            (r#"{'a':'say "hi"'}"#, r#"{"a":"say \"hi\""}"#),
            (r#"{"a":"it's"}"#, r#"{"a":"it's"}"#),
            (r"{'a':'it\'s'}", r#"{"a":"it's"}"#),
        ] {
            assert_eq!(double_quoted(sent), want);
            assert!(serde_json::from_str::<serde_json::Value>(want).is_ok());
        }
    }
}
