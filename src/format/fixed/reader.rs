//! The reader: owns the buffer and the position.

use std::borrow::Cow;

use super::line::{Line, split_characters};
use super::{BOM_UTF8, FixedOptions, width, width_of};
use crate::domain::reject::{RecordCode, RecordError, RecordPlace};
use crate::format::excerpt;
use crate::format::lines::line_break;
use crate::format::mapping::{ERROR_COLUMN, REJECT_ID_COLUMN};
use crate::format::record::{Damage, FileError, Position, Record, RecordReader, Step};

/// Enough bytes of a line given up for the excerpt's characters.
const HEAD_BYTES_MAX: usize = RecordError::VALUE_CHARS_MAX * 4;

/// A push parser of lines with columns at fixed places. Memory is bounded by the options.
#[derive(Debug)]
pub struct FixedReader {
    options: FixedOptions,
    /// Bytes fed and not yet dropped; everything before `start` is done with.
    buffer: Vec<u8>,
    start: usize,
    /// Bytes from `start` on that are known to hold no line break.
    searched: usize,
    /// Of `buffer[start]`.
    position: Position,
    /// Bytes still to be dropped by `feed` before the position is reached.
    skip: u64,
    finished: bool,
    header: Option<Result<Vec<String>, FileError>>,
    /// The line being given up because it is too long.
    too_large: Option<TooLarge>,
    examined: u64,
}

#[derive(Debug)]
struct TooLarge {
    from: Position,
    head: Vec<u8>,
}

/// A [`Step`] without the borrow.
enum Outcome {
    NeedInput,
    /// A line's place and its range in the buffer, line break excluded.
    Line(RecordPlace, std::ops::Range<usize>),
    TooLarge(Damage),
    End,
}

impl RecordReader for FixedReader {
    fn feed(&mut self, bytes: &[u8]) {
        let skipped = usize::try_from(self.skip).map_or(bytes.len(), |skip| skip.min(bytes.len()));
        self.skip -= skipped as u64;
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(&bytes[skipped..]);
    }

    fn finish(&mut self) {
        self.finished = true;
    }

    fn header(&mut self) -> Result<Option<Vec<String>>, FileError> {
        if self.header.is_none() {
            if self.buffer.len() < BOM_UTF8.len() && !self.finished {
                return Ok(None);
            }
            self.header = Some(self.begin());
        }
        self.header.clone().transpose()
    }

    fn step(&mut self) -> Step<'_> {
        if self.header.is_none() && matches!(self.header(), Ok(None)) {
            return Step::NeedInput;
        }
        if matches!(self.header, Some(Err(_))) {
            return Step::End;
        }
        match self.advance() {
            Outcome::NeedInput => Step::NeedInput,
            Outcome::End => Step::End,
            Outcome::TooLarge(damage) => Step::Damaged(damage),
            Outcome::Line(place, range) => match self.cells(&self.buffer[range]) {
                Ok(cells) => Step::Record(Record { place, cells }),
                Err(fault) => Step::Damaged(fault.at(place)),
            },
        }
    }

    fn position(&self) -> Position {
        self.position
    }

    fn skip_to(&mut self, position: Position) {
        let Some(ahead) = position.byte.checked_sub(self.position.byte) else {
            return;
        };
        let buffered = self.rest().len();
        let drop = usize::try_from(ahead).map_or(buffered, |ahead| ahead.min(buffered));
        self.start += drop;
        self.skip = ahead - drop as u64;
        self.position = position;
        self.searched = 0;
        self.too_large = None;
    }
}

impl FixedReader {
    /// A reader at the start of a file.
    #[must_use]
    pub fn new(options: FixedOptions) -> Self {
        Self {
            options,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            position: Position::START,
            skip: 0,
            finished: false,
            header: None,
            too_large: None,
            examined: 0,
        }
    }

    /// Bytes looked at so far in search of line ends, repeats included: what hostile input costs, free of clocks.
    #[must_use]
    pub fn bytes_examined(&self) -> u64 {
        self.examined
    }

    #[cfg(test)]
    pub(super) fn buffer_capacity(&self) -> usize {
        self.buffer.capacity()
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn consume(&mut self, bytes: usize, lines: u64) {
        self.start += bytes;
        self.position.byte += bytes as u64;
        self.position.line += lines;
        self.searched = 0;
    }

    /// Checks the first bytes, passes the byte order mark and names the columns.
    fn begin(&mut self) -> Result<Vec<String>, FileError> {
        check_file_start(&self.buffer)?;
        if self.buffer.starts_with(BOM_UTF8) {
            self.consume(BOM_UTF8.len(), 0);
        }
        let names = self.options.columns.iter().map(|column| column.name.as_str());
        let own = [REJECT_ID_COLUMN, ERROR_COLUMN];
        Ok(names.chain(own).map(|name| name.trim().to_owned()).collect())
    }

    /// Finds the next line that is not blank.
    fn advance(&mut self) -> Outcome {
        loop {
            if let Some(line) = self.too_large.take() {
                return self.give_up(line);
            }
            let (from, length) = (self.position, self.search());
            if length > self.options.max_record_bytes {
                self.too_large = Some(TooLarge { from, head: Vec::new() });
                continue;
            }
            let line_break = match line_break(&self.rest()[length..], self.finished) {
                Some(0) if self.finished && length == 0 => return Outcome::End,
                None => return Outcome::NeedInput,
                Some(0) if !self.finished => return Outcome::NeedInput,
                Some(line_break) => line_break,
            };
            let range = self.start..self.start + length;
            self.consume(length + line_break, u64::from(line_break > 0));
            if self.buffer[range.clone()].iter().any(|&byte| byte != b' ') {
                return Outcome::Line(self.place(from), range);
            }
        }
    }

    /// Length of the line at hand, as far as it is there. Not looked for beyond the longest line allowed.
    fn search(&mut self) -> usize {
        let limit = self.options.max_record_bytes.saturating_add(1).min(self.rest().len());
        let found = memchr::memchr2(b'\r', b'\n', &self.rest()[self.searched..limit]);
        let length = found.map_or(self.rest().len(), |at| self.searched + at);
        self.examined += (length.min(limit) - self.searched) as u64;
        // A longer one is given up, and what comes then is searched anew.
        self.searched = length.min(self.options.max_record_bytes);
        length
    }

    /// Drops what is there of a line that is too large; its damage once its end was found.
    fn give_up(&mut self, mut line: TooLarge) -> Outcome {
        let found = memchr::memchr2(b'\r', b'\n', self.rest());
        let before = found.unwrap_or(self.rest().len());
        self.examined += before as u64;
        let room = HEAD_BYTES_MAX - line.head.len();
        line.head.extend_from_slice(&self.rest()[..before.min(room)]);
        self.consume(before, 0);
        match line_break(self.rest(), self.finished) {
            Some(length) if length > 0 || self.finished => {
                self.consume(length, u64::from(length > 0));
                let reason = format!(
                    "the line is longer than {} bytes: are line ends missing?",
                    self.options.max_record_bytes
                );
                let fault = Fault::new(RecordCode::RecordTooLarge, reason, &line.head);
                Outcome::TooLarge(fault.at(self.place(line.from)))
            }
            _ => {
                self.too_large = Some(line);
                Outcome::NeedInput
            }
        }
    }

    /// Counts the record that began at `from` and ends here.
    fn place(&mut self, from: Position) -> RecordPlace {
        self.position.records += 1;
        RecordPlace {
            record: self.position.records,
            line: from.line,
            byte_start: from.byte,
            byte_end: self.position.byte,
        }
    }

    /// One cell for each column, then the two of our own.
    fn cells<'a>(&self, bytes: &'a [u8]) -> Result<Vec<Cow<'a, [u8]>>, Fault> {
        let text = std::str::from_utf8(bytes).map_err(|error| self.not_utf8(bytes, error.valid_up_to()))?;
        let taken = width_of(&self.options.columns);
        let line = Line::of(text, taken);
        if !line.beyond.is_empty() {
            let found = taken + line.beyond.chars().count();
            let reason = format!(
                "the line has {found} characters, the columns take {taken}: remove what stands behind them, or look for \
                 a column that is too wide"
            );
            return Err(Fault::new(RecordCode::ColumnCount, reason, bytes));
        }
        let mut rest = line.columns;
        let mut cells = Vec::with_capacity(self.options.columns.len() + 2);
        for column in &self.options.columns {
            let (cell, behind) = split_characters(rest, width(column.width));
            cells.push(cell);
            rest = behind;
        }
        cells.extend([line.reject_id, line.error]);
        let bytes = |cell: &'a str| Cow::Borrowed(cell.trim_matches(' ').as_bytes());
        Ok(cells.into_iter().map(bytes).collect())
    }

    fn not_utf8(&self, bytes: &[u8], at: usize) -> Fault {
        let before = excerpt::utf8_prefix(bytes).chars().count();
        let mut fault = Fault::new(
            RecordCode::InvalidUtf8,
            format!(
                "the line holds the byte 0x{:02x} behind {before} characters, which is not UTF-8: save the file as UTF-8",
                bytes[at]
            ),
            bytes,
        );
        let mut behind = 0_usize;
        let column = self.options.columns.iter().position(|column| {
            behind = behind.saturating_add(width(column.width));
            before < behind
        });
        fault.column = column.and_then(|at| u32::try_from(at + 1).ok());
        fault
    }
}

/// Damage whose place is not known yet.
struct Fault {
    code: RecordCode,
    column: Option<u32>,
    reason: String,
    excerpt: String,
}

impl Fault {
    fn new(code: RecordCode, reason: String, line: &[u8]) -> Self {
        let head = &line[..line.len().min(HEAD_BYTES_MAX)];
        Self {
            code,
            column: None,
            reason,
            excerpt: excerpt::stored(excerpt::utf8_prefix(head)),
        }
    }

    fn at(self, place: RecordPlace) -> Damage {
        Damage {
            place,
            code: self.code,
            column: self.column,
            reason: self.reason,
            excerpt: self.excerpt,
        }
    }
}

fn check_file_start(bytes: &[u8]) -> Result<(), FileError> {
    if bytes.is_empty() {
        return Err(FileError {
            code: "file_empty",
            reason: "the file is empty: it has 0 bytes (DMF2053); send at least one record".to_owned(),
        });
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(FileError {
            code: "encoding_unsupported",
            reason: "the file is UTF-16, but this format is read as UTF-8: save the file as UTF-8 and send it again"
                .to_owned(),
        });
    }
    Ok(())
}
