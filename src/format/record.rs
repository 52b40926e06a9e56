//! What every reader of a data file has for its caller: a header, records with their places, damage, and the end.
//!
//! Readers are push parsers: bytes are fed in as they arrive, steps come out, and memory holds one record and what was last fed.
//! A record's place counts bytes of the file as text: after it was unpacked and turned into UTF-8.

use std::borrow::Cow;

use crate::domain::reject::{RecordCode, RecordPlace};

/// Where the next record starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Data records read so far.
    pub records: u64,
    /// Physical line, from 1.
    pub line: u64,
    /// Byte offset.
    pub byte: u64,
}

impl Position {
    /// The start of a file.
    pub const START: Self = Self {
        records: 0,
        line: 1,
        byte: 0,
    };
}

/// What a reader has for its caller.
#[derive(Debug)]
pub enum Step<'a> {
    /// It needs more bytes: call [`RecordReader::feed`] or [`RecordReader::finish`].
    NeedInput,
    /// A record.
    Record(Record<'a>),
    /// A record given up. Reading goes on after `place.byte_end`.
    Damaged(Damage),
    /// All read.
    End,
}

/// A record's cells and place.
#[derive(Debug)]
pub struct Record<'a> {
    /// Where it stands.
    pub place: RecordPlace,
    /// One cell for each name of the header, as bytes that are not yet checked for UTF-8. What the record lacks is empty.
    pub cells: Vec<Cow<'a, [u8]>>,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Its range; `record` counts it.
    pub place: RecordPlace,
    /// What kind of damage.
    pub code: RecordCode,
    /// Column at fault, from 1.
    pub column: Option<u32>,
    /// What was found, what was expected.
    pub reason: String,
    /// The first bytes of the text given up, as far as they are UTF-8.
    pub excerpt: String,
}

/// Why a file cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct FileError {
    /// Stable code, e.g. `file_empty`.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub reason: String,
}

/// The code of a file that we could not keep in a temporary file while it is read.
pub(super) const SPILL_FAILED: &str = "spill_failed";

impl FileError {
    /// Whether it is no fault of the file: a disk of ours failed, and another time may be better.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.code == SPILL_FAILED
    }
}

/// Reads the records of one file.
///
/// The way: [`feed`](Self::feed) until [`header`](Self::header) is there, then [`step`](Self::step), feeding when it
/// asks for input, [`finish`](Self::finish) when there is no more, until [`Step::End`].
pub trait RecordReader: Send {
    /// Adds bytes.
    fn feed(&mut self, bytes: &[u8]);

    /// Says that there are no more.
    fn finish(&mut self);

    /// The names of the record's cells, trimmed; `Ok(None)`: feed more. The same once it was there.
    ///
    /// # Errors
    /// [`FileError`] when the file cannot be read at all; there are no records then.
    fn header(&mut self) -> Result<Option<Vec<String>>, FileError>;

    /// The next step; only after the header.
    fn step(&mut self) -> Step<'_>;

    /// Where the next record starts.
    fn position(&self) -> Position;

    /// After the header was read: skip to this position, which [`position`](Self::position) gave when this same file was read
    /// before; bytes are fed from the start of the file all the same. A position already passed is ignored.
    fn skip_to(&mut self, position: Position);

    /// Whether a step may take long, whatever was fed before it: one that reads a file it was given whole.
    fn has_long_steps(&self) -> bool {
        false
    }

    /// At the end: what somebody may want to look at although it is no damage, a sentence each.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}
