//! The parts of a message: its one data file, or those a package's manifest lists.

use super::Session;
use super::part::{Part, Source};
use crate::domain::job::DataSource;
use crate::format::package::PackageEntity;
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
    let mut parts = Vec::with_capacity(listed.len());
    for (entity_no, entity) in listed {
        match package.member(&entity.file) {
            Some(member) => parts.push(part(session, entity_no, entity, Source::Member(member))?),
            // The rejects of a package come back as a package of those files alone that had some.
            None if session.message.parent.is_some() => {}
            None => return Err(missing(entity, &package)),
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

/// The parts of which something may have landed, without their files.
pub(super) fn known<'a>(session: &'a Session<'a>) -> Result<Vec<Part<'a>>, Stop> {
    if session.job.data_source == DataSource::File {
        let label = session.message.entity.as_deref().unwrap_or_default();
        return Ok(vec![Part::of(session, 0, label, Source::Closed)?]);
    }
    let runs = session.execution.entities.iter();
    runs.map(|run| Part::of(session, run.entity_no, &run.label, Source::Closed))
        .collect()
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
    let wanted = part.wanted.to_mut();
    for line in listed.fields.iter().filter(|line| !line.column.is_empty()) {
        wanted
            .map
            .entry(line.column.clone())
            .or_insert_with(|| line.field.clone());
    }
    Ok(part)
}

fn missing(entity: &PackageEntity, package: &PackageFile) -> Stop {
    let detail = format!(
        "the manifest names `{}` as the file of `{}`, but the package has no such member at its root; it has {}",
        entity.file,
        entity.name,
        package.listed()
    );
    Stop::fail("package_file_missing", detail)
}
