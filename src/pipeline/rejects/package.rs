//! The rejects of a package: a package with the same manifest, and of each file that had rejects these.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::pages::Pages;
use super::{Halt, write_file};
use crate::domain::job::ImportSpec;
use crate::domain::message::Message;
use crate::format::package::{PackageEntity, PackageWriter};
use crate::pipeline::Context;
use crate::pipeline::data_file::{DataFile, TextOptions};
use crate::pipeline::package_file::{PackageFile, format_of};
use crate::pipeline::source::SourceError;
use crate::pipeline::stop::Stop;

type Out = mpsc::Sender<Result<Bytes, SourceError>>;

/// Writes the package.
pub(super) async fn write(context: &Context, message: &Message, spec: &ImportSpec, out: &Out) -> Result<(), Halt> {
    let package = PackageFile::open(context, message).await.map_err(unreadable)?;
    let (manifest, header) = package.documents();
    let mut writer = PackageWriter::with_documents(manifest, header).map_err(|error| broken(&error))?;
    for (entity_no, listed) in (0..).zip(&package.manifest().entities) {
        if !Pages::new(context, message, entity_no).next().await?.is_empty() {
            let pages = Pages::new(context, message, entity_no);
            writer.begin_listed_file(&listed.file).map_err(|error| broken(&error))?;
            add(context, &package, listed, spec, pages, &mut writer, out).await?;
        }
    }
    let last = writer.finish().map_err(|error| broken(&error))?;
    send(out, last).await
}

/// Adds one file with its rejects.
async fn add(
    context: &Context,
    package: &PackageFile,
    listed: &PackageEntity,
    spec: &ImportSpec,
    pages: Pages<'_>,
    writer: &mut PackageWriter,
    out: &Out,
) -> Result<(), Halt> {
    let Some(member) = package.member(&listed.file) else {
        let detail = format!("the package has no member `{}` any more", listed.file);
        return Err(SourceError::Unreadable(detail).into());
    };
    let (format, encoding) = format_of(listed).unwrap_or_else(|| (spec.format.clone(), spec.encoding.clone()));
    let options = TextOptions {
        format: &format,
        encoding: encoding.as_deref(),
        // It was read before, within what was allowed.
        max_unpacked_bytes: context.limits.file.max_unpacked_bytes,
    };
    let (unpacked, _) = member.unpack().await.map_err(unreadable)?;
    let file = DataFile::of_file(unpacked, options);
    let (inner, mut chunks) = mpsc::channel(1);
    let fills = async { write_file(&context.limits, &format, file, pages, &{ inner }).await };
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

fn unreadable(stop: Stop) -> Halt {
    let detail = match stop {
        Stop::Fail(failure) => failure.detail,
        Stop::Retry(detail) | Stop::Unreachable(detail) | Stop::BlobMissing(detail) => detail,
        Stop::Lost | Stop::Stopped => "the service is stopping".to_owned(),
    };
    SourceError::Unreadable(detail).into()
}
