//! Delimited text, written: header, quotes where needed, doubled quotes, CRLF row ends (FMT-9).

/// Appends one row to `out`. Cells with the delimiter, a quote or a line break are quoted; nothing is an empty cell; an
/// empty text is `""`, so that the two stay apart.
pub fn write_row<'a>(_out: &mut Vec<u8>, _delimiter: u8, _cells: impl IntoIterator<Item = Option<&'a str>>) {
    todo!()
}
