//! The parts of a message: its one data file, the entities of its composite file, or what a package's manifest lists.

use super::Session;
use super::order::Place;
use super::part::{Part, Source};
use crate::domain::entity::{Drift, Entity};
use crate::domain::job::{FileFormat, ImportEntity};
use crate::format::mapping::field_meant;
use crate::format::package::{FieldMap, PackageEntity};
use crate::pipeline::composite::{Composed, Listed};
use crate::pipeline::package_file::{PackageFile, format_of};
use crate::pipeline::package_listing;
use crate::pipeline::stop::Stop;

/// The parts, in the order they are loaded.
///
/// # Errors
/// [`Stop::Fail`] when the package or what it lists cannot be loaded; nothing was touched then.
pub(super) async fn of_payload<'a>(session: &'a Session<'a>) -> Result<Vec<Part<'a>>, Stop> {
    let mut parts = if session.job.is_package(session.message.entity.as_deref()) {
        let package = PackageFile::open(session.context, session.message).await?;
        of_package(session, &package)?
    } else {
        let label = session.message.entity.as_deref().unwrap_or_default();
        match Composed::called(session.definitions, session.spec, label) {
            Some(composed) => {
                let format = (session.spec.format.clone(), session.spec.encoding.clone());
                composed_parts(session, composed, 0, format, &Source::Payload)?
            }
            None => return Ok(vec![Part::of(session, 0, label, Source::Payload)?]),
        }
    };
    // Stable: what has the same place stays in the manifest's order.
    parts.sort_by_key(|part| part.place.key());
    for part in &parts {
        // So that whoever ends the message without the file knows what may have landed.
        let mut run = part.run();
        if run.staging_records == 0 {
            "NotStarted".clone_into(&mut run.staging_status);
        }
        part.save(&run).await?;
    }
    Ok(parts)
}

/// The parts of a package, in the manifest's order.
fn of_package<'a>(session: &'a Session<'a>, package: &PackageFile) -> Result<Vec<Part<'a>>, Stop> {
    let listed = package_listing::to_load(session.definitions, session.spec, &package.manifest().entities)?;
    let mut parts = Vec::with_capacity(listed.len());
    for listed in &listed {
        let source = match package.member(&listed.entity.file) {
            Some(member) => Source::Member(member),
            // The rejects of a package come back as a package of those files alone that had some.
            None if session.message.parent.is_some() => continue,
            // Its entity fails, the others do not (FMT-2).
            None => Source::Missing(missing(listed.entity, package)),
        };
        parts.extend(listed_parts(session, listed, source)?);
    }
    if parts.is_empty() {
        return Err(package_listing::empty());
    }
    Ok(parts)
}

/// The parts of one entity of a manifest: several where it is a composite.
fn listed_parts<'a>(session: &'a Session<'a>, listed: &Listed<'_, 'a>, source: Source) -> Result<Vec<Part<'a>>, Stop> {
    let entity = listed.entity;
    let mut parts = match listed.composed {
        None => vec![part(session, listed.entity_no, entity, source)?],
        Some(composed) => {
            let (spec, by_name) = (session.spec, format_of(entity));
            let format = by_name.unwrap_or_else(|| (spec.format.clone(), spec.encoding.clone()));
            composed_parts(session, composed, listed.entity_no, format, &source)?
        }
    };
    for part in &mut parts {
        let wanted = part.wanted.to_mut();
        wanted.run_business_logic = wanted.run_business_logic.or(entity.run_business_logic);
        wanted.run_business_validation = wanted.run_business_validation.or(entity.run_business_validation);
        part.skips_staging |= entity.skip_staging;
        part.place = Place {
            unit: entity.execution_unit,
            level: entity.level,
            sequence: entity.sequence,
            listed: listed.at,
            fail_level: entity.fail_level,
            fail_unit: entity.fail_execution_unit,
            ..part.place
        };
    }
    Ok(parts)
}

/// The parts of a composite file: each reads the file for its own entity.
fn composed_parts<'a>(
    session: &'a Session<'a>,
    composed: Composed<'a>,
    first_no: i32,
    (format, encoding): (FileFormat, Option<String>),
    source: &Source,
) -> Result<Vec<Part<'a>>, Stop> {
    let mut options = composed.options(&format, session.message.company.as_deref(), &session.context.limits)?;
    if session.message.parent.is_some() {
        // A correction brings what is to be corrected.
        options.missing_elements = Drift::Ignore;
    }
    let mut parts = Vec::with_capacity(composed.composite.parts.len());
    for ((node, entity_no), label) in (0..).zip(first_no..).zip(composed.labels()) {
        let mut part = Part::of(session, entity_no, label, source.clone())?;
        part.wanted = composed.wanted(node);
        part.place.depth = composed.composite.depth(node);
        (part.format, part.encoding) = (format.clone(), encoding.clone());
        part.composite = Some((options.clone(), node));
        parts.push(part);
    }
    Ok(parts)
}

/// The parts of which something may have landed, without their files: as the store knows them now, which may be more than it
/// did when this attempt began. One that the job does not load any more is left as it is: nobody can say where it landed.
pub(super) async fn known<'a>(session: &'a Session<'a>) -> Result<Vec<Part<'a>>, Stop> {
    let stored = session.context.store.execution(&session.execution.id).await?;
    let runs = stored.map(|execution| execution.entities).unwrap_or_default();
    let label = session.message.entity.as_deref().unwrap_or_default();
    let is_composite = Composed::called(session.definitions, session.spec, label).is_some();
    let is_package = session.job.is_package(session.message.entity.as_deref());
    if !is_package && !is_composite {
        let mut part = Part::of(session, 0, label, Source::Closed)?;
        part.known = runs.into_iter().next();
        return Ok(vec![part]);
    }
    let mut parts = Vec::with_capacity(runs.len());
    for run in runs {
        match Part::of(session, run.entity_no, &run.label, Source::Closed) {
            Ok(mut part) => {
                part.known = Some(run);
                parts.push(part);
            }
            Err(Stop::Fail(failure)) => {
                tracing::warn!(message.id = %session.message.id, entity = %run.label, "not brought to an end: {}", failure.detail);
            }
            Err(stop) => return Err(stop),
        }
    }
    Ok(parts)
}

/// A part as the manifest and the job together say; where both map a column, the job does.
fn part<'a>(
    session: &'a Session<'a>,
    entity_no: i32,
    listed: &PackageEntity,
    source: Source,
) -> Result<Part<'a>, Stop> {
    let mut part = Part::of(session, entity_no, &listed.name, source)?;
    if let Some((format, encoding)) = format_of(listed) {
        (part.format, part.encoding) = (format, encoding);
    }
    let entity = part.entity;
    package_listing::refuse_generated(entity, listed)?;
    map_by_manifest(part.wanted.to_mut(), entity, listed);
    Ok(part)
}

/// What a manifest says of an entity's fields is added to what the job says.
pub(in crate::pipeline) fn map_by_manifest(wanted: &mut ImportEntity, entity: &Entity, listed: &PackageEntity) {
    for line in &listed.fields {
        if !line.column.is_empty() {
            wanted
                .map
                .entry(line.column.clone())
                .or_insert_with(|| line.field.clone());
        }
        if let Some(field) = field_meant(entity, &line.field) {
            convert(wanted, field, line);
            if line.auto_generated {
                wanted.generated.insert(field.to_owned());
            }
        }
    }
}

/// Value pairs and the default of one line of the map (DMF-9).
fn convert(wanted: &mut ImportEntity, field: &str, line: &FieldMap) {
    for conversion in &line.conversions {
        if !conversion.is_default {
            let values = wanted.values.entry(field.to_owned()).or_default();
            let value = values.entry(conversion.source.clone());
            value.or_insert_with(|| conversion.staging.clone());
        } else if line.auto_default {
            let default = wanted.defaults.entry(field.to_owned());
            default.or_insert_with(|| conversion.staging.clone());
        }
    }
}

fn missing(entity: &PackageEntity, package: &PackageFile) -> String {
    format!(
        "the manifest names `{}` as the file of `{}`, but the package has no such member at its root (FMT-1); it has {}",
        entity.file,
        entity.name,
        package.listed()
    )
}
