//! The parts of a message: its one data file, or those a package's manifest lists.

use std::collections::HashSet;

use super::Session;
use super::part::{Part, Source};
use crate::domain::entity::{Entity, FieldType};
use crate::domain::job::{DataSource, ImportEntity};
use crate::format::mapping::field_meant;
use crate::format::package::{FieldMap, PackageEntity};
use crate::pipeline::package_file::{PackageFile, format_of};
use crate::pipeline::stop::Stop;

/// The parts, in the order they are loaded.
///
/// # Errors
/// [`Stop::Fail`] when the package or what it lists cannot be loaded; nothing was touched then.
pub(super) async fn of_payload<'a>(session: &'a Session<'a>) -> Result<Vec<Part<'a>>, Stop> {
    if session.job.data_source == DataSource::File {
        let label = session.message.entity.as_deref().unwrap_or_default();
        return Ok(vec![Part::of(session, 0, label, Source::Payload)?]);
    }
    let package = PackageFile::open(session.context, session.message).await?;
    let mut listed: Vec<(i32, &PackageEntity)> = (0..).zip(&package.manifest().entities).collect();
    listed.retain(|(_, entity)| !entity.disabled);
    // Stable: what has the same place stays in the manifest's order.
    listed.sort_by_key(|(_, entity)| (entity.execution_unit, entity.level, entity.sequence));
    if let Some(twice) = twice(&listed) {
        let detail = format!("the manifest names the file `{twice}` for two entities: give each a file of its own");
        return Err(Stop::fail("manifest_unexpected", detail));
    }
    let mut parts = Vec::with_capacity(listed.len());
    for (entity_no, entity) in listed {
        match package.member(&entity.file) {
            Some(member) => parts.push(part(session, entity_no, entity, Source::Member(member))?),
            // The rejects of a package come back as a package of those files alone that had some.
            None if session.message.parent.is_some() => {}
            // Its entity fails, the others do not (FMT-2).
            None => {
                let source = Source::Missing(missing(entity, &package));
                parts.push(part(session, entity_no, entity, source)?);
            }
        }
    }
    if parts.is_empty() {
        let detail = "the package's manifest lists no entity that is to be loaded";
        return Err(Stop::fail("package_empty", detail));
    }
    for part in &parts {
        // So that whoever ends the message without the package knows what may have landed.
        let mut run = part.run();
        if run.staging_records == 0 {
            "NotStarted".clone_into(&mut run.staging_status);
        }
        part.save(&run).await?;
    }
    Ok(parts)
}

/// The parts of which something may have landed, without their files: as the store knows them now, which may be more than it
/// did when this attempt began. One that the job does not load any more is left as it is: nobody can say where it landed.
pub(super) async fn known<'a>(session: &'a Session<'a>) -> Result<Vec<Part<'a>>, Stop> {
    let stored = session.context.store.execution(&session.execution.id).await?;
    let runs = stored.map(|execution| execution.entities).unwrap_or_default();
    if session.job.data_source == DataSource::File {
        let label = session.message.entity.as_deref().unwrap_or_default();
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
    refuse_what_would_be_ignored(entity, listed)?;
    let wanted = part.wanted.to_mut();
    wanted.run_business_logic = wanted.run_business_logic.or(listed.run_business_logic);
    wanted.run_business_validation = wanted.run_business_validation.or(listed.run_business_validation);
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
    Ok(part)
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

/// A manifest that asks for what cannot be done loads nothing: what is left out would be missed by nobody.
fn refuse_what_would_be_ignored(entity: &Entity, listed: &PackageEntity) -> Result<(), Stop> {
    if let Some(transform) = listed.transforms.first() {
        let detail = format!(
            "`{}` is to be transformed by `{transform}` first, which is not supported: transform the file before it is packed",
            listed.name
        );
        return Err(Stop::fail("transform_unsupported", detail));
    }
    for line in listed.fields.iter().filter(|line| line.auto_generated) {
        let field = field_meant(entity, &line.field).and_then(|name| entity.field(name));
        let why = match field.map(|field| &field.kind) {
            Some(FieldType::String | FieldType::Int | FieldType::Decimal { .. }) => continue,
            Some(kind) => format!("a number is no value of its type, `{}`", kind.name()),
            None => "the entity has no such field".to_owned(),
        };
        let detail = format!(
            "the field `{}` of `{}` is to be generated, but {why}",
            line.field, listed.name
        );
        return Err(Stop::fail("manifest_unsupported", detail));
    }
    Ok(())
}

/// A file that two entities are to be read from.
fn twice(listed: &[(i32, &PackageEntity)]) -> Option<String> {
    let mut seen = HashSet::new();
    let mut files = listed.iter().map(|(_, entity)| entity.file.to_lowercase());
    files.find(|file| !seen.insert(file.clone()))
}

fn missing(entity: &PackageEntity, package: &PackageFile) -> String {
    format!(
        "the manifest names `{}` as the file of `{}`, but the package has no such member at its root; it has {}",
        entity.file,
        entity.name,
        package.listed()
    )
}
