//! JSON and JSON Lines, written: an object a record, every member in each, `null` for no value.
//!
//! Whole and decimal numbers are JSON's numbers, digit for digit; truth values are JSON's. What is spelt in a way of its own, and
//! dates, are texts.

use super::super::record_writer::{RecordWriter, WriteError};
use super::super::typed::{FileCell, Nature};

/// How the records of a file stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonShape {
    /// In one array.
    Document,
    /// On a line each.
    Lines,
}

impl JsonShape {
    /// What stands before the first record.
    pub fn prefix(self, out: &mut Vec<u8>) {
        if self == Self::Document {
            out.extend_from_slice(b"[\r\n");
        }
    }

    /// What stands before a record.
    pub(super) fn before_record(self, out: &mut Vec<u8>, first: bool) {
        if self == Self::Document && !first {
            out.extend_from_slice(b",\r\n");
        }
    }

    /// What stands behind a record.
    pub(super) fn behind_record(self, out: &mut Vec<u8>) {
        if self == Self::Lines {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// What stands behind the last record.
    pub fn suffix(self, out: &mut Vec<u8>) {
        if self == Self::Document {
            out.extend_from_slice(b"\r\n]\r\n");
        }
    }
}

/// Writes files of objects.
#[derive(Debug)]
pub struct JsonWriter {
    shape: JsonShape,
    /// What stands before each value of a record: a brace or comma, the name, a colon.
    members: Vec<Vec<u8>>,
    is_first: bool,
}

impl JsonWriter {
    /// Of records that have these members.
    #[must_use]
    pub fn new(shape: JsonShape, names: &[String]) -> Self {
        let member = |(at, name): (usize, &String)| {
            let mut member = vec![if at == 0 { b'{' } else { b',' }];
            push_text(&mut member, name);
            member.push(b':');
            member
        };
        Self {
            shape,
            members: names.iter().enumerate().map(member).collect(),
            is_first: true,
        }
    }
}

impl RecordWriter for JsonWriter {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.shape.prefix(out);
        Ok(())
    }

    fn record(&mut self, _: usize, cells: &[FileCell<'_>], out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.shape.before_record(out, self.is_first);
        self.is_first = false;
        for (member, cell) in self.members.iter().zip(cells) {
            out.extend_from_slice(member);
            push_value(out, cell);
        }
        out.push(b'}');
        self.shape.behind_record(out);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.shape.suffix(out);
        Ok(())
    }
}

fn push_value(out: &mut Vec<u8>, cell: &FileCell<'_>) {
    match (cell.text.as_deref(), cell.nature()) {
        (None, _) => out.extend_from_slice(b"null"),
        (Some(number), Nature::Number | Nature::Digits) => out.extend_from_slice(number.as_bytes()),
        (Some(truth), Nature::Bool) => out.extend_from_slice(if truth == "Yes" { b"true" } else { b"false" }),
        (Some(text), _) => push_text(out, text),
    }
}

/// Appends a text in quotes, escaped where it must be.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a text can be written, and memory takes it");
}
