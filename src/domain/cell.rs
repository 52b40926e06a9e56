//! One typed value on its way into a table.

/// A value after type checking, in the canonical form both databases store and return.
///
/// Decimals, dates, times and GUIDs travel as canonical text: `12.50`, `1996-07-04`, `1996-07-04 00:00:00`,
/// `13:05:00`, lower-case hyphenated GUID. That keeps a decimal exact (SQLite has no decimal type) and makes
/// "unchanged" a comparison of equals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// No value: the empty cell or a null token.
    Null,
    /// A whole number.
    Int(i64),
    /// A truth value.
    Bool(bool),
    /// Text, or the canonical text of a decimal, date, datetime, time, GUID or enum value.
    Text(String),
}

impl Cell {
    /// The canonical text, truth values as `Yes` and `No` (FMT-13); `None` for no value.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Int(number) => Some(number.to_string()),
            Self::Bool(true) => Some("Yes".to_owned()),
            Self::Bool(false) => Some("No".to_owned()),
            Self::Text(text) => Some(text.clone()),
        }
    }
}
