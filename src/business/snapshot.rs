//! Consistent reads for exports: all entities of one export are read inside one transaction.

use super::{BusinessError, Database};
use crate::domain::entity::Entity;

/// What to read of one entity.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// The entity.
    pub entity: &'a Entity,
    /// Fields in output order.
    pub fields: &'a [String],
    /// The operator's SQL condition, from the definition.
    pub filter: Option<&'a str>,
    /// Fields to order by.
    pub order_by: &'a [String],
    /// Only this company's rows, where the entity has a company field.
    pub company: Option<&'a str>,
}

/// One row: canonical text per field (see [`crate::domain::cell::Cell`]; truth values as `Yes` and `No`, FMT-13), or
/// nothing.
pub type Row = Vec<Option<String>>;

/// An open snapshot. Dropping it ends the transaction.
#[derive(Debug)]
pub struct Snapshot {
    _private: (),
}

impl Database {
    /// Opens a snapshot: REPEATABLE READ, read only on PostgreSQL; a read transaction on SQLite.
    pub async fn snapshot(&self) -> Result<Snapshot, BusinessError> {
        todo!()
    }
}

impl Snapshot {
    /// Streams the selection into `rows`, a bounded channel, in batches of at most 500 rows; ends when the receiver is gone.
    pub async fn read(
        &mut self,
        _selection: Selection<'_>,
        _rows: tokio::sync::mpsc::Sender<Vec<Row>>,
    ) -> Result<u64, BusinessError> {
        todo!()
    }
}
