//! Fixed-width text: every column has its place in the line, nothing stands between them.
//!
//! # Grammar
//! UTF-8 with or without a byte order mark, no header line. Widths count characters (Unicode scalar values). A record is a
//! physical line, ended by CRLF, LF or CR. A line of blanks only is as good as an empty one, since producers strip trailing
//! blanks: neither is a record, both count as lines. A line that ends early has what is there, the rest is empty. Cells are
//! handed out without their outer blanks.
//!
//! Behind the columns and any blanks, a TAB begins our own part, which a rejects file brings back: TAB, reject id, TAB, error.
//! The header always names the two, [`REJECT_ID_COLUMN`](crate::format::mapping::REJECT_ID_COLUMN) and
//! [`ERROR_COLUMN`](crate::format::mapping::ERROR_COLUMN), at its end; ordinary lines leave them empty.
//!
//! # Damage
//! A line's end is never in doubt, so damage costs its line and nothing else:
//! - anything but blanks between the columns and our own part is `column_count`,
//! - a line that is not UTF-8 is `invalid_utf8`, for where its columns begin cannot be known,
//! - a line longer than `max_record_bytes` is `record_too_large`.
//!
//! # Cost
//! Memory holds one line and what was last fed. Every byte is looked at a fixed number of times.

mod edit;
mod line;
mod reader;
mod rejects;
#[cfg(test)]
mod tests;
mod writer;

pub use edit::with_columns;
pub use reader::FixedReader;
pub use rejects::FixedRejects;
pub use writer::FixedWriter;

use crate::domain::job::FixedColumn;

const BOM_UTF8: &[u8] = b"\xEF\xBB\xBF";

/// Columns and limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedOptions {
    /// The columns, in the order of the line.
    pub columns: Vec<FixedColumn>,
    /// Longest line without its line break, in bytes; our own part counts.
    pub max_record_bytes: usize,
}

/// Characters that all columns take.
fn width_of(columns: &[FixedColumn]) -> usize {
    let widths = columns.iter().map(|column| width(column.width));
    widths.fold(0, usize::saturating_add)
}

fn width(characters: u32) -> usize {
    usize::try_from(characters).unwrap_or(usize::MAX)
}
