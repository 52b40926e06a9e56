//! Which file the records of an entity stand in, and how they come to the entity's fields.

use std::borrow::Cow;

use super::pages::Pages;
use super::{ErrorFiles, Halt, Of, package, unreadable};
use crate::domain::computed::LoadFacts;
use crate::domain::entity::Entity;
use crate::domain::job::{Direction, FileFormat, ImportEntity};
use crate::domain::time::Timestamp;
use crate::format::mapping::Mapping;
use crate::format::package::PackageEntity;
use crate::format::record::RecordReader;
use crate::format::xml::composite::{CompositeOptions, composite_reader};
use crate::pipeline::Limits;
use crate::pipeline::composite::{Composed, listed};
use crate::pipeline::data_file::{self, DataFile};
use crate::pipeline::import::{entity_of, map_by_manifest};
use crate::pipeline::package_file::PackageFile;
use crate::pipeline::source::SourceError;

/// The file of one entity of a message.
pub(super) struct EntityFile<'a> {
    pub entity_no: i32,
    pub entity: &'a Entity,
    /// What job and manifest say of it.
    wanted: Cow<'a, ImportEntity>,
    format: FileFormat,
    /// Of a composite file, how it is read, and which of its entities this is.
    composite: Option<(CompositeOptions, usize)>,
    /// Of a package, which of its files it is.
    member: Option<(&'a PackageFile, &'a PackageEntity)>,
}

/// An entity, or a composite of several, and its file where the payload is a package of them.
struct Source<'a> {
    label: &'a str,
    first_no: i32,
    composed: Option<Composed<'a>>,
    member: Option<(&'a PackageFile, &'a PackageEntity)>,
}

impl<'a> EntityFile<'a> {
    /// Those that have rejects which are wanted, in the order of the message.
    pub async fn with_rejects(files: &'a ErrorFiles, package: Option<&'a PackageFile>) -> Result<Vec<Self>, Halt> {
        let mut found = Vec::new();
        for source in sources(files, package) {
            let numbers = source.composed.map_or(1, |composed| composed.composite.parts.len());
            for (entity_no, part) in (source.first_no..).zip(0..numbers) {
                if Pages::has_any(files.as_of(), entity_no).await? {
                    found.push(Self::of(files, &source, part, entity_no)?);
                }
            }
        }
        Ok(found)
    }

    /// All whose files are there, in the order of the message: a correction of a package brings some of them only.
    pub fn all(files: &'a ErrorFiles, package: Option<&'a PackageFile>) -> Result<Vec<Self>, Halt> {
        let mut found = Vec::new();
        for source in sources(files, package) {
            let is_missing = |(package, listed): (&PackageFile, &PackageEntity)| package.member(&listed.file).is_none();
            if source.member.is_some_and(is_missing) {
                continue;
            }
            let numbers = source.composed.map_or(1, |composed| composed.composite.parts.len());
            for (entity_no, part) in (source.first_no..).zip(0..numbers) {
                found.push(Self::of(files, &source, part, entity_no)?);
            }
        }
        Ok(found)
    }

    /// The one with this number.
    pub fn numbered(
        files: &'a ErrorFiles,
        package: Option<&'a PackageFile>,
        entity_no: i32,
    ) -> Result<Option<Self>, Halt> {
        for source in sources(files, package) {
            let numbers = source.composed.map_or(1, |composed| composed.composite.parts.len());
            let part = entity_no
                .checked_sub(source.first_no)
                .and_then(|part| usize::try_from(part).ok());
            if let Some(part) = part.filter(|part| *part < numbers) {
                return Self::of(files, &source, part, entity_no).map(Some);
            }
        }
        Ok(None)
    }

    /// The format its file has.
    pub fn format(&self) -> &FileFormat {
        &self.format
    }

    fn of(files: &'a ErrorFiles, source: &Source<'a>, part: usize, entity_no: i32) -> Result<Self, Halt> {
        let (definitions, spec) = (&*files.definitions, &files.spec);
        let label = source.composed.and_then(|composed| composed.labels().nth(part));
        let (mut wanted, entity) =
            entity_of(definitions, &files.job, spec, label.unwrap_or(source.label)).map_err(unreadable)?;
        let format = source
            .member
            .map_or_else(|| spec.format.clone(), |(_, listed)| package::format(spec, listed).0);
        let mut composite = None;
        if let Some(composed) = source.composed {
            let company = files.message.company.as_deref();
            let options = composed.options(&format, company, &files.context.limits);
            composite = Some((options.map_err(unreadable)?, part));
            wanted = composed.wanted(part);
        } else if let Some((_, listed)) = source.member {
            map_by_manifest(wanted.to_mut(), entity, listed);
        }
        Ok(Self {
            entity_no,
            entity,
            wanted,
            format,
            composite,
            member: source.member,
        })
    }

    /// Opens it.
    pub async fn open(&self, files: &ErrorFiles) -> Result<DataFile, Halt> {
        match self.member {
            Some((package, listed)) => Ok(package::open(files.as_of(), &files.spec, package, listed).await?.1),
            None => Ok(files.data_file().await?),
        }
    }

    /// A reader of the entity's records, at the start of the file.
    pub fn reader(&self, limits: &Limits) -> Box<dyn RecordReader> {
        match &self.composite {
            Some((options, node)) => Box::new(composite_reader(options, *node)),
            None => data_file::reader(&self.format, limits),
        }
    }

    /// How its columns came to the entity's fields, in a load that began then.
    pub fn mapping(&self, of: Of<'_>, header: &[String], began_at: Timestamp) -> Result<Mapping, Halt> {
        let message = of.message;
        let facts = LoadFacts {
            began_at,
            company: message.company.clone(),
            message_id: message.id.to_string(),
            external_id: message.external_id.clone(),
            enqueued_at: message.enqueued_at,
        };
        let mapping = Mapping::new(self.entity, &self.wanted, header, &facts);
        let mapping = mapping.map(|mapping| mapping.for_format(self.entity, &self.format));
        mapping.map_err(|error| {
            let (entity, reason) = (&self.entity.label, error.reason);
            let detail = if message.direction == Direction::Import && message.counts.read == 0 {
                format!("it was never loaded: as a file of `{entity}` it cannot be read: {reason}")
            } else {
                format!(
                    "the entity `{entity}`, or what the job says of it, changed since the file was loaded: {reason}"
                )
            };
            SourceError::Unreadable(detail).into()
        })
    }
}

fn sources<'a>(files: &'a ErrorFiles, package: Option<&'a PackageFile>) -> Vec<Source<'a>> {
    let (definitions, spec) = (&*files.definitions, &files.spec);
    let Some(package) = package else {
        let label = files.message.entity.as_deref().unwrap_or_default();
        return vec![Source {
            label,
            first_no: 0,
            composed: Composed::called(definitions, spec, label),
            member: None,
        }];
    };
    let listed = listed(definitions, spec, &package.manifest().entities);
    let sources = listed.into_iter().map(|listed| Source {
        label: &listed.entity.name,
        first_no: listed.entity_no,
        composed: listed.composed,
        member: Some((package, listed.entity)),
    });
    sources.collect()
}
