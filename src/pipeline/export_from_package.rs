//! `ExportFromPackage` (PKG-23): a package, mostly a template without data, says what a project holds; the project is made of it, or
//! found, and exported.

use std::collections::BTreeSet;

use super::Context;
use super::blob_host;
use super::export;
use super::package_file::{PackageFile, Spool};
use super::package_import::project::{differs, held, names, unknown};
use super::package_import::{ImportError, Rights};
use super::payload::PayloadError;
use super::projects::Projects;
use crate::blob::BlobError;
use crate::definitions::Definitions;
use crate::domain::ids::JobId;
use crate::domain::job::{Direction, Job, Origin};
use crate::domain::package_export::PackageExport;
use crate::domain::project::Project;
use crate::format::package::{Manifest, PackageEntity};
use crate::storage::dmf_blobs::DmfContent;
use crate::storage::package_imports::Queued;
use crate::storage::package_requests::PackageRequest;
use crate::storage::projects::ProjectChange;

/// How often a project that others change at the same moment is looked at again.
const ATTEMPTS: u32 = 20;

/// An export as a client asks for it with a package.
#[derive(Debug, Clone)]
pub struct ExportByPackage {
    /// Who asks for what, under which id.
    pub request: PackageRequest,
    /// The same, read.
    pub asked: PackageExport,
    /// Whether the project is exported, too, and not only made.
    pub execute: bool,
    /// The package.
    pub content: DmfContent,
}

/// Makes the project, where it is not there, and records its run. Once this returns, the id can be polled.
///
/// # Errors
/// [`ImportError`]; nothing is stored.
pub async fn submit(
    context: &Context,
    projects: &Projects,
    wanted: ExportByPackage,
    rights: &Rights,
) -> Result<(), ImportError> {
    let manifest = manifest(context, &wanted.content).await?;
    let overwrite = wanted
        .asked
        .template
        .as_ref()
        .is_some_and(|template| template.overwrite);
    for _ in 0..ATTEMPTS {
        let definitions = projects.refresh().await?;
        let chosen = choose(context, &definitions, &wanted.request, (&manifest, overwrite), rights).await?;
        export::check(context, &definitions, &chosen.job, &wanted.asked).map_err(ImportError::Refused)?;
        let queued = match (wanted.execute, chosen.change) {
            (true, change) => {
                context
                    .store
                    .run_package(chosen.job.id, &wanted.request, change)
                    .await?
            }
            (false, Some(change)) => {
                let done = context.store.change_project(change, wanted.request.asked_at).await?;
                if done { Queued::New } else { Queued::Overtaken }
            }
            (false, None) => Queued::New,
        };
        match queued {
            Queued::New => {
                projects.refresh().await?;
                let (execution, project) = (&wanted.request.execution, &chosen.job.name);
                tracing::info!(%execution, %project, client = %wanted.request.client, "export from a package asked for");
                return Ok(());
            }
            Queued::Repeated => return Ok(()),
            Queued::Taken => return Err(ImportError::Taken(wanted.request.execution)),
            Queued::Overtaken => {}
        }
    }
    Err(ImportError::Unavailable(
        "others change the data project at this moment; send it again".to_owned(),
    ))
}

async fn manifest(context: &Context, of: &DmfContent) -> Result<Manifest, ImportError> {
    let unreadable = |error: BlobError| ImportError::from(PayloadError::Blob(error));
    let mut blob = blob_host::read(context, of).await.map_err(unreadable)?;
    let mut spool = Spool::begin()?;
    while let Some(chunk) = blob.next().await.map_err(unreadable)? {
        spool = spool.write(chunk).await?;
    }
    Ok(PackageFile::of_spool(context, spool).await?.manifest().clone())
}

/// The project of an export.
struct Chosen {
    job: Job,
    /// What is done to it in the transaction that records the run. None: its file is the truth.
    change: Option<ProjectChange>,
}

async fn choose(
    context: &Context,
    definitions: &Definitions,
    request: &PackageRequest,
    (manifest, overwrite): (&Manifest, bool),
    rights: &Rights,
) -> Result<Chosen, ImportError> {
    let listed: Vec<&PackageEntity> = manifest.entities.iter().filter(|listed| !listed.disabled).collect();
    if listed.is_empty() {
        return Err(ImportError::refused("the package lists no entity to export"));
    }
    let Some(job) = definitions.find_job(&request.project) else {
        let project = new_project(definitions, request, rights, &listed)?;
        return chosen(definitions, project, ProjectChange::Create);
    };
    if !(rights.may_use)(job) {
        return Err(unknown(request));
    }
    if job.direction != Direction::Export {
        let detail = format!("the data project `{}` is no export: it cannot be exported", job.name);
        return Err(ImportError::Refused(detail));
    }
    if job.origin == Origin::File {
        let (exported, listed) = (exported(definitions, job), names(definitions, &listed));
        return if exported == listed {
            let (job, change) = (job.clone(), None);
            Ok(Chosen { job, change })
        } else {
            Err(ImportError::Refused(format!(
                "the data project `{}` is a job from a file and exports {}, but the package lists {}: to export some of its entities, use \
                 ExportToPackageAsync with entityList",
                job.name,
                Vec::from_iter(exported).join(", "),
                Vec::from_iter(listed).join(", ")
            )))
        };
    }
    let entities = held(definitions, &listed)?;
    match context.store.project(job.id).await? {
        Some(known) if known.entities == entities => chosen(definitions, known, |known| ProjectChange::Keep(known.id)),
        Some(known) if overwrite => chosen(definitions, Project { entities, ..known }, ProjectChange::Rebuild),
        Some(known) => Err(differs(&known.name)),
        // It was deleted just now: to be seen when the transaction finds the same.
        None => Ok(Chosen {
            job: job.clone(),
            change: Some(ProjectChange::Keep(job.id)),
        }),
    }
}

/// What a job from a file exports: of a composite entity not its parts, which only say more about it.
fn exported(definitions: &Definitions, job: &Job) -> BTreeSet<String> {
    let spec = job.export.iter().flat_map(|spec| &spec.entities);
    let mut names: BTreeSet<String> = spec.map(|wanted| wanted.entity.clone()).collect();
    let composites = definitions
        .composites
        .iter()
        .filter(|composite| names.contains(&composite.name));
    let inside: Vec<_> = composites.flat_map(|composite| &composite.parts).collect();
    for part in inside {
        names.remove(&part.entity);
    }
    names
}

fn new_project(
    definitions: &Definitions,
    request: &PackageRequest,
    rights: &Rights,
    listed: &[&PackageEntity],
) -> Result<Project, ImportError> {
    if !rights.may_create {
        return Err(unknown(request));
    }
    let name = &request.project;
    if let Some(flaw) = Definitions::project_name_flaw(name) {
        return Err(ImportError::Refused(format!("the data project's name `{name}` {flaw}")));
    }
    Ok(Project {
        id: JobId::generate(),
        name: name.clone(),
        direction: Direction::Export,
        client: request.client.clone(),
        entities: held(definitions, listed)?,
    })
}

fn chosen(
    definitions: &Definitions,
    project: Project,
    change: impl FnOnce(Project) -> ProjectChange,
) -> Result<Chosen, ImportError> {
    if let Some(flaw) = definitions.export_flaw(&project) {
        return Err(ImportError::Refused(flaw));
    }
    let no_export = || ImportError::refused("the data project is no export");
    Ok(Chosen {
        job: definitions.job_of(&project).ok_or_else(no_export)?,
        change: Some(change(project)),
    })
}
