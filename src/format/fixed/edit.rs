//! Columns of a fixed-width line written anew, every other character of it as it stands.

use super::line::split_characters;
use super::{FixedColumn, width};

/// The line with other texts in some columns, counted from 0. `None` when a text does not fit its column, or the line is no text.
#[must_use]
pub fn with_columns(columns: &[FixedColumn], line: &[u8], edits: &[(usize, &str)]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(line).ok()?;
    let end = text.find(['\r', '\n']).unwrap_or(text.len());
    let (mut rest, line_break) = text.split_at(end);
    let mut out = String::with_capacity(text.len());
    for (at, column) in columns.iter().enumerate() {
        let width = width(column.width);
        let (cell, behind) = split_characters(rest, width);
        rest = behind;
        let edit = edits.iter().find(|(position, _)| *position == at);
        let cell = edit.map_or(cell, |(_, text)| *text);
        let blanks = width.checked_sub(cell.chars().count())?;
        out.push_str(cell);
        // A line may be shorter than its columns, but nothing stands behind where it ends.
        if edit.is_some() || !rest.is_empty() || edits.iter().any(|(position, _)| *position > at) {
            out.extend(std::iter::repeat_n(' ', blanks));
        }
    }
    out.push_str(rest);
    out.push_str(line_break);
    Some(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(line: &str, edits: &[(usize, &str)]) -> Option<String> {
        let columns = [("A", 3), ("B", 4), ("C", 2)].map(|(name, width)| FixedColumn {
            name: name.to_owned(),
            width,
        });
        with_columns(&columns, line.as_bytes(), edits).map(|line| String::from_utf8(line).unwrap())
    }

    #[test]
    fn only_the_columns_that_change_are_written() {
        assert_eq!(
            edit("a  \u{e9}\u{e9}  12\tid\terror\r\n", &[]).unwrap(),
            "a  \u{e9}\u{e9}  12\tid\terror\r\n"
        );
        assert_eq!(
            edit("a  \u{e9}\u{e9}  12\tid\r\n", &[(0, "\u{fc}"), (2, "3")]).unwrap(),
            "\u{fc}  \u{e9}\u{e9}  3 \tid\r\n"
        );
        assert_eq!(edit("a\n", &[(2, "12")]).unwrap(), "a      12\n", "filled up");
        assert_eq!(edit("a\n", &[]).unwrap(), "a\n");
        assert_eq!(edit("a\n", &[(0, "wide")]), None);
    }
}
