//! A cell that was read and is no text.

use std::fmt::Write as _;

use super::Row;

/// Bytes of it that are shown.
const SHOWN_BYTES: usize = 16;

/// A cell whose bytes are no UTF-8, as SQLite keeps them in a column of any type: the next read meets them again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableCell {
    /// Its position in the row.
    pub column: usize,
    /// The whole row, what is no text as `shown_bytes` has it.
    pub row: Row,
}

impl UnreadableCell {
    /// What it holds, as `x'ff00'`.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.row.cells().nth(self.column).flatten().unwrap_or("?")
    }
}

/// The first bytes as `x'ff00'`.
pub(in crate::business) fn shown_bytes(bytes: &[u8]) -> String {
    let mut shown = "x'".to_owned();
    for byte in bytes.iter().take(SHOWN_BYTES) {
        // Writing to a text does not fail.
        let _ = write!(shown, "{byte:02x}");
    }
    shown.push_str(if bytes.len() > SHOWN_BYTES { "…'" } else { "'" });
    shown
}

#[cfg(test)]
mod tests {
    use super::shown_bytes;

    #[test]
    fn bytes_are_shown_as_the_database_writes_them_and_cut() {
        assert_eq!(shown_bytes(&[0xff, 0]), "x'ff00'");
        assert_eq!(shown_bytes(&[0xab; 17]), format!("x'{}…'", "ab".repeat(16)));
    }
}
