//! What stands outside of any record of a composite file: nothing, as a rule.

use super::super::input::is_blank;
use super::super::markup::Construct;
use super::frame::{Flaw, Frame};
use super::token::Token;
use super::walk::{Mode, Passed, Turn, Walk};

const CUT_OFF: &str = "the file ends before the end tag of its root: it was cut off on its way, send it again";
const CUT_OFF_INSIDE: &str = "the file ends inside this record: it was cut off on its way, send it again";
pub(super) const TEXT_OUTSIDE: &str = "text stands where a record was expected: put it into an element, or remove it";

impl Walk {
    /// White space where there is no record is nothing, anything else is astray.
    pub(super) fn text_outside(&mut self, end: usize, reason: &str) {
        let text = &self.input.rest()[..end];
        let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
        if self.stray.is_none() && blanks > 0 {
            return self.consume(blanks);
        }
        self.stray(end, reason);
    }

    /// Takes these bytes for part of what stands where a record was expected.
    pub(super) fn stray(&mut self, end: usize, reason: impl Into<String>) {
        let frame = self
            .stray
            .get_or_insert_with(|| Frame::new(0, self.input.line(), self.input.byte()));
        frame.blame(Flaw::xml(reason));
        frame.add_head(&self.input.rest()[..end]);
        self.consume(end);
    }

    /// Hands out what stood where a record was expected.
    pub(super) fn end_stray(&mut self) -> Option<Turn> {
        let mut frame = self.stray.take()?;
        frame.byte_end = self.input.byte();
        Some(Turn::Passed(Passed::Element(frame)))
    }

    /// The file ends before the root does.
    pub(super) fn cut_off(&mut self) -> Turn {
        if let Some(turn) = self.end_stray() {
            self.mode = Mode::Ended;
            return turn;
        }
        let inside = self.open.pop().map(|frame| (frame, CUT_OFF_INSIDE));
        let (mut frame, reason) = inside.unwrap_or_else(|| {
            let frame = Frame::new(0, self.input.line(), self.input.byte());
            (frame, CUT_OFF)
        });
        if self.open.is_empty() {
            self.mode = Mode::Ended;
        }
        frame.blame(Flaw::xml(reason));
        self.ended(frame)
    }

    /// Behind the root's end tag only comments and processing instructions may stand.
    pub(super) fn epilog(&mut self) -> Turn {
        let Some(token) = self.lexer.token(&self.input, |_| false) else {
            return Turn::Passed(Passed::NeedInput);
        };
        let reason = "something stands behind the end tag of the root, where the file should end: remove it, or the end tag \
                      before it if records follow";
        match token {
            Token::End => {
                self.mode = Mode::Ended;
                return self.end_stray().unwrap_or(Turn::GoOn);
            }
            Token::Construct { end, construct } if self.stray.is_none() && construct != Construct::CData => {
                self.consume(end);
            }
            Token::Text { end } => self.text_outside(end, reason),
            Token::Construct { end, .. } => self.stray(end, reason),
            Token::Tag(tag) => self.stray(tag.end, reason),
            Token::Lone(_) => self.stray(1, reason),
        }
        Turn::GoOn
    }
}
