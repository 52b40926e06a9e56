//! The bytes of a file on their way through, and where they stand.

use crate::domain::reject::RecordPlace;
use crate::format::lines::line_breaks;
use crate::format::record::{FileError, Position};

const BOM_UTF8: &[u8] = b"\xEF\xBB\xBF";

/// Indentation is counted up to here; deeper lines are all alike.
pub(super) const INDENT_MAX: usize = 1024;

/// Bytes fed and not yet passed, with the place of the first of them.
#[derive(Debug)]
pub(super) struct Input {
    buffer: Vec<u8>,
    /// Everything before it is passed.
    start: usize,
    finished: bool,
    /// Of `buffer[start]`.
    byte: u64,
    line: u64,
    /// The byte before was CR: an LF that follows belongs to the same line break.
    after_cr: bool,
    indent: Indent,
    /// Behind the last record.
    behind: Position,
    /// Bytes up to this offset are passed as they come.
    skip_until: u64,
}

/// Leading blanks of the line at hand.
#[derive(Debug)]
struct Indent {
    bytes: usize,
    /// Nothing but blanks so far.
    open: bool,
}

/// Where a record begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub line: u64,
    pub byte: u64,
}

impl Input {
    pub fn new() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            finished: false,
            byte: 0,
            line: 1,
            after_cr: false,
            indent: Indent::START,
            behind: Position::START,
            skip_until: 0,
        }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
        self.skip();
    }

    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// No more bytes will come.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// What is there and not yet passed.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Moves on by this many bytes of [`Input::rest`].
    pub fn pass(&mut self, bytes: usize) {
        let passed = &self.buffer[self.start..self.start + bytes];
        self.line += line_breaks(passed, self.after_cr);
        if let Some(&last) = passed.last() {
            self.after_cr = last == b'\r';
        }
        self.indent.pass(passed);
        self.start += bytes;
        self.byte += bytes as u64;
    }

    /// Moves on to the next byte that is neither white space nor, where they are allowed, a comma; if there is none, behind all.
    pub fn pass_white(&mut self, commas: bool) {
        let white = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n') || (commas && *byte == b',');
        let bytes = self.rest().iter().take_while(|byte| white(byte)).count();
        self.pass(bytes);
    }

    /// Where [`Input::rest`] begins.
    pub fn here(&self) -> Mark {
        Mark {
            line: self.line,
            byte: self.byte,
        }
    }

    /// The line that the byte at this offset of [`Input::rest`] stands on.
    pub fn line_at(&self, offset: usize) -> u64 {
        self.line + line_breaks(&self.rest()[..offset], self.after_cr)
    }

    /// Leading blanks of the line at hand, up to [`INDENT_MAX`].
    pub fn indent(&self) -> usize {
        self.indent.bytes
    }

    /// Behind the last record.
    pub fn behind(&self) -> Position {
        self.behind
    }

    /// The text since the last record is one too, and counts.
    pub fn end_record(&mut self, from: Mark) -> RecordPlace {
        self.behind = Position {
            records: self.behind.records + 1,
            line: self.line,
            byte: self.byte,
        };
        RecordPlace {
            record: self.behind.records,
            line: from.line,
            byte_start: from.byte,
            byte_end: self.byte,
        }
    }

    /// Passes everything up to a position behind a later record. The bytes are looked at all the same, for the indentation of
    /// the line reached.
    pub fn skip_to(&mut self, position: Position) {
        self.behind = position;
        self.skip_until = position.byte;
        self.skip();
    }

    fn skip(&mut self) {
        let there = self.rest().len();
        let ahead = self.skip_until.saturating_sub(self.byte);
        self.pass(usize::try_from(ahead).map_or(there, |ahead| ahead.min(there)));
    }

    /// Passes the byte order mark; `false`: feed more.
    ///
    /// # Errors
    /// [`FileError`] when the file is empty or no UTF-8.
    pub fn begin(&mut self) -> Result<bool, FileError> {
        if self.rest().len() < BOM_UTF8.len() + 1 && !self.finished {
            return Ok(false);
        }
        if self.rest().is_empty() {
            return Err(empty("it has 0 bytes"));
        }
        if self.rest().starts_with(b"\xFF\xFE") || self.rest().starts_with(b"\xFE\xFF") {
            return Err(not_utf8("the file is UTF-16"));
        }
        // No JSON text holds a NUL, but in UTF-16 every second byte of this one's first would be.
        if self.rest().iter().take(4).any(|&byte| byte == 0) {
            return Err(not_utf8("the file holds NUL bytes, as in UTF-16 or a binary file"));
        }
        if self.rest().starts_with(BOM_UTF8) {
            self.pass(BOM_UTF8.len());
        }
        Ok(true)
    }

    #[cfg(test)]
    pub fn buffer_capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

impl Indent {
    const START: Self = Self { bytes: 0, open: true };

    fn pass(&mut self, passed: &[u8]) {
        let mut line = passed;
        if let Some(at) = memchr::memrchr2(b'\r', b'\n', passed) {
            *self = Self::START;
            line = &passed[at + 1..];
        }
        if self.open {
            let blanks = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            self.open = blanks == line.len();
            self.bytes = (self.bytes + blanks).min(INDENT_MAX);
        }
    }
}

/// The error for a file with nothing in it.
pub(super) fn empty(found: &str) -> FileError {
    FileError {
        code: "file_empty",
        reason: format!("the file is empty: {found} (DMF2053); send at least one record"),
    }
}

fn not_utf8(found: &str) -> FileError {
    FileError {
        code: "encoding_unsupported",
        reason: format!("{found}, but this format is read as UTF-8: save the file as UTF-8 and send it again"),
    }
}
