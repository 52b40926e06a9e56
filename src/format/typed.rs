//! One cell's bytes to a typed value.

use crate::domain::cell::Cell;
use crate::domain::entity::Field;
use crate::domain::reject::RecordCode;

/// Why a cell was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellError {
    /// Stable code.
    pub code: RecordCode,
    /// What was found and what was expected.
    pub reason: String,
}

/// Types one cell: trims (text keeps inner space; only a string field keeps outer space), applies null tokens, checks
/// type, length, precision, range and required. The result is canonical (see [`Cell`]).
///
/// # Errors
/// [`CellError`] with the code and a sentence.
pub fn type_cell(_field: &Field, _text: &str) -> Result<Cell, CellError> {
    todo!()
}
