//! Exports that clients ask for by the package API: the job as it runs for one of them. It is always a package, for the one who
//! asked: whole, with nothing of ours in it (FMT-5), and it goes nowhere else.

use std::collections::BTreeSet;

use super::parts::parts;
use super::{Context, database_of};
use crate::definitions::Definitions;
use crate::domain::export::{ExportEntity, ExportSpec, Refresh};
use crate::domain::ids::ExecutionId;
use crate::domain::job::{DataSource, Job};
use crate::domain::package_export::PackageExport;
use crate::pipeline::stop::Stop;
use crate::storage::StoreError;

/// The action of every request for an export begins with it.
const ACTION: &str = "Export";

/// A request as the worker finds it.
pub(super) struct Requested {
    /// Who asked.
    pub(super) client: String,
    /// For what.
    pub(super) asked: PackageExport,
}

/// What was asked of an execution; nothing where its run is an ordinary one.
pub(super) async fn of_execution(
    context: &Context,
    execution: Option<&ExecutionId>,
) -> Result<Option<Requested>, Stop> {
    let Some(execution) = execution else { return Ok(None) };
    let Some(request) = context.store.package_request(execution).await? else {
        return Ok(None);
    };
    let unread = || {
        Stop::fail(
            "request_unreadable",
            format!("what was asked of {execution} cannot be read"),
        )
    };
    let asked = PackageExport::read(&request.asked).filter(|_| request.action.starts_with(ACTION));
    Ok(Some(Requested {
        client: request.client,
        asked: asked.ok_or_else(unread)?,
    }))
}

/// What was asked of an execution of the package API, and how its project is exported for that.
///
/// # Errors
/// [`StoreError`].
pub async fn labels(
    context: &Context,
    definitions: &Definitions,
    job: &Job,
    execution: Option<&ExecutionId>,
) -> Result<Vec<String>, StoreError> {
    let request = match execution {
        Some(execution) => context.store.package_request(execution).await?,
        None => None,
    };
    let asked = request.and_then(|request| PackageExport::read(&request.asked));
    let requested = asked.and_then(|asked| requested_job(definitions, job, &asked).ok());
    let job = requested.as_ref().unwrap_or(job);
    let parts = job.export.as_ref().and_then(|spec| parts(definitions, spec).ok());
    let sources = parts.iter().flatten().flat_map(|part| &part.sources);
    Ok(sources.map(|source| source.entity.label.clone()).collect())
}

/// Whether an export can be run as it is asked for.
///
/// # Errors
/// Why not, in a sentence.
pub fn check(context: &Context, definitions: &Definitions, job: &Job, asked: &PackageExport) -> Result<(), String> {
    let job = requested_job(definitions, job, asked)?;
    let spec = job.export.as_ref().ok_or_else(|| no_export(&job))?;
    let parts = parts(definitions, spec)?;
    match database_of(context, &parts) {
        Err(Stop::Fail(failure)) => Err(failure.detail),
        _ => Ok(()),
    }
}

/// The job as it runs for this request.
///
/// # Errors
/// What of it cannot be done, in a sentence.
pub(super) fn requested_job(definitions: &Definitions, job: &Job, asked: &PackageExport) -> Result<Job, String> {
    let mut job = job.clone();
    let spec = job.export.as_ref().ok_or_else(|| no_export(&job))?;
    let mut spec = ExportSpec {
        file_name: None,
        sidecar: false,
        split_records: None,
        split_bytes: None,
        prevent_upload_when_zero_records: false,
        destinations: Vec::new(),
        companies: companies(&job, spec, asked)?,
        entities: entities(definitions, &job, spec, asked)?,
        ..spec.clone()
    };
    if asked.preview.is_some() {
        spec.entities
            .iter_mut()
            .for_each(|wanted| wanted.refresh = Refresh::Full);
    }
    upper_case(definitions, &mut spec);
    job.data_source = DataSource::Package;
    job.export = Some(spec);
    Ok(job)
}

fn no_export(job: &Job) -> String {
    format!("the data project `{}` is no export: it cannot be exported", job.name)
}

/// The company asked for, which must be one of those the project exports.
fn companies(job: &Job, spec: &ExportSpec, asked: &PackageExport) -> Result<Vec<String>, String> {
    let of_job = spec.companies(job.company.as_deref());
    let Some(company) = &asked.company else {
        return Ok(of_job);
    };
    if of_job.is_empty() || of_job.contains(company) {
        return Ok(vec![company.clone()]);
    }
    Err(format!(
        "the data project `{}` exports {} alone, not the legal entity `{company}`",
        job.name,
        of_job.join(", ")
    ))
}

/// The entities asked for (PKG-22), as the project exports them.
fn entities(
    definitions: &Definitions,
    job: &Job,
    spec: &ExportSpec,
    asked: &PackageExport,
) -> Result<Vec<ExportEntity>, String> {
    if spec.entities.is_empty() {
        return Err(format!("the data project `{}` has no entities to export", job.name));
    }
    let label = |wanted: &ExportEntity| definitions.label(&wanted.entity).unwrap_or_default().to_lowercase();
    let is_called = |wanted: &&ExportEntity, name: &str| {
        let name = name.to_lowercase();
        wanted.entity.to_lowercase() == name || label(wanted) == name
    };
    let mut selected = BTreeSet::new();
    for name in &asked.entities {
        let found = spec.entities.iter().find(|wanted| is_called(wanted, name));
        let wanted = found.ok_or_else(|| format!("the data project `{}` has no entity `{name}`", job.name))?;
        selected.insert(wanted.entity.as_str());
        // What the job says of the entities inside a composite goes along.
        let inside = definitions.composite(&wanted.entity).into_iter();
        selected.extend(
            inside
                .flat_map(|composite| &composite.parts)
                .map(|part| part.entity.as_str()),
        );
    }
    let is_selected = |wanted: &&ExportEntity| selected.is_empty() || selected.contains(wanted.entity.as_str());
    let entities: Vec<_> = spec.entities.iter().filter(is_selected).cloned().collect();
    if asked.delta {
        check_delta(definitions, job, &entities, !asked.entities.is_empty())?;
    }
    Ok(entities)
}

/// A delta is of changes: of each entity that is named, and of one at least (PKG-21).
fn check_delta(definitions: &Definitions, job: &Job, entities: &[ExportEntity], are_named: bool) -> Result<(), String> {
    let full: Vec<_> = entities
        .iter()
        .filter(|wanted| wanted.refresh == Refresh::Full)
        .map(|wanted| format!("`{}`", definitions.label(&wanted.entity).unwrap_or(&wanted.entity)))
        .collect();
    if full.is_empty() || (!are_named && full.len() < entities.len()) {
        return Ok(());
    }
    Err(format!(
        "the changes of {} are not tracked by the data project `{}`: set `refresh = \"incremental\"` for it in the job's file, \
         or export it with ExportToPackage",
        full.join(", "),
        job.name
    ))
}

/// Columns that the job gives no name are called like their fields in upper case, as clients know them (FMT-9, FMT-10).
fn upper_case(definitions: &Definitions, spec: &mut ExportSpec) {
    let composites = spec
        .entities
        .iter()
        .filter_map(|wanted| definitions.composite(&wanted.entity));
    let inside = composites
        .flat_map(|composite| &composite.parts)
        .map(|part| part.entity.clone());
    for entity in inside.collect::<Vec<_>>() {
        if !spec.entities.iter().any(|wanted| wanted.entity == entity) {
            spec.entities.push(ExportEntity {
                entity,
                ..ExportEntity::default()
            });
        }
    }
    for wanted in &mut spec.entities {
        let Some(entity) = definitions.entity(&wanted.entity) else {
            continue;
        };
        for field in &entity.fields {
            let column = wanted.map.entry(field.name.clone());
            column.or_insert_with(|| field.name.to_uppercase());
        }
    }
}
