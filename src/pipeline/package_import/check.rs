//! What can be known of a package before it is loaded: whether each of its files has an entity, a format and columns that fit (PKG-11g).

use std::time::{Duration, Instant};

use super::project::unknown_entity;
use super::{ImportError, ImportOptions};
use crate::definitions::Definitions;
use crate::domain::computed::LoadFacts;
use crate::domain::entity::Entity;
use crate::domain::job::{FileFormat, ImportEntity, Job, Origin};
use crate::format::mapping::Mapping;
use crate::format::package::PackageEntity;
use crate::pipeline::Context;
use crate::pipeline::composite::Composed;
use crate::pipeline::data_file::{self, DataFile, TextOptions};
use crate::pipeline::import::{entity_of, map_by_manifest};
use crate::pipeline::package_file::{Member, PackageFile, format_of};
use crate::pipeline::package_listing::{self, refuse_generated};
use crate::pipeline::stop::Stop;

/// How long columns are looked at: a client waits. What was not looked at the load finds.
const PATIENCE: Duration = Duration::from_secs(30);
/// A header line is not longer.
const HEAD_BYTES_MAX: u64 = 256 << 10;

/// Looks at every file of a package.
pub(super) async fn check(
    context: &Context,
    definitions: &Definitions,
    job: &Job,
    options: &ImportOptions,
    package: &PackageFile,
) -> Result<(), ImportError> {
    let spec = job.import.as_ref();
    let spec = spec.ok_or_else(|| ImportError::refused(format!("the data project `{}` does not import", job.name)))?;
    let listed = package_listing::to_load(definitions, spec, &package.manifest().entities)?;
    if listed.is_empty() {
        return Err(package_listing::empty().into());
    }
    if options.overwrite && Composed::of_job(definitions, spec).is_some() {
        return Err(ImportError::refused(format!(
            "the data project `{}` has a composite entity, with which overwrite must be false (PKG-11c)",
            job.name
        )));
    }
    let company = options.company.as_deref().or(job.company.as_deref());
    let begun = Instant::now();
    for listed in &listed {
        let entity = listed.entity;
        refuse_format(job, entity)?;
        refuse_folder(package, entity)?;
        let (format, encoding) = format_of(entity).unwrap_or_else(|| (spec.format.clone(), spec.encoding.clone()));
        if let Some(composed) = &listed.composed {
            composed.options(&format, company, &context.limits)?;
            continue;
        }
        let (wanted, known) =
            entity_of(definitions, job, spec, &entity.name).map_err(|stop| not_loaded(job, entity, stop))?;
        refuse_generated(known, entity)?;
        let mut wanted = wanted.into_owned();
        map_by_manifest(&mut wanted, known, entity);
        let member = package.member(&entity.file);
        if let Some(member) = member.filter(|_| begun.elapsed() < PATIENCE) {
            let file = File {
                member,
                format,
                encoding,
            };
            fit(context, &file, (known, &wanted), company, entity).await?;
        }
    }
    Ok(())
}

/// A job says which format its files have; a project has nothing but the manifest (FMT-8).
fn refuse_format(job: &Job, listed: &PackageEntity) -> Result<(), ImportError> {
    let is_unknown = !listed.source_format.is_empty() && format_of(listed).is_none();
    if job.origin == Origin::Project && is_unknown {
        return Err(ImportError::refused(format!(
            "the manifest gives `{}` the source format `{}`, which is unknown: use CSV, CSV-Unicode, TAB, EXCEL, XML-Element, \
             XML-Attribute, JSON or JSONL, or import into a job whose file says what the format is (FMT-8)",
            listed.name, listed.source_format
        )));
    }
    Ok(())
}

fn refuse_folder(package: &PackageFile, listed: &PackageEntity) -> Result<(), ImportError> {
    let in_folder = package.in_folder(&listed.file);
    match in_folder.filter(|_| package.member(&listed.file).is_none()) {
        Some(name) => Err(ImportError::refused(format!(
            "the file `{}` of `{}` was not found at the root of the package: it is inside a folder, as `{name}`. Pack the files themselves, \
             not the folder they are in (FMT-1)",
            listed.file, listed.name
        ))),
        None => Ok(()),
    }
}

/// The entity is unknown altogether, or not among those the job loads.
fn not_loaded(job: &Job, listed: &PackageEntity, stop: Stop) -> ImportError {
    match stop {
        Stop::Fail(_) if job.origin == Origin::Project => unknown_entity(&listed.name),
        Stop::Fail(failure) => ImportError::Refused(format!(
            "the entity `{}` that the manifest lists is unknown here: {}",
            listed.name, failure.detail
        )),
        other => other.into(),
    }
}

/// A data file of the package.
struct File {
    member: Member,
    format: FileFormat,
    encoding: Option<String>,
}

/// Whether a file's columns fit its entity, where they stand in its first line.
async fn fit(
    context: &Context,
    file: &File,
    (entity, wanted): (&Entity, &ImportEntity),
    company: Option<&str>,
    listed: &PackageEntity,
) -> Result<(), ImportError> {
    let Some(header) = header(context, file).await? else {
        return Ok(());
    };
    let facts = LoadFacts {
        began_at: context.clock.now(),
        company: company.map(str::to_owned),
        message_id: String::new(),
        external_id: None,
        enqueued_at: context.clock.now(),
    };
    match Mapping::new(entity, wanted, &header, &facts) {
        Ok(_) => Ok(()),
        Err(error) => Err(ImportError::refused(format!(
            "the mapping of `{}` is wrong: the file `{}` does not fit. {}",
            listed.name, listed.file, error.reason
        ))),
    }
}

/// The columns of a delimited file; `None` where they cannot be told from its beginning, which the load then judges.
async fn header(context: &Context, file: &File) -> Result<Option<Vec<String>>, ImportError> {
    if !matches!(file.format, FileFormat::Csv { .. }) {
        return Ok(None);
    }
    let options = TextOptions {
        format: &file.format,
        encoding: file.encoding.as_deref(),
        max_unpacked_bytes: HEAD_BYTES_MAX,
    };
    let mut head = DataFile::of_file(file.member.head(HEAD_BYTES_MAX).await?, options);
    let mut reader = data_file::reader(&file.format, &context.limits);
    let mut is_over = false;
    loop {
        match reader.header() {
            Ok(Some(header)) => return Ok(Some(header).filter(|header| !header.is_empty())),
            Ok(None) if !is_over => {}
            _ => return Ok(None),
        }
        match head.next().await {
            Ok(Some(piece)) => reader.feed(&piece),
            Ok(None) => {
                is_over = true;
                reader.finish();
            }
            Err(_) => return Ok(None),
        }
    }
}
