//! Delimited text, written: header, quotes where needed, doubled quotes, CRLF row ends (FMT-9).

use super::record_writer::{RecordWriter, WriteError};
use super::typed::FileCell;

/// Writes delimited files.
#[derive(Debug)]
pub struct CsvWriter {
    delimiter: u8,
    /// Names of the columns; none: the file has no header.
    header: Vec<String>,
}

impl CsvWriter {
    /// With this byte between cells, and these names above the columns. Without any there is no header.
    #[must_use]
    pub fn new(delimiter: u8, header: Vec<String>) -> Self {
        Self { delimiter, header }
    }
}

impl RecordWriter for CsvWriter {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        if !self.header.is_empty() {
            write_row(out, self.delimiter, self.header.iter().map(|name| Some(name.as_str())));
        }
        Ok(())
    }

    fn record(&mut self, _: usize, cells: &[FileCell<'_>], out: &mut Vec<u8>) -> Result<(), WriteError> {
        write_row(out, self.delimiter, cells.iter().map(|cell| cell.text.as_deref()));
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> Result<(), WriteError> {
        Ok(())
    }
}

/// Appends one row to `out`. Cells with the delimiter, a quote or a line break are quoted; nothing is an empty cell; an
/// empty text is `""`, so that the two stay apart.
///
/// Two more cases are quoted so that a reader finds what was written: text that begins with a byte order mark, and the only cell of
/// a row when it is empty, because an empty line is no row.
pub fn write_row<'a>(out: &mut Vec<u8>, delimiter: u8, cells: impl IntoIterator<Item = Option<&'a str>>) {
    let start = out.len();
    for (column, cell) in cells.into_iter().enumerate() {
        if column > 0 {
            out.push(delimiter);
        }
        if let Some(text) = cell {
            write_cell(out, delimiter, text);
        }
    }
    if out.len() == start {
        out.extend_from_slice(b"\"\"");
    }
    out.extend_from_slice(b"\r\n");
}

pub(super) fn write_cell(out: &mut Vec<u8>, delimiter: u8, text: &str) {
    if !needs_quotes(delimiter, text) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(b'"');
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn needs_quotes(delimiter: u8, text: &str) -> bool {
    // To the end of the text whatever is found: without a way out the compiler looks at many bytes at once.
    let special = text.bytes().fold(0, |found, byte| {
        let is = |other| u8::from(byte == other);
        found | is(delimiter) | is(b'"') | is(b'\r') | is(b'\n')
    });
    text.is_empty() || special != 0 || text.starts_with('\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[Option<&str>]) -> String {
        let mut out = Vec::new();
        write_row(&mut out, b',', cells.iter().copied());
        String::from_utf8(out).expect("text in, text out")
    }

    #[test]
    fn quotes_only_where_needed() {
        assert_eq!(row(&[Some("a"), Some("b c"), Some("é")]), "a,b c,é\r\n");
        assert_eq!(
            row(&[Some("a,b"), Some("say \"hi\""), Some("x\ny"), Some("x\ry")]),
            "\"a,b\",\"say \"\"hi\"\"\",\"x\ny\",\"x\ry\"\r\n"
        );
    }

    #[test]
    fn nothing_and_empty_text_stay_apart() {
        assert_eq!(row(&[None, Some(""), None]), ",\"\",\r\n");
        assert_eq!(row(&[None]), "\"\"\r\n", "an empty line would be no row");
        assert_eq!(row(&[Some("\u{feff}x")]), "\"\u{feff}x\"\r\n");
    }

    #[test]
    fn the_delimiter_of_the_job_decides() {
        let mut out = Vec::new();
        write_row(&mut out, b';', [Some("a,b"), Some("c;d")]);
        assert_eq!(out, b"a,b;\"c;d\"\r\n");
    }
}
