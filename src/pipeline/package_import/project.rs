//! Which project a package goes to: a job, a project that the store keeps, or one that it brings along (PKG-11c).

use std::collections::BTreeSet;

use super::{Import, ImportError, Rights};
use crate::definitions::Definitions;
use crate::domain::ids::JobId;
use crate::domain::job::{Direction, Job, Origin};
use crate::domain::project::{Project, ProjectEntity};
use crate::format::package::{Manifest, PackageEntity};
use crate::pipeline::Context;
use crate::storage::package_requests::PackageRequest;
use crate::storage::projects::ProjectChange;

/// The project of an import.
pub(super) struct Chosen {
    /// Its job.
    pub job: Job,
    /// What is done to it in the transaction that queues the import. None: its file is the truth.
    pub change: Option<ProjectChange>,
}

/// Finds the project, or makes one up.
pub(super) async fn choose(
    context: &Context,
    definitions: &Definitions,
    import: &Import,
    rights: &Rights,
    manifest: &Manifest,
) -> Result<Chosen, ImportError> {
    let (name, overwrite) = (&import.request.project, import.options.overwrite);
    let listed: Vec<&PackageEntity> = manifest.entities.iter().filter(|listed| !listed.disabled).collect();
    let Some(job) = definitions.find_job(name) else {
        return create(definitions, import, rights, &listed);
    };
    if !(rights.may_use)(job) {
        return Err(unknown(&import.request));
    }
    if job.direction != Direction::Import {
        return Err(ImportError::refused(format!(
            "the data project `{}` does not import: its direction is `{}`",
            job.name,
            job.direction.as_str()
        )));
    }
    if job.origin == Origin::File {
        let is_same = || wanted(definitions, job) == names(definitions, &listed);
        if !overwrite && !is_same() {
            return Err(differs(&job.name));
        }
        return Ok(Chosen {
            job: job.clone(),
            change: None,
        });
    }
    let known = context.store.project(job.id).await?;
    let Some(known) = known else {
        // It was deleted just now: to be seen when the transaction finds the same.
        let (job, change) = (job.clone(), Some(ProjectChange::Keep(job.id)));
        return Ok(Chosen { job, change });
    };
    let entities = held(definitions, &listed)?;
    if known.entities == entities {
        let change = Some(ProjectChange::Keep(job.id));
        return Ok(Chosen {
            job: job.clone(),
            change,
        });
    }
    if !overwrite {
        return Err(differs(&job.name));
    }
    let rebuilt = Project { entities, ..known };
    Ok(Chosen {
        job: job_of(&rebuilt)?,
        change: Some(ProjectChange::Rebuild(rebuilt)),
    })
}

fn create(
    definitions: &Definitions,
    import: &Import,
    rights: &Rights,
    listed: &[&PackageEntity],
) -> Result<Chosen, ImportError> {
    let name = &import.request.project;
    if !rights.may_create {
        return Err(unknown(&import.request));
    }
    if let Some(flaw) = Definitions::project_name_flaw(name) {
        return Err(ImportError::refused(format!("the data project's name `{name}` {flaw}")));
    }
    let project = Project {
        id: JobId::generate(),
        name: name.clone(),
        direction: Direction::Import,
        client: import.request.client.clone(),
        entities: held(definitions, listed)?,
    };
    Ok(Chosen {
        job: job_of(&project)?,
        change: Some(ProjectChange::Create(project)),
    })
}

fn job_of(project: &Project) -> Result<Job, ImportError> {
    project
        .import_job()
        .ok_or_else(|| ImportError::refused(format!("the data project `{}` does not import", project.name)))
}

/// What a project holds that is made of these lines of a manifest.
pub(in crate::pipeline) fn held(
    definitions: &Definitions,
    listed: &[&PackageEntity],
) -> Result<Vec<ProjectEntity>, ImportError> {
    let mut seen = BTreeSet::new();
    listed
        .iter()
        .map(|listed| {
            let entity = technical_name(definitions, &listed.name).ok_or_else(|| unknown_entity(&listed.name))?;
            let managed = definitions.entity(entity).is_none_or(|entity| entity.data_management);
            if !managed {
                return Err(ImportError::refused(format!(
                    "the entity `{}` takes no part in data management: its file says `data_management = false`",
                    listed.name
                )));
            }
            if !seen.insert(entity) {
                return Err(ImportError::refused(format!(
                    "the manifest lists the entity `{}` twice",
                    listed.name
                )));
            }
            Ok(ProjectEntity::from_manifest(entity, listed))
        })
        .collect()
}

impl ProjectEntity {
    /// A line of a manifest, for the entity of this technical name.
    #[must_use]
    pub fn from_manifest(entity: &str, listed: &PackageEntity) -> Self {
        let fields = listed.fields.iter().filter(|line| !line.column.is_empty());
        Self {
            entity: entity.to_owned(),
            source_format: listed.source_format.clone(),
            sheet: listed.sheet.clone(),
            fields: fields.map(|line| (line.column.clone(), line.field.clone())).collect(),
            incremental: listed.incremental,
            skip_staging: listed.skip_staging,
            execution_unit: listed.execution_unit,
            level: listed.level,
            sequence: listed.sequence,
        }
    }
}

/// Of the entity or composite entity with this label or name.
#[must_use]
pub fn technical_name<'a>(definitions: &'a Definitions, label: &str) -> Option<&'a str> {
    if let Some(entity) = definitions.find_entity(label) {
        return Some(&entity.name);
    }
    let label = label.to_lowercase();
    let mut composites = definitions.composites.iter();
    let composite = composites.find(|composite| composite.label.to_lowercase() == label);
    composite.map(|composite| composite.name.as_str())
}

/// What a job from a file loads: of a composite entity not its parts, which only say more about it.
fn wanted(definitions: &Definitions, job: &Job) -> BTreeSet<String> {
    let spec = job.import.iter().flat_map(|import| &import.entities);
    let all: Vec<&str> = spec.map(|wanted| wanted.entity.as_str()).collect();
    let composites = || all.iter().filter_map(|name| definitions.composite(name));
    let is_part = |name: &str| composites().any(|composite| composite.parts.iter().any(|part| part.entity == name));
    let own = all.iter().filter(|name| !is_part(name));
    own.map(|name| (*name).to_owned()).collect()
}

pub(in crate::pipeline) fn names(definitions: &Definitions, listed: &[&PackageEntity]) -> BTreeSet<String> {
    let name = |listed: &&PackageEntity| {
        let known = technical_name(definitions, &listed.name);
        known.map_or_else(|| listed.name.to_lowercase(), str::to_owned)
    };
    listed.iter().map(name).collect()
}

pub(super) fn unknown_entity(name: &str) -> ImportError {
    ImportError::refused(format!(
        "the entity `{name}` that the manifest lists is unknown: no entity of this environment has that label"
    ))
}

/// The same whether there is none or it is another client's.
pub(in crate::pipeline) fn unknown(request: &PackageRequest) -> ImportError {
    ImportError::refused(format!(
        "there is no data project `{}` that the client `{client}` may use, and it may create none: name a job that lists it under \
         `clients`, or let an operator give it the role that may (`tranship client add NAME --role integrator`)",
        request.project,
        client = request.client
    ))
}

/// As the product says it (PKG-11c).
pub(in crate::pipeline) fn differs(name: &str) -> ImportError {
    ImportError::refused(format!(
        "the definition group `{name}` exists already, the contents of the package differ from it, and overwrite was not given: send \
         overwrite = true, or a package with its entities, formats and mappings"
    ))
}
