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

/// Limits and delimiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvOptions {
    /// The byte between cells.
    pub delimiter: u8,
    /// Longest quoted field, in bytes (`file.max_field_bytes`).
    pub max_field_bytes: usize,
    /// Longest record, in bytes (`file.max_record_bytes`).
    pub max_record_bytes: usize,
    /// Most columns a header may have (`file.max_columns`).
    pub max_columns: usize,
}

/// Most line breaks inside the quotes of a record that is tried as the place to go on from after damage. It bounds what
/// hostile input can cost; real text rarely has so many lines in one record, and then only that record is given up too.
pub const PROBE_BREAKS_MAX: u64 = 64;
