//! The rejects file: the rejected records of a message, in the source's own format, ready to be corrected and sent back.
//!
//! `_reject_id` and `_error` come first and the record's own text follows as it stood in the payload, so that even a record
//! with a broken quote can be seen and mended in place. When the payload is itself a rejects file that came back, its two
//! columns are left out. A damaged record may be as long as the payload: it passes through in pieces.

mod composite;
mod cut;
mod package;
mod pages;
mod rows;
mod sink;
mod spliced;
#[cfg(test)]
mod tests;
mod window;

use bytes::Bytes;
use tokio::sync::mpsc;

use self::cut::{Cut, OwnColumns};
use self::pages::Pages;
use self::sink::Sink;
use self::window::Window;
use super::composite::Composed;
use super::data_file::{self, DataFile, TextOptions, csv_options};
use super::source::SourceError;
use super::stop::Stop;
use super::{Context, Limits};
use crate::definitions::Definitions;
use crate::domain::job::{DataSource, FileFormat, Job};
use crate::domain::message::Message;
use crate::format::csv_read::CsvOptions;
use crate::format::mapping::{ERROR_COLUMN, REJECT_ID_COLUMN};
use crate::storage::StoreError;
use crate::storage::executions::StoredError;

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

/// What cannot be read any more, although it once was.
fn unreadable(stop: Stop) -> Halt {
    let detail = match stop {
        Stop::Fail(failure) => failure.detail,
        Stop::Retry(detail) | Stop::Unreachable(detail) | Stop::BlobMissing(detail) => detail,
        Stop::Lost | Stop::Stopped => "the service is stopping".to_owned(),
    };
    SourceError::Unreadable(detail).into()
}

/// Sends the rejects file of a message into `out`, chunk by chunk, until all is sent or the receiver is gone. Of a package it
/// is a package of the files that had rejects.
///
/// # Errors
/// [`SourceError`] when payload or store cannot be read; what was sent before is then incomplete and must not be used.
pub async fn write_rejects(
    context: &Context,
    definitions: &Definitions,
    message: &Message,
    job: &Job,
    out: &mpsc::Sender<Result<Bytes, SourceError>>,
) -> Result<(), SourceError> {
    let written = match &job.import {
        Some(spec) if job.data_source == DataSource::File => {
            let options = TextOptions::of(spec, &context.limits);
            let file = DataFile::of_payload(context, message, options).await?;
            let label = message.entity.as_deref().unwrap_or_default();
            if let Some(composed) = Composed::called(definitions, spec, label) {
                composite::write(context, message, (composed, 0), &spec.format, file, out).await
            } else {
                let pages = Pages::new(context, message, 0);
                write_file(&context.limits, &spec.format, file, pages, out).await
            }
        }
        Some(spec) => package::write(context, definitions, message, spec, out).await,
        None => Ok(()),
    };
    match written {
        Ok(()) | Err(Halt::Gone) => Ok(()),
        Err(Halt::Source(error)) => Err(error),
    }
}

/// Sends the rejects of one data file.
async fn write_file(
    limits: &Limits,
    format: &FileFormat,
    file: DataFile,
    mut pages: Pages<'_>,
    out: &mpsc::Sender<Result<Bytes, SourceError>>,
) -> Result<(), Halt> {
    let mut payload = Window::new(file);
    match format {
        FileFormat::Csv { delimiter } => {
            let file = RejectsFile {
                payload,
                sink: Sink::new(out, *delimiter),
                delimiter: *delimiter,
            };
            file.write(limits, pages).await
        }
        FileFormat::Xlsx { .. } => {
            let reader = data_file::reader(format, limits);
            rows::write(reader, &mut payload, &mut Sink::new(out, b','), &mut pages).await
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

/// A rejects file being written.
struct RejectsFile<'a> {
    payload: Window,
    sink: Sink<'a>,
    delimiter: u8,
}

impl RejectsFile<'_> {
    async fn write(mut self, limits: &Limits, mut pages: Pages<'_>) -> Result<(), Halt> {
        let own = self.header(csv_options(self.delimiter, limits)).await?;
        loop {
            let page = pages.next().await?;
            if page.is_empty() {
                break;
            }
            for (first, reasons) in page {
                self.reject(&first, &reasons, &own).await?;
            }
            self.sink.flush().await?;
        }
        self.sink.flush().await
    }

    async fn header(&mut self, options: CsvOptions) -> Result<OwnColumns, Halt> {
        let header = self.payload.header(options, &self.sink).await?;
        if !self.payload.is_utf8() {
            self.sink.mark_utf8();
        }
        let own = OwnColumns::of(&header.names);
        self.sink.begin_row(REJECT_ID_COLUMN, ERROR_COLUMN);
        let cut = own.in_header(self.delimiter);
        self.record(header.bytes.start, header.bytes.end, cut).await?;
        Ok(own)
    }

    async fn reject(&mut self, first: &StoredError, reasons: &str, own: &OwnColumns) -> Result<(), Halt> {
        let place = first.error.place;
        self.sink.begin_row(&first.reject.to_string(), reasons);
        let cut = own.in_record(&first.error, self.delimiter);
        self.record(place.byte_start, place.byte_end, cut).await
    }

    /// The record's own text, to the end of the row.
    async fn record(&mut self, start: u64, end: u64, mut cut: Cut) -> Result<(), Halt> {
        while let Some(piece) = self.payload.piece(start, end, &self.sink).await? {
            self.sink.add(&piece, &mut cut).await?;
        }
        self.sink.end_row();
        Ok(())
    }
}
