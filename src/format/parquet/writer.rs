//! The writer: records in, row groups out.

use std::io;
use std::sync::Arc;

use parquet::basic::{Compression as Packing, GzipLevel, ZstdLevel};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::ParquetColumn;
use super::gathered::Gathered;
use crate::domain::export::Compression;
use crate::format::record_writer::{RecordWriter, WriteError};
use crate::format::typed::FileCell;

/// Records of a row group, at most: what analytical readers work through at once.
const GROUP_RECORDS_MAX: usize = 1 << 17;
/// Bytes of its values, about, before they are encoded.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// Writes a Parquet file.
pub struct ParquetWriter {
    packing: Packing,
    columns: Vec<Gathered>,
    /// Made at the beginning of the file.
    file: Option<SerializedFileWriter<Vec<u8>>>,
    /// Records and bytes of the row group that is being gathered.
    records: usize,
    bytes: usize,
}

impl ParquetWriter {
    /// Of these columns, its pages packed so; without a word with Snappy, which every reader has.
    #[must_use]
    pub fn new(columns: Vec<ParquetColumn>, compression: Option<Compression>) -> Self {
        Self {
            packing: match compression {
                None => Packing::SNAPPY,
                Some(Compression::Gzip) => Packing::GZIP(GzipLevel::default()),
                Some(Compression::Zstd) => Packing::ZSTD(ZstdLevel::default()),
            },
            columns: columns.into_iter().map(Gathered::new).collect(),
            file: None,
            records: 0,
            bytes: 0,
        }
    }

    fn open(&self) -> Result<SerializedFileWriter<Vec<u8>>> {
        let columns = self.columns.iter().map(|column| column.schema().map(Arc::new));
        let schema = Type::group_type_builder("schema")
            .with_fields(columns.collect::<Result<_>>()?)
            .build()?;
        let properties = WriterProperties::builder()
            .set_compression(self.packing)
            .set_created_by(format!("tranship version {}", env!("CARGO_PKG_VERSION")))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            // One for each page would be kept in memory to the end of the file.
            .set_offset_index_disabled(true);
        SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties.build()))
    }

    /// Writes the row group that was gathered, if there is one.
    fn write_group(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let file = self.file.as_mut().ok_or_else(not_begun)?;
        if self.records > 0 {
            let mut group = file.next_row_group()?;
            for column in &mut self.columns {
                column.write(group.next_column()?.ok_or_else(not_begun)?)?;
            }
            group.close()?;
            (self.records, self.bytes) = (0, 0);
        }
        file.flush()?;
        out.append(file.inner_mut());
        Ok(())
    }
}

impl RecordWriter for ParquetWriter {
    fn begin(&mut self, out: &mut Vec<u8>) -> std::result::Result<(), WriteError> {
        self.file = Some(self.open().map_err(failed)?);
        self.write_group(out).map_err(failed)
    }

    fn record(&mut self, _: usize, cells: &[FileCell<'_>], out: &mut Vec<u8>) -> std::result::Result<(), WriteError> {
        for (at, (column, cell)) in self.columns.iter_mut().zip(cells).enumerate() {
            let pushed = column.push(cell);
            self.bytes += pushed.map_err(|reason| WriteError::Value { column: at, reason })?;
        }
        self.records += 1;
        if self.records >= GROUP_RECORDS_MAX || self.bytes >= GROUP_BYTES_MAX {
            self.write_group(out).map_err(failed)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> std::result::Result<(), WriteError> {
        self.write_group(out).map_err(failed)?;
        if let Some(file) = self.file.take() {
            out.append(&mut file.into_inner().map_err(failed)?);
        }
        Ok(())
    }

    fn held_bytes(&self) -> u64 {
        self.bytes as u64
    }
}

fn not_begun() -> ParquetError {
    ParquetError::General("the file has not begun".to_owned())
}

fn failed(error: ParquetError) -> WriteError {
    WriteError::Io(io::Error::other(error))
}
