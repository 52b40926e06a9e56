//! The beginning of a payload, to be looked at: its first records where its job says what they are, else its first text.
//!
//! Looking changes nothing: the message stays as it is, and nothing of it is loaded. Whatever the payload is, little of it is read:
//! of text the first `TEXT_BYTES_MAX` bytes once unpacked, and what must be had whole (a package, a workbook, Parquet) only up to
//! `WHOLE_BYTES_MAX` bytes, which unpack to `UNPACKED_BYTES_MAX` at most.

mod files;
mod read;

use std::sync::Arc;

use self::files::File;
use super::source::SourceError;
use super::stop::Stop;
use super::{Context, Limits};
use crate::blob::BlobError;
use crate::definitions::Definitions;
use crate::domain::message::Message;
use crate::format::named::SAMPLE_BYTES;

/// Most bytes read of a text: what JSON and XML want to see before their first record, and a record more.
const TEXT_BYTES_MAX: usize = 2 << 20;
const _: () = assert!(TEXT_BYTES_MAX as u64 >= SAMPLE_BYTES + (1 << 20));
/// Largest payload that is read whole.
const WHOLE_BYTES_MAX: u64 = 32 << 20;
/// Most bytes that may come out of one.
const UNPACKED_BYTES_MAX: u64 = 64 << 20;

/// The beginning of one data file of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// What is in the payload: the labels of its data files, or of the entities of its composite file. Of a relayed one, nothing.
    pub files: Vec<String>,
    /// What the one asked for begins with.
    pub shown: Shown,
}

/// What there is to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Records.
    Table(Table),
    /// Text.
    Text(Text),
    /// Neither: it is no text, and nobody says what it is.
    Binary,
    /// Nothing, for this reason.
    Nothing(String),
}

/// The first records of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The names of its columns, at most [`Table::COLUMNS_MAX`].
    pub columns: Vec<Cell>,
    /// Columns beyond.
    pub more_columns: usize,
    /// The records, as far as they were read.
    pub records: Vec<Row>,
    /// Whether there may be records beyond.
    pub more: bool,
    /// Why the file was not read on, where it could not be.
    pub fault: Option<String>,
    /// Of a file that was not read to its first record, what it begins with.
    pub beginning: Option<Text>,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number, from 1.
    pub record: u64,
    /// A cell for each column; or why it could not be read.
    pub cells: Result<Vec<Cell>, String>,
}

/// A text, or as much of it as is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Its first characters, at most [`Cell::CHARS_MAX`]; what is not UTF-8 became U+FFFD.
    pub text: String,
    /// Whether it goes on.
    pub is_cut: bool,
}

/// The text a file begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// At most [`Text::BYTES_MAX`] bytes of it.
    pub text: String,
    /// Whether it goes on.
    pub is_cut: bool,
}

impl Table {
    /// Most columns.
    pub const COLUMNS_MAX: usize = 200;
    /// No further record once the cells have this many bytes.
    const BYTES_MAX: usize = 256 << 10;
}

impl Cell {
    /// Most characters.
    pub const CHARS_MAX: usize = 2000;

    fn of(bytes: &[u8]) -> Self {
        // Four bytes a character at most, so that what is cut in two here is dropped below.
        let kept = &bytes[..bytes.len().min(4 * Self::CHARS_MAX + 4)];
        let text = String::from_utf8_lossy(kept);
        let shown: String = text.chars().take(Self::CHARS_MAX).collect();
        let is_cut = kept.len() < bytes.len() || shown.len() < text.len();
        Self { text: shown, is_cut }
    }
}

impl Text {
    /// Most bytes.
    pub const BYTES_MAX: usize = 2 << 10;

    /// What these bytes say, at the start of a file; nothing, where they are no text.
    fn of(bytes: &[u8], is_cut: bool) -> Option<Self> {
        let kept = &bytes[..bytes.len().min(Self::BYTES_MAX)];
        let is_cut = is_cut || kept.len() < bytes.len();
        let text = match std::str::from_utf8(kept) {
            Ok(text) => text,
            // A character cut in two by the end.
            Err(error) if is_cut && error.error_len().is_none() => {
                std::str::from_utf8(&kept[..error.valid_up_to()]).ok()?
            }
            Err(_) => return None,
        };
        let is_text = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{c}');
        text.chars().all(is_text).then(|| Self {
            text: text.to_owned(),
            is_cut,
        })
    }
}

/// Why nothing, or nothing more, can be read.
enum Halt {
    /// This is wrong with the payload, or it is too much.
    Told(String),
    /// Something is out of reach.
    Source(SourceError),
}

impl From<SourceError> for Halt {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Unreadable(detail) => Self::Told(detail),
            error => Self::Source(error),
        }
    }
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Fail(failure) if failure.code == TOO_LARGE => Self::Told(too_large()),
            Stop::Fail(failure) => Self::Told(failure.detail),
            stop => Self::Source(BlobError::failed(stop.reason()).into()),
        }
    }
}

/// The code of what unpacks to more than is allowed here.
const TOO_LARGE: &str = "unpacked_too_large";

fn too_large() -> String {
    format!(
        "it unpacks to more than the {} MiB that are unpacked to be looked at here",
        UNPACKED_BYTES_MAX >> 20
    )
}

/// The first records of one of a payload's files, at most `most`; `None` when it has none of this number. Files count from 0.
///
/// # Errors
/// [`SourceError`] when something is out of reach. What is wrong with the payload itself is shown.
pub async fn of(
    context: &Context,
    definitions: &Arc<Definitions>,
    message: &Message,
    number: usize,
    most: usize,
) -> Result<Option<Preview>, SourceError> {
    let nothing = |files, reason| {
        Some(Preview {
            files,
            shown: Shown::Nothing(reason),
        })
    };
    let context = bounded(context);
    let mut found = match files::of(&context, definitions, message).await {
        Ok(found) => found,
        Err(Halt::Told(reason)) => return Ok(nothing(Vec::new(), reason)),
        Err(Halt::Source(error)) => return Err(error),
    };
    let labels = found.iter().map(|file| file.label.clone());
    let labels: Vec<String> = labels.filter(|label| !label.is_empty()).collect();
    if number >= found.len() {
        return Ok(None);
    }
    let file: File = found.swap_remove(number);
    match read::read(&context, message, &file, most).await {
        Ok(shown) => Ok(Some(Preview { files: labels, shown })),
        Err(Halt::Told(reason)) => Ok(nothing(labels, reason)),
        Err(Halt::Source(error)) => Err(error),
    }
}

/// The same with less that may be unpacked.
fn bounded(context: &Context) -> Context {
    let mut limits = Limits::clone(&context.limits);
    limits.file.max_unpacked_bytes = limits.file.max_unpacked_bytes.min(UNPACKED_BYTES_MAX);
    Context {
        limits: Arc::new(limits),
        ..context.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_can_be_read_and_binary_what_cannot() {
        let text = |bytes: &[u8], is_cut| Text::of(bytes, is_cut).map(|text| (text.text, text.is_cut));
        assert_eq!(text("a\r\n\tä".as_bytes(), false), Some(("a\r\n\tä".to_owned(), false)));
        assert_eq!(text(b"", false), Some((String::new(), false)));
        assert_eq!(text(b"\xc3", false), None, "half a character at the end of a file");
        assert_eq!(text(b"a\xc3", true), Some(("a".to_owned(), true)));
        assert_eq!(text(b"a\xc3b", true), None);
        assert_eq!(text(b"PK\x03\x04", false), None);
        let long = "ä".repeat(Text::BYTES_MAX);
        let (kept, is_cut) = text(long.as_bytes(), false).unwrap();
        assert_eq!((kept.len(), is_cut), (Text::BYTES_MAX, true));
    }

    #[test]
    fn cells_are_cut_between_characters() {
        let long = "😀".repeat(Cell::CHARS_MAX + 10);
        let cell = Cell::of(long.as_bytes());
        assert_eq!(cell.text, "😀".repeat(Cell::CHARS_MAX));
        assert!(cell.is_cut && !Cell::of(cell.text.as_bytes()).is_cut);
        assert_eq!(Cell::of(b"a\xff").text, "a\u{fffd}");
    }
}
