//! The rejects side: rejected lines with our own part behind the columns, ready to be corrected and sent back.
//!
//! Nothing of its own stands before the first record, between records or after the last.

use super::line::Line;
use super::{BOM_UTF8, FixedColumn, width_of};
use crate::domain::reject::RejectId;

/// Behind a line that was cut: it keeps the rest from being taken for all there was, for the line does not fit until someone
/// has mended it.
const CUT_MARK: &str = "...";

/// Writes rejected lines of one format.
#[derive(Debug, Clone)]
pub struct FixedRejects {
    /// Characters that all columns take.
    width: usize,
}

impl FixedRejects {
    /// For lines with these columns.
    #[must_use]
    pub fn new(columns: &[FixedColumn]) -> Self {
        Self {
            width: width_of(columns),
        }
    }

    /// Appends one record: its line as it stood, filled up with blanks to the full width, then TAB, id, TAB, error, CRLF. Our own
    /// part of an earlier rejects file is left out. In a damaged line, and in one of which `raw` is only the beginning (`cut`),
    /// control characters become blanks; it stays damaged until it is corrected.
    ///
    /// `raw` is the physical line, with or without its line break; `first` says that the file begins with it.
    pub fn record(&self, out: &mut Vec<u8>, raw: &[u8], id: &str, error: &str, first: bool, cut: bool) {
        let raw = without_line_break(raw);
        if first && raw.starts_with(BOM_UTF8) {
            // Files put together have byte order marks within. At the start of a file one is skipped, so it takes two.
            out.extend_from_slice(BOM_UTF8);
        }
        let whole = std::str::from_utf8(raw).ok().filter(|_| !cut);
        match whole.map(|text| Line::of(text, self.width)) {
            Some(line) if line.beyond.is_empty() => {
                out.extend_from_slice(line.columns.as_bytes());
                self.fill(out, line.columns.chars().count());
            }
            _ => self.damaged(out, raw, cut),
        }
        for text in [id, error] {
            out.push(b'\t');
            push_without_controls(out, text.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }

    fn damaged(&self, out: &mut Vec<u8>, raw: &[u8], cut: bool) {
        let text = before_own_part(if cut { without_cut_character(raw) } else { raw });
        push_without_controls(out, text);
        self.fill(out, String::from_utf8_lossy(text).chars().count());
        if cut {
            out.extend_from_slice(CUT_MARK.as_bytes());
        }
    }

    /// Blanks up to the full width behind a line of so many characters.
    fn fill(&self, out: &mut Vec<u8>, characters: usize) {
        let blanks = self.width.saturating_sub(characters);
        out.resize(out.len() + blanks, b' ');
    }
}

fn without_line_break(raw: &[u8]) -> &[u8] {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    raw.strip_suffix(b"\r").unwrap_or(raw)
}

/// The bytes without the beginning of a character at their end.
fn without_cut_character(raw: &[u8]) -> &[u8] {
    match std::str::from_utf8(raw) {
        Err(error) if error.error_len().is_none() => &raw[..error.valid_up_to()],
        _ => raw,
    }
}

/// What stands before the first TAB that a reject id follows: where the columns of a damaged line end cannot be known.
fn before_own_part(raw: &[u8]) -> &[u8] {
    let own = memchr::memchr_iter(b'\t', raw).find(|&at| {
        let id = raw[at + 1..].split(|&byte| byte == b'\t').next().unwrap_or_default();
        std::str::from_utf8(id).is_ok_and(|id| id.parse::<RejectId>().is_ok())
    });
    own.map_or(raw, |at| &raw[..at])
}

fn push_without_controls(out: &mut Vec<u8>, text: &[u8]) {
    let blank = |&byte: &u8| if byte.is_ascii_control() { b' ' } else { byte };
    out.extend(text.iter().map(blank));
}
