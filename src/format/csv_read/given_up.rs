//! A record being given up: what is known of it while the reader looks for the place to go on from.

use super::CsvOptions;
use super::scan::Fault;
use crate::domain::reject::{RecordCode, RecordError, RecordPlace};
use crate::format::excerpt;
use crate::format::record::{Damage, Position};

/// Enough bytes for the excerpt's characters.
const HEAD_BYTES_MAX: usize = RecordError::VALUE_CHARS_MAX * 4;

/// A damaged record, open at its end.
#[derive(Debug)]
pub(super) struct GivenUp {
    from: Position,
    code: RecordCode,
    column: Option<u32>,
    reason: String,
    head: Vec<u8>,
}

impl GivenUp {
    /// For a fault in `column` of the record at `from`.
    pub fn new(from: Position, fault: Fault, column: usize, options: &CsvOptions) -> Self {
        let code = match fault {
            Fault::RecordTooLarge => RecordCode::RecordTooLarge,
            _ => RecordCode::BrokenQuote,
        };
        Self {
            from,
            code,
            column: u32::try_from(column).ok(),
            reason: reason(fault, column, options),
            head: Vec::new(),
        }
    }

    /// For a record of `found` columns under a header of `expected`.
    pub fn wrong_width(from: Position, found: usize, expected: usize) -> Self {
        Self {
            from,
            code: RecordCode::ColumnCount,
            column: None,
            reason: format!(
                "the record has {found} cells, the header has {expected} columns: \
                 quote cells that hold the delimiter, and write empty cells too"
            ),
            head: Vec::new(),
        }
    }

    /// Counts these bytes in: they follow the ones before.
    pub fn swallow(&mut self, bytes: &[u8]) {
        let room = HEAD_BYTES_MAX - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The finished report; `to` is where reading goes on, the record counted.
    pub fn close(self, to: Position) -> Damage {
        let text = excerpt::utf8_prefix(&self.head).trim_end_matches(['\r', '\n']);
        Damage {
            place: RecordPlace {
                record: to.records,
                line: self.from.line,
                byte_start: self.from.byte,
                byte_end: to.byte,
            },
            code: self.code,
            column: self.column,
            reason: self.reason,
            excerpt: excerpt::stored(text),
        }
    }
}

/// What was found and what was expected, for a person.
pub(super) fn reason(fault: Fault, column: usize, options: &CsvOptions) -> String {
    match fault {
        Fault::Unclosed => format!(
            "the quoted text in column {column} is not closed before the end of the file: \
             a closing quote is missing, or a quote inside the text is not doubled"
        ),
        Fault::FieldTooLong => format!(
            "the quoted text in column {column} is longer than {} bytes (file.max_field_bytes): \
             probably its closing quote is missing",
            options.max_field_bytes
        ),
        Fault::Garbage(byte) => format!(
            "the quoted text in column {column} is followed by {}: after a closing quote only the delimiter or the \
             end of the line may stand; double the quotes inside the text",
            named(byte)
        ),
        Fault::RecordTooLarge => format!(
            "the record is longer than {} bytes (file.max_record_bytes), reached in column {column}",
            options.max_record_bytes
        ),
        Fault::TooManyColumns => format!("there are more than {} columns (file.max_columns)", options.max_columns),
        Fault::TooManyBreaks => "too many line breaks inside quotes".to_owned(),
    }
}

fn named(byte: u8) -> String {
    if byte.is_ascii_graphic() {
        format!("`{}`", char::from(byte))
    } else {
        format!("the byte 0x{byte:02x}")
    }
}
