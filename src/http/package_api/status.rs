//! Actions that tell how a message or an execution stands, and where what it rejected is (PKG-12…18).

use actix_web::HttpRequest;
use serde_json::{Value, json};

use super::super::Api;
use super::super::auth::{Caller, link_base};
use super::super::error_files::{self, ErrorFileKind};
use super::super::problem::Problem;
use super::super::query::encoded;
use super::super::rejects::runs;
use super::super::sandbox;
use super::parameters::Parameters;
use super::{errors, export};
use crate::domain::audit::Action;
use crate::domain::ids::{ExecutionId, JobId, MessageId};
use crate::domain::message::Message;
use crate::domain::wire::{self, Standing};
use crate::pipeline;
use crate::storage::execution_history::Forgotten;
use crate::storage::executions::EntityRun;
use crate::storage::occurrences::Occurrence;

/// What `GetExecutionIdByMessageId` answers while nothing is scheduled (PKG-17).
const NO_EXECUTION: &str = "00000000-0000-0000-0000-000000000000";

/// The actions that are about an execution.
pub(super) const OF_EXECUTION: [&str; 8] = [
    "GetExportedPackageUrl",
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

/// `GetMessageStatus` (PKG-16).
pub(super) async fn of_message(api: &Api, caller: &Caller, id: &str) -> Result<&'static str, Problem> {
    let message = message(api, caller, id).await?;
    Ok(wire::message_status(Standing::from(&message)))
}

/// `GetExecutionIdByMessageId` (PKG-17).
pub(super) async fn execution_of(api: &Api, caller: &Caller, id: &str) -> Result<String, Problem> {
    let message = message(api, caller, id).await?;
    Ok(message.execution.map_or_else(|| NO_EXECUTION.to_owned(), |id| id.0))
}

/// One of [`OF_EXECUTION`].
pub(super) async fn of_execution(
    api: &Api,
    request: &HttpRequest,
    caller: &Caller,
    action: &str,
    parameters: &Parameters,
) -> Result<Value, Problem> {
    let run = execution(api, caller, &parameters.text("executionId")?).await?;
    Ok(match (action, run) {
        ("GetExecutionSummaryPageUrl", run) => format!("{}{}", link_base(api, request), page(&run)).into(),
        (action, Run::Message(message)) => {
            let entity = parameters.text("entityName")?;
            of_load(api, request, action, *message, &entity).await?
        }
        (action, Run::Export(occurrence)) => of_export(api, request, action, &occurrence).await?,
    })
}

async fn of_export(api: &Api, request: &HttpRequest, action: &str, occurrence: &Occurrence) -> Result<Value, Problem> {
    Ok(match action {
        "GetExecutionSummaryStatus" => wire::export_summary(&occurrence.state).into(),
        "GetEntityExecutionSummaryStatusList" => entity_list(&exported(api, occurrence).await?),
        "GetExecutionErrors" => errors::of_export(occurrence).into(),
        "GetExportedPackageUrl" => export::package_url(api, request, occurrence).await?.into(),
        // An export rejects nothing.
        "GenerateImportTargetErrorKeysFile" => false.into(),
        _ => "".into(),
    })
}

/// The entities of an export: as they were written, and before that as they are going to be.
async fn exported(api: &Api, occurrence: &Occurrence) -> Result<Vec<EntityRun>, Problem> {
    let (store, definitions) = (&api.context.store, api.definitions());
    let execution = match &occurrence.execution {
        Some(id) => store.execution(id).await?,
        None => None,
    };
    if let Some(execution) = execution.filter(|execution| !execution.entities.is_empty()) {
        return Ok(execution.entities);
    }
    let Some(job) = definitions.job(occurrence.job) else {
        return Ok(Vec::new());
    };
    let status = match occurrence.state.as_str() {
        "due" => "NotStarted",
        "running" => "Executing",
        "done" => "Finished",
        "failed" => "Error",
        _ => "Canceled",
    };
    let labels = pipeline::export::labels(&api.context, &definitions, job, occurrence.execution.as_ref()).await?;
    Ok((0..)
        .zip(labels)
        .map(|(at, label)| EntityRun::exported(at, label, status, 0))
        .collect())
}

async fn of_load(
    api: &Api,
    request: &HttpRequest,
    action: &str,
    message: Message,
    entity: &str,
) -> Result<Value, Problem> {
    Ok(match action {
        "GetExecutionSummaryStatus" => wire::execution_summary(Standing::from(&message)).into(),
        "GetEntityExecutionSummaryStatusList" => entity_list(&runs(api, &message).await?),
        "GetExecutionErrors" => errors::of_message(api, &message).await?.into(),
        "GetExportedPackageUrl" => return Err(export::no_package()),
        "GenerateImportTargetErrorKeysFile" => {
            let kind = ErrorFileKind::ErrorKeys;
            error_files::is_there(api, message, entity, kind).await?.into()
        }
        "GetImportStagingErrorFileUrl" => {
            let kind = ErrorFileKind::StagingErrors;
            error_files::link(api, request, message, entity, kind).await?.into()
        }
        _ => {
            let kind = ErrorFileKind::ErrorKeys;
            error_files::link(api, request, message, entity, kind).await?.into()
        }
    })
}

/// `DeleteExecutionHistoryJob`: deletes what is kept of an execution that has ended; afterwards nobody has heard of it (PKG-14b).
pub(super) async fn forget(api: &Api, caller: &Caller, id: &str) -> Result<bool, Problem> {
    let (run, refused) = (execution(api, caller, id).await?, |detail| {
        Problem::bad("action_failed", detail)
    });
    let (job, execution) = match run {
        Run::Message(message) => (message.job, message.execution),
        Run::Export(occurrence) => (occurrence.job, occurrence.execution),
    };
    let definitions = api.definitions();
    if !definitions
        .job(job)
        .map_or(caller.is_operator(), |job| caller.may_use(job))
    {
        let detail = format!(
            "the client `{}` may look at the execution {id}, not delete it",
            caller.name
        );
        return Err(refused(detail));
    }
    // What was asked for by its own id is that, although its message may have been loaded again since.
    let asked = ExecutionId(id.to_owned());
    let asked = api.context.store.execution(&asked).await?.map(|found| found.id);
    let Some(execution) = asked.or(execution) else {
        return Err(refused(format!(
            "the execution {id} has not begun: there is nothing to delete"
        )));
    };
    let name = api.definitions().job(job).map(|job| job.name.clone());
    let forgotten = api
        .audited(caller, Action::ExecutionDelete, &execution, json!({ "job": name }))
        .forget_execution(&execution, api.context.clock.now())
        .await?;
    match forgotten {
        Forgotten::Done => {
            tracing::info!(execution.id = %execution, client = %caller.name, "execution history deleted");
            Ok(true)
        }
        Forgotten::NotEnded => Err(refused(format!(
            "the execution {id} has not ended, or the message it made is not acknowledged: delete it afterwards"
        ))),
        Forgotten::Unknown => Err(refused(not_found(id))),
    }
}

fn not_found(id: &str) -> String {
    format!("Execution details were not found for the execution id {id}")
}

/// Where a person sees how it went (PKG-15a): the console's page of the execution, or before there is one, of what will run.
fn page(run: &Run) -> String {
    let (execution, before) = match run {
        Run::Message(message) => (&message.execution, format!("/console/messages/{}", message.id)),
        Run::Export(occurrence) => (&occurrence.execution, format!("/console/jobs/{}", occurrence.job)),
    };
    let of = |id: &ExecutionId| format!("/console/executions/{}", encoded(&id.0));
    execution.as_ref().map_or(before, of)
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

async fn message(api: &Api, caller: &Caller, id: &str) -> Result<Message, Problem> {
    let unknown = || Problem::bad("action_failed", format!("no message was found for the id {id}"));
    let parsed: MessageId = id.parse().map_err(|_| unknown())?;
    match api.context.store.message(parsed).await? {
        Some(found) if may_see(api, caller, found.job).await? => Ok(sandbox::as_shown(api, found).await?),
        _ => Err(unknown()),
    }
}

/// By execution id, or by message id, which recurring clients pass too (RI-33).
async fn execution(api: &Api, caller: &Caller, id: &str) -> Result<Run, Problem> {
    let store = &api.context.store;
    let execution = ExecutionId(id.to_owned());
    let mut found = store.message_by_execution(&execution).await?;
    if let (None, Ok(message)) = (&found, id.parse::<MessageId>()) {
        found = store.message(message).await?;
    }
    let run = if let Some(message) = found {
        let message = sandbox::as_shown(api, message).await?;
        Some((message.job, Run::Message(Box::new(message))))
    } else {
        let occurrence = store.occurrence_by_execution(&execution).await?;
        occurrence.map(|occurrence| (occurrence.job, Run::Export(Box::new(occurrence))))
    };
    match run {
        Some((job, run)) if may_see(api, caller, job).await? => Ok(run),
        _ => Err(Problem::bad("action_failed", not_found(id))),
    }
}

/// Also of a data project that another process created just now: its ids can be polled here at once (PKG-13).
async fn may_see(api: &Api, caller: &Caller, job: JobId) -> Result<bool, Problem> {
    let mut definitions = api.definitions();
    if definitions.job(job).is_none() {
        definitions = api.projects.refresh().await?;
    }
    let seen = definitions.job(job).map(|job| caller.may_see(job));
    Ok(seen.unwrap_or_else(|| caller.sees_all()))
}
