//! Delimited text, read as a stream that survives damage.
//!
//! Our own reader, because a general one either stops at a broken quote or swallows the rest of the file: here a damaged
//! record is one reject with its byte range, and reading goes on (promise 5).

use crate::domain::reject::{RecordCode, RecordPlace};

/// Limits and delimiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvOptions {
    /// The byte between cells.
    pub delimiter: u8,
    /// Longest quoted field, in bytes (`csv.max_field_bytes`).
    pub max_field_bytes: usize,
    /// Longest record, in bytes (`csv.max_record_bytes`).
    pub max_record_bytes: usize,
    /// Most columns a header may have (`csv.max_columns`).
    pub max_columns: usize,
}

/// Where the next record starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvPosition {
    /// Data records read so far.
    pub records: u64,
    /// Physical line, from 1.
    pub line: u64,
    /// Byte offset.
    pub byte: u64,
}

/// What the reader has for its caller.
#[derive(Debug)]
pub enum Step<'a> {
    /// It needs more bytes: call [`CsvReader::feed`] or [`CsvReader::finish`].
    NeedInput,
    /// A record of the header's width. Cells are unquoted bytes, not yet checked for UTF-8.
    Record(CsvRecord<'a>),
    /// A record given up. Reading goes on after `place.byte_end`.
    Damaged(Damage),
    /// All read.
    End,
}

/// A record's cells and place.
#[derive(Debug)]
pub struct CsvRecord<'a> {
    /// Where it stands.
    pub place: RecordPlace,
    /// The cells.
    pub cells: Vec<std::borrow::Cow<'a, [u8]>>,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Its range; `record` counts it.
    pub place: RecordPlace,
    /// `broken_quote`, `column_count` or `record_too_large`.
    pub code: RecordCode,
    /// Column at fault, from 1.
    pub column: Option<u32>,
    /// What was found, what was expected.
    pub reason: String,
    /// The first bytes of the text given up, as far as they are UTF-8.
    pub excerpt: String,
}

/// Why a header could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct HeaderError {
    /// `file_empty`, `header_missing`, `header_damaged`, `too_many_columns`, `encoding_unsupported`.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub reason: String,
}

/// A push parser: bytes are fed in, steps come out. Memory is bounded by the options.
#[derive(Debug)]
pub struct CsvReader {
    _options: CsvOptions,
}

impl CsvReader {
    /// A reader at the start of a file.
    #[must_use]
    pub fn new(_options: CsvOptions) -> Self {
        todo!()
    }

    /// After the header was read: skip to this position, given bytes from the start of the file (a rerun rereads the file to
    /// verify its digest, but parses only what is not staged yet).
    pub fn skip_to(&mut self, _position: CsvPosition) {
        todo!()
    }

    /// Adds bytes.
    pub fn feed(&mut self, _bytes: &[u8]) {
        todo!()
    }

    /// Says that there are no more.
    pub fn finish(&mut self) {
        todo!()
    }

    /// The header's names, trimmed, byte order mark removed; `Ok(None)`: feed more.
    ///
    /// # Errors
    /// [`HeaderError`] when there is none, it is damaged or too wide.
    pub fn header(&mut self) -> Result<Option<Vec<String>>, HeaderError> {
        todo!()
    }

    /// The next step. Call [`CsvReader::header`] to its end first.
    pub fn step(&mut self) -> Step<'_> {
        todo!()
    }

    /// Where the next record starts.
    #[must_use]
    pub fn position(&self) -> CsvPosition {
        todo!()
    }
}
