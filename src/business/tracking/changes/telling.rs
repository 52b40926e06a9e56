//! The statements that tell which rows changed, and what they are by now.
//!
//! A change is joined to the row of its key. A key has no empty field where it is a primary key; a unique index lets them in, and
//! an empty field is found by no `=`.

use super::super::super::BusinessError;
use super::super::super::dialect::{Dialect, quote};
use super::super::super::session::Value;
use super::super::super::snapshot::{Query, Selection, Snapshot, no_field};
use super::{Changes, in_range, range};
use crate::domain::entity::Entity;

/// Columns that may be empty.
const POSTGRES_NULLABLE: &str = "select attname::text from pg_attribute \
       where attrelid = to_regclass($1) and attnum > 0 and not attnotnull and not attisdropped";
/// A column that is never empty; its table may have none.
const SQLITE_FILLED: &str = "select name from pragma_table_info($1) where \"notnull\" order by cid limit 1";

/// How the row of a change is found.
#[derive(Debug, Clone, Copy)]
enum Lookup<'a> {
    /// Empty fields are equal.
    Every,
    /// Changes whose key has none of these fields empty.
    Filled(&'a [String]),
    /// The others. They come from one pass over the table, for no index finds them: few, or none.
    Empty(&'a [String]),
}

impl Snapshot {
    /// The statements to read one after the other.
    pub(super) async fn telling(
        &mut self,
        selection: Selection<'_>,
        changes: Changes,
    ) -> Result<Vec<Query>, BusinessError> {
        let (dialect, entity) = (self.dialect(), selection.entity);
        match dialect {
            Dialect::Sqlite => {
                let table = vec![Value::Text(entity.table.clone())];
                let filled = self.ask(SQLITE_FILLED.to_owned(), table).await?;
                // A table without row ids has a primary key, and its columns are never empty.
                let filled = filled.into_iter().flatten().next().flatten();
                let present = filled.map_or_else(|| "t._rowid_".to_owned(), |name| format!("t.{}", quote(&name)));
                Ok(vec![select(dialect, selection, changes, Lookup::Every, &present)?])
            }
            Dialect::Postgres => {
                let nullable = self.nullable_keys(entity).await?;
                let mut lookups = vec![Lookup::Filled(&nullable)];
                if !nullable.is_empty() {
                    lookups.push(Lookup::Empty(&nullable));
                }
                let select = |lookup| select(dialect, selection, changes, lookup, "t.tableoid");
                lookups.into_iter().map(select).collect()
            }
        }
    }

    async fn nullable_keys(&mut self, entity: &Entity) -> Result<Vec<String>, BusinessError> {
        let table = vec![Value::Text(quote(&entity.table))];
        let nullable = self.ask(POSTGRES_NULLABLE.to_owned(), table).await?;
        let nullable: Vec<_> = nullable.into_iter().flatten().flatten().collect();
        let is_nullable = |name: &&String| nullable.contains(name);
        Ok(entity.key.iter().filter(is_nullable).cloned().collect())
    }
}

impl Lookup<'_> {
    /// Which changes it is for, by their barely named fields.
    fn condition(self) -> String {
        let each = |names: &[String], test: &str| -> Vec<_> {
            names.iter().map(|name| format!("{} {test}", quote(name))).collect()
        };
        match self {
            Self::Every | Self::Filled([]) => String::new(),
            Self::Filled(names) => format!(" and {}", each(names, "is not null").join(" and ")),
            Self::Empty(names) => format!(" and ({})", each(names, "is null").join(" or ")),
        }
    }

    fn same(self, dialect: Dialect, name: &String) -> String {
        let (row, change) = (format!("t.{}", quote(name)), format!("c.{}", tracked(name)));
        match self {
            Self::Every => dialect.same_or_both_missing(&row, &change),
            // Arrays are equal where both hold nothing, and unlike `is not distinct from` they are hashed and merged.
            Self::Empty(names) if names.contains(name) => format!("array[{row}] = array[{change}]"),
            Self::Filled(_) | Self::Empty(_) => format!("{row} = {change}"),
        }
    }

    /// Which rows there may be for its changes.
    fn rows(self) -> Option<String> {
        let Self::Empty(names) = self else { return None };
        let empty: Vec<_> = names.iter().map(|name| format!("t.{} is null", quote(name))).collect();
        Some(format!("({})", empty.join(" or ")))
    }
}

/// Names of the change table are told from the target's by a prefix, because the operator's filter names columns barely.
fn tracked(name: &str) -> String {
    quote(&format!("tranship_{name}"))
}

/// `present`: what is null only where there is no row.
fn select(
    dialect: Dialect,
    selection: Selection<'_>,
    changes: Changes,
    lookup: Lookup<'_>,
    present: &str,
) -> Result<Query, BusinessError> {
    let entity = selection.entity;
    let mut values = range(changes);
    let of_company = of_company(selection, &mut values);
    let truncations = match dialect {
        Dialect::Postgres => " and not tranship_truncated",
        Dialect::Sqlite => "",
    };
    let told: Vec<_> = entity
        .tracked_fields()
        .iter()
        .map(|name| format!("{} as {}", quote(name), tracked(name)))
        .collect();
    // A row that came to another company is told twice: first that it is gone, then as it is.
    let mut order: Vec<_> = entity.key.iter().map(|name| format!("c.{}", tracked(name))).collect();
    order.push(format!("{present} is not null"));
    let sql = format!(
        "select {}, case when {present} is null then 'Yes' else 'No' end \
         from (select distinct {} from {} where {}{truncations}{}) c left join {} t on {}{of_company} order by {}",
        columns(dialect, selection)?.join(", "),
        told.join(", "),
        quote(&entity.change_table()),
        in_range(dialect, 1),
        lookup.condition(),
        quote(&entity.table),
        joined(dialect, selection, lookup).join(" and "),
        order.join(", ")
    );
    Ok((sql, values))
}

/// The fields as canonical text: those that are tracked of the change, because the row may be gone.
fn columns(dialect: Dialect, selection: Selection<'_>) -> Result<Vec<String>, BusinessError> {
    let entity = selection.entity;
    let names = entity.tracked_fields();
    let column = |name: &String| {
        let field = entity.field(name).ok_or_else(|| no_field(entity, name))?;
        let value = if names.contains(name) {
            format!("c.{}", tracked(name))
        } else {
            format!("t.{}", quote(name))
        };
        Ok(dialect.canonical(&field.kind, &value))
    };
    selection.fields.iter().map(column).collect()
}

/// What makes a row that of a change.
fn joined(dialect: Dialect, selection: Selection<'_>, lookup: Lookup<'_>) -> Vec<String> {
    let entity = selection.entity;
    let same = |name: &String| {
        if entity.is_key(name) {
            lookup.same(dialect, name)
        } else {
            // A company may be missing.
            Lookup::Every.same(dialect, name)
        }
    };
    let mut joined: Vec<_> = entity.tracked_fields().iter().map(same).collect();
    joined.extend(lookup.rows());
    // The line break ends a comment the filter may end with.
    joined.extend(selection.filter.map(|filter| format!("({filter}\n)")));
    joined
}

fn of_company(selection: Selection<'_>, values: &mut Vec<Value>) -> String {
    let Some(field) = selection
        .entity
        .company_field
        .as_ref()
        .filter(|_| !selection.companies.is_empty())
    else {
        return String::new();
    };
    let mut places = Vec::new();
    for company in selection.companies {
        values.push(Value::Text(company.clone()));
        places.push(format!("${}", values.len()));
    }
    format!(" where c.{} in ({})", tracked(field), places.join(", "))
}
