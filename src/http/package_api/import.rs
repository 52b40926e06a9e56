//! `ImportFromPackage` and its two other forms (PKG-11).

use std::sync::Arc;

use actix_web::HttpRequest;
use serde_json::json;

use super::super::Api;
use super::super::auth::Caller;
use super::super::dmf;
use super::super::envelope::traceparent;
use super::super::problem::{Kind, Problem};
use super::parameters::Parameters;
use crate::domain::audit::Action;
use crate::pipeline::enqueue::checked_company;
use crate::pipeline::new_execution_id;
use crate::pipeline::package_import::{self, Import, ImportError, ImportOptions, Rights};
use crate::pipeline::room::Room;
use crate::storage::package_requests::PackageRequest;

/// The actions that import a package.
pub(super) const ACTIONS: [&str; 3] = ["ImportFromPackage", "ImportFromPackageAsync", "ImportFromDMTPackage"];

/// Queues an import, and answers its execution's id: the client's, verbatim, or one of ours (PKG-11a).
pub(super) async fn submit(
    api: &Api,
    request: &HttpRequest,
    caller: &Caller,
    action: &str,
    parameters: &Parameters,
) -> Result<String, Problem> {
    if !caller.may_upload() {
        let detail = format!("the client `{}` may look at everything and change nothing", caller.name);
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    let options = read_options(action, parameters)?;
    let asked = asked(api, caller, action, parameters, &options)?;
    let execution = asked.execution.0.clone();
    if package_import::is_repeated(&api.context, &asked).await? {
        return Ok(execution);
    }
    // Whoever leaves here has asked for nothing yet.
    let room = room(api, caller, &asked.project).await?;
    let permit = Arc::clone(&api.package_checks).acquire_owned().await;
    let url = parameters.text("packageUrl")?;
    let (_, package) = dmf::open_package(api, request, caller, &url).await?;
    let import = Import {
        request: asked,
        options,
        content: package,
        traceparent: traceparent(request),
    };
    let (user, may_create) = (caller.clone(), caller.may_create_projects());
    let rights = Rights {
        may_use: Box::new(move |job| user.may_use(job)),
        may_create,
    };
    let submit = {
        // Told of only if it creates or changes a project: the import itself is a sender's, not an operator's act.
        let detail = json!({ "job": import.request.project, "execution": execution });
        let context = api.audited_context(caller, Action::ProjectChange, "", detail);
        let projects = api.projects.clone();
        async move {
            let _admitted = (permit, room);
            package_import::submit(&context, &projects, import, &rights).await
        }
    };
    // It goes on when the client is gone: that one knows the id, and polls it (PKG-11).
    let submitted = api.context.runtime.spawn(submit).await;
    submitted.map_err(|_| Problem::new(Kind::Unavailable, "the service is stopping; send it again"))??;
    api.wake.notify_one();
    Ok(execution)
}

/// Room in the queue of the project's job. A project that is not there yet has an empty one, and what is not the caller's is refused later.
async fn room(api: &Api, caller: &Caller, project: &str) -> Result<Option<Room>, Problem> {
    let definitions = api.definitions();
    match definitions.find_job(project).filter(|job| caller.may_use(job)) {
        Some(job) => api.admission.room_in_time(&api.context, job).await,
        None => Ok(None),
    }
}

fn read_options(action: &str, parameters: &Parameters) -> Result<ImportOptions, Problem> {
    // How a batch server spreads the work is nothing to us; what is no number is a mistake all the same.
    parameters.flag("runAsyncWithoutBatch")?;
    parameters.number("thresholdToRunInBatch")?;
    parameters.text("importBatchGroupId")?;
    let company = parameters.text("legalEntityId")?;
    let url = parameters.text("packageUrl")?;
    if url.is_empty() {
        let detail = format!("{action} needs packageUrl: the BlobUrl that GetAzureWriteUrl answered");
        return Err(Problem::bad("action_failed", detail));
    }
    Ok(ImportOptions {
        package: dmf::package_path(&url)?,
        execute: parameters.flag("execute")?,
        overwrite: parameters.flag("overwrite")?,
        company: (!company.is_empty()).then(|| checked_company(&company)).transpose()?,
        fail_on_error: parameters.flag("failOnError")?,
    })
}

fn asked(
    api: &Api,
    caller: &Caller,
    action: &str,
    parameters: &Parameters,
    options: &ImportOptions,
) -> Result<PackageRequest, Problem> {
    let project = parameters.text("definitionGroupId")?;
    if project.is_empty() {
        let detail = format!("{action} needs definitionGroupId: the data project to import into");
        return Err(Problem::bad("action_failed", detail));
    }
    let now = api.context.clock.now();
    Ok(PackageRequest {
        execution: parameters
            .execution_id()?
            .unwrap_or_else(|| new_execution_id(&project, now)),
        client: caller.name.clone(),
        action: action.to_owned(),
        project,
        asked: options.canonical(),
        asked_at: now,
    })
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Refused(_) | ImportError::Taken(_) => Self::bad("action_failed", error.to_string()),
            ImportError::Unavailable(detail) => {
                tracing::error!("a package could not be taken: {detail}");
                Self::new(
                    Kind::Unavailable,
                    "the package could not be taken right now; nothing was stored, send it again",
                )
            }
            ImportError::Payload(error) => error.into(),
            ImportError::Store(error) => error.into(),
        }
    }
}
