//! The rejects of a package: a package with the same manifest, and of each file that had rejects these.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::pages::Pages;
use super::{Halt, composite, unreadable, write_file};
use crate::definitions::Definitions;
use crate::domain::job::ImportSpec;
use crate::domain::message::Message;
use crate::format::package::PackageWriter;
use crate::pipeline::Context;
use crate::pipeline::composite::{Listed, listed};
use crate::pipeline::data_file::{DataFile, TextOptions};
use crate::pipeline::package_file::{PackageFile, format_of};
use crate::pipeline::source::SourceError;

type Out = mpsc::Sender<Result<Bytes, SourceError>>;

/// Writes the package.
pub(super) async fn write(
    context: &Context,
    definitions: &Definitions,
    message: &Message,
    spec: &ImportSpec,
    out: &Out,
) -> Result<(), Halt> {
    let package = PackageFile::open(context, message).await.map_err(unreadable)?;
    let (manifest, header) = package.documents();
    let mut writer = PackageWriter::with_documents(manifest, header).map_err(|error| broken(&error))?;
    for listed in listed(definitions, spec, &package.manifest().entities) {
        if has_rejects(context, message, &listed).await? {
            let name = &listed.entity.file;
            writer.begin_listed_file(name).map_err(|error| broken(&error))?;
            add(context, message, &package, &listed, spec, &mut writer, out).await?;
        }
    }
    let last = writer.finish().map_err(|error| broken(&error))?;
    send(out, last).await
}

async fn has_rejects(context: &Context, message: &Message, listed: &Listed<'_, '_>) -> Result<bool, Halt> {
    let numbers = listed.composed.map_or(1, |composed| composed.composite.parts.len());
    for entity_no in (listed.entity_no..).take(numbers) {
        if !Pages::new(context, message, entity_no).next().await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Adds one file with its rejects.
async fn add(
    context: &Context,
    message: &Message,
    package: &PackageFile,
    listed: &Listed<'_, '_>,
    spec: &ImportSpec,
    writer: &mut PackageWriter,
    out: &Out,
) -> Result<(), Halt> {
    let Some(member) = package.member(&listed.entity.file) else {
        let detail = format!("the package has no member `{}` any more", listed.entity.file);
        return Err(SourceError::Unreadable(detail).into());
    };
    let (format, encoding) = format_of(listed.entity).unwrap_or_else(|| (spec.format.clone(), spec.encoding.clone()));
    let options = TextOptions {
        format: &format,
        encoding: encoding.as_deref(),
        // It was read before, within what was allowed.
        max_unpacked_bytes: context.limits.file.max_unpacked_bytes,
    };
    let (unpacked, _) = member.unpack().await.map_err(unreadable)?;
    let file = DataFile::of_file(unpacked, options);
    let (inner, mut chunks) = mpsc::channel(1);
    let fills = async {
        let inner = inner;
        if let Some(composed) = listed.composed {
            let composed = (composed, listed.entity_no);
            composite::write(context, message, composed, &format, file, &inner).await
        } else {
            let pages = Pages::new(context, message, listed.entity_no);
            write_file(&context.limits, &format, file, pages, &inner).await
        }
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
