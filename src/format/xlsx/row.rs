//! One row: its cells' texts, and the first thing wrong with it.

use std::ops::Range;

use crate::domain::reject::{RecordCode, RecordPlace};
use crate::format::excerpt;
use crate::format::record::Damage;

/// Columns from here on are all the same: no sheet has them.
const FAR: usize = 1 << 20;
/// Most bytes gathered for an excerpt: enough for its characters.
const EXCERPT_BYTES_MAX: usize = 1000;

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub code: RecordCode,
    /// Column at fault, from 1.
    pub column: Option<u32>,
    pub reason: String,
}

/// A row being read; its memory is used again for the next.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Its number in the sheet, from 1.
    pub number: u64,
    /// The cells' texts, in the order they came.
    text: Vec<u8>,
    /// Where each column's text stands; shorter than the header when the last ones are empty.
    cells: Vec<Range<usize>>,
    pub fault: Option<Fault>,
}

/// What a row may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowLimits {
    /// Columns that are kept; a value in a further one is a fault.
    pub columns: usize,
    /// All texts together, in bytes.
    pub bytes: usize,
}

impl Row {
    /// Begins the row with this number.
    pub fn begin(&mut self, number: u64) {
        self.number = number;
        self.text.clear();
        self.cells.clear();
        self.fault = None;
    }

    /// Adds the text of a column, from 0. What cannot be added is a fault.
    pub fn put(&mut self, column: usize, text: &[u8], limits: RowLimits) {
        if column >= limits.columns {
            if !text.trim_ascii().is_empty() {
                let name = cell_name(column, self.number);
                let text = excerpt::quoted(&String::from_utf8_lossy(text));
                let columns = limits.columns;
                self.blame(RecordCode::ColumnCount, column, || {
                    format!(
                        "{name} holds {text}, but the header has {columns} columns: name the column there, or clear the cell"
                    )
                });
            }
            return;
        }
        if text.len() > limits.bytes.saturating_sub(self.text.len()) {
            let bytes = limits.bytes;
            self.blame(RecordCode::RecordTooLarge, column, || {
                format!("the row holds more than {bytes} bytes: shorten its texts")
            });
            return;
        }
        if self.cells.len() <= column {
            self.cells.resize(column + 1, 0..0);
        }
        if !self.cells[column].is_empty() {
            let name = cell_name(column, self.number);
            self.blame(RecordCode::InvalidXml, column, || {
                format!("{name} is there twice: open the workbook and save it again")
            });
            return;
        }
        let start = self.text.len();
        self.text.extend_from_slice(text);
        self.cells[column] = start..self.text.len();
    }

    /// Notes what is wrong with the cell in this column, from 0, unless something else was before.
    pub fn blame(&mut self, code: RecordCode, column: usize, reason: impl FnOnce() -> String) {
        self.fault.get_or_insert_with(|| Fault {
            code,
            column: u32::try_from(column + 1).ok(),
            reason: reason(),
        });
    }

    /// Whether it holds nothing but blanks, and nothing is wrong with it.
    pub fn is_blank(&self) -> bool {
        self.fault.is_none() && self.text.trim_ascii().is_empty()
    }

    /// Columns up to the last one that is not empty.
    pub fn width(&self) -> usize {
        self.cells
            .iter()
            .rposition(|cell| !cell.is_empty())
            .map_or(0, |last| last + 1)
    }

    /// The text of a column, from 0; empty when there is none.
    pub fn cell(&self, column: usize) -> &[u8] {
        self.cells.get(column).map_or(b"", |range| &self.text[range.clone()])
    }

    /// What is wrong with it, for the record at `place`.
    pub fn damage(&self, place: RecordPlace) -> Option<Damage> {
        let fault = self.fault.clone()?;
        Some(Damage {
            place,
            code: fault.code,
            column: fault.column,
            reason: fault.reason,
            excerpt: self.excerpt(),
        })
    }

    /// The first cells, for a person to recognise the row by.
    pub fn excerpt(&self) -> String {
        let mut text = String::new();
        for column in 0..self.width() {
            if column > 0 {
                text.push('\t');
            }
            let cell = self.cell(column);
            text.push_str(excerpt::utf8_prefix(&cell[..cell.len().min(EXCERPT_BYTES_MAX)]));
            if text.len() > EXCERPT_BYTES_MAX {
                break;
            }
        }
        excerpt::stored(&text)
    }
}

/// What the cell in a column, from 0, of a row is called, e.g. `AB12`.
pub(super) fn cell_name(column: usize, row: u64) -> String {
    format!("{}{row}", column_name(column))
}

/// What a column, from 0, is called.
pub(super) fn column_name(column: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'A' + u8::try_from(rest % 26).unwrap_or(0)));
        rest /= 26;
    }
    letters.iter().rev().collect()
}

/// The column, from 0, that a reference such as `AB12` names; `None` when it names none.
pub(super) fn column_of(reference: &[u8]) -> Option<usize> {
    let letters = reference.iter().take_while(|byte| byte.is_ascii_alphabetic());
    let number = letters.fold(0_usize, |number, letter| {
        let digit = usize::from(letter.to_ascii_uppercase() - b'A') + 1;
        number.saturating_mul(26).saturating_add(digit)
    });
    number.checked_sub(1).map(|column| column.min(FAR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_letters() {
        for (column, name) in [
            (0, "A"),
            (25, "Z"),
            (26, "AA"),
            (51, "AZ"),
            (702, "AAA"),
            (16383, "XFD"),
        ] {
            assert_eq!(column_name(column), name);
            assert_eq!(column_of(cell_name(column, 7).as_bytes()), Some(column));
        }
        assert_eq!(column_of(b"7"), None);
        assert_eq!(column_of(&[b'Z'; 100]), Some(FAR), "too far to matter, no overflow");
    }
}
