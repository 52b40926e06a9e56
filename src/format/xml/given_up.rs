//! A record being given up: what is known of it while the reader looks for the place to go on from.

use super::PASSED_STARTS_MAX;
use super::input::Input;
use super::markup::Construct;
use super::scan::Fault;
use crate::domain::reject::{RecordCode, RecordError, RecordPlace};
use crate::format::excerpt;
use crate::format::record::{Damage, Position};

/// Enough bytes for the excerpt's characters.
const HEAD_BYTES_MAX: usize = RecordError::VALUE_CHARS_MAX * 4;

/// A damaged record, open at its end.
#[derive(Debug)]
pub(super) struct GivenUp {
    line: u64,
    byte: u64,
    code: RecordCode,
    reason: String,
    head: Vec<u8>,
}

impl GivenUp {
    /// For a record that begins where `input` stands.
    pub fn new(input: &Input, code: RecordCode, reason: impl Into<String>) -> Self {
        Self {
            line: input.line(),
            byte: input.byte(),
            code,
            reason: reason.into(),
            head: Vec::new(),
        }
    }

    /// For a record that begins here, in the place where only an earlier one is known to have ended.
    pub fn behind(position: Position, reason: impl Into<String>) -> Self {
        Self {
            line: position.line,
            byte: position.byte,
            code: RecordCode::InvalidXml,
            reason: reason.into(),
            head: Vec::new(),
        }
    }

    /// Takes in the next bytes of the input.
    pub fn swallow(&mut self, input: &mut Input, bytes: usize) {
        let room = HEAD_BYTES_MAX - self.head.len();
        self.head.extend_from_slice(&input.rest()[..bytes.min(room)]);
        input.consume(bytes);
    }

    /// The finished report; `to` is where reading goes on, the record counted.
    pub fn close(self, to: Position) -> Damage {
        Damage {
            place: RecordPlace {
                record: to.records,
                line: self.line,
                byte_start: self.byte,
                byte_end: to.byte,
            },
            code: self.code,
            column: None,
            reason: self.reason,
            excerpt: excerpt::stored(excerpt::utf8_prefix(&self.head).trim_end()),
        }
    }
}

/// Code and reason for what has no known end.
pub(super) fn lost(fault: Fault, what: &str, bytes_max: usize) -> (RecordCode, String) {
    match fault {
        Fault::TooLarge(within) => (RecordCode::RecordTooLarge, too_large(within, what, bytes_max)),
        Fault::Unclosed(construct) => (
            RecordCode::InvalidXml,
            format!(
                "a {} is not closed before the end of the file: its `{}` is missing",
                construct.name(),
                String::from_utf8_lossy(construct.closing())
            ),
        ),
        Fault::CommentInComment => (
            RecordCode::InvalidXml,
            "a comment begins inside a comment: the first one's `-->` is missing".to_owned(),
        ),
        Fault::OtherUnclosed => (
            RecordCode::InvalidXml,
            format!("{what} stands where a record was expected, and its end tag is missing"),
        ),
        Fault::TooManyStarts => (
            RecordCode::InvalidXml,
            format!(
                "more than {PASSED_STARTS_MAX} records seem to begin inside {what}: probably its end tag is missing, or a comment or \
                 CDATA section in it is not closed"
            ),
        ),
    }
}

fn too_large(within: Option<Construct>, what: &str, bytes_max: usize) -> String {
    let cause = match within {
        Some(construct) => format!(
            "reached inside a {}: probably its `{}` is missing",
            construct.name(),
            String::from_utf8_lossy(construct.closing())
        ),
        None => "probably its end tag or a quote is missing".to_owned(),
    };
    format!("{what} is longer than {bytes_max} bytes (csv.max_record_bytes): {cause}")
}
