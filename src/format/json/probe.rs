//! Trying, in doubt, whether a line begins the next record.

use serde::de::IgnoredAny;

use super::input::INDENT_MAX;
use super::scan::{Rules, Scan, Verdict};

/// A try in progress, from the first byte of a line.
#[derive(Debug)]
pub(super) struct Probe {
    /// Blanks and the comma passed.
    lead: usize,
    comma: bool,
    scan: Scan,
}

/// What a try found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    NeedInput,
    /// A record begins on this line.
    Fits,
    No,
}

impl Probe {
    pub fn new() -> Self {
        Self {
            lead: 0,
            comma: false,
            scan: Scan::new(),
        }
    }

    /// Bytes looked at.
    pub fn at(&self) -> usize {
        self.lead + self.scan.at()
    }

    /// Goes on over `input`, which begins with the line; `last` says that nothing follows it. A line that begins with more than
    /// `indent` blanks does not fit.
    pub fn run(&mut self, input: &[u8], last: bool, indent: usize, rules: &Rules) -> Answer {
        while self.scan.at() == 0 {
            match input.get(self.lead) {
                None if last => return Answer::No,
                None => return Answer::NeedInput,
                Some(b'{') => break,
                Some(b' ' | b'\t') if self.may_be_blank(indent) => self.lead += 1,
                Some(b',') if !self.comma => {
                    self.comma = true;
                    self.lead += 1;
                }
                Some(_) => return Answer::No,
            }
        }
        let object = &input[self.lead..];
        match self.scan.run(object, last, rules) {
            Verdict::NeedInput => Answer::NeedInput,
            Verdict::End { end } if serde_json::from_slice::<IgnoredAny>(&object[..end]).is_ok() => Answer::Fits,
            _ => Answer::No,
        }
    }

    fn may_be_blank(&self, indent: usize) -> bool {
        self.lead < if self.comma { 2 * INDENT_MAX } else { indent }
    }
}
