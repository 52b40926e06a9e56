//! Excel workbooks (`.xlsx`), one sheet of them, row by row (FMT-12).
//!
//! A zip is read from its end, so a workbook is kept in a temporary file until all of it is there; only then is there a header.
//! The sheet is unpacked into another one, and its XML is read as a stream: memory holds one row, the shared texts up to a
//! limit, and where each of them ends. Files are read and written in whatever thread calls: it should be one that may block.
//!
//! # Grammar
//! The sheet is chosen by name in any case, `$` at its end ignored, or is the first visible one. Its first row that is not blank is
//! the header; blank rows behind it are no records. Hidden rows and columns are read like others; of merged cells the first has
//! the value. Cells become text:
//! - texts: all runs of rich text, without phonetic ones, `_x000D_` and the like undone,
//! - numbers: digits without an exponent, the shortest that mean the same number; whole ones exact,
//! - numbers whose format shows a date or time: `2026-01-31`, `2026-01-31 13:05:00`, `13:05:00`, in the workbook's date system,
//! - truth values: `true`, `false`,
//! - formulas: their result as the workbook has it; errors such as `#N/A` as they are, for typing to refuse.
//!
//! # Places
//! Offsets count rows, not bytes: the record in row 7 has line 7 and the range 7 to 8, and so do positions. Rows without a
//! number have the one after the row before.
//!
//! # Damage
//! - A value in a column that the header does not name is `column_count`.
//! - A cell or row longer than its limit is `record_too_large`.
//! - A cell that refers to a text that is not there, is there twice, or has a formula without a result, is `invalid_xml`.
//! - XML that is broken in a row makes this row `invalid_xml`, and it is the last: nothing can be trusted behind it.
//!   Everything that is broken before the first record refuses the workbook.
//!
//! # Limits
//! Parts are unpacked up to `max_unpacked_bytes` together, and none of them a thousandfold. Shared texts count each time a cell shows
//! them: their sum is held to the same number, and the row that goes past it is the last. Document types are refused. Time
//! is linear in what was unpacked, and for each record in the header's width.
//!
//! A workbook has no rejects file of its own: it is CSV, made of the sheet's header and the rows read again.

mod container;
mod gate;
mod moment;
mod number;
mod open;
mod reader;
mod refusal;
mod row;
mod sheet;
mod strings;
mod styles;
#[cfg(test)]
mod tests;
mod text;
mod workbook;
mod writer;
mod xml;

use std::path::PathBuf;

pub use reader::XlsxReader;
pub use writer::{SHEET_NAME_CHARS_MAX, XlsxWriter, is_sheet_name, sheet_name};

/// Columns a sheet can have.
const COLUMNS_MAX: usize = 16_384;

/// Sheet and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XlsxOptions {
    /// Name of the sheet; without one, the first visible one.
    pub sheet: Option<String>,
    /// Most columns a header may have; the contract has 255 (FMT-12).
    pub max_columns: usize,
    /// Longest text of a cell, in bytes.
    pub max_field_bytes: usize,
    /// Longest row, all its texts together, in bytes.
    pub max_record_bytes: usize,
    /// Most bytes that the parts of the workbook may come to when they are unpacked.
    pub max_unpacked_bytes: u64,
    /// Folder for temporary files: the workbook, the sheet unpacked, the shared texts.
    pub spill_dir: PathBuf,
    /// Bytes of shared texts kept in memory; the rest goes to a temporary file.
    pub shared_strings_in_memory: usize,
}
