//! Which data files a payload has, and how each is read: as its import reads them, or its export wrote them.

use super::{Halt, WHOLE_BYTES_MAX};
use crate::definitions::Definitions;
use crate::domain::export::ExportSpec;
use crate::domain::job::{DataSource, Direction, FileFormat, ImportSpec};
use crate::domain::message::Message;
use crate::format::package::PackageEntity;
use crate::format::xml::composite::CompositeOptions;
use crate::pipeline::Context;
use crate::pipeline::composite::{Composed, listed};
use crate::pipeline::export::parts::{self, Part, Source};
use crate::pipeline::package_file::{Member, PackageFile, format_of};

/// One data file, or one entity of a composite file.
pub(super) struct File {
    /// What it is called; empty where nobody says.
    pub label: String,
    /// Its format; none: nobody says, or no reader takes it apart.
    pub format: Option<FileFormat>,
    pub encoding: Option<String>,
    /// Of a composite file, how it is read, and which of its entities this is.
    pub composite: Option<(CompositeOptions, usize)>,
    /// The names of its columns, where it does not begin with them.
    pub columns: Option<Vec<String>>,
    pub content: Content,
}

/// Where its bytes are.
#[derive(Clone)]
pub(super) enum Content {
    /// They are the payload.
    Payload,
    /// They are a member of the package that the payload is.
    Member(Member),
    /// They are not there, or nobody can say how to read them.
    Nowhere(String),
}

impl File {
    fn new(label: impl Into<String>, format: Option<(FileFormat, Option<String>)>, content: Content) -> Self {
        let (format, encoding) = format.unzip();
        Self {
            label: label.into(),
            format,
            encoding: encoding.flatten(),
            composite: None,
            columns: None,
            content,
        }
    }
}

/// The files of a message's payload, in their order; at least one.
pub(super) async fn of(context: &Context, definitions: &Definitions, message: &Message) -> Result<Vec<File>, Halt> {
    let as_it_is = || vec![File::new("", None, Content::Payload)];
    let job = definitions.job(message.job);
    let Some(job) = job.filter(|job| job.direction != Direction::Relay && job.direction == message.direction) else {
        return Ok(as_it_is());
    };
    let is_package = match job.direction {
        Direction::Import => job.is_package(message.entity.as_deref()),
        Direction::Export | Direction::Relay => job.data_source == DataSource::Package,
    };
    let package = if is_package {
        Some(open(context, message).await?)
    } else {
        None
    };
    let files = match (&job.import, &job.export) {
        (Some(spec), _) => of_import(context, definitions, message, (spec, package.as_ref())),
        (_, Some(spec)) => of_export(definitions, spec, package.as_ref()),
        (None, None) => Vec::new(),
    };
    if files.is_empty() {
        return Ok(match package {
            Some(_) => vec![File::new(
                "",
                None,
                Content::Nowhere("the package's manifest lists no file".to_owned()),
            )],
            None => as_it_is(),
        });
    }
    Ok(files)
}

/// A package that is not too large to be had whole.
async fn open(context: &Context, message: &Message) -> Result<PackageFile, Halt> {
    must_be_small("package", message)?;
    Ok(PackageFile::open(context, message).await?)
}

/// Refuses a payload that is too large to be had whole.
pub(super) fn must_be_small(what: &str, message: &Message) -> Result<(), Halt> {
    if message.bytes <= WHOLE_BYTES_MAX {
        return Ok(());
    }
    Err(Halt::Told(format!(
        "a {what} can only be read when all of it was fetched, and this one has {} bytes, more than the {} MiB that are \
         fetched to be looked at here",
        message.bytes,
        WHOLE_BYTES_MAX >> 20
    )))
}

fn of_import(
    context: &Context,
    definitions: &Definitions,
    message: &Message,
    (spec, package): (&ImportSpec, Option<&PackageFile>),
) -> Vec<File> {
    let by_job = || (spec.format.clone(), spec.encoding.clone());
    let entities =
        |label: &str, composed: Option<Composed<'_>>, format: (FileFormat, Option<String>), content| match composed {
            None => vec![File::new(label, Some(format), content)],
            Some(composed) => of_composite(context, message, composed, &format, &content),
        };
    let Some(package) = package else {
        let label = message.entity.as_deref().unwrap_or_default();
        return entities(
            label,
            Composed::called(definitions, spec, label),
            by_job(),
            Content::Payload,
        );
    };
    let listed = listed(definitions, spec, &package.manifest().entities);
    let files = listed.into_iter().flat_map(|listed| {
        let format = format_of(listed.entity).unwrap_or_else(by_job);
        entities(
            &listed.entity.name,
            listed.composed,
            format,
            member(package, listed.entity),
        )
    });
    files.collect()
}

/// The entities of a composite file: each is read from it by itself.
fn of_composite(
    context: &Context,
    message: &Message,
    composed: Composed<'_>,
    format: &(FileFormat, Option<String>),
    at: &Content,
) -> Vec<File> {
    let options = composed.options(&format.0, message.company.as_deref(), &context.limits);
    let labels = composed.labels().enumerate();
    let files = labels.map(|(node, label)| match &options {
        Ok(options) => File {
            composite: Some((options.clone(), node)),
            ..File::new(label, Some(format.clone()), at.clone())
        },
        Err(stop) => File::new(label, None, Content::Nowhere(stop.reason())),
    });
    files.collect()
}

fn of_export(definitions: &Definitions, spec: &ExportSpec, package: Option<&PackageFile>) -> Vec<File> {
    let by_job = || (spec.format.clone(), spec.encoding.clone());
    // Where an entity is gone since, its file still has the job's format.
    let parts = parts::parts(definitions, spec).unwrap_or_default();
    let Some(package) = package else {
        let part = parts.first();
        let label = part.map_or("", |part| part.label);
        return vec![written(spec, part, label, by_job(), Content::Payload)];
    };
    let files = package.manifest().entities.iter().map(|listed| {
        let part = parts.iter().find(|part| part.file.eq_ignore_ascii_case(&listed.file));
        let format = format_of(listed).unwrap_or_else(by_job);
        written(spec, part, &listed.name, format, member(package, listed))
    });
    files.collect()
}

/// A file that an export wrote.
fn written(
    spec: &ExportSpec,
    part: Option<&Part<'_>>,
    label: &str,
    format: (FileFormat, Option<String>),
    content: Content,
) -> File {
    let is_composite = part.is_some_and(|part| part.composite.is_some());
    let is_without_names = !spec.header && matches!(format.0, FileFormat::Csv { .. });
    let columns = part.filter(|_| is_without_names).and_then(|part| part.sources.first());
    let columns = columns.map(Source::columns);
    // Records inside records are no table, nor is what nobody has names for.
    let format = Some(format).filter(|_| !is_composite && (columns.is_some() || !is_without_names));
    File {
        columns,
        ..File::new(label, format, content)
    }
}

fn member(package: &PackageFile, listed: &PackageEntity) -> Content {
    let missing = || {
        Content::Nowhere(format!(
            "the package has no file `{}`, which its manifest lists",
            listed.file
        ))
    };
    package.member(&listed.file).map_or_else(missing, Content::Member)
}
