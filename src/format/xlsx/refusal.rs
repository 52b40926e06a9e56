//! Why a workbook, or a part of one, cannot be read.

use std::fmt::Display;
use std::io;

use crate::disk;
use crate::format::excerpt;
use crate::format::record::{FileError, SPILL_FAILED};

/// Sheets named in an answer.
const NAMES_SHOWN_MAX: usize = 20;

/// Why a part of the workbook cannot be read, or not further.
#[derive(Debug)]
pub(super) enum PartError {
    /// It has a document type.
    Doctype,
    /// It is not what it should be: why.
    Broken(String),
    /// It is larger than allowed: what is.
    TooLarge(String),
    /// A temporary file of ours failed.
    Spill(io::Error),
}

impl PartError {
    /// For something that is not well-formed.
    pub fn broken(reason: impl Display) -> Self {
        Self::Broken(reason.to_string())
    }

    /// The workbook's fate, when `part` has to be read before the first record.
    pub fn refuse(self, part: &str) -> FileError {
        match self {
            Self::Doctype => FileError {
                code: "doctype_refused",
                reason: format!(
                    "{part} has a document type declaration, which no spreadsheet program writes: open the workbook \
                     and save it again"
                ),
            },
            Self::Broken(reason) => damaged(&format!("{part}: {reason}")),
            Self::TooLarge(reason) => FileError {
                code: "unpacked_too_large",
                reason: format!("{part}: {reason}"),
            },
            Self::Spill(error) => spill_failed(&error),
        }
    }
}

/// The file is no workbook of this kind.
pub(super) fn not_xlsx(found: &str) -> FileError {
    FileError {
        code: "xlsx_expected",
        reason: format!("{found}, expected an Excel workbook (.xlsx): save it as .xlsx, without a password"),
    }
}

/// The workbook is broken before its first record.
pub(super) fn damaged(what: &str) -> FileError {
    FileError {
        code: "xlsx_damaged",
        reason: format!("the workbook is damaged: {what}; open it, save it again and send that"),
    }
}

/// The sheet asked for is not there.
pub(super) fn sheet_missing(wanted: Option<&str>, names: &[&str]) -> FileError {
    let shown: Vec<_> = names
        .iter()
        .take(NAMES_SHOWN_MAX)
        .map(|name| excerpt::quoted(name))
        .collect();
    let more = if names.len() > shown.len() { ", ..." } else { "" };
    let has = match shown.len() {
        0 => "it has none".to_owned(),
        _ => format!("it has {}{more}", shown.join(", ")),
    };
    let missing = match wanted {
        Some(name) => format!("no sheet {}", excerpt::quoted(name)),
        None => "no visible sheet".to_owned(),
    };
    FileError {
        code: "sheet_missing",
        reason: format!("the workbook has {missing}, {has}: name the sheet in the job, or rename it in the workbook"),
    }
}

/// The file has no bytes.
pub(super) fn empty() -> FileError {
    FileError {
        code: "file_empty",
        reason: "the file is empty: it has 0 bytes (DMF2053); send a workbook".to_owned(),
    }
}

/// Nothing stands in the sheet.
pub(super) fn no_header(sheet: &str) -> FileError {
    FileError {
        code: "header_missing",
        reason: format!(
            "the sheet {} is empty (FF004): its first row must hold the column names",
            excerpt::quoted(sheet)
        ),
    }
}

/// The header has a name in a column that is not read.
pub(super) fn too_many_columns(columns_max: usize) -> FileError {
    FileError {
        code: "too_many_columns",
        reason: format!("the header has more than {columns_max} columns: remove those that are not needed"),
    }
}

/// The header's cells cannot be read.
pub(super) fn header_damaged(reason: &str) -> FileError {
    FileError {
        code: "header_damaged",
        reason: format!("the header cannot be read: {reason}"),
    }
}

/// A temporary file of ours failed: nothing the sender could mend.
pub(super) fn spill_failed(error: &io::Error) -> FileError {
    FileError {
        code: SPILL_FAILED,
        reason: format!(
            "the workbook could not be kept in a temporary file while it is read: {}",
            disk::told(error)
        ),
    }
}
