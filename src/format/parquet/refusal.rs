//! Why a Parquet file cannot be read, or not further.

use std::io;

use crate::disk;
use crate::format::budget;
use crate::format::record::{FileError, SPILL_FAILED};

/// Why a part of the file cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is not what it should be: why.
    Broken(String),
    /// It is well made, but nothing that is read here: what.
    Unsupported(String),
    /// It is larger than allowed: what, and by which limit.
    TooLarge(String),
    /// Our temporary file failed.
    Spill(io::Error),
}

impl Fault {
    /// For something that is not well-formed.
    pub fn broken(reason: impl Into<String>) -> Self {
        Self::Broken(reason.into())
    }

    /// With the place in front of what is wrong there.
    pub fn at(self, place: &str) -> Self {
        match self {
            Self::Broken(reason) => Self::Broken(format!("{place}: {reason}")),
            Self::Unsupported(reason) => Self::Unsupported(format!("{place}: {reason}")),
            Self::TooLarge(reason) => Self::TooLarge(format!("{place}: {reason}")),
            Self::Spill(error) => Self::Spill(error),
        }
    }

    /// The file's fate, when this is found before its first record.
    pub fn refuse(self) -> FileError {
        match self {
            Self::Broken(reason) => FileError {
                code: "parquet_damaged",
                reason: format!("the Parquet file is damaged: {reason}; write it again and send it whole"),
            },
            Self::Unsupported(reason) => FileError {
                code: "parquet_unsupported",
                reason,
            },
            Self::TooLarge(reason) => FileError {
                code: "unpacked_too_large",
                reason,
            },
            Self::Spill(error) => spill_failed(&error),
        }
    }
}

/// It is no Parquet file.
pub(super) fn not_parquet() -> FileError {
    FileError {
        code: "parquet_expected",
        reason:
            "the file does not begin with `PAR1`, so it is no Parquet file: check that it is the right one, and the \
                 format of its job"
                .to_owned(),
    }
}

/// A column is a list, a map or a structure.
pub(super) fn nested(column: &str) -> FileError {
    FileError {
        code: "parquet_nested",
        reason: format!(
            "the column {column} holds lists, maps or structures, not one value a record: leave it out, or write each of its \
             values into a column of its own"
        ),
    }
}

/// The file has no bytes.
pub(super) fn empty() -> FileError {
    FileError {
        code: "file_empty",
        reason: "the file is empty: it has 0 bytes (DMF2053); send a Parquet file".to_owned(),
    }
}

/// No column has a name.
pub(super) fn no_columns() -> FileError {
    FileError {
        code: "header_missing",
        reason: "the Parquet file has no columns (FF004)".to_owned(),
    }
}

/// More columns than are read.
pub(super) fn too_many_columns(columns_max: usize) -> FileError {
    FileError {
        code: "too_many_columns",
        reason: format!("the file has more than {columns_max} columns: leave out those that are not needed"),
    }
}

/// Pages or texts come to more than a file may unpack to.
pub(super) fn too_large(most: u64) -> Fault {
    Fault::TooLarge(budget::too_large("Parquet file", most))
}

/// The temporary file failed: nothing the sender could mend.
pub(super) fn spill_failed(error: &io::Error) -> FileError {
    FileError {
        code: SPILL_FAILED,
        reason: format!(
            "the Parquet file could not be kept in a temporary file while it is read: {}",
            disk::told(error)
        ),
    }
}
