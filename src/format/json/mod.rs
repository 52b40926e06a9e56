//! JSON and JSON Lines, read as a stream that survives damage.
//!
//! Our own scanner around `serde_json`, because a parser alone either needs the file whole or stops at the first fault: here a
//! record's text is found first and parsed then, so that a damaged one is one reject with its byte range, and reading goes on
//! (promise 5).
//!
//! # Grammar
//! UTF-8 with or without a byte order mark. A record is an object.
//!
//! [`jsonl`]: one record on each line. Lines end with CRLF, LF or CR. An empty or blank line is no record, but it counts as a
//! line. A file that begins with `[` is none.
//!
//! [`json`]: the first bracket says which of these it is:
//! - `[`: an array of records.
//! - `{` of an *envelope*, such as `OData`'s `{"@odata.context": "...", "value": [...]}`: an object one of whose own members is
//!   an array with an object in it. The first such array has the records; what stands before and behind it in the envelope is
//!   skipped unread. The envelope's text before its records may be as long as a record. An object with an empty array, and
//!   beside that only members whose names begin with `@`, is an envelope without records.
//! - `{` of anything else: records one after another.
//! - Another character: it is no such file.
//!
//! Between records, commas are white space: one too many, behind the last, or missing is tolerated. Several arrays, or several
//! envelopes, one after another are read as one. Records that stand behind the closing bracket are read too: a bracket too many
//! must not cost what follows it.
//!
//! # Members
//! Texts are unescaped; numbers stay as they are written; `true` and `false` are these words; `null` is empty; an array is its
//! JSON text. The members of an object inside the record are the record's own, under dotted names (`address.city`), up to 32
//! objects deep; an empty object has none. Names and texts of the same record are passed on in order, doubled ones too.
//!
//! # Damage
//! - A line or element that is not a well-formed object is `invalid_json` (or `invalid_utf8`); its end is not in doubt. A text
//!   with half of a surrogate pair in it (`\ud800`) is not well-formed. NUL is: the field's type decides.
//! - A record longer than `max_record_bytes` is `record_too_large`, and so is one whose nested members' dotted names come to 16
//!   times its own length (plus 4 KiB).
//! - A record with more than `max_columns` members (and our two) is `unexpected_member`, for its file has fewer; if it is the
//!   file's first, the file is refused.
//! - In an element of [`json`], a line break inside a text, a bracket that closes what another kind opened, one that opens where
//!   a member's name is expected, more than 128 levels, and a length past the limit put the element's *end* in doubt. So does
//!   being an array. It ends at whichever comes first: its own closing bracket, as far as brackets can be trusted; or the start
//!   of a line on which the next record begins (*resynchronisation*): the line of the fault, unless it is the element's first,
//!   or a later one; indented no deeper than the line that the element or the file's first record begins on, so that an object
//!   inside the record is not taken for one; and with a well-formed object after at most a comma and blanks, no deeper than
//!   [`PROBE_DEPTH_MAX`]. If there is neither, it ends with the file. An inner array that is never closed shows no earlier than
//!   at the limit or the file's end: the records up to there are given up with it.
//! - An element that begins with none of `{`, `[` and `"` ends before the next `{` or line break, in an array also before `,`
//!   and `]`.
//! - A file that ends inside a record makes it `invalid_json`. So does one that ends before the array's closing bracket, for
//!   records may be missing: what stands behind the last record is then a damaged one, or if nothing does, that last record is.
//!   Anything but white space and records behind the closing bracket is a damaged record, up to the file's end.
//!
//! # Cost
//! Bytes given up are dropped at once, so memory holds one record and what was last fed, however long the damage. Time is linear
//! in the file's size. A byte is scanned at most twice in elements: up to the fault of one, and again when that fault turns out
//! to stand on the next record's first line. It is scanned at most [`PROBE_DEPTH_MAX`] times more in lines that are tried as the
//! next record, for all those tried that reach a byte stand inside each other, and parsed as often at most. The record it
//! belongs to is parsed once, and once more for each object around the byte inside the record, at most 32 times.

mod document;
mod edit;
mod element;
mod given_up;
mod input;
mod lines;
mod members;
mod probe;
mod rejects;
mod scan;
#[cfg(test)]
mod tests;
mod writer;

use super::named::Named;
pub use document::JsonDocument;
pub use edit::with_members;
pub use lines::JsonLines;
pub use writer::{JsonShape, JsonWriter};

/// Limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonOptions {
    /// Longest record, in bytes.
    pub max_record_bytes: usize,
    /// Most members a record may have, and most different ones the first records may have together.
    pub max_columns: usize,
}

/// Deepest nesting of an object that is tried as the place to go on from after damage. It bounds what hostile input can cost;
/// real records rarely nest five deep, and then only that record is given up too.
pub const PROBE_DEPTH_MAX: u32 = 32;

/// Reads JSON Lines from its start.
#[must_use]
pub fn jsonl(options: JsonOptions) -> Named<JsonLines> {
    Named::new(JsonLines::new(options), options.max_columns)
}

/// Reads JSON from its start.
#[must_use]
pub fn json(options: JsonOptions) -> Named<JsonDocument> {
    Named::new(JsonDocument::new(options), options.max_columns)
}
