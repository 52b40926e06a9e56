//! The reader: owns the buffer, the position and what to do about damage.

use super::given_up::{self, GivenUp};
use super::scan::{Fault, Rules, Scan, Verdict};
use super::{CsvOptions, PROBE_BREAKS_MAX};
use crate::domain::reject::RecordPlace;
use crate::format::excerpt;
use crate::format::lines::line_break;
use crate::format::record::{Damage, FileError, Position, Record, RecordReader, Step};

const BOM_UTF8: &[u8] = b"\xEF\xBB\xBF";

/// A push parser: bytes are fed in, steps come out. Memory is bounded by the options.
#[derive(Debug)]
pub struct CsvReader {
    options: CsvOptions,
    /// Bytes fed and not yet dropped; everything before `start` is done with.
    buffer: Vec<u8>,
    start: usize,
    /// Of `buffer[start]`.
    position: Position,
    /// Bytes still to be dropped by `feed` before the position is reached.
    skip: u64,
    finished: bool,
    mode: Mode,
    scan: Scan,
    header: Option<Result<Vec<String>, FileError>>,
    header_bytes: std::ops::Range<u64>,
    examined: u64,
}

#[derive(Debug)]
enum Mode {
    /// Before the byte order mark.
    FileStart,
    Header,
    Records,
    /// Giving up a record: looking for the next line break.
    LineBreak(GivenUp, AfterLine),
    /// Giving up a record: trying whether one of the header's width begins here.
    Probe(GivenUp),
    Ended,
}

/// What to do behind the next line break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterLine {
    /// Go on reading: the record's end was never in doubt.
    Resume,
    /// See whether a record parses there.
    Probe,
}

/// A [`Step`] without the borrow.
enum Outcome {
    NeedInput,
    /// The record's range in the buffer; its cells are still in the scan.
    Record(RecordPlace, std::ops::Range<usize>),
    Damaged(Damage),
    End,
}

impl RecordReader for CsvReader {
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
            let read = self.read_header().transpose();
            match &read {
                Some(Ok(_)) => self.mode = Mode::Records,
                Some(Err(_)) => self.mode = Mode::Ended,
                None => {}
            }
            self.header = read;
        }
        self.header.clone().transpose()
    }

    fn step(&mut self) -> Step<'_> {
        match self.advance() {
            Outcome::NeedInput => Step::NeedInput,
            Outcome::Record(place, range) => Step::Record(Record {
                place,
                cells: self.scan.cells(&self.buffer[range]),
            }),
            Outcome::Damaged(damage) => Step::Damaged(damage),
            Outcome::End => Step::End,
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
        self.scan.reset();
    }
}

impl CsvReader {
    /// A reader at the start of a file.
    #[must_use]
    pub fn new(options: CsvOptions) -> Self {
        Self {
            options,
            buffer: Vec::new(),
            start: 0,
            position: Position::START,
            skip: 0,
            finished: false,
            mode: Mode::FileStart,
            scan: Scan::default(),
            header: None,
            header_bytes: 0..0,
            examined: 0,
        }
    }

    /// Where the header's own text stands, row end included: after the byte order mark and the empty lines before it. Empty
    /// until [`CsvReader::header`] has read it.
    #[must_use]
    pub fn header_bytes(&self) -> std::ops::Range<u64> {
        self.header_bytes.clone()
    }

    /// Bytes looked at so far, repeats included: what hostile input costs, free of clocks.
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
    }

    fn run_scan(&mut self, rules: &Rules) -> Verdict {
        let before = self.scan.at();
        let verdict = self.scan.run(&self.buffer[self.start..], self.finished, rules);
        self.examined += (self.scan.at() - before) as u64;
        verdict
    }

    /// Passes empty lines. `false`: a lone CR is the last byte known, feed more.
    fn pass_empty_lines(&mut self) -> bool {
        loop {
            match line_break(self.rest(), self.finished) {
                Some(0) => return true,
                Some(length) => self.consume(length, 1),
                None => return false,
            }
        }
    }

    fn read_header(&mut self) -> Result<Option<Vec<String>>, FileError> {
        if matches!(self.mode, Mode::FileStart) {
            if self.rest().len() < BOM_UTF8.len() && !self.finished {
                return Ok(None);
            }
            check_file_start(self.rest())?;
            if self.rest().starts_with(BOM_UTF8) {
                self.consume(BOM_UTF8.len(), 0);
            }
            self.mode = Mode::Header;
        }
        if self.scan.is_fresh() && !self.pass_empty_lines() {
            return Ok(None);
        }
        if self.rest().is_empty() {
            return if self.finished { Err(no_header()) } else { Ok(None) };
        }
        match self.run_scan(&self.rules(self.options.max_columns, self.options.max_columns, u64::MAX)) {
            Verdict::NeedInput => Ok(None),
            Verdict::Fault(fault) => Err(self.header_fault(fault)),
            Verdict::Record { end } => {
                let names = header_names(&self.scan.cells(&self.rest()[..end]))?;
                let (from, lines) = (self.position.byte, self.scan.breaks() + 1);
                self.consume(end, lines);
                self.header_bytes = from..self.position.byte;
                self.scan.reset();
                Ok(Some(names))
            }
        }
    }

    fn header_fault(&self, fault: Fault) -> FileError {
        let reason = given_up::reason(fault, self.scan.column(), &self.options);
        match fault {
            Fault::TooManyColumns => FileError {
                code: "too_many_columns",
                reason: format!("the header cannot be read: {reason}"),
            },
            _ => FileError {
                code: "header_damaged",
                reason: format!("the header cannot be read: {reason}"),
            },
        }
    }

    fn rules(&self, columns_max: usize, spans_max: usize, breaks_max: u64) -> Rules {
        Rules {
            delimiter: self.options.delimiter,
            field_bytes_max: self.options.max_field_bytes,
            record_bytes_max: self.options.max_record_bytes,
            columns_max,
            breaks_max,
            spans_max,
        }
    }

    fn width(&self) -> usize {
        self.header
            .as_ref()
            .and_then(|header| header.as_ref().ok())
            .map_or(0, Vec::len)
    }

    fn advance(&mut self) -> Outcome {
        if self.header.is_none() && matches!(self.header(), Ok(None)) {
            return Outcome::NeedInput;
        }
        loop {
            let turn = match std::mem::replace(&mut self.mode, Mode::Records) {
                Mode::Records => self.next_record(),
                Mode::LineBreak(given_up, after) => self.find_line_break(given_up, after),
                Mode::Probe(given_up) => self.probe(given_up),
                ended @ (Mode::Ended | Mode::FileStart | Mode::Header) => {
                    self.mode = ended;
                    Some(Outcome::End)
                }
            };
            if let Some(outcome) = turn {
                return outcome;
            }
        }
    }

    fn next_record(&mut self) -> Option<Outcome> {
        // The scan of the record handed out last is kept until here: its cells were borrowed from it.
        if self.scan.is_complete() {
            self.scan.reset();
        }
        if self.scan.is_fresh() && !self.pass_empty_lines() {
            return Some(Outcome::NeedInput);
        }
        if self.rest().is_empty() {
            return Some(if self.finished {
                self.mode = Mode::Ended;
                Outcome::End
            } else {
                Outcome::NeedInput
            });
        }
        let width = self.width();
        match self.run_scan(&self.rules(usize::MAX, width, u64::MAX)) {
            Verdict::NeedInput => Some(Outcome::NeedInput),
            Verdict::Record { end } => Some(self.take_record(end, width)),
            Verdict::Fault(fault) => {
                self.give_up(fault);
                None
            }
        }
    }

    fn take_record(&mut self, end: usize, width: usize) -> Outcome {
        let (from, range) = (self.position, self.start..self.start + end);
        let found = self.scan.column();
        let lines = self.scan.breaks() + 1;
        self.consume(end, lines);
        self.position.records += 1;
        if found != width {
            let mut given_up = GivenUp::wrong_width(from, found, width);
            given_up.swallow(&self.buffer[range]);
            return Outcome::Damaged(given_up.close(self.position));
        }
        let place = RecordPlace {
            record: self.position.records,
            line: from.line,
            byte_start: from.byte,
            byte_end: self.position.byte,
        };
        Outcome::Record(place, range)
    }

    /// Begins to give up the record at hand, back to the quote that cannot be trusted.
    fn give_up(&mut self, fault: Fault) {
        let mut given_up = GivenUp::new(self.position, fault, self.scan.column(), &self.options);
        if let Some((quote, lines)) = self.scan.opening_quote(fault) {
            self.swallow(&mut given_up, quote + 1, lines);
            self.mode = Mode::LineBreak(given_up, AfterLine::Probe);
        } else {
            self.swallow(&mut given_up, self.scan.at(), self.scan.breaks());
            self.mode = Mode::LineBreak(given_up, AfterLine::Resume);
        }
        self.scan.reset();
    }

    fn swallow(&mut self, given_up: &mut GivenUp, bytes: usize, lines: u64) {
        given_up.swallow(&self.buffer[self.start..self.start + bytes]);
        self.consume(bytes, lines);
    }

    fn close(&mut self, given_up: GivenUp) -> Outcome {
        self.position.records += 1;
        self.mode = Mode::Records;
        Outcome::Damaged(given_up.close(self.position))
    }

    /// Gives up the rest of the physical line.
    fn find_line_break(&mut self, mut given_up: GivenUp, after: AfterLine) -> Option<Outcome> {
        let found = memchr::memchr2(b'\r', b'\n', self.rest());
        let before = found.unwrap_or(self.rest().len());
        self.examined += before as u64;
        self.swallow(&mut given_up, before, 0);
        match line_break(self.rest(), self.finished) {
            Some(0) if self.finished => Some(self.close(given_up)),
            Some(0) | None => {
                self.mode = Mode::LineBreak(given_up, after);
                Some(Outcome::NeedInput)
            }
            Some(length) => {
                self.swallow(&mut given_up, length, 1);
                if after == AfterLine::Resume {
                    return Some(self.close(given_up));
                }
                self.mode = Mode::Probe(given_up);
                None
            }
        }
    }

    /// Tries whether reading can go on from here. An empty line is no answer, the line after it may be.
    fn probe(&mut self, given_up: GivenUp) -> Option<Outcome> {
        let verdict = match self.rest().first() {
            None if self.finished => return Some(self.close(given_up)),
            None => Verdict::NeedInput,
            Some(b'\r' | b'\n') => Verdict::Fault(Fault::TooManyBreaks),
            Some(_) => self.run_scan(&self.rules(self.width(), 0, PROBE_BREAKS_MAX)),
        };
        let fits = matches!(verdict, Verdict::Record { .. }) && self.scan.column() == self.width();
        if verdict == Verdict::NeedInput {
            self.mode = Mode::Probe(given_up);
            return Some(Outcome::NeedInput);
        }
        self.scan.reset();
        if fits {
            return Some(self.close(given_up));
        }
        self.mode = Mode::LineBreak(given_up, AfterLine::Probe);
        None
    }
}

fn check_file_start(bytes: &[u8]) -> Result<(), FileError> {
    if bytes.is_empty() {
        return Err(FileError {
            code: "file_empty",
            reason: "the file is empty (DMF2053); send at least a header line with the column names".to_owned(),
        });
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(not_utf8("the file is UTF-16"));
    }
    Ok(())
}

fn no_header() -> FileError {
    FileError {
        code: "header_missing",
        reason: "the file has no header (FF004): its first line must hold the column names".to_owned(),
    }
}

fn not_utf8(found: &str) -> FileError {
    FileError {
        code: "encoding_unsupported",
        reason: format!("{found}, but this format is read as UTF-8: save the file as UTF-8 and send it again"),
    }
}

fn header_names(cells: &[std::borrow::Cow<'_, [u8]>]) -> Result<Vec<String>, FileError> {
    let mut names = Vec::with_capacity(cells.len());
    for (at, cell) in cells.iter().enumerate() {
        if cell.contains(&0) {
            return Err(not_utf8("the header holds NUL bytes, as in UTF-16 or a binary file"));
        }
        let name = std::str::from_utf8(cell).map_err(|_| {
            let start = excerpt::quoted(excerpt::utf8_prefix(cell));
            not_utf8(&format!("the name of column {} is not UTF-8 after {start}", at + 1))
        })?;
        names.push(name.trim().to_owned());
    }
    if names.iter().all(String::is_empty) {
        return Err(no_header());
    }
    Ok(names)
}
