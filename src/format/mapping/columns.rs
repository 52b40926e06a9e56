//! Which column of a file feeds which field.

use std::collections::BTreeMap;

use super::{ERROR_COLUMN, MappingError, RAW_MEMBER, REJECT_ID_COLUMN};
use crate::domain::entity::{Entity, Field};
use crate::domain::job::ImportEntity;

/// Names shown in a sentence before it says how many more there are.
const LISTED_MAX: usize = 20;

/// A header, matched.
pub(super) struct Columns {
    /// For every field of the entity, the position of its column.
    pub by_field: Vec<Option<usize>>,
    pub ignored: Vec<String>,
    pub reject_id: Option<usize>,
}

impl Columns {
    /// Matches every column to at most one field.
    ///
    /// # Errors
    /// `column_twice` when two columns lead to one field, `no_column_matches` when none leads to any.
    pub fn of(entity: &Entity, spec: &ImportEntity, header: &[String]) -> Result<Self, MappingError> {
        let mut columns = Self {
            by_field: vec![None; entity.fields.len()],
            ignored: Vec::new(),
            reject_id: None,
        };
        for (position, name) in header.iter().enumerate() {
            let name = name.trim();
            // Before names are compared loosely: `_error` must not become a field called `error`.
            if name.eq_ignore_ascii_case(ERROR_COLUMN) || name.eq_ignore_ascii_case(RAW_MEMBER) {
                continue;
            }
            if name.eq_ignore_ascii_case(REJECT_ID_COLUMN) {
                if let Some(first) = columns.reject_id.replace(position) {
                    return Err(twice(REJECT_ID_COLUMN, header, first, position));
                }
                continue;
            }
            match field_of(entity, &spec.map, name) {
                None if name.is_empty() => columns.ignored.push(shown(name, position)),
                None => columns.ignored.push(name.to_owned()),
                Some(field) => {
                    if let Some(first) = columns.by_field[field].replace(position) {
                        return Err(twice(&entity.fields[field].name, header, first, position));
                    }
                }
            }
        }
        if columns.by_field.iter().all(Option::is_none) {
            return Err(no_match(entity, header));
        }
        Ok(columns)
    }
}

/// By the job's map, then by name; an exact name goes before the same name in another case, that before a loosely equal one.
pub(super) fn field_of(entity: &Entity, map: &BTreeMap<String, String>, column: &str) -> Option<usize> {
    let mapped = map
        .get(column)
        .or_else(|| map.iter().find(|(from, _)| same(from.trim(), column)).map(|(_, to)| to));
    if let Some(field) = mapped {
        return named(&entity.fields, field);
    }
    named(&entity.fields, column)
}

/// The field of this name: an exact one goes before the same in another case, that before a loosely equal one.
pub(super) fn named(fields: &[Field], name: &str) -> Option<usize> {
    let loose = loosely(name);
    if loose.is_empty() {
        return None;
    }
    (fields.iter().position(|f| f.name == name))
        .or_else(|| fields.iter().position(|f| same(&f.name, name)))
        .or_else(|| fields.iter().position(|f| loosely(&f.name) == loose))
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

fn loosely(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, ' ' | '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
}

fn twice(field: &str, header: &[String], first: usize, second: usize) -> MappingError {
    MappingError {
        code: "column_twice",
        reason: format!(
            "columns {} and {} both bring {field}: remove or rename one of them, or map it elsewhere in the job",
            shown(&header[first], first),
            shown(&header[second], second)
        ),
    }
}

fn no_match(entity: &Entity, header: &[String]) -> MappingError {
    let fields: Vec<_> = entity.fields.iter().map(|field| field.name.clone()).collect();
    MappingError {
        code: "no_column_matches",
        reason: format!(
            "none of the columns brings a field of {}; the file has {}; the entity has {}. Is it the right file, and the right \
             delimiter? Otherwise map the columns in the job",
            entity.label,
            listed(header),
            listed(&fields)
        ),
    }
}

fn shown(name: &str, position: usize) -> String {
    let number = position + 1;
    if name.trim().is_empty() {
        format!("(column {number}, without a name)")
    } else {
        format!("{} (column {number})", super::excerpt::quoted(name))
    }
}

/// Names for a sentence, a bounded number of them.
pub(super) fn listed(names: &[String]) -> String {
    let mut out: Vec<_> = names
        .iter()
        .take(LISTED_MAX)
        .map(|name| super::excerpt::quoted(name))
        .collect();
    if names.len() > LISTED_MAX {
        out.push(format!("{} more", names.len() - LISTED_MAX));
    }
    out.join(", ")
}
