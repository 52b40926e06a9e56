//! Package API actions (contract section 4): `POST /data/DataManagementDefinitionGroups/…{Action}` with parameters as JSON.
//!
//! Owns which action is which and how answers and refusals are put; what the actions do is in the modules below.

mod errors;
mod export;
mod import;
mod parameters;
mod sequence;
mod status;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use self::parameters::Parameters;
use super::Api;
use super::auth::{Caller, caller, link_base};
use super::dmf;
use super::json_body::json_object;
use super::positions;
use super::problem::{Kind, Problem, Surface, no_such_route};

/// Longest action body.
const BODY_BYTES_MAX: usize = 1024 * 1024;
const NAMESPACE: &str = "Microsoft.Dynamics.DataEntities.";

/// What an action answers.
enum Answer {
    /// A value that clients read as text (PKG-0).
    Value(Value),
    /// Nothing: the action is of type `void` (PKG-0).
    Void,
    /// There is no such action.
    NoSuchAction,
}

impl<T: Into<Value>> From<T> for Answer {
    fn from(value: T) -> Self {
        Self::Value(value.into())
    }
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
        Ok(Answer::Value(value)) => {
            let context = format!("{}/data/$metadata#{}", link_base(&api, &request), type_of(&value));
            HttpResponse::Ok()
                .content_type("application/json; odata.metadata=minimal")
                .insert_header(("OData-Version", "4.0"))
                .json(json!({ "@odata.context": context, "value": value }))
        }
        Ok(Answer::Void) => HttpResponse::NoContent()
            .insert_header(("OData-Version", "4.0"))
            .finish(),
        Ok(Answer::NoSuchAction) => no_such_route(request).await,
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

async fn run(api: &Api, request: &HttpRequest, action: &str, body: web::Payload) -> Result<Answer, Problem> {
    let caller = caller(api, request).await?;
    let carried_out = async {
        let parameters = Parameters::new(json_object(body, BODY_BYTES_MAX).await?);
        carry_out(api, request, &caller, action, &parameters).await
    };
    carried_out.await.map_err(|problem| of_action(action, problem))
}

async fn carry_out(
    api: &Api,
    request: &HttpRequest,
    caller: &Caller,
    action: &str,
    parameters: &Parameters,
) -> Result<Answer, Problem> {
    Ok(match action {
        "GetAzureWriteUrl" => {
            let name = parameters.free_text("uniqueFileName")?;
            dmf::write_url(api, request, caller, &name).await?.into()
        }
        action if import::ACTIONS.contains(&action) => {
            import::submit(api, request, caller, action, parameters).await?.into()
        }
        "ResetVersionToken" => {
            let (project, entity) = (parameters.text("definitionGroupId")?, parameters.text("entityName")?);
            positions::reset(api, caller, &project, &entity).await?.into()
        }
        "GetMessageStatus" => status::of_message(api, caller, &parameters.text("messageId")?)
            .await?
            .into(),
        "GetExecutionIdByMessageId" => status::execution_of(api, caller, &parameters.text("_messageId")?)
            .await?
            .into(),
        // There is nothing to initialise: entities are there as soon as their files are.
        "InitializeDataManagement" | "InitializeDataManagementAsync" => Answer::Void,
        "GetEntitySequence" => sequence::of_entities(api, caller, &parameters.text("listOfDataEntities")?)?.into(),
        "DeleteExecutionHistoryJob" => status::forget(api, caller, &parameters.text("executionId")?)
            .await?
            .into(),
        "ExportFromPackage" => export::from_package(api, request, caller, parameters).await?.into(),
        action if export::ACTIONS.contains(&action) => export::submit(api, caller, action, parameters).await?.into(),
        action if status::OF_EXECUTION.contains(&action) => {
            status::of_execution(api, request, caller, action, parameters)
                .await?
                .into()
        }
        _ => Answer::NoSuchAction,
    })
}

/// A failure of the request or of what it is about, as actions tell it: as a 400 (ERR-3), the cause behind the lead-in clients
/// skip over (ERR-2). One of ours stays what it is.
fn of_action(action: &str, problem: Problem) -> Problem {
    let detail = format!(
        "Exception occurred while executing action {action} on Entity DataManagementDefinitionGroup: {}",
        problem.detail
    );
    match problem.kind {
        Kind::Unavailable | Kind::Internal => problem,
        Kind::TooLarge => Problem::new(problem.kind, detail),
        _ => Problem::bad("action_failed", detail),
    }
}
