//! Lines of fixed width, written: every cell on the left of its column, blanks behind it.

use std::iter;

use super::{FixedColumn, width};
use crate::format::record_writer::{RecordWriter, WriteError};
use crate::format::typed::FileCell;

/// Writes files whose columns stand at fixed places.
#[derive(Debug)]
pub struct FixedWriter {
    columns: Vec<FixedColumn>,
}

impl FixedWriter {
    /// With these columns, in the order of the cells.
    #[must_use]
    pub fn new(columns: Vec<FixedColumn>) -> Self {
        Self { columns }
    }
}

impl RecordWriter for FixedWriter {
    fn begin(&mut self, _: &mut Vec<u8>) -> Result<(), WriteError> {
        Ok(())
    }

    fn record(&mut self, _: usize, cells: &[FileCell<'_>], out: &mut Vec<u8>) -> Result<(), WriteError> {
        let start = out.len();
        for (column, (wanted, cell)) in self.columns.iter().zip(cells).enumerate() {
            let text = cell.text.as_deref().unwrap_or_default();
            if let Some(reason) = misfit(text, wanted) {
                out.truncate(start);
                return Err(WriteError::Value { column, reason });
            }
            out.extend_from_slice(text.as_bytes());
            let blanks = width(wanted.width) - text.chars().count();
            out.extend(iter::repeat_n(b' ', blanks));
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> Result<(), WriteError> {
        Ok(())
    }
}

/// Why a text cannot stand in a column.
fn misfit(text: &str, column: &FixedColumn) -> Option<String> {
    let found = text.chars().count();
    if found > width(column.width) {
        return Some(format!(
            "has {found} characters, but the column `{}` takes {}: make it wider",
            column.name, column.width
        ));
    }
    let has_break = text.contains(['\r', '\n']);
    has_break.then(|| "has a line break, which would end the record: choose another format".to_owned())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::format::typed::Nature;

    fn line(cells: [Option<&str>; 2]) -> Result<String, String> {
        let column = |name: &str, width| FixedColumn {
            name: name.to_owned(),
            width,
        };
        let mut writer = FixedWriter::new(vec![column("A", 4), column("B", 2)]);
        let cells = cells.map(|text| FileCell {
            text: text.map(Cow::Borrowed),
            nature: Nature::Text,
        });
        let mut out = b"before".to_vec();
        match writer.record(0, &cells, &mut out) {
            Ok(()) => Ok(String::from_utf8(out).expect("text")),
            Err(error) => {
                assert_eq!(out, b"before", "nothing of it stays");
                Err(error.to_string())
            }
        }
    }

    #[test]
    fn cells_take_the_width_of_their_column_in_characters() {
        assert_eq!(line([Some("čt"), Some("12")]).unwrap(), "beforečt  12\r\n");
        assert_eq!(line([None, Some("")]).unwrap(), "before      \r\n");
    }

    #[test]
    fn what_does_not_fit_is_not_cut() {
        let error = line([Some("abcd"), Some("123")]).unwrap_err();
        assert_eq!(error, "has 3 characters, but the column `B` takes 2: make it wider");
        assert!(line([Some("a\nb"), None]).unwrap_err().contains("line break"));
    }
}
