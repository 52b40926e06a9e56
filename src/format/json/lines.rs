//! JSON Lines: an object on every line.

use std::ops::ControlFlow;

use super::JsonOptions;
use super::element;
use super::given_up::{self, GivenUp};
use super::input::{self, Input};
use super::members;
use crate::domain::reject::RecordCode;
use crate::format::lines::line_break;
use crate::format::named::{NamedSource, NamedStep};
use crate::format::record::{FileError, Position};

/// A push parser of JSON Lines. Memory is bounded by the options.
#[derive(Debug)]
pub struct JsonLines {
    options: JsonOptions,
    input: Input,
    mode: Mode,
    /// Bytes of the line at hand known to hold no line break.
    searched: usize,
}

#[derive(Debug)]
enum Mode {
    /// Before the byte order mark.
    FileStart,
    Lines,
    /// Giving up a line: looking for its end.
    TooLong(GivenUp),
    Ended,
}

/// What a mode has to say: go on, or a step.
type Turn = ControlFlow<NamedStep>;

impl JsonLines {
    /// A parser at the start of a file.
    #[must_use]
    pub fn new(options: JsonOptions) -> Self {
        Self {
            options,
            input: Input::new(),
            mode: Mode::FileStart,
            searched: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn buffer_capacity(&self) -> usize {
        self.input.buffer_capacity()
    }

    fn wait(&mut self, mode: Mode) -> Turn {
        self.mode = mode;
        ControlFlow::Break(NamedStep::NeedInput)
    }

    fn file_start(&mut self) -> Result<Turn, FileError> {
        if !self.input.begin()? {
            return Ok(self.wait(Mode::FileStart));
        }
        self.mode = Mode::Lines;
        Ok(ControlFlow::Continue(()))
    }

    fn line(&mut self) -> Result<Turn, FileError> {
        if self.searched == 0 {
            self.input.pass_white(false);
        }
        let first = self.input.behind().records == 0;
        match self.input.rest().first() {
            None if !self.input.is_finished() => return Ok(self.wait(Mode::Lines)),
            None if first => return Err(input::empty("it holds nothing but white space")),
            None => return Ok(ControlFlow::Break(NamedStep::End)),
            Some(b'[') if first => return Err(not_lines()),
            Some(_) => {}
        }
        let (rest, max) = (self.input.rest(), self.options.max_record_bytes);
        let known = rest.len().min(max.saturating_add(1));
        let length = match memchr::memchr2(b'\r', b'\n', &rest[self.searched..known]) {
            Some(found) => self.searched + found,
            None if rest.len() > max => return Ok(self.too_long()),
            None => known,
        };
        self.searched = length;
        match line_break(&rest[length..], self.input.is_finished()) {
            Some(0) if !self.input.is_finished() => Ok(self.wait(Mode::Lines)),
            None => Ok(self.wait(Mode::Lines)),
            Some(end) => self.take(length, length + end),
        }
    }

    /// Ends the line at hand.
    fn take(&mut self, text: usize, whole: usize) -> Result<Turn, FileError> {
        let read = members::read(&self.input.rest()[..text], &self.options);
        let step = element::step(&mut self.input, whole, read, &self.options)?;
        self.searched = 0;
        self.mode = Mode::Lines;
        Ok(ControlFlow::Break(step))
    }

    fn too_long(&mut self) -> Turn {
        let reason = given_up::too_large(&self.options);
        self.mode = Mode::TooLong(GivenUp::new(&self.input, RecordCode::RecordTooLarge, reason));
        self.searched = 0;
        ControlFlow::Continue(())
    }

    /// Gives up the rest of the line.
    fn pass_line(&mut self, mut given_up: GivenUp) -> Turn {
        let rest = self.input.rest();
        let before = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        given_up.swallow(&mut self.input, before);
        match line_break(self.input.rest(), self.input.is_finished()) {
            Some(0) if !self.input.is_finished() => self.wait(Mode::TooLong(given_up)),
            None => self.wait(Mode::TooLong(given_up)),
            Some(length) => {
                given_up.swallow(&mut self.input, length);
                self.mode = Mode::Lines;
                ControlFlow::Break(NamedStep::Damaged(given_up.close(&mut self.input)))
            }
        }
    }
}

impl NamedSource for JsonLines {
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
                Mode::Lines => self.line()?,
                Mode::TooLong(given_up) => self.pass_line(given_up),
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
            self.searched = 0;
            self.mode = Mode::Lines;
        }
    }
}

fn not_lines() -> FileError {
    FileError {
        code: "json_expected",
        reason:
            "the file begins with `[`: JSON Lines has no brackets around its records, but an object on every line; \
                 send it as JSON"
                .to_owned(),
    }
}
