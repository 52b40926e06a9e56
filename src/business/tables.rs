//! Generated tables: control tables, targets with `create_table`, staging beside each target.

use super::{BusinessError, Database};
use crate::domain::entity::Entity;

/// One difference between a definition and its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What differs, in a sentence.
    pub what: String,
    /// The statement that would mend it.
    pub sql: String,
    /// Whether `check --apply` may run it (it only adds).
    pub additive: bool,
}

impl Database {
    /// Creates control tables, the target (with `create_table`) and staging where they are missing. Cheap when all is there.
    ///
    /// # Errors
    /// [`BusinessError::Definition`] when the target is missing and may not be created, lacks a column, or has no unique key
    /// on the entity's key.
    pub async fn ensure_entity(&self, _entity: &Entity) -> Result<(), BusinessError> {
        todo!()
    }

    /// What differs between the definition and the database. Changes nothing; does not create a SQLite file.
    pub async fn diff_entity(&self, _entity: &Entity) -> Result<Vec<Difference>, BusinessError> {
        todo!()
    }

    /// Runs the additive differences.
    pub async fn apply(&self, _differences: &[Difference]) -> Result<(), BusinessError> {
        todo!()
    }
}
