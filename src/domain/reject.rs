//! Why a record did not land, precisely enough to find and fix it (promise 5).

use std::fmt;

use serde::Serialize;

use super::ids::MessageId;

macro_rules! error_codes {
    ($( $(#[$doc:meta])* $name:ident = $text:literal ),+ $(,)?) => {
        /// Stable code of a record error. The text is a promise to scripts; new codes may be added.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum RecordCode { $( $(#[$doc])* $name ),+ }

        impl RecordCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[ $( Self::$name ),+ ];

            /// The stable text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$name => $text ),+ }
            }

            /// The code with this text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $( $text => Some(Self::$name), )+ _ => None }
            }
        }
    };
}

error_codes! {
    /// The record has more or fewer cells than the header has columns.
    ColumnCount = "column_count",
    /// A quoted field is not closed, runs past `file.max_field_bytes`, or is followed by something else than a delimiter.
    BrokenQuote = "broken_quote",
    /// The record is larger than `file.max_record_bytes`.
    RecordTooLarge = "record_too_large",
    /// The record is not well-formed JSON, or not an object.
    InvalidJson = "invalid_json",
    /// The record is not well-formed XML.
    InvalidXml = "invalid_xml",
    /// The pages of a Parquet file cannot be decoded from this record on.
    InvalidParquet = "invalid_parquet",
    /// A member that the first records of the file do not have.
    UnexpectedMember = "unexpected_member",
    /// The record has the same member twice.
    MemberTwice = "member_twice",
    /// A field to be taken over from the record around, in a composite file, does not stand in front of the record.
    InheritedMissing = "inherited_missing",
    /// A record of a composite file holds no element of some entity (MAP011).
    ElementMissing = "element_missing",
    /// Bytes that are not UTF-8.
    InvalidUtf8 = "invalid_utf8",
    /// A control character that business text may not hold (FMT-13).
    InvalidCharacter = "invalid_character",
    /// A required field is empty.
    RequiredMissing = "required_missing",
    /// Longer than `max_length`.
    TooLong = "too_long",
    /// Text that does not match the field's `pattern`.
    PatternMismatch = "pattern_mismatch",
    /// Not a whole number, or one past 64 bits.
    InvalidInt = "invalid_int",
    /// Not a decimal number.
    InvalidDecimal = "invalid_decimal",
    /// More digits than `precision` and `scale` allow.
    DecimalOverflow = "decimal_overflow",
    /// Not a truth value.
    InvalidBool = "invalid_bool",
    /// Not a date in any of the field's formats.
    InvalidDate = "invalid_date",
    /// Not a date-time in any of the field's formats.
    InvalidDatetime = "invalid_datetime",
    /// Not a time of day.
    InvalidTime = "invalid_time",
    /// Not a GUID.
    InvalidGuid = "invalid_guid",
    /// Not one of the enum's values.
    InvalidEnum = "invalid_enum",
    /// Below `min` or above `max`.
    OutOfRange = "out_of_range",
    /// An earlier record of the same file has the same key.
    DuplicateKey = "duplicate_key",
    /// The record it refers to does not exist.
    ReferenceMissing = "reference_missing",
    /// A row with the key is in the target already, and the job only inserts.
    AlreadyThere = "already_there",
    /// No row with the key is in the target, and the job only updates or deletes.
    NotThere = "not_there",
    /// One of the entity's rules is false for it.
    RuleFailed = "rule_failed",
    /// A newer message wrote its key since, and the job keeps its messages in order.
    Superseded = "superseded",
    /// The target table's own constraints refuse it.
    TargetRejected = "target_rejected",
    /// Another record of its document is rejected, and the job lands documents whole.
    DocumentRejected = "document_rejected",
}

impl fmt::Display for RecordCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RecordCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// When a record was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectPhase {
    /// On its way through staging: the target was not touched.
    Staging,
    /// When the target was to take it.
    Target,
}

impl RejectPhase {
    /// The word in queries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Target => "target",
        }
    }

    /// The phase of this name, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is = |phase: &Self| phase.as_str().eq_ignore_ascii_case(text);
        [Self::Staging, Self::Target].into_iter().find(is)
    }
}

/// Where a record stands in its payload. Line breaks inside quotes make lines unreliable, so all three are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RecordPlace {
    /// Data records from 1; the header is not counted, damaged ones are.
    pub record: u64,
    /// Physical line of the record's first byte, from 1; the header is line 1.
    pub line: u64,
    /// Offset of the record's first byte.
    pub byte_start: u64,
    /// Offset after the record's last byte, line break included.
    pub byte_end: u64,
}

/// One thing wrong with one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordError {
    /// Which record.
    #[serde(flatten)]
    pub place: RecordPlace,
    /// Column in the file, from 1, where one cell is at fault.
    pub column: Option<u32>,
    /// The entity's field, where one is at fault.
    pub field: Option<String>,
    /// Stable code.
    pub code: RecordCode,
    /// The offending value, cut to [`RecordError::VALUE_CHARS_MAX`] characters.
    pub value: Option<String>,
    /// A sentence a person understands.
    pub reason: String,
}

impl RecordError {
    /// Longest value kept, in characters.
    pub const VALUE_CHARS_MAX: usize = 200;

    /// Cuts a value for storage.
    #[must_use]
    pub fn clip(value: &str) -> String {
        value.chars().take(Self::VALUE_CHARS_MAX).collect()
    }
}

/// Names one rejected record for ever: in status, in rejects files, and on its way back in (promise 5).
///
/// The text is `<message>.<entity>.<record>`; being derived, it is the same on every rerun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RejectId {
    /// The message the record was rejected from.
    pub message: MessageId,
    /// Which entity of that message, from 0.
    pub entity_no: i32,
    /// Record number within the entity.
    pub record: u64,
}

impl fmt::Display for RejectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.message, self.entity_no, self.record)
    }
}

impl std::str::FromStr for RejectId {
    type Err = InvalidRejectId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || InvalidRejectId(text.chars().take(80).collect());
        let mut parts = text.trim().split('.');
        let (Some(message), Some(entity), Some(record), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        Ok(Self {
            message: message.parse().map_err(|_| bad())?,
            entity_no: entity.parse().map_err(|_| bad())?,
            record: record.parse().map_err(|_| bad())?,
        })
    }
}

/// The text is not a reject id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a reject id (expected message.entity.record)")]
pub struct InvalidRejectId(pub String);
