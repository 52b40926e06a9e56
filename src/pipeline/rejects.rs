//! The error files of a message: its rejected records in the source's own format, ready to be corrected and sent back, and the
//! keys of those the target refused (PKG-15).
//!
//! In the first, `_reject_id` and `_error` come first and the record's own text follows as it stood in the payload, so that even a
//! record with a broken quote can be seen and mended in place. When the payload is itself a rejects file that came back, its two
//! columns are left out. A damaged record may be as long as the payload: it passes through in pieces. None of the files is kept:
//! they are made from the payload while they are sent.

mod changes;
mod composite;
mod corrections;
mod cut;
mod delimited;
mod entity_file;
mod holders;
mod keys;
mod package;
mod pages;
mod reread;
mod rows;
mod selection;
mod sink;
mod spliced;
mod table;
#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

pub use self::changes::{Change, Changes};
pub use self::corrections::{Correction, Corrections};
pub use self::holders::{Holds, names_columns};
pub use self::selection::{EntitiesNamed, Selection};
pub use self::table::{Bounds, Cell, RejectTable, RejectedRecord};

use self::delimited::RejectsFile;
use self::pages::Pages;
use self::reread::Reread;
use self::sink::Sink;
use self::window::Window;
use super::Context;
use super::composite::Composed;
use super::data_file::{self, DataFile, TextOptions};
use super::package_file::PackageFile;
use super::source::{self, SourceError};
use super::stop::Stop;
use crate::blob::BlobError;
use crate::definitions::Definitions;
use crate::domain::job::{FileFormat, ImportSpec, Job};
use crate::domain::message::Message;
use crate::domain::reject::RejectPhase;
use crate::storage::StoreError;

/// Why writing stops before the end.
#[derive(Debug)]
enum Halt {
    /// Nobody wants the rest.
    Gone,
    Source(SourceError),
}

impl From<SourceError> for Halt {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Source(error.into())
    }
}

/// What cannot be read although it once was, or not now.
fn unreadable(stop: Stop) -> Halt {
    let error = match stop {
        Stop::Fail(failure) => SourceError::Unreadable(failure.detail),
        Stop::BlobMissing(detail) => SourceError::Unreadable(detail),
        Stop::Retry(detail) | Stop::Unreachable(detail) | Stop::Locked(detail) => BlobError::failed(detail).into(),
        Stop::Lost | Stop::Stopped => SourceError::Unreadable("the service is stopping".to_owned()),
    };
    error.into()
}

/// Which rejects of which message are written.
#[derive(Clone, Copy)]
struct Of<'a> {
    context: &'a Context,
    message: &'a Message,
    selection: &'a Selection,
}

/// The error files that can be made of a message.
#[derive(Debug, Clone)]
pub struct ErrorFiles {
    context: Context,
    definitions: Arc<Definitions>,
    message: Message,
    job: Job,
    spec: ImportSpec,
    selection: Selection,
}

/// One of them, its payload found. Whether all of it can be read only writing shows.
pub struct ErrorFile {
    files: ErrorFiles,
    content: Content,
}

/// What is written, from what.
enum Content {
    /// The rejects of the data file that the payload is.
    File(Box<DataFile>),
    /// The rejects of all files of the package that the payload is.
    Package(PackageFile),
    /// The rejects of its file at this position of the manifest.
    Member(PackageFile, usize),
    /// Keys.
    Keys(Option<PackageFile>),
}

/// What an error file is.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// A data file of this format.
    File(FileFormat),
    /// A package of data files.
    Package,
}

/// The keys' own format, and that of a workbook's rejects.
const CSV: FileFormat = FileFormat::Csv { delimiter: b',' };

impl ErrorFiles {
    /// Those of a message; `None` when its job is gone or no import.
    #[must_use]
    pub fn of(
        context: &Context,
        definitions: Arc<Definitions>,
        message: Message,
        selection: Selection,
    ) -> Option<Self> {
        let job = definitions.job(message.job)?.clone();
        let spec = job.import.clone()?;
        Some(Self {
            context: context.clone(),
            definitions,
            message,
            job,
            spec,
            selection,
        })
    }

    /// Only these of them, corrected.
    #[must_use]
    pub fn correcting(mut self, corrections: Corrections) -> Self {
        self.selection.corrections = Some(Arc::new(corrections));
        self
    }

    /// The rejected records in the form the payload has: of a package as a package, which can be corrected and sent back.
    ///
    /// # Errors
    /// [`SourceError`] when the payload is no longer kept or out of reach.
    pub async fn rejects(self) -> Result<ErrorFile, SourceError> {
        let content = match self.package().await? {
            Some(package) => Content::Package(package),
            None => Content::File(Box::new(self.data_file().await?)),
        };
        Ok(ErrorFile { files: self, content })
    }

    /// The rejected records as one data file. Only of a package several of whose files have rejects it is a package.
    ///
    /// # Errors
    /// As [`Self::rejects`].
    pub async fn rejects_unpacked(self) -> Result<ErrorFile, SourceError> {
        let content = match self.package().await? {
            Some(package) => {
                let found = package::with_rejects(self.as_of(), &self.definitions, &self.spec, &package);
                match found.await.map_err(Halt::into_source)?.as_slice() {
                    [at] => Content::Member(package, *at),
                    _ => Content::Package(package),
                }
            }
            None => Content::File(Box::new(self.data_file().await?)),
        };
        Ok(ErrorFile { files: self, content })
    }

    /// The keys of the records that the target refused, and why, as CSV.
    ///
    /// # Errors
    /// As [`Self::rejects`].
    pub async fn keys(mut self) -> Result<ErrorFile, SourceError> {
        self.selection.phase = Some(RejectPhase::Target);
        let package = self.package().await?;
        if package.is_none() {
            self.is_kept().await?;
        }
        let content = Content::Keys(package);
        Ok(ErrorFile { files: self, content })
    }

    /// Whether the payload is still there to make them from.
    ///
    /// # Errors
    /// [`SourceError`] when it is not.
    pub async fn is_kept(&self) -> Result<(), SourceError> {
        source::open(&self.context, &self.message).await.map(drop)
    }

    async fn package(&self) -> Result<Option<PackageFile>, SourceError> {
        if !self.job.is_package(self.message.entity.as_deref()) {
            return Ok(None);
        }
        let package = PackageFile::open(&self.context, &self.message).await;
        package.map(Some).map_err(|stop| unreadable(stop).into_source())
    }

    async fn data_file(&self) -> Result<DataFile, SourceError> {
        let options = TextOptions::of(&self.spec, &self.context.limits);
        DataFile::of_payload(&self.context, &self.message, options).await
    }

    fn as_of(&self) -> Of<'_> {
        Of {
            context: &self.context,
            message: &self.message,
            selection: &self.selection,
        }
    }
}

impl Halt {
    /// Where nobody is there to be gone.
    fn into_source(self) -> SourceError {
        match self {
            Self::Gone => SourceError::Unreadable("nobody reads the file any more".to_owned()),
            Self::Source(error) => error,
        }
    }
}

impl ErrorFile {
    /// What it is.
    #[must_use]
    pub fn form(&self) -> Form {
        let format = match &self.content {
            Content::Package(_) => return Form::Package,
            Content::Keys(_) => CSV,
            Content::File(_) => self.files.spec.format.clone(),
            Content::Member(package, at) => {
                let listed = package.manifest().entities.get(*at);
                listed.map_or(CSV, |entity| package::format(&self.files.spec, entity).0)
            }
        };
        // Of what is no text the rejects are its records as text.
        Form::File(match format {
            format if !format.is_text() => CSV,
            format => format,
        })
    }

    /// Sends it into `out`, chunk by chunk, until all is sent or the receiver is gone.
    ///
    /// # Errors
    /// [`SourceError`] when payload or store cannot be read; what was sent before is then incomplete and must not be used.
    pub async fn write(self, out: &mpsc::Sender<Result<Bytes, SourceError>>) -> Result<(), SourceError> {
        let files = &self.files;
        let (of, spec, definitions) = (files.as_of(), &files.spec, &*files.definitions);
        let written = match self.content {
            Content::File(file) => {
                let label = files.message.entity.as_deref().unwrap_or_default();
                let composed = Composed::called(definitions, spec, label);
                write_file(of, (composed, 0), &spec.format, *file, out).await
            }
            Content::Package(package) => package::write(of, definitions, spec, &package, out).await,
            Content::Member(package, at) => package::write_one(of, definitions, spec, (&package, at), out).await,
            Content::Keys(package) => keys::write(files, package.as_ref(), out).await,
        };
        match written {
            Ok(()) | Err(Halt::Gone) => Ok(()),
            Err(Halt::Source(error)) => Err(error),
        }
    }
}

/// Sends the rejects of one data file, whose entity has this number, or whose composite's first one has.
async fn write_file(
    of: Of<'_>,
    (composed, entity_no): (Option<Composed<'_>>, i32),
    format: &FileFormat,
    file: DataFile,
    out: &mpsc::Sender<Result<Bytes, SourceError>>,
) -> Result<(), Halt> {
    if let Some(composed) = composed {
        return composite::write(of, (composed, entity_no), format, file, out).await;
    }
    let limits = &of.context.limits;
    let mut payload = Window::new(file);
    let mut pages = Pages::new(of, entity_no);
    match format {
        FileFormat::Csv { delimiter } => {
            let file = RejectsFile {
                payload,
                sink: Sink::new(out, *delimiter),
                delimiter: *delimiter,
            };
            file.write(limits, pages).await
        }
        FileFormat::Xlsx { .. } | FileFormat::Parquet => {
            let rejects = Reread::new(data_file::reader(format, limits), payload, of, entity_no);
            rows::write(rejects, &mut Sink::new(out, b',')).await
        }
        format => {
            let record_bytes_max = limits.file.max_record_bytes;
            spliced::write(
                format,
                record_bytes_max,
                &mut payload,
                &mut Sink::new(out, b','),
                &mut pages,
            )
            .await
        }
    }
}
