//! Where an entity's fields come from: `fields_from_table` and `ignore_columns` of its file.

use super::field_file::FieldDraft;
use super::from_table::{self, Catalogue};
use super::read::{Findings, Placed, Table};
use crate::domain::table;

/// Where the fields come from.
pub(super) enum Source {
    /// All are declared.
    File,
    /// Those that are not declared are the columns of this table that are not ignored.
    Table { table: table::Table, ignored: Vec<String> },
    /// Those that are not declared are in a table that could not be read, which is noted.
    Unknown,
}

/// The databases that can be asked.
#[derive(Clone, Copy)]
pub(super) struct Databases<'a> {
    /// Those that are configured.
    pub names: &'a [String],
    pub catalogue: &'a dyn Catalogue,
}

/// Reads the two keys, and the table where it is wanted. Fields are read from it when none is declared.
pub(super) fn read(
    entity: &Table<'_>,
    database: &Placed<String>,
    target: &Placed<String>,
    create_table: bool,
    databases: Databases<'_>,
) -> Source {
    let findings = entity.findings();
    let wish = entity.truth("fields_from_table").map(|wish| wish.value);
    let ignored = entity.texts("ignore_columns");
    if !wish.unwrap_or(!entity.has("fields")) {
        if !entity.has("fields") {
            findings.at(
                entity.span(),
                "the entity has neither `fields` nor `fields_from_table = true`",
            );
        }
        if let Some(ignored) = ignored {
            let message =
                "`ignore_columns` belongs to `fields_from_table = true`: what is not declared is no field anyway";
            findings.at(&ignored.span, message);
        }
        return Source::File;
    }
    if create_table {
        let message = "`create_table` makes a table of the fields declared here, so they cannot be read from it: declare \
             them all, without `fields_from_table`, or leave `create_table` out";
        findings.at(&target.span, message);
        return Source::Unknown;
    }
    if !databases.names.contains(&database.value) {
        // Which is noted for every entity alike.
        return Source::Unknown;
    }
    let ignored = ignored.map_or_else(Vec::new, |ignored| ignored.value);
    match databases.catalogue.table(&database.value, &target.value) {
        Ok(table) => {
            from_table::check_ignored(findings, &table, &ignored);
            let ignored = ignored.into_iter().map(|name| name.value).collect();
            Source::Table { table, ignored }
        }
        Err(why) => {
            let message = format!("the fields are to be read from table `{}`: {why}", target.value);
            findings.at(&target.span, message);
            Source::Unknown
        }
    }
}

impl Source {
    /// The table, where it was read.
    pub fn table(&self) -> Option<&table::Table> {
        match self {
            Self::Table { table, .. } => Some(table),
            Self::File | Self::Unknown => None,
        }
    }

    /// Whether all fields are known.
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown)
    }

    /// The key the table has, or why none can be told; nothing where no table was read.
    pub fn key(&self) -> Option<Result<Vec<String>, String>> {
        match self {
            Self::Table { table, ignored } => Some(from_table::key(table, ignored)),
            Self::File | Self::Unknown => None,
        }
    }

    /// All fields, in the order of the columns: declared ones win over what was read, those without a column come last.
    /// `place` is where mistakes of the others are noted.
    pub fn complete(
        &self,
        mut declared: Vec<FieldDraft>,
        key: &[Placed<String>],
        place: &Placed<String>,
        findings: &Findings,
    ) -> Vec<FieldDraft> {
        let Self::Table { table, ignored } = self else {
            return declared;
        };
        for draft in &declared {
            if ignored.contains(&draft.field.name) {
                let message = format!("field `{}` is named in `ignore_columns` too", draft.field.name);
                findings.at(&draft.name.span, message);
            }
        }
        let key: Vec<String> = key.iter().map(|name| name.value.clone()).collect();
        let same = |draft: &FieldDraft, name: &str| draft.field.name.to_lowercase() == name.to_lowercase();
        let is_declared = |name: &str| declared.iter().any(|draft| same(draft, name));
        let columns = from_table::undeclared(findings, place, table, &key, is_declared, ignored);
        let mut fields = Vec::new();
        for (name, undeclared) in columns {
            match undeclared {
                Some(field) => fields.push(FieldDraft::undeclared(field, place)),
                None => fields.extend(declared.extract_if(.., |draft| same(draft, name))),
            }
        }
        fields.extend(declared);
        fields
    }
}
