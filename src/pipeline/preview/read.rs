//! Reading the beginning of one file, by the readers of imports.

use bytes::Bytes;

use super::files::{Content, File, must_be_small};
use super::{Cell, Halt, Row, Shown, TEXT_BYTES_MAX, TOO_LARGE, Table, Text, too_large};
use crate::domain::job::FileFormat;
use crate::domain::message::Message;
use crate::format::record::{RecordReader, Step};
use crate::format::xml::composite::composite_reader;
use crate::pipeline::Context;
use crate::pipeline::data_file::{self, DataFile, FileFault, TextOptions};

/// What nobody says the format of is read like.
const AS_IT_IS: FileFormat = FileFormat::Csv { delimiter: b',' };

impl From<FileFault> for Halt {
    fn from(fault: FileFault) -> Self {
        match fault {
            FileFault::Source(error) => error.into(),
            FileFault::File(error) if error.code == TOO_LARGE => Self::Told(too_large()),
            FileFault::File(error) => Self::Told(error.reason),
        }
    }
}

/// The first `most` records of a file, or its first text.
pub(super) async fn read(context: &Context, message: &Message, file: &File, most: usize) -> Result<Shown, Halt> {
    let mut beginning = Beginning {
        file: open(context, message, file).await?,
        head: Vec::new(),
        read: 0,
        ended: false,
        bytes_max: match &file.format {
            Some(format) if !format.is_text() => usize::MAX,
            _ => TEXT_BYTES_MAX,
        },
    };
    let Some(format) = &file.format else {
        return beginning.into_text().await;
    };
    let mut reader = match &file.composite {
        Some((options, node)) => Box::new(composite_reader(options, *node)),
        None => data_file::reader(format, &context.limits),
    };
    if let (Some(columns), FileFormat::Csv { delimiter }) = (&file.columns, format) {
        reader.feed(header(columns, *delimiter).as_bytes());
    }
    let mut table = Table::default();
    match fill(&mut table, &mut *reader, &mut beginning, most).await {
        Ok(()) => {}
        Err(Halt::Told(reason)) => table.fault = Some(reason),
        Err(halt) => return Err(halt),
    }
    if table.records.is_empty() && format.is_text() {
        table.beginning = beginning.text().filter(|text| !text.text.is_empty());
    }
    Ok(Shown::Table(table))
}

async fn open(context: &Context, message: &Message, file: &File) -> Result<DataFile, Halt> {
    let options = TextOptions {
        format: file.format.as_ref().unwrap_or(&AS_IT_IS),
        encoding: file.encoding.as_deref(),
        max_unpacked_bytes: context.limits.file.max_unpacked_bytes,
    };
    match &file.content {
        Content::Payload => {
            if !options.format.is_text() {
                must_be_small("workbook or Parquet file", message)?;
            }
            Ok(DataFile::of_payload(context, message, options).await?)
        }
        // Twice as much as is read, for text that becomes shorter when it is decoded.
        Content::Member(member) if options.format.is_text() => {
            let head = member.head(2 * TEXT_BYTES_MAX as u64 + 2).await?;
            Ok(DataFile::of_file(head, options))
        }
        Content::Member(member) => Ok(DataFile::of_file(member.unpack().await?.0, options)),
        Content::Nowhere(reason) => Err(Halt::Told(reason.clone())),
    }
}

/// The line of names that a delimited file does not begin with.
fn header(columns: &[String], delimiter: u8) -> String {
    let quoted = columns.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
    let delimiter = char::from(delimiter).to_string();
    quoted.collect::<Vec<_>>().join(&delimiter) + "\n"
}

/// Reads records until there are enough of them.
async fn fill(
    table: &mut Table,
    reader: &mut dyn RecordReader,
    beginning: &mut Beginning,
    most: usize,
) -> Result<(), Halt> {
    let names = loop {
        match reader.header() {
            Ok(Some(names)) => break names,
            Ok(None) => beginning.feed(reader).await?,
            Err(error) => return Err(Halt::Told(error.reason)),
        }
    };
    table.more_columns = names.len().saturating_sub(Table::COLUMNS_MAX);
    let names = names.iter().take(Table::COLUMNS_MAX);
    table.columns = names.map(|name| Cell::of(name.as_bytes())).collect();
    let mut bytes = 0;
    table.more = true;
    while table.records.len() < most && bytes < Table::BYTES_MAX {
        let row = match reader.step() {
            Step::NeedInput => None,
            Step::End => {
                table.more = false;
                return Ok(());
            }
            Step::Damaged(damage) => Some(Row {
                record: damage.place.record,
                cells: Err(damage.reason),
            }),
            Step::Record(record) => Some(Row {
                record: record.place.record,
                cells: Ok(record
                    .cells
                    .iter()
                    .take(Table::COLUMNS_MAX)
                    .map(|cell| Cell::of(cell))
                    .collect()),
            }),
        };
        match row {
            None => beginning.feed(reader).await?,
            Some(row) => {
                bytes += row.cells.iter().flatten().map(|cell| cell.text.len()).sum::<usize>();
                table.records.push(row);
            }
        }
    }
    Ok(())
}

/// A file being read from its start, so far and no further.
struct Beginning {
    file: DataFile,
    /// Its first bytes, one more than are shown.
    head: Vec<u8>,
    read: usize,
    bytes_max: usize,
    ended: bool,
}

impl Beginning {
    /// Gives a reader more of it.
    async fn feed(&mut self, reader: &mut dyn RecordReader) -> Result<(), Halt> {
        if self.read >= self.bytes_max {
            let most = self.bytes_max >> 20;
            return Err(Halt::Told(format!(
                "of a text no more than the first {most} MiB are read to be looked at here"
            )));
        }
        match self.next().await? {
            Some(bytes) => reader.feed(&bytes),
            None => reader.finish(),
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Halt> {
        let Some(bytes) = self.file.next().await? else {
            self.ended = true;
            return Ok(None);
        };
        self.read += bytes.len();
        let room = (Text::BYTES_MAX + 1).saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(Some(bytes))
    }

    /// What it begins with, if that is text.
    async fn into_text(mut self) -> Result<Shown, Halt> {
        while self.head.len() <= Text::BYTES_MAX && self.next().await?.is_some() {}
        Ok(self.text().map_or(Shown::Binary, Shown::Text))
    }

    /// What was read of that.
    fn text(&self) -> Option<Text> {
        Text::of(&self.head, !self.ended)
    }
}
