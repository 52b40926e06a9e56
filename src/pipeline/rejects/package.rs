//! The rejects of a package: a package with the same manifest, and of each file that had rejects these.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::pages::Pages;
use super::{Halt, Of, unreadable, write_file};
use crate::definitions::Definitions;
use crate::domain::job::{FileFormat, ImportSpec};
use crate::format::package::{PackageEntity, PackageWriter};
use crate::pipeline::composite::{Listed, listed};
use crate::pipeline::data_file::{DataFile, TextOptions};
use crate::pipeline::package_file::{PackageFile, format_of};
use crate::pipeline::source::SourceError;

type Out = mpsc::Sender<Result<Bytes, SourceError>>;

/// Writes the package.
pub(super) async fn write(
    of: Of<'_>,
    definitions: &Definitions,
    spec: &ImportSpec,
    package: &PackageFile,
    out: &Out,
) -> Result<(), Halt> {
    let (manifest, header) = package.documents();
    let mut writer = PackageWriter::with_documents(manifest, header).map_err(|error| broken(&error))?;
    for listed in listed(definitions, spec, &package.manifest().entities) {
        if has_rejects(of, &listed).await? {
            let name = &listed.entity.file;
            writer.begin_listed_file(name).map_err(|error| broken(&error))?;
            let file = open(of, spec, package, listed.entity).await?;
            add(of, &listed, file, &mut writer, out).await?;
        }
    }
    let last = writer.finish().map_err(|error| broken(&error))?;
    send(out, last).await
}

/// Writes one of its files by itself: the one at this position of the manifest.
pub(super) async fn write_one(
    of: Of<'_>,
    definitions: &Definitions,
    spec: &ImportSpec,
    (package, at): (&PackageFile, usize),
    out: &Out,
) -> Result<(), Halt> {
    let all = listed(definitions, spec, &package.manifest().entities);
    let Some(listed) = all.into_iter().find(|listed| listed.at == at) else {
        return Ok(());
    };
    let (format, file) = open(of, spec, package, listed.entity).await?;
    write_file(of, (listed.composed, listed.entity_no), &format, file, out).await
}

/// The positions in the manifest of the files that have rejects.
pub(super) async fn with_rejects(
    of: Of<'_>,
    definitions: &Definitions,
    spec: &ImportSpec,
    package: &PackageFile,
) -> Result<Vec<usize>, Halt> {
    let mut found = Vec::new();
    for listed in listed(definitions, spec, &package.manifest().entities) {
        if has_rejects(of, &listed).await? {
            found.push(listed.at);
        }
    }
    Ok(found)
}

async fn has_rejects(of: Of<'_>, listed: &Listed<'_, '_>) -> Result<bool, Halt> {
    let numbers = listed.composed.map_or(1, |composed| composed.composite.parts.len());
    for entity_no in (listed.entity_no..).take(numbers) {
        if Pages::has_any(of, entity_no).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The format of one of its files.
pub(super) fn format(spec: &ImportSpec, entity: &PackageEntity) -> (FileFormat, Option<String>) {
    format_of(entity).unwrap_or_else(|| (spec.format.clone(), spec.encoding.clone()))
}

/// Opens one of its files.
pub(super) async fn open(
    of: Of<'_>,
    spec: &ImportSpec,
    package: &PackageFile,
    entity: &PackageEntity,
) -> Result<(FileFormat, DataFile), Halt> {
    let Some(member) = package.member(&entity.file) else {
        let detail = format!("the package has no member `{}` any more", entity.file);
        return Err(SourceError::Unreadable(detail).into());
    };
    let (format, encoding) = format(spec, entity);
    let options = TextOptions {
        format: &format,
        encoding: encoding.as_deref(),
        // It was read before, within what was allowed.
        max_unpacked_bytes: of.context.limits.file.max_unpacked_bytes,
    };
    let (unpacked, _) = member.unpack().await.map_err(unreadable)?;
    let file = DataFile::of_file(unpacked, options);
    Ok((format, file))
}

/// Adds one file with its rejects.
async fn add(
    of: Of<'_>,
    listed: &Listed<'_, '_>,
    (format, file): (FileFormat, DataFile),
    writer: &mut PackageWriter,
    out: &Out,
) -> Result<(), Halt> {
    let (inner, mut chunks) = mpsc::channel(1);
    let fills = async {
        let inner = inner;
        write_file(of, (listed.composed, listed.entity_no), &format, file, &inner).await
    };
    let packs = async {
        while let Some(chunk) = chunks.recv().await {
            writer.write(&chunk?).map_err(|error| broken(&error))?;
            send(out, writer.take()).await?;
        }
        Ok::<(), Halt>(())
    };
    let (written, packed) = tokio::join!(fills, packs);
    // Who packs says why; who writes then only finds nobody there.
    packed.and(written)
}

async fn send(out: &Out, bytes: Vec<u8>) -> Result<(), Halt> {
    if bytes.is_empty() {
        return Ok(());
    }
    out.send(Ok(bytes.into())).await.map_err(|_| Halt::Gone)
}

fn broken(error: &std::io::Error) -> Halt {
    SourceError::Unreadable(format!("the package cannot be written: {error}")).into()
}
