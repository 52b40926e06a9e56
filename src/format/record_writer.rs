//! What every format's writer offers: records in, bytes out, as a stream.

use std::io;

use super::typed::FileCell;

/// Writes one data file. Bytes are appended to `out`, which the caller empties as it likes: memory holds what one record takes, or
/// of formats that write many records together, a bounded number of bytes.
pub trait RecordWriter: Send {
    /// Appends what stands before the first record.
    ///
    /// # Errors
    /// [`WriteError`].
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), WriteError>;

    /// Appends a record. `node` says of which of the file's entities it is; always 0 but in composite files. On an error nothing
    /// of it is appended.
    ///
    /// # Errors
    /// [`WriteError`].
    fn record(&mut self, node: usize, cells: &[FileCell<'_>], out: &mut Vec<u8>) -> Result<(), WriteError>;

    /// Appends what stands after the last record.
    ///
    /// # Errors
    /// [`WriteError`].
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), WriteError>;

    /// About how many bytes of the records so far wait for others before they are appended.
    fn held_bytes(&self) -> u64 {
        0
    }
}

/// Why a file cannot be written on.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A value that the format cannot hold as it is. Something else in its place would be a lie nobody notices.
    #[error("{reason}")]
    Value {
        /// Position of its column.
        column: usize,
        /// Why, and what to do: a clause behind the value's place.
        reason: String,
    },
    /// A sheet has no room for more.
    #[error("a sheet of a workbook holds at most {0} records: narrow the filter, or choose another format")]
    SheetFull(u64),
    /// The zip writer failed, which one in memory does not.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl WriteError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Value { .. } => "value_not_writable",
            Self::SheetFull(_) => "sheet_full",
            Self::Io(_) => "write_failed",
        }
    }
}
