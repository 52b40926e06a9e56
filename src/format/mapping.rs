//! File columns to entity fields: names, map, value maps, defaults, company.

use crate::domain::cell::Cell;
use crate::domain::entity::Entity;
use crate::domain::job::ImportEntity;
use crate::domain::reject::{RecordError, RecordPlace, RejectId};

/// Column in a rejects file that carries the reject's id back.
pub const REJECT_ID_COLUMN: &str = "_reject_id";
/// Column in a rejects file that says what was wrong; ignored on the way in.
pub const ERROR_COLUMN: &str = "_error";

/// Turns records of one file into typed cells of one entity.
#[derive(Debug)]
pub struct Mapping {
    _private: (),
}

/// Why a file's columns do not fit the entity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct MappingError {
    /// `required_column_missing`, `no_column_matches`, `column_twice`.
    pub code: &'static str,
    /// What is wrong and what to do, with the column names.
    pub reason: String,
}

/// A record after typing.
#[derive(Debug)]
pub struct TypedRecord {
    /// The reject it corrects.
    pub origin: Option<RejectId>,
    /// Cells in the order of [`Mapping::fields`], or what is wrong.
    pub outcome: Result<Vec<Cell>, Vec<RecordError>>,
}

impl Mapping {
    /// Matches a header to an entity: by the job's map, then by field name in any case (spaces, `_` and `-` are ignored).
    /// Fields without a column take the job's default; the company field takes `company`. Columns nobody wants are listed
    /// in [`Mapping::ignored`].
    ///
    /// # Errors
    /// [`MappingError`] when a key or required field has no source, or one field has two.
    pub fn new(
        _entity: &Entity,
        _spec: &ImportEntity,
        _header: &[String],
        _company: Option<&str>,
    ) -> Result<Self, MappingError> {
        todo!()
    }

    /// Names of the fields this file brings, in entity order: those with a column, a default or the company.
    #[must_use]
    pub fn fields(&self) -> &[String] {
        todo!()
    }

    /// Columns of the file that no field takes.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        todo!()
    }

    /// Types one record. Every bad cell is reported, not only the first.
    #[must_use]
    pub fn convert(&self, _place: RecordPlace, _cells: &[std::borrow::Cow<'_, [u8]>]) -> TypedRecord {
        todo!()
    }
}
