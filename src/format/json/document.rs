//! JSON: an array of objects, an envelope around one, or objects one after another.

use std::ops::ControlFlow;

use super::element;
use super::given_up::GivenUp;
use super::input::{self, Input};
use super::members::{self, Members};
use super::probe::{Answer, Probe};
use super::scan::{DEPTH_MAX, Fault, Rules, Scan, Verdict};
use super::{JsonOptions, PROBE_DEPTH_MAX};
use crate::domain::reject::RecordCode;
use crate::format::named::{NamedSource, NamedStep};
use crate::format::record::{FileError, Position};

/// A push parser of JSON. Memory is bounded by the options.
#[derive(Debug)]
pub struct JsonDocument {
    options: JsonOptions,
    input: Input,
    container: Container,
    mode: Mode,
    /// Of the element at hand.
    scan: Scan,
    /// Leading blanks of the line that the first record begins on.
    first_indent: Option<usize>,
    examined: u64,
}

/// What the records stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Array,
    /// An array that is a member of an object.
    Envelope,
    /// Nothing: one object after another.
    Objects,
}

#[derive(Debug)]
enum Mode {
    /// Before the byte order mark.
    FileStart,
    /// Before the first bracket.
    FirstBracket,
    /// Behind a record, or before the first.
    Between,
    /// Inside a record.
    Element,
    /// Giving up a record, which is scanned on in doubt.
    GivingUp(GivenUp),
    /// Giving up a record: trying whether the next one begins on this line.
    Probing(GivenUp, Probe),
    /// Behind the records of an envelope, before its next member.
    BehindRecords,
    /// Behind the records of an envelope, skipping the rest of it.
    Envelope,
    /// Behind the closing bracket of array or envelope.
    Closed,
    Ended,
}

/// What a mode has to say: go on, or a step.
type Turn = ControlFlow<NamedStep>;

impl JsonDocument {
    /// A parser at the start of a file.
    #[must_use]
    pub fn new(options: JsonOptions) -> Self {
        Self {
            options,
            input: Input::new(),
            container: Container::Objects,
            mode: Mode::FileStart,
            scan: Scan::new(),
            first_indent: None,
            examined: 0,
        }
    }

    /// Bytes scanned so far, repeats included: what hostile input costs, free of clocks.
    #[must_use]
    pub fn bytes_examined(&self) -> u64 {
        self.examined
    }

    #[cfg(test)]
    pub(super) fn buffer_capacity(&self) -> usize {
        self.input.buffer_capacity()
    }

    fn go(&mut self, mode: Mode) -> Turn {
        self.mode = mode;
        ControlFlow::Continue(())
    }

    fn wait(&mut self, mode: Mode) -> Turn {
        self.mode = mode;
        ControlFlow::Break(NamedStep::NeedInput)
    }

    fn rules(&self, depth_max: u32) -> Rules {
        Rules {
            bytes_max: self.options.max_record_bytes,
            depth_max,
            in_array: self.container != Container::Objects,
        }
    }

    fn run_scan(&mut self) -> Verdict {
        let (before, rules) = (self.scan.at(), self.rules(DEPTH_MAX));
        let verdict = self.scan.run(self.input.rest(), self.input.is_finished(), &rules);
        self.examined += (self.scan.at() - before) as u64;
        verdict
    }

    fn file_start(&mut self) -> Result<Turn, FileError> {
        Ok(if self.input.begin()? {
            self.go(Mode::FirstBracket)
        } else {
            self.wait(Mode::FileStart)
        })
    }

    fn first_bracket(&mut self) -> Result<Turn, FileError> {
        self.input.pass_white(false);
        match self.input.rest().first() {
            None if self.input.is_finished() => Err(input::empty("it holds nothing but white space")),
            None => Ok(self.wait(Mode::FirstBracket)),
            Some(b'[') => {
                self.input.pass(1);
                self.container = Container::Array;
                Ok(self.go(Mode::Between))
            }
            Some(b'{') => {
                self.scan = Scan::first();
                Ok(self.go(Mode::Element))
            }
            Some(&byte) => Err(no_json(byte)),
        }
    }

    fn between(&mut self) -> Turn {
        self.input.pass_white(true);
        match (self.input.rest().first(), self.container) {
            (None, _) if self.input.is_finished() => ControlFlow::Break(self.end_of_file()),
            (None, _) => self.wait(Mode::Between),
            (Some(b']'), Container::Array) => {
                self.input.pass(1);
                self.go(Mode::Closed)
            }
            (Some(b']'), Container::Envelope) => {
                self.input.pass(1);
                self.go(Mode::BehindRecords)
            }
            (Some(_), _) => {
                self.scan = Scan::new();
                self.go(Mode::Element)
            }
        }
    }

    fn element(&mut self) -> Result<Turn, FileError> {
        Ok(match self.run_scan() {
            Verdict::NeedInput => self.wait(Mode::Element),
            Verdict::End { end } => self.take(end)?,
            Verdict::Records { at } => {
                self.input.pass(at);
                self.container = Container::Envelope;
                self.go(Mode::Between)
            }
            Verdict::Fault(fault) => self.give_up(fault),
            Verdict::Unfinished => {
                let reason = "the file ends inside this record: was it cut off on its way? send it whole";
                ControlFlow::Break(self.give_up_to(self.input.rest().len(), reason))
            }
            Verdict::Line => self.go(Mode::Element),
        })
    }

    /// Ends the element at hand.
    fn take(&mut self, end: usize) -> Result<Turn, FileError> {
        // Told apart here from a file that ends as it should, for behind its last byte there is no place to report it at.
        let is_last_byte = self.container != Container::Objects && end == self.input.rest().len();
        if is_last_byte && !self.input.is_finished() {
            return Ok(self.wait(Mode::Element));
        }
        if is_last_byte {
            let reason = "the file ends right behind this record, before the closing bracket of the records: was it cut off on \
                          its way? send it whole";
            return Ok(ControlFlow::Break(self.give_up_to(end, reason)));
        }
        let read = members::read(&self.input.rest()[..end], &self.options);
        if self.scan.is_first() && read.as_ref().is_ok_and(is_empty_envelope) {
            self.input.pass(end);
            self.container = Container::Envelope;
            return Ok(self.go(Mode::Closed));
        }
        self.first_indent.get_or_insert(self.input.indent());
        let step = element::step(&mut self.input, end, read, &self.options)?;
        self.mode = Mode::Between;
        Ok(ControlFlow::Break(step))
    }

    /// Gives up the element at hand, which ends here.
    fn give_up_to(&mut self, end: usize, reason: &str) -> NamedStep {
        let mut given_up = GivenUp::new(&self.input, RecordCode::InvalidJson, reason.to_owned());
        given_up.swallow(&mut self.input, end);
        self.close(given_up)
    }

    fn close(&mut self, given_up: GivenUp) -> NamedStep {
        self.mode = Mode::Between;
        NamedStep::Damaged(given_up.close(&mut self.input))
    }

    /// Begins to give up the element at hand. The line with the fault is the first that may be the next record's.
    fn give_up(&mut self, fault: Fault) -> Turn {
        self.first_indent.get_or_insert(self.input.indent());
        let mut given_up = GivenUp::at_fault(&self.input, fault, self.scan.at(), &self.options);
        let line_start = self.scan.line_start();
        if line_start == 0 {
            return self.go(Mode::GivingUp(given_up));
        }
        given_up.swallow(&mut self.input, line_start);
        self.scan.passed(line_start);
        self.go(Mode::Probing(given_up, Probe::new()))
    }

    fn giving_up(&mut self, mut given_up: GivenUp) -> Turn {
        let verdict = self.run_scan();
        let bytes = self.scan.at();
        given_up.swallow(&mut self.input, bytes);
        self.scan.passed(bytes);
        match verdict {
            Verdict::NeedInput => self.wait(Mode::GivingUp(given_up)),
            Verdict::Line => self.go(Mode::Probing(given_up, Probe::new())),
            Verdict::End { .. } | Verdict::Unfinished => ControlFlow::Break(self.close(given_up)),
            Verdict::Fault(_) | Verdict::Records { .. } => self.go(Mode::GivingUp(given_up)),
        }
    }

    fn probing(&mut self, given_up: GivenUp, mut probe: Probe) -> Turn {
        let (before, rules) = (probe.at(), self.rules(PROBE_DEPTH_MAX));
        let indent = given_up.indent().max(self.first_indent.unwrap_or_default());
        let answer = probe.run(self.input.rest(), self.input.is_finished(), indent, &rules);
        self.examined += (probe.at() - before) as u64;
        match answer {
            Answer::NeedInput => self.wait(Mode::Probing(given_up, probe)),
            Answer::Fits => ControlFlow::Break(self.close(given_up)),
            Answer::No => self.go(Mode::GivingUp(given_up)),
        }
    }

    fn end_of_file(&mut self) -> NamedStep {
        self.mode = Mode::Ended;
        let behind = self.input.behind();
        let something_left = self.input.here().byte > behind.byte;
        if self.container == Container::Objects || !something_left {
            return NamedStep::End;
        }
        let reason =
            "the file ends before the closing bracket of its records: was it cut off on its way? send it whole";
        NamedStep::Damaged(GivenUp::since(behind, reason).close(&mut self.input))
    }

    fn behind_records(&mut self) -> Turn {
        self.input.pass_white(true);
        match self.input.rest().first() {
            None if self.input.is_finished() => self.go(Mode::Ended),
            None => self.wait(Mode::BehindRecords),
            Some(b'"' | b'}') => {
                self.scan = Scan::inside_envelope();
                self.go(Mode::Envelope)
            }
            // No member, so it was not the closing bracket.
            Some(_) => self.go(Mode::Between),
        }
    }

    fn envelope(&mut self) -> Turn {
        let verdict = self.run_scan();
        let bytes = self.scan.at();
        self.input.pass(bytes);
        self.scan.passed(bytes);
        match verdict {
            Verdict::NeedInput => self.wait(Mode::Envelope),
            Verdict::End { .. } => self.go(Mode::Closed),
            Verdict::Unfinished => self.go(Mode::Ended),
            _ => self.go(Mode::Envelope),
        }
    }

    fn closed(&mut self) -> Turn {
        self.input.pass_white(true);
        match (self.input.rest().first(), self.container) {
            (None, _) if self.input.is_finished() => self.go(Mode::Ended),
            (None, _) => self.wait(Mode::Closed),
            (Some(b'['), Container::Array) => {
                self.input.pass(1);
                self.go(Mode::Between)
            }
            (Some(b'{'), Container::Envelope) => {
                self.scan = Scan::first();
                self.go(Mode::Element)
            }
            // A record behind it, so it was not the last bracket.
            (Some(b'{'), _) => self.go(Mode::Between),
            (Some(_), _) => {
                let reason = "behind the closing bracket of the records there is more than records: it is given up to the end \
                              of the file; send one array with all records inside it";
                self.scan = Scan::to_the_end();
                let given_up = GivenUp::new(&self.input, RecordCode::InvalidJson, reason.to_owned());
                self.go(Mode::GivingUp(given_up))
            }
        }
    }
}

impl NamedSource for JsonDocument {
    fn feed(&mut self, bytes: &[u8]) {
        self.input.feed(bytes);
    }

    fn finish(&mut self) {
        self.input.finish();
    }

    fn step(&mut self) -> Result<NamedStep, FileError> {
        loop {
            let turn = match std::mem::replace(&mut self.mode, Mode::Ended) {
                Mode::FileStart => self.file_start()?,
                Mode::FirstBracket => self.first_bracket()?,
                Mode::Between => self.between(),
                Mode::Element => self.element()?,
                Mode::GivingUp(given_up) => self.giving_up(given_up),
                Mode::Probing(given_up, probe) => self.probing(given_up, probe),
                Mode::BehindRecords => self.behind_records(),
                Mode::Envelope => self.envelope(),
                Mode::Closed => self.closed(),
                Mode::Ended => ControlFlow::Break(NamedStep::End),
            };
            if let ControlFlow::Break(step) = turn {
                return Ok(step);
            }
        }
    }

    fn position(&self) -> Position {
        self.input.behind()
    }

    fn skip_to(&mut self, position: Position) {
        if position.byte > self.input.behind().byte && !matches!(self.mode, Mode::Ended) {
            self.input.skip_to(position);
            self.mode = Mode::Between;
        }
    }
}

/// An object without any records that is not one itself: an empty array, and beside it nothing but control information, whose
/// names begin with `@` in `OData`.
fn is_empty_envelope(members: &Members) -> bool {
    let is_empty_array = |text: &[u8]| matches!(text, [b'[', inside @ .., b']'] if inside.trim_ascii().is_empty());
    let mut plain = members.iter().filter(|(name, _)| !name.starts_with('@'));
    plain.next().is_some_and(|(_, text)| is_empty_array(text)) && plain.next().is_none()
}

fn no_json(byte: u8) -> FileError {
    let found = if byte.is_ascii_graphic() {
        format!("`{}`", char::from(byte))
    } else {
        format!("the byte 0x{byte:02x}")
    };
    FileError {
        code: "json_expected",
        reason: format!(
            "the file begins with {found}: JSON begins with `[` or `{{`; check that it is the right file and format"
        ),
    }
}
