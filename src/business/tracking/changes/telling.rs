//! The statements that tell which rows changed, and what they are by now.
//!
//! A change is joined to the row of its key. A key has no empty field where it is a primary key; a unique index lets them in, and
//! an empty field is found by no `=`.

use tokio::sync::mpsc;

use super::super::super::BusinessError;
use super::super::super::dialect::{Dialect, quote};
use super::super::super::session::Value;
use super::super::super::snapshot::{Query, Row, Selection, Snapshot, no_field};
use super::{Changes, in_range, range};
use crate::domain::entity::Entity;

/// Columns that may be empty.
const POSTGRES_NULLABLE: &str = "select attname::text from pg_attribute \
       where attrelid = to_regclass($1) and attnum > 0 and not attnotnull and not attisdropped";
/// A column that is never empty, or else the row's number by a name that no column has taken: a table without numbers has a primary key,
/// whose columns are never empty.
const SQLITE_PRESENT: &str = "select coalesce( \
       (select name from pragma_table_info($1) where \"notnull\" order by cid limit 1), \
       (select name from (select '_rowid_' as name union all select 'rowid' union all select 'oid') \
          where name not in (select lower(name) from pragma_table_info($1)) limit 1))";
/// An estimate that is too low by far would have each change go through the table by itself, where one pass and a hash do for all.
const NO_LOOPS: &str = "select set_config('enable_nestloop', 'off', true)";
const LOOPS_AGAIN: &str =
    "select set_config('enable_nestloop', reset_val, true) from pg_settings where name = 'enable_nestloop'";

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
    /// Streams the rows that changed, as they are, and of those that are gone (or that the selection leaves out by now) the tracked
    /// fields; a last cell says which: `No` or `Yes`. Each row comes once, in the order of its key; on PostgreSQL those whose key has an
    /// empty field come last. Rows that have the same key, because a unique index lets several in whose key has an empty field, come
    /// all of them when one changed, and none is told as gone as long as one is there.
    ///
    /// # Errors
    /// As [`Snapshot::read`].
    pub async fn read_changes(
        &mut self,
        selection: Selection<'_>,
        changes: Changes,
        rows: mpsc::Sender<Vec<Row>>,
    ) -> Result<u64, BusinessError> {
        match self.dialect() {
            Dialect::Sqlite => self.tell_from_sqlite(selection, changes, rows).await,
            Dialect::Postgres => self.tell_from_postgres(selection, changes, rows).await,
        }
    }

    async fn tell_from_sqlite(
        &mut self,
        selection: Selection<'_>,
        changes: Changes,
        rows: mpsc::Sender<Vec<Row>>,
    ) -> Result<u64, BusinessError> {
        let entity = selection.entity;
        let table = vec![Value::Text(entity.table.clone())];
        let present = self.ask(SQLITE_PRESENT.to_owned(), table).await?;
        let present = present.into_iter().flatten().next().flatten();
        let present = format!("t.{}", quote(present.as_deref().unwrap_or(&entity.key[0])));
        let query = select(self.dialect(), selection, changes, Lookup::Every, &present)?;
        self.stream(entity, query, rows).await
    }

    async fn tell_from_postgres(
        &mut self,
        selection: Selection<'_>,
        changes: Changes,
        rows: mpsc::Sender<Vec<Row>>,
    ) -> Result<u64, BusinessError> {
        let (dialect, entity) = (self.dialect(), selection.entity);
        let nullable = self.nullable_keys(entity).await?;
        let select = |lookup| select(dialect, selection, changes, lookup, "t.tableoid");
        let told = self
            .stream(entity, select(Lookup::Filled(&nullable))?, rows.clone())
            .await?;
        if nullable.is_empty() {
            return Ok(told);
        }
        self.ask(NO_LOOPS.to_owned(), Vec::new()).await?;
        let others = self.stream(entity, select(Lookup::Empty(&nullable))?, rows).await?;
        self.ask(LOOPS_AGAIN.to_owned(), Vec::new()).await?;
        Ok(told + others)
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
        columns(dialect, selection, present)?.join(", "),
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

/// The fields as canonical text: those that are tracked of the change, where the row is gone.
fn columns(dialect: Dialect, selection: Selection<'_>, present: &str) -> Result<Vec<String>, BusinessError> {
    let entity = selection.entity;
    let names = entity.tracked_fields();
    let column = |name: &String| {
        let field = entity.field(name).ok_or_else(|| no_field(entity, name))?;
        let row = format!("t.{}", quote(name));
        let value = if names.contains(name) {
            // Where the database takes two keys for one, as `abc` and `ABC`, the row has the one that counts.
            format!("case when {present} is null then c.{} else {row} end", tracked(name))
        } else {
            row
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
