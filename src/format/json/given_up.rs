//! A record being given up: what is reported of it.

use super::JsonOptions;
use super::input::{Input, Mark};
use super::scan::{DEPTH_MAX, Fault};
use crate::domain::reject::{RecordCode, RecordError};
use crate::format::excerpt;
use crate::format::record::{Damage, Position};

/// Enough bytes for the excerpt's characters.
const HEAD_BYTES_MAX: usize = RecordError::VALUE_CHARS_MAX * 4;

/// A damaged record, open at its end.
#[derive(Debug)]
pub(super) struct GivenUp {
    from: Mark,
    indent: usize,
    code: RecordCode,
    reason: String,
    head: Vec<u8>,
}

impl GivenUp {
    /// For the record at the start of the input.
    pub fn new(input: &Input, code: RecordCode, reason: String) -> Self {
        Self {
            from: input.here(),
            indent: input.indent(),
            code,
            reason,
            head: Vec::new(),
        }
    }

    /// For what stands between the last record and the start of the input.
    pub fn since(last: Position, reason: &str) -> Self {
        Self {
            from: Mark {
                line: last.line,
                byte: last.byte,
            },
            indent: 0,
            code: RecordCode::InvalidJson,
            reason: reason.to_owned(),
            head: Vec::new(),
        }
    }

    /// For a fault at this offset of it.
    pub fn at_fault(input: &Input, fault: Fault, at: usize, options: &JsonOptions) -> Self {
        let code = match fault {
            Fault::TooLarge => RecordCode::RecordTooLarge,
            _ => RecordCode::InvalidJson,
        };
        Self::new(input, code, reason(fault, input.line_at(at), options))
    }

    /// Leading blanks of the line it begins on.
    pub fn indent(&self) -> usize {
        self.indent
    }

    /// Counts the next bytes of the input in, and passes them.
    pub fn swallow(&mut self, input: &mut Input, bytes: usize) {
        let room = HEAD_BYTES_MAX - self.head.len();
        self.head.extend_from_slice(&input.rest()[..bytes.min(room)]);
        input.pass(bytes);
    }

    /// The finished report; it ends at the start of the input.
    pub fn close(self, input: &mut Input) -> Damage {
        let text = excerpt::utf8_prefix(&self.head).trim_end_matches(['\r', '\n']);
        Damage {
            place: input.end_record(self.from),
            code: self.code,
            column: None,
            reason: self.reason,
            excerpt: excerpt::stored(text),
        }
    }
}

/// What was found and what was expected, for a person.
fn reason(fault: Fault, line: u64, options: &JsonOptions) -> String {
    match fault {
        Fault::Array => "the record is an array: write an object, its members' names and values in braces".to_owned(),
        Fault::BrokenText => format!(
            "line {line} ends inside a text: a closing quote is missing, or a line break in the text is not written as \\n"
        ),
        Fault::Opening(bracket) => format!(
            "`{}` stands in line {line} where the name of a member is expected: probably a closing bracket is missing \
             before it",
            char::from(bracket)
        ),
        Fault::Closing(bracket) => format!(
            "`{}` in line {line} does not close what was opened last: a bracket is missing before it, or it is one too many",
            char::from(bracket)
        ),
        Fault::TooDeep => {
            format!("line {line} is nested deeper than {DEPTH_MAX} levels: write its members further out")
        }
        Fault::TooLarge => too_large(options),
    }
}

/// For a record past the limit.
pub(super) fn too_large(options: &JsonOptions) -> String {
    format!(
        "the record is longer than {} bytes (csv.max_record_bytes): probably a bracket or line break is missing at its end",
        options.max_record_bytes
    )
}
