//! A message's data file: its payload, verified, unpacked and decoded, and the reader of its format.

use bytes::{Bytes, BytesMut};
use encoding_rs::Encoding;
use tokio::io::AsyncReadExt as _;

use super::source::{self, SourceError};
use super::stop::Stop;
use super::{Context, Limits};
use crate::blob::{BlobError, BlobReader};
use crate::domain::job::{FileFormat, ImportSpec};
use crate::domain::message::Message;
use crate::format::binary_or_csv::{BinaryOrCsv, is_no_text, is_workbook};
use crate::format::csv_read::{CsvOptions, CsvReader};
use crate::format::decode::{DecodeOptions, Decoder};
use crate::format::fixed::{FixedOptions, FixedReader};
use crate::format::json::{self, JsonOptions};
use crate::format::parquet::{ParquetOptions, ParquetReader};
use crate::format::record::{FileError, Position, RecordReader, Step};
use crate::format::xlsx::{XlsxOptions, XlsxReader};
use crate::format::xml::{XmlOptions, XmlStyle, xml_reader};

/// Bytes read from a file at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// Shared texts of a workbook kept in memory; the rest goes to a temporary file.
const SHARED_STRINGS_IN_MEMORY: usize = 16 << 20;

/// A data file being read from its start.
#[derive(Debug)]
pub(super) struct DataFile {
    chunks: Chunks,
    decoder: Decoder,
    ended: bool,
}

/// Where its bytes come from.
#[derive(Debug)]
enum Chunks {
    /// The message's payload, verified on the way.
    Payload(BlobReader),
    /// A member of a package that was verified as a whole.
    File(tokio::fs::File),
}

/// What is known of a data file before it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextOptions<'a> {
    /// Its format.
    pub format: &'a FileFormat,
    /// The encoding it has without a byte order mark.
    pub encoding: Option<&'a str>,
    /// Most bytes it may unpack to.
    pub max_unpacked_bytes: u64,
}

impl<'a> TextOptions<'a> {
    /// As a job of single files says.
    pub fn of(spec: &'a ImportSpec, limits: &Limits) -> Self {
        Self {
            format: &spec.format,
            encoding: spec.encoding.as_deref(),
            max_unpacked_bytes: limits.file.max_unpacked_bytes,
        }
    }
}

impl Chunks {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        match self {
            Self::Payload(payload) => Ok(payload.next().await?),
            Self::File(file) => {
                let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
                let read = file.read_buf(&mut chunk).await;
                let length = read.map_err(|error| BlobError::failed(format!("a temporary file: {error}")))?;
                Ok((length > 0).then(|| chunk.freeze()))
            }
        }
    }
}

/// Why a data file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileFault {
    /// The payload is out of reach, or not what was stored.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It is not what the job says.
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<FileFault> for Stop {
    fn from(fault: FileFault) -> Self {
        match fault {
            FileFault::Source(error) => error.into(),
            FileFault::File(error) => error.into(),
        }
    }
}

impl From<FileError> for Stop {
    fn from(error: FileError) -> Self {
        if error.is_ours() {
            Self::Unreachable(error.reason)
        } else {
            Self::fail(error.code, error.reason)
        }
    }
}

impl From<FileFault> for SourceError {
    fn from(fault: FileFault) -> Self {
        match fault {
            FileFault::Source(error) => error,
            FileFault::File(error) if error.is_ours() => BlobError::failed(error.reason).into(),
            FileFault::File(error) => Self::Unreadable(error.reason),
        }
    }
}

impl DataFile {
    /// The payload of a message.
    ///
    /// # Errors
    /// [`SourceError`] when the payload is gone or out of reach.
    pub async fn of_payload(
        context: &Context,
        message: &Message,
        options: TextOptions<'_>,
    ) -> Result<Self, SourceError> {
        let payload = source::open(context, message).await?;
        Ok(Self::new(payload, options))
    }

    /// A payload that is open already.
    pub fn new(payload: BlobReader, options: TextOptions<'_>) -> Self {
        Self::from_chunks(Chunks::Payload(payload), options)
    }

    /// A file on the disk, from where it stands.
    pub fn of_file(file: std::fs::File, options: TextOptions<'_>) -> Self {
        Self::from_chunks(Chunks::File(file.into()), options)
    }

    fn from_chunks(chunks: Chunks, options: TextOptions<'_>) -> Self {
        let label = options.encoding.unwrap_or_default();
        let decoder = Decoder::new(DecodeOptions {
            encoding: Encoding::for_label(label.as_bytes()),
            is_xml: options.format.is_xml(),
            is_text: options.format.is_text(),
            max_unpacked_bytes: options.max_unpacked_bytes,
        });
        Self {
            chunks,
            decoder,
            ended: false,
        }
    }

    /// The next piece of the file, or nothing at its end; the last one comes only once the digest of all bytes proved right.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FileFault> {
        loop {
            if let Some(piece) = self.decoder.piece()? {
                return Ok(Some(Bytes::copy_from_slice(piece)));
            }
            if self.ended {
                return Ok(None);
            }
            if let Some(chunk) = self.chunks.next().await? {
                self.decoder.feed(chunk);
            } else {
                self.ended = true;
                self.decoder.finish();
            }
        }
    }

    /// Whether the file itself is UTF-8; known once a piece was read.
    pub fn is_utf8(&self) -> bool {
        self.decoder.is_utf8()
    }
}

/// A reader of this format, at the start of a file.
pub(super) fn reader(format: &FileFormat, limits: &Limits) -> Box<dyn RecordReader> {
    let file = &limits.file;
    let json = JsonOptions {
        max_record_bytes: file.max_record_bytes,
        max_columns: file.max_columns,
    };
    let xml = |style| xml_options(style, limits);
    match format {
        FileFormat::Csv { delimiter } => Box::new(CsvReader::new(csv_options(*delimiter, limits))),
        FileFormat::Fixed(columns) => Box::new(FixedReader::new(FixedOptions {
            columns: columns.clone(),
            max_record_bytes: file.max_record_bytes,
        })),
        FileFormat::Json => Box::new(json::json(json)),
        FileFormat::JsonLines => Box::new(json::jsonl(json)),
        FileFormat::XmlElement => Box::new(xml_reader(xml(XmlStyle::Element))),
        FileFormat::XmlAttribute => Box::new(xml_reader(xml(XmlStyle::Attribute))),
        FileFormat::Xlsx { sheet } => {
            let workbook = XlsxReader::new(xlsx_options(sheet.clone(), limits));
            Box::new(Blocking(BinaryOrCsv::new(
                Box::new(workbook),
                is_workbook,
                csv_options(b',', limits),
            )))
        }
        FileFormat::Parquet => {
            let parquet = ParquetReader::new(parquet_options(limits));
            Box::new(Blocking(BinaryOrCsv::new(
                Box::new(parquet),
                is_no_text,
                csv_options(b',', limits),
            )))
        }
    }
}

pub(super) fn xml_options(style: XmlStyle, limits: &Limits) -> XmlOptions {
    XmlOptions {
        style,
        max_record_bytes: limits.file.max_record_bytes,
        max_columns: limits.file.max_columns,
    }
}

fn xlsx_options(sheet: Option<String>, limits: &Limits) -> XlsxOptions {
    let file = &limits.file;
    XlsxOptions {
        sheet,
        max_columns: file.max_columns,
        max_field_bytes: file.max_field_bytes,
        max_record_bytes: file.max_record_bytes,
        max_unpacked_bytes: file.max_unpacked_bytes,
        spill_dir: std::env::temp_dir(),
        shared_strings_in_memory: SHARED_STRINGS_IN_MEMORY,
    }
}

fn parquet_options(limits: &Limits) -> ParquetOptions {
    let file = &limits.file;
    ParquetOptions {
        max_columns: file.max_columns,
        max_field_bytes: file.max_field_bytes,
        max_record_bytes: file.max_record_bytes,
        max_unpacked_bytes: file.max_unpacked_bytes,
        spill_dir: std::env::temp_dir(),
    }
}

/// A reader that goes to the disk: it lets others of this thread be taken over while it does. Who takes its steps has to do so, too,
/// for as many at once as may be ([`RecordReader::has_long_steps`]).
struct Blocking<R>(R);

/// Does what may take long without a pause; others of this thread are taken over meanwhile.
pub(super) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        // Nobody can be taken over.
        _ => work(),
    }
}

impl<R: RecordReader> RecordReader for Blocking<R> {
    fn feed(&mut self, bytes: &[u8]) {
        blocking(|| self.0.feed(bytes));
    }

    fn finish(&mut self) {
        blocking(|| self.0.finish());
    }

    fn header(&mut self) -> Result<Option<Vec<String>>, FileError> {
        blocking(|| self.0.header())
    }

    fn step(&mut self) -> Step<'_> {
        self.0.step()
    }

    fn has_long_steps(&self) -> bool {
        true
    }

    fn position(&self) -> Position {
        self.0.position()
    }

    fn skip_to(&mut self, position: Position) {
        blocking(|| self.0.skip_to(position));
    }

    fn remarks(&self) -> Vec<String> {
        self.0.remarks()
    }
}

pub(super) fn csv_options(delimiter: u8, limits: &Limits) -> CsvOptions {
    CsvOptions {
        delimiter,
        max_field_bytes: limits.file.max_field_bytes,
        max_record_bytes: limits.file.max_record_bytes,
        max_columns: limits.file.max_columns,
    }
}
