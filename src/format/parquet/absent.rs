//! What stands in for Parquet in a build without it: it refuses every file. Definitions that ask for it are refused before.

use super::{NOT_BUILT_IN, ParquetColumn, ParquetOptions};
use crate::domain::export::Compression;
use crate::format::record::{FileError, Position, RecordReader, Step};
use crate::format::record_writer::{RecordWriter, WriteError};
use crate::format::typed::FileCell;

/// Refuses to read.
#[derive(Debug)]
pub struct ParquetReader;

/// Refuses to write.
#[derive(Debug)]
pub struct ParquetWriter;

impl ParquetReader {
    /// One that refuses.
    #[must_use]
    pub fn new(_: ParquetOptions) -> Self {
        Self
    }
}

impl ParquetWriter {
    /// One that refuses.
    #[must_use]
    pub fn new(_: Vec<ParquetColumn>, _: Option<Compression>) -> Self {
        Self
    }
}

impl RecordReader for ParquetReader {
    fn feed(&mut self, _: &[u8]) {}

    fn finish(&mut self) {}

    fn header(&mut self) -> Result<Option<Vec<String>>, FileError> {
        Err(FileError {
            code: "parquet_not_built",
            reason: NOT_BUILT_IN.to_owned(),
        })
    }

    fn step(&mut self) -> Step<'_> {
        Step::End
    }

    fn position(&self) -> Position {
        Position::START
    }

    fn skip_to(&mut self, _: Position) {}
}

impl RecordWriter for ParquetWriter {
    fn begin(&mut self, _: &mut Vec<u8>) -> Result<(), WriteError> {
        Err(std::io::Error::other(NOT_BUILT_IN).into())
    }

    fn record(&mut self, _: usize, _: &[FileCell<'_>], _: &mut Vec<u8>) -> Result<(), WriteError> {
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> Result<(), WriteError> {
        Ok(())
    }
}
