//! Tables as a business database's catalogue describes them, in the words of definitions.

use super::entity::Field;

/// A table that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// Columns of the primary key, in its order; empty when there is none.
    pub primary_key: Vec<String>,
    /// The other unique keys an upsert may name: unconditional, on plain columns.
    pub unique_keys: Vec<Vec<String>>,
    /// Foreign keys of one column.
    pub foreign_keys: Vec<ForeignKey>,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as the database writes it.
    pub declared: String,
    /// Who gives it a value.
    pub filled: Filled,
    /// The field that holds it: type, limits, whether it is required. Or why none does.
    pub field: Result<Field, String>,
    /// Whether its type is none of the field's: it is written and read as text in the database's own form.
    pub converted: bool,
}

/// Who gives a column its value when a record does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// Nobody: it is null, or the row is refused.
    No,
    /// Its default.
    ByDefault,
    /// The database counts: serial, identity by default, AUTOINCREMENT. A record may bring a number all the same.
    Numbered,
    /// The database, always: generated columns, identity always. No record may bring a value.
    Always,
}

/// A foreign key of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The column.
    pub column: String,
    /// The table it refers to.
    pub parent: String,
    /// The column there.
    pub parent_column: String,
}

impl Table {
    /// The column of this name, in any case.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        let lower = name.to_lowercase();
        self.columns.iter().find(|column| column.name.to_lowercase() == lower)
    }
}
