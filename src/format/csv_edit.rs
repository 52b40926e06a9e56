//! Cells of a delimited record written anew, every other byte of it as it stands.

use std::ops::Range;

use super::csv_write::write_cell;

/// The record with other texts in some of its cells, counted from 0; each position once, ascending. Of a record that reads without
/// damage; a cell it does not have is passed over.
#[must_use]
pub fn with_cells(record: &[u8], delimiter: u8, edits: &[(usize, &str)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.len());
    let (mut at, cells) = (0, cells(record, delimiter));
    for (position, text) in edits {
        let Some(cell) = cells.get(*position) else { continue };
        out.extend_from_slice(&record[at..cell.start]);
        if !text.is_empty() {
            write_cell(&mut out, delimiter, text);
        }
        at = cell.end;
    }
    out.extend_from_slice(&record[at..]);
    out
}

/// Where each cell stands, quotes included.
fn cells(record: &[u8], delimiter: u8) -> Vec<Range<usize>> {
    let (mut found, mut start, mut quoted, mut begins) = (Vec::new(), 0, false, true);
    for (at, &byte) in record.iter().enumerate() {
        let opens = byte == b'"' && (begins || quoted);
        if opens {
            // A doubled quote closes and opens again.
            quoted = !quoted;
        }
        // Behind a closing quote, another one opens again.
        begins = opens && !quoted;
        if quoted || opens {
            continue;
        }
        if byte == delimiter {
            found.push(start..at);
            (start, begins) = (at + 1, true);
        } else if matches!(byte, b'\r' | b'\n') {
            found.push(start..at);
            return found;
        }
    }
    found.push(start..record.len());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_cells_that_change_are_written() {
        let record = "a, \"b\" ,\"c \"\"c\"\", d\",\"two\r\nlines\",,=1+1\r\n";
        let edit = |edits: &[(usize, &str)]| String::from_utf8(with_cells(record.as_bytes(), b',', edits)).unwrap();
        assert_eq!(edit(&[]), record);
        assert_eq!(edit(&[(9, "none")]), record);
        assert_eq!(
            edit(&[(0, "say \"hi\", you"), (3, "one line"), (4, "now\nhere")]),
            "\"say \"\"hi\"\", you\", \"b\" ,\"c \"\"c\"\", d\",one line,\"now\nhere\",=1+1\r\n"
        );
        assert_eq!(
            edit(&[(2, ""), (5, "")]),
            "a, \"b\" ,,\"two\r\nlines\",,\r\n",
            "emptied, the row end stays"
        );
        let last = with_cells(b"\"a\"\t5\" pipe", b'\t', &[(1, "6\" pipe")]);
        assert_eq!(String::from_utf8(last).unwrap(), "\"a\"\t\"6\"\" pipe\"");
        assert_eq!(
            with_cells(b"\"\"\"q\"\"\",2\n", b',', &[(1, "3")]),
            b"\"\"\"q\"\"\",3\n"
        );
    }
}
