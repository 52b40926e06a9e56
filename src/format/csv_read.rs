//! Delimited text, read as a stream that survives damage.
//!
//! Our own reader, because a general one either stops at a broken quote or swallows the rest of the file: here a damaged
//! record is one reject with its byte range, and reading goes on (promise 5).
//!
//! # Grammar
//! UTF-8 with or without a byte order mark; cells are bytes here, their encoding is checked when they are typed. Records end
//! with CRLF, LF or CR. An empty line is no record, but it counts as a line. A cell that begins with `"` is quoted: it may hold
//! delimiters and line breaks, and `""` stands for a quote; after the closing quote, blanks are tolerated. A quote anywhere else
//! is an ordinary character.
//!
//! # Damage
//! - A record of the wrong width is `column_count`; its end is not in doubt.
//! - A quoted field that is longer than `max_field_bytes`, followed by anything but delimiter or line end, or not closed at the
//!   end of the file makes its record `broken_quote`. The quote cannot be trusted, so the reader goes back to it and *resynchronises*:
//!   the record ends at the first physical line break after that opening quote after which a record of the header's width parses
//!   (it may itself hold quoted line breaks, up to [`PROBE_BREAKS_MAX`]). If there is none, it ends with the file.
//! - A record longer than `max_record_bytes` is `record_too_large` and ends at its line break; when the limit is reached inside
//!   quotes, it ends as above.
//!
//! # Cost
//! Bytes given up are dropped at once, so memory holds one record and what was last fed, however long the damage. Time is linear
//! in the file's size: a byte is scanned once in its record, once in a quoted field that turned out broken (two such
//! fields cannot overlap: the second one's opening quote would have closed the first), and at most once for each of the
//! `PROBE_BREAKS_MAX` lines before it that were tried as a place to go on from.

mod given_up;
mod reader;
mod scan;
#[cfg(test)]
mod tests;

pub use reader::CsvReader;

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

/// Most line breaks inside the quotes of a record that is tried as the place to go on from after damage. It bounds what
/// hostile input can cost; real text rarely has so many lines in one record, and then only that record is given up too.
pub const PROBE_BREAKS_MAX: u64 = 64;
