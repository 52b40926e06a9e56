//! Exports by the package API: the actions that ask for a package, and the one that tells where it is (PKG-19 to PKG-22).

use std::sync::Arc;

use actix_web::HttpRequest;
use serde_json::json;

use super::super::Api;
use super::super::auth::Caller;
use super::super::dmf;
use super::super::problem::{Kind, Problem};
use super::parameters::Parameters;
use crate::definitions::Definitions;
use crate::domain::audit::Action;
use crate::domain::ids::ExecutionId;
use crate::domain::job::Job;
use crate::domain::package_export::{PackageExport, Template, names};
use crate::pipeline::blob_host::{self, BlobHostError};
use crate::pipeline::export_from_package::{self, ExportByPackage};
use crate::pipeline::package_import::{self, Rights};
use crate::pipeline::{export, new_execution_id};
use crate::storage::occurrences::Occurrence;
use crate::storage::package_imports::Queued;
use crate::storage::package_requests::PackageRequest;

/// The actions that ask for a package.
pub(super) const ACTIONS: [&str; 5] = [
    "ExportToPackage",
    "ExportToPackageAsync",
    "ExportToPackagePreview",
    "ExportToPackagePreviewAsync",
    "ExportToPackageDelta",
];
/// Longest name of a package, in characters; its path keeps fewer.
const PACKAGE_NAME_CHARS_MAX: usize = 255;
/// Longest legal entity, in characters (PKG-11d).
const COMPANY_CHARS_MAX: usize = 4;
/// Records of each entity in a preview that says not how many.
const PREVIEW_RECORDS: u64 = 10;

/// One of [`ACTIONS`]: the id of the execution, which can be polled from now on (PKG-13).
pub(super) async fn submit(
    api: &Api,
    caller: &Caller,
    action: &str,
    parameters: &Parameters,
) -> Result<String, Problem> {
    let (definitions, now) = (api.definitions(), api.context.clock.now());
    let (store, project) = (&api.context.store, parameters.text("definitionGroupId")?);
    let job = project_of(&definitions, caller, &project)?;
    let asked = asked(action, parameters)?;
    let request = PackageRequest {
        execution: parameters
            .execution_id()?
            .unwrap_or_else(|| new_execution_id(&job.name, now)),
        client: caller.name.clone(),
        action: action.to_owned(),
        project,
        asked: asked.text(),
        asked_at: now,
    };
    // What was taken on before is not judged again.
    if store.package_request(&request.execution).await?.is_none() {
        export::check(&api.context, &definitions, job, &asked).map_err(refused)?;
        refuse_paused(api, job).await?;
    }
    let (queued, id) = (store.run_package(job.id, &request, None).await?, request.execution);
    match queued {
        Queued::New => {
            api.wake.notify_one();
            tracing::info!(job.name = %job.name, client = %caller.name, execution.id = %id, action, "export asked for");
        }
        Queued::Repeated => {
            tracing::info!(job.name = %job.name, client = %caller.name, execution.id = %id, action, "asked for again");
        }
        Queued::Taken | Queued::Overtaken => return Err(refused(taken(&id))),
    }
    Ok(id.0)
}

/// `ExportFromPackage` (PKG-23): the id of the execution; of none, where the project was only to be made, an empty text.
pub(super) async fn from_package(
    api: &Api,
    request: &HttpRequest,
    caller: &Caller,
    parameters: &Parameters,
) -> Result<String, Problem> {
    let (project, now) = (parameters.text("definitionGroupId")?, api.context.clock.now());
    if project.is_empty() {
        let detail = "ExportFromPackage needs definitionGroupId: the data project to make of the package";
        return Err(refused(detail.to_owned()));
    }
    let url = parameters.text("packageUrl")?;
    let asked = PackageExport {
        template: Some(Template {
            package: dmf::package_path(&url)?,
            overwrite: parameters.flag("overwrite")?,
        }),
        ..asked("ExportFromPackage", parameters)?
    };
    let submitted = PackageRequest {
        execution: parameters
            .execution_id()?
            .unwrap_or_else(|| new_execution_id(&project, now)),
        client: caller.name.clone(),
        action: "ExportFromPackage".to_owned(),
        project,
        asked: asked.text(),
        asked_at: now,
    };
    let (id, execute) = (submitted.execution.0.clone(), parameters.flag("execute")?);
    if execute && package_import::is_repeated(&api.context, &submitted).await? {
        return Ok(id);
    }
    // Whoever leaves here has asked for nothing yet.
    let permit = Arc::clone(&api.package_checks).acquire_owned().await;
    let (_, content) = dmf::open_package(api, request, caller, &url).await?;
    let wanted = ExportByPackage {
        request: submitted,
        asked,
        execute,
        content,
    };
    let (user, may_create) = (caller.clone(), caller.may_create_projects());
    let rights = Rights {
        may_use: Box::new(move |job| user.may_use(job)),
        may_create,
    };
    let submit = {
        // Told of only if it creates or changes a project: the export itself is a client's, not an operator's act.
        let detail = json!({ "job": wanted.request.project, "execution": id });
        let audited = api.audited_context(caller, Action::ProjectChange, "", detail);
        let projects = api.projects.clone();
        async move {
            let _permit = permit;
            export_from_package::submit(&audited, &projects, wanted, &rights).await
        }
    };
    // It goes on when the client is gone: that one knows the id, and polls it.
    let submitted = api.context.runtime.spawn(submit).await;
    submitted.map_err(|_| Problem::new(Kind::Unavailable, "the service is stopping; send it again"))??;
    api.wake.notify_one();
    Ok(if execute { id } else { String::new() })
}

fn refused(detail: String) -> Problem {
    Problem::bad("action_failed", detail)
}

fn taken(id: &ExecutionId) -> String {
    format!("the execution id {id} was used before, for something else: send another one, or none to have one made")
}

/// The job of a data project that the caller may use; others do not exist for it.
fn project_of<'a>(definitions: &'a Definitions, caller: &Caller, project: &str) -> Result<&'a Job, Problem> {
    let job = definitions.find_job(project).filter(|job| caller.may_use(job));
    job.ok_or_else(|| {
        let client = &caller.name;
        refused(format!(
            "the data project `{project}` was not found, or the client `{client}` may not use it"
        ))
    })
}

/// What is asked for, as far as it needs no definitions to be judged.
fn asked(action: &str, parameters: &Parameters) -> Result<PackageExport, Problem> {
    let (package_name, company) = (parameters.text("packageName")?, parameters.text("legalEntityId")?);
    if package_name.chars().count() > PACKAGE_NAME_CHARS_MAX {
        return Err(refused(format!(
            "packageName is longer than {PACKAGE_NAME_CHARS_MAX} characters"
        )));
    }
    if company.chars().count() > COMPANY_CHARS_MAX {
        return Err(refused(format!(
            "legalEntityId is `{company}`, but a legal entity has at most {COMPANY_CHARS_MAX} characters"
        )));
    }
    let preview = if action.contains("Preview") {
        let count = parameters.number("exportPreviewCount")?;
        let count = count.map_or_else(|| parameters.number("count"), |count| Ok(Some(count)))?;
        Some(count.unwrap_or(PREVIEW_RECORDS))
    } else {
        None
    };
    Ok(PackageExport {
        package_name,
        company: (!company.is_empty()).then(|| company.to_lowercase()),
        entities: names(&parameters.text("entityList")?),
        preview,
        delta: action.contains("Delta"),
        re_execute: parameters.flag("reExecute")?,
        template: None,
    })
}

/// Nothing of a paused job runs, and a client that polls would wait for somebody else.
async fn refuse_paused(api: &Api, job: &Job) -> Result<(), Problem> {
    let Some(pause) = api.context.store.pause_of(job.id).await? else {
        return Ok(());
    };
    Err(refused(format!(
        "the data project `{}` is paused since {} by {}: it runs again once it is resumed",
        job.name, pause.at, pause.by
    )))
}

/// `GetExportedPackageUrl` of an export: empty while it is on its way (PKG-20).
pub(super) async fn package_url(api: &Api, request: &HttpRequest, occurrence: &Occurrence) -> Result<String, Problem> {
    let no_package_of = |why: String| {
        let id = occurrence.execution.as_ref().map_or("", |id| id.0.as_str());
        refused(format!("the execution {id} {why}"))
    };
    match (occurrence.state.as_str(), &occurrence.execution) {
        ("due" | "running", _) => return Ok(String::new()),
        ("done", Some(execution)) => {
            if let Some(package) = api.context.store.exported_package(execution).await? {
                let content = blob_host::find(&api.context, &package.path).await;
                let (_, content) = content.map_err(|error| match error {
                    BlobHostError::Missing => no_package_of(format!(
                        "made a package that is no longer kept: it was until {}; export again",
                        package.expires_at
                    )),
                    error => error.into(),
                })?;
                return dmf::download_url(api, request, &package.path, &content).await;
            }
        }
        (state, _) => {
            let note = occurrence.note.as_deref().unwrap_or("no reason was written down");
            return Err(no_package_of(format!("has made no package, it is {state}: {note}")));
        }
    }
    Err(no_package())
}

/// Of what was no export for a package.
pub(super) fn no_package() -> Problem {
    refused(
        "the execution made no package for this API: an import makes none, and what a job exports by its schedule is collected \
         from its queue"
            .to_owned(),
    )
}
