//! Cutting cells out of a record by position, piece by piece, without touching the bytes of the others.
//!
//! It follows the grammar of [`crate::format::csv_read`] only as far as the last cell it cuts; whatever stands behind, damage
//! included, passes as it is. What may be cut from which record is [`OwnColumns`]' business.

use crate::domain::reject::{RecordCode, RecordError};
use crate::format::mapping::{ERROR_COLUMN, REJECT_ID_COLUMN};

/// Positions of the columns of a payload that are ours: it is a rejects file that came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OwnColumns(Vec<usize>);

impl OwnColumns {
    /// The ones in this header, recognised as an import does: trimmed, in any case, anywhere.
    pub fn of(header: &[String]) -> Self {
        let ours = |name: &str| name.eq_ignore_ascii_case(REJECT_ID_COLUMN) || name.eq_ignore_ascii_case(ERROR_COLUMN);
        let positions = header.iter().enumerate().filter(|(_, name)| ours(name.trim()));
        Self(positions.map(|(position, _)| position).collect())
    }

    /// What to cut from the header.
    pub fn in_header(&self, delimiter: u8) -> Cut {
        Cut::new(self.0.clone(), delimiter)
    }

    /// What to cut from a record rejected for this. In a damaged one, only cells whose position is not in doubt: those before the
    /// damage, or the leading ones when just the number of cells is wrong.
    pub fn in_record(&self, error: &RecordError, delimiter: u8) -> Cut {
        let own = self.0.iter().copied();
        let positions = match error.code {
            RecordCode::BrokenQuote | RecordCode::RecordTooLarge => {
                let damaged = error.column.map_or(0, |column| column as usize);
                own.filter(|position| position + 1 < damaged).collect()
            }
            RecordCode::ColumnCount => own
                .enumerate()
                .take_while(|(at, position)| at == position)
                .map(|(_, position)| position)
                .collect(),
            _ => own.collect(),
        };
        Cut::new(positions, delimiter)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    CellStart,
    Unquoted,
    Quoted,
    /// Behind a quote that closes the cell, unless another follows.
    AfterQuote,
}

/// One record being cut. Pieces may end anywhere.
#[derive(Debug)]
pub(super) struct Cut {
    /// Positions to leave out, ascending.
    positions: Vec<usize>,
    delimiter: u8,
    state: State,
    column: usize,
    /// Whether a cell was kept, so that the next one needs a delimiter before it.
    kept: bool,
}

impl Cut {
    fn new(positions: Vec<usize>, delimiter: u8) -> Self {
        Self {
            kept: positions.first() != Some(&0),
            positions,
            delimiter,
            state: State::CellStart,
            column: 0,
        }
    }

    /// Appends what remains of the record's next piece.
    pub fn pass(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for (at, &byte) in piece.iter().enumerate() {
            if self.positions.last().is_none_or(|last| self.column > *last) {
                out.extend_from_slice(&piece[at..]);
                return;
            }
            if self.ends_cell(byte) {
                self.column += 1;
                if self.keeps_cell() {
                    if self.kept {
                        out.push(byte);
                    }
                    self.kept = true;
                }
            } else if self.keeps_cell() {
                out.push(byte);
            }
        }
    }

    fn keeps_cell(&self) -> bool {
        !self.positions.contains(&self.column)
    }

    /// Whether this byte is the delimiter behind a cell.
    fn ends_cell(&mut self, byte: u8) -> bool {
        let ends = byte == self.delimiter && self.state != State::Quoted;
        self.state = match (self.state, byte) {
            _ if ends => State::CellStart,
            (State::CellStart | State::AfterQuote, b'"') => State::Quoted,
            (State::CellStart | State::Unquoted, _) => State::Unquoted,
            (State::Quoted, b'"') | (State::AfterQuote, _) => State::AfterQuote,
            (State::Quoted, _) => State::Quoted,
        };
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reject::RecordPlace;

    fn own(header: &[&str]) -> OwnColumns {
        OwnColumns::of(&header.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
    }

    fn error(code: RecordCode, column: Option<u32>) -> RecordError {
        RecordError {
            place: RecordPlace {
                record: 1,
                line: 2,
                byte_start: 0,
                byte_end: 0,
            },
            column,
            field: None,
            code,
            value: None,
            reason: String::new(),
        }
    }

    /// What remains, the same however the record is split.
    fn cut(header: &[&str], error: &RecordError, record: &str) -> String {
        let own = own(header);
        let remains = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let (mut cut, mut out) = (own.in_record(error, b','), Vec::new());
            pieces.for_each(|piece| cut.pass(piece, &mut out));
            String::from_utf8(out).unwrap()
        };
        let whole = remains(&mut std::iter::once(record.as_bytes()));
        assert_eq!(whole, remains(&mut record.as_bytes().chunks(1)), "byte by byte");
        whole
    }

    #[test]
    fn our_columns_are_known_in_any_case_and_place() {
        assert_eq!(own(&["_reject_id", "_error", "A"]), OwnColumns(vec![0, 1]));
        assert_eq!(own(&["A", "_ERROR", "B", " _Reject_Id "]), OwnColumns(vec![1, 3]));
        assert_eq!(own(&["reject_id", "error", "A_error"]), OwnColumns(vec![]));
    }

    #[test]
    fn cells_are_cut_by_position_and_the_others_keep_their_bytes() {
        let bad = error(RecordCode::InvalidInt, Some(3));
        let leading = ["_reject_id", "_error", "A", "B"];
        for (record, remains) in [
            ("x.0.1,\"bad, \"\"very\"\"\",1,\"two, too\"\r\n", "1,\"two, too\"\r\n"),
            ("\"x.0.1\" ,\"two\r\nlines\",\" 1 \"\t,2", "\" 1 \"\t,2"),
            ("x,5\" pipe,6\" pipe,2", "6\" pipe,2"),
            (",,,", ","),
            ("\"\",\"\"\"\",\"\",", "\"\","),
        ] {
            assert_eq!(cut(&leading, &bad, record), remains, "{record}");
        }
        assert_eq!(
            cut(&["A", "_error", "B", "_reject_id", "C"], &bad, "\"1,\",e,,x,3\n"),
            "\"1,\",,3\n"
        );
        assert_eq!(
            cut(&["A", "B", "_error", "_reject_id"], &bad, "1,\"2\",e,x\r\n"),
            "1,\"2\""
        );
        assert_eq!(cut(&["_error", "A", "_reject_id"], &bad, "e,1,x"), "1");
        assert_eq!(cut(&["A", "B"], &bad, "1,\"2\"\r\n"), "1,\"2\"\r\n", "nothing is ours");
    }

    #[test]
    fn in_a_damaged_record_nothing_behind_the_damage_is_cut() {
        let header = ["_reject_id", "A", "_error", "B"];
        let quote = |column| error(RecordCode::BrokenQuote, Some(column));
        let text = "x,1,\"e, e\",\"never closed, 2\r\n3,4";
        assert_eq!(cut(&header, &quote(4), text), "1,\"never closed, 2\r\n3,4");
        let text = "x,\"1\" a,e,2\r\n";
        assert_eq!(cut(&header, &quote(2), text), "\"1\" a,e,2\r\n");
        let text = "\"x,1,e,2\r\n";
        assert_eq!(cut(&header, &quote(1), text), text, "the first cell is the broken one");
        let large = error(RecordCode::RecordTooLarge, Some(2));
        assert_eq!(cut(&header, &large, "x,1 and so on"), "1 and so on");
        let width = error(RecordCode::ColumnCount, None);
        assert_eq!(cut(&header, &width, "x,1,e,2,3"), "1,e,2,3", "which cell is too much?");
        assert_eq!(cut(&["A", "_error"], &width, "1,2,e"), "1,2,e");
    }
}
