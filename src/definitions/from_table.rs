//! What an entity file leaves to its table: fields, their types and limits, the key, references.
//!
//! Owns: which columns become fields, and which key is taken. Refuses: asking a database, for which it has a [`Catalogue`].

use std::fmt::Write as _;

use super::names;
use super::read::{Findings, Placed};
use super::render;
use crate::domain::entity::{Entity, Field, Reference};
use crate::domain::table::{Column, Filled, ForeignKey, Table};
use crate::hints::did_you_mean;

/// Where it can be asked what a table is like.
pub trait Catalogue {
    /// The table of this name in the business database of this name.
    ///
    /// # Errors
    /// Why nobody can say: there is no such table, or its database is out of reach.
    fn table(&self, database: &str, table: &str) -> Result<Table, String>;
}

/// No database is at hand, so every field must be declared.
#[derive(Debug, Clone, Copy)]
pub struct NoCatalogue;

impl Catalogue for NoCatalogue {
    fn table(&self, _: &str, _: &str) -> Result<Table, String> {
        Err("no database is at hand".to_owned())
    }
}

/// An entity made of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The entity; references are still to be set (`link`).
    pub entity: Entity,
    /// Columns that are no fields, each with the reason.
    pub left_out: Vec<(String, String)>,
    /// Foreign keys that may become references.
    foreign_keys: Vec<ForeignKey>,
}

impl Proposal {
    /// Everything a table tells, as an entity. Where they are not given, name and label are made of the table's name.
    ///
    /// # Errors
    /// Why it cannot be one: its name, or that nothing is its key.
    pub fn of(table: &Table, database: &str, name: Option<&str>, label: Option<&str>) -> Result<Self, String> {
        if let Some(flaw) = names::table_flaw(&table.name) {
            return Err(format!("its name {flaw}"));
        }
        let title = names::label(&names::snake_case(&table.name));
        let technical = names::technical_name(&title);
        let name = name.unwrap_or(&technical);
        let label = label.unwrap_or(if title.is_empty() { name } else { &title });
        if let Some(flaw) = names::identifier_flaw(name) {
            return Err(format!("the name of its entity, `{name}`, {flaw}"));
        }
        if let Some(flaw) = names::title_flaw(label) {
            return Err(format!("the label of its entity, `{label}`, {flaw}"));
        }
        let key = key(table, &[])?;
        let (mut fields, mut left_out) = (Vec::new(), Vec::new());
        for column in &table.columns {
            match field(column, &key) {
                Ok(field) => fields.push(field.clone()),
                Err(why) => left_out.push((column.name.clone(), why)),
            }
        }
        let entity = Entity {
            database: database.to_owned(),
            key,
            fields,
            ..Entity::named(name, label, &table.name)
        };
        Ok(Self {
            entity,
            left_out,
            foreign_keys: foreign_keys(table),
        })
    }

    /// Sets the references whose parent tables are those of the given entities.
    pub fn link(&mut self, parents: &[Entity]) {
        let fields = self.entity.fields.iter();
        let references: Vec<_> = fields
            .map(|field| reference(&self.entity, field, &self.foreign_keys, parents.iter()))
            .collect();
        for (field, reference) in self.entity.fields.iter_mut().zip(references) {
            field.references = reference;
        }
    }

    /// The name of its file in `entities/`.
    #[must_use]
    pub fn file_name(&self) -> String {
        let stem = names::snake_case(&self.entity.name).replace('_', "-");
        format!("{}.toml", if stem.is_empty() { "entity" } else { &stem })
    }

    /// The text of its file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut comment = format!(
            "Made by `tranship entities add` from table {} of database {}. entities/README.md explains every key.",
            render::quote(&self.entity.table),
            render::quote(&self.entity.database)
        );
        for (column, why) in &self.left_out {
            // Writing to a String cannot fail.
            let _ = write!(comment, "\nNo field: {}, {why}.", render::quote(column));
        }
        render::entity(&comment, &self.entity)
    }
}

/// The key of a table: its primary key, if files bring it, else the only other key they bring.
///
/// # Errors
/// Why there is none, or none can be preferred, to be read after the table's name.
pub(super) fn key(table: &Table, ignored: &[String]) -> Result<Vec<String>, String> {
    let brought = |name: &String| {
        let usable = |column: &Column| column.filled == Filled::No && !column.converted && column.field.is_ok();
        !ignored.contains(name) && table.column(name).is_some_and(usable)
    };
    let primary = &table.primary_key;
    if !primary.is_empty() && primary.iter().all(brought) {
        return Ok(primary.clone());
    }
    let others = table.unique_keys.iter().filter(|key| key.iter().all(brought));
    match others.collect::<Vec<_>>().as_slice() {
        [only] => Ok((*only).clone()),
        [] if primary.is_empty() => {
            Err("it has no primary or unique key: give it one on the columns that tell records apart".to_owned())
        }
        [] => Err(format!(
            "its primary key ({}) is nothing that files can be expected to bring, and it has no other: name the fields that tell \
             records apart in `key`, the primary key too if files bring it after all",
            primary.join(", ")
        )),
        several => {
            let several: Vec<_> = several.iter().map(|key| format!("({})", key.join(", "))).collect();
            Err(format!(
                "it has several unique keys, {}: name one of them in `key`",
                several.join(" and ")
            ))
        }
    }
}

/// The field of a column that no file declares.
///
/// # Errors
/// Why it is none.
fn field<'t>(column: &'t Column, key: &[String]) -> Result<&'t Field, String> {
    match column.filled {
        Filled::Always => return Err("the database always fills it itself".to_owned()),
        Filled::Numbered if !key.contains(&column.name) => return Err("the database numbers it".to_owned()),
        _ => {}
    }
    let field = column.field.as_ref().map_err(Clone::clone)?;
    names::field_flaw(&column.name).map_or(Ok(field), |flaw| Err(format!("its name {flaw}")))
}

/// The foreign keys that may become references: those whose values compare as they are.
pub(super) fn foreign_keys(table: &Table) -> Vec<ForeignKey> {
    let compares = |key: &&ForeignKey| table.column(&key.column).is_some_and(|column| !column.converted);
    table.foreign_keys.iter().filter(compares).cloned().collect()
}

/// The reference a foreign key makes, where the table it refers to has an entity whose field it can be compared with.
pub(super) fn reference<'e>(
    entity: &Entity,
    field: &Field,
    foreign_keys: &[ForeignKey],
    mut parents: impl Iterator<Item = &'e Entity>,
) -> Option<Reference> {
    let name = field.name.to_lowercase();
    let key = foreign_keys.iter().find(|key| key.column.to_lowercase() == name)?;
    let parent_table = key.parent.to_lowercase();
    let parent =
        parents.find(|parent| parent.database == entity.database && parent.table.to_lowercase() == parent_table)?;
    let wanted = key.parent_column.to_lowercase();
    let target = parent.fields.iter().find(|field| field.name.to_lowercase() == wanted)?;
    (target.kind.name() == field.kind.name()).then(|| Reference {
        entity: parent.name.clone(),
        field: target.name.clone(),
    })
}

/// Checks `ignore_columns`: each is a column.
pub(super) fn check_ignored(findings: &Findings, table: &Table, ignored: &[Placed<String>]) {
    for name in ignored {
        if !table.columns.iter().any(|column| column.name == name.value) {
            let columns = table.columns.iter().map(|column| column.name.as_str());
            let hint = did_you_mean(&name.value, columns);
            let message = format!("`{}` is no column of table `{}`{hint}", name.value, table.name);
            findings.at(&name.span, message);
        }
    }
}

/// The fields of the columns that are neither declared nor ignored, `None` in the place of those that are declared.
pub(super) fn undeclared<'t>(
    findings: &Findings,
    place: &Placed<String>,
    table: &'t Table,
    key: &[String],
    declared: impl Fn(&str) -> bool,
    ignored: &[String],
) -> Vec<(&'t str, Option<Field>)> {
    let mut fields = Vec::new();
    for column in &table.columns {
        if ignored.contains(&column.name) {
            continue;
        }
        if declared(&column.name) {
            fields.push((column.name.as_str(), None));
            continue;
        }
        match field(column, key) {
            Ok(field) => fields.push((column.name.as_str(), Some(field.clone()))),
            Err(_) if column.filled == Filled::Always || column.filled == Filled::Numbered => {}
            Err(why) => {
                let why = match &column.field {
                    Err(_) => format!("column `{}` is {why}", column.name),
                    Ok(_) => format!("column `{}` cannot be a field: {why}", column.name),
                };
                findings.at(
                    &place.span,
                    format!("{why}; declare a field for it, or name it in `ignore_columns`"),
                );
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests;
