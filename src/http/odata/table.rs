//! What a set is made of, and its rows.

use serde_json::{Map, Value};

/// A set that can be read.
#[derive(Debug)]
pub(super) struct Table {
    /// The set's name in paths.
    pub set: &'static str,
    /// The name of its type.
    pub entity: &'static str,
    /// Its properties; the first ones are the key.
    pub columns: &'static [Column],
    /// How many they are.
    pub keys: usize,
    /// The set that its navigation property `Details` leads to.
    pub details: Option<&'static Table>,
}

/// A property.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
}

/// The type of a property's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `Edm.String`
    Text,
    /// A member of this enumeration, which JSON has as a text.
    Enum(&'static str),
    /// `Edm.Int32`
    Int,
    /// `Edm.Boolean`
    Flag,
    /// `Edm.DateTimeOffset`, in UTC and whole seconds.
    Time,
    /// JSON of its own, which nothing is asked about.
    Json,
}

/// Values in the order of the columns.
pub(super) type Row = Vec<Value>;

pub(super) const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text }
}

pub(super) const fn int(name: &'static str) -> Column {
    Column { name, kind: Kind::Int }
}

pub(super) const fn time(name: &'static str) -> Column {
    Column { name, kind: Kind::Time }
}

pub(super) const fn flag(name: &'static str) -> Column {
    Column { name, kind: Kind::Flag }
}

pub(super) const fn json(name: &'static str) -> Column {
    Column { name, kind: Kind::Json }
}

pub(super) const fn of(enumeration: &'static str, name: &'static str) -> Column {
    Column {
        name,
        kind: Kind::Enum(enumeration),
    }
}

impl Table {
    /// Position of the property of this name, in any case.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// A row as JSON has it: these columns of it, all where none is named.
    pub(super) fn object(&self, row: Row, selected: &[usize]) -> Map<String, Value> {
        let wanted = |at: &usize| selected.is_empty() || selected.contains(at);
        let values = row.into_iter().enumerate().filter(|(at, _)| wanted(at));
        values
            .map(|(at, value)| (self.columns[at].name.to_owned(), value))
            .collect()
    }
}

/// `Yes` or `No`.
pub(super) fn yes(is: bool) -> Value {
    if is { "Yes" } else { "No" }.into()
}
