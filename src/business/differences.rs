//! What differs between a definition and its table, and the statements that mend it.

use super::catalogue::{Column, Key, columns, keys};
use super::control::lock_schema;
use super::dialect::{Dialect, quote};
use super::tables::{
    check_names, column_definition, create_key, create_target, missing_fields, note_made, quoted_list,
};
use super::{BusinessError, Database};
use crate::domain::computed::FieldDefault;
use crate::domain::entity::{Entity, Field, FieldType};
use crate::domain::table::Filled;

/// One difference between a definition and its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What differs, in a sentence.
    pub what: String,
    /// The statement that would mend it.
    pub sql: String,
    /// Whether `check --apply` may run it: it only adds, or gives more room.
    pub additive: bool,
    /// Whether the service makes it by itself, on the entity's first use.
    pub made_on_first_use: bool,
    /// The table it makes.
    makes: Option<String>,
}

impl Difference {
    fn by_hand(what: String, sql: String) -> Self {
        Self {
            what,
            sql,
            additive: false,
            made_on_first_use: false,
            makes: None,
        }
    }

    fn additive_if(self, additive: bool) -> Self {
        Self { additive, ..self }
    }
}

impl Database {
    /// What differs between the definition and the database. Changes nothing; does not create a SQLite file.
    pub async fn diff_entity(&self, entity: &Entity) -> Result<Vec<Difference>, BusinessError> {
        let dialect = self.dialect();
        check_names(dialect, entity)?;
        if self.inner.address.is_missing_file() {
            return Ok(vec![missing_table(dialect, entity)]);
        }
        let entity = entity.clone();
        self.read(move |session| {
            Box::pin(async move {
                let columns = columns(session, &entity.table).await?;
                if columns.is_empty() {
                    return Ok(vec![missing_table(dialect, &entity)]);
                }
                let keys = keys(session, &entity.table).await?;
                let comparison = Comparison {
                    dialect,
                    entity: &entity,
                    columns: &columns,
                };
                Ok(comparison.differences(&keys))
            })
        })
        .await
    }

    /// Runs the additive differences, all or none.
    pub async fn apply(&self, differences: &[Difference]) -> Result<(), BusinessError> {
        let additive = differences.iter().filter(|d| d.additive);
        let statements: Vec<(String, Option<String>)> = additive.map(|d| (d.sql.clone(), d.makes.clone())).collect();
        if statements.is_empty() {
            return Ok(());
        }
        if statements.iter().any(|(_, makes)| makes.is_some()) {
            self.ensure_control_tables().await?;
        }
        self.forget_checked();
        self.write(move |session| {
            Box::pin(async move {
                lock_schema(session).await?;
                for (sql, makes) in statements {
                    session.run(sql).await?;
                    if let Some(table) = makes {
                        note_made(session, &table).await?;
                    }
                }
                Ok(())
            })
        })
        .await
    }
}

fn missing_table(dialect: Dialect, entity: &Entity) -> Difference {
    Difference {
        what: format!("there is no table `{}` for entity `{}`", entity.table, entity.name),
        sql: create_target(dialect, entity),
        additive: entity.create_table,
        made_on_first_use: entity.create_table,
        makes: Some(entity.table.clone()),
    }
}

/// A definition beside the columns of its table.
struct Comparison<'a> {
    dialect: Dialect,
    entity: &'a Entity,
    columns: &'a [Column],
}

impl Comparison<'_> {
    fn differences(&self, keys: &[Key]) -> Vec<Difference> {
        let mut found: Vec<_> = missing_fields(self.entity, self.columns)
            .map(|field| self.missing_column(field))
            .collect();
        for field in &self.entity.fields {
            if let Some(column) = self.column(field) {
                found.extend(self.other_type(field, column));
                found.extend(self.always_filled(field, column));
                found.extend(self.never_null(field, column));
            }
        }
        found.extend(self.columns.iter().filter_map(|column| self.unfilled(column)));
        found.extend(self.other_key(keys));
        found
    }

    fn column(&self, field: &Field) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(&field.name))
    }

    fn missing_column(&self, field: &Field) -> Difference {
        let table = &self.entity.table;
        // Without NOT NULL, because rows that are there have no value yet; an import asks for required fields anyway.
        let definition = column_definition(self.dialect, field);
        Difference::by_hand(
            format!("table `{table}` has no column `{}`", field.name),
            format!("alter table {} add column {definition}", quote(table)),
        )
        .additive_if(!field.required || self.entity.create_table)
    }

    fn other_type(&self, field: &Field, column: &Column) -> Option<Difference> {
        let (dialect, table) = (self.dialect, &self.entity.table);
        let is_key = self.entity.is_key(&field.name);
        if dialect.holds(field, &column.declared) && !(is_key && dialect.converts(&column.declared)) {
            return None;
        }
        let wanted = dialect.target_type(field);
        let what = format!(
            "column `{}` of `{table}` is {}, the definition asks for {wanted}",
            field.name, column.declared
        );
        let sql = match dialect {
            Dialect::Postgres => alter_type(table, column, &field.kind, &wanted),
            Dialect::Sqlite if is_key => {
                format!(
                    "-- SQLite cannot change a key's column: make {} anew with {} {wanted}",
                    quote(table),
                    quote(&column.name)
                )
            }
            Dialect::Sqlite => replace_column(table, column, field),
        };
        Some(Difference::by_hand(what, sql).additive_if(dialect.widens(field, &column.declared)))
    }

    /// A value for every record is asked for, and the database takes none.
    fn always_filled(&self, field: &Field, column: &Column) -> Option<Difference> {
        if column.filled != Filled::Always || !(field.required || self.entity.is_key(&field.name)) {
            return None;
        }
        Some(Difference::by_hand(
            format!(
                "column `{}` of `{}` is always filled by the database, so no record can bring it",
                column.name, self.entity.table
            ),
            format!(
                "-- take the field `{}` out of the definition, or out of its key",
                field.name
            ),
        ))
    }

    /// The table was made when the field was required. In tables of others a constraint is theirs to keep.
    fn never_null(&self, field: &Field, column: &Column) -> Option<Difference> {
        let never_empty = field.required || self.entity.is_key(&field.name) || always_brings_a_value(field);
        if never_empty || !self.entity.create_table || !column.not_null || column.filled != Filled::No {
            return None;
        }
        Some(Difference::by_hand(
            format!(
                "column `{}` of `{}` must not be null, but its field may be empty: such records are refused",
                column.name, self.entity.table
            ),
            self.drop_not_null(column),
        ))
    }

    fn unfilled(&self, column: &Column) -> Option<Difference> {
        let is_field = |field: &Field| column.name.eq_ignore_ascii_case(&field.name);
        if !column.not_null || column.filled != Filled::No || self.entity.fields.iter().any(is_field) {
            return None;
        }
        Some(Difference::by_hand(
            format!(
                "column `{}` of `{}` must not be null, has no default, and is no field: every new record is refused",
                column.name, self.entity.table
            ),
            self.drop_not_null(column),
        ))
    }

    fn other_key(&self, keys: &[Key]) -> Vec<Difference> {
        let (dialect, entity) = (self.dialect, self.entity);
        let (table, wanted) = (&entity.table, entity.key.join(", "));
        let mut found = Vec::new();
        let missing = !keys.iter().any(|key| key.is_on(dialect, &entity.key));
        // A table made for an earlier key still has it for its primary key, which refuses what the new one lets in.
        let earlier = keys
            .iter()
            .find(|key| key.is_primary && !key.is_on(dialect, &entity.key));
        let earlier = earlier.filter(|_| entity.create_table);
        if missing && (earlier.is_none() || dialect == Dialect::Sqlite) {
            // Building an index may fail on the rows that are there, and locks a big table: not in a table of others.
            found.push(
                Difference::by_hand(
                    format!("table `{table}` has no unique key on ({wanted})"),
                    create_key(entity),
                )
                .additive_if(entity.create_table),
            );
        }
        if let Some(earlier) = earlier {
            let what = format!(
                "the primary key of `{table}` is ({}), that of the definition ({wanted}): records that differ in the latter alone \
                 are refused",
                earlier.columns.join(", ")
            );
            let sql = match dialect {
                Dialect::Postgres => format!(
                    "alter table {} drop constraint {}, add primary key ({})",
                    quote(table),
                    quote(&earlier.name),
                    quoted_list(&entity.key)
                ),
                Dialect::Sqlite => {
                    format!(
                        "-- SQLite cannot change a primary key: make {} anew and copy its rows",
                        quote(table)
                    )
                }
            };
            found.push(Difference::by_hand(what, sql));
        }
        found
    }

    fn drop_not_null(&self, column: &Column) -> String {
        let (table, column) = (quote(&self.entity.table), quote(&column.name));
        match self.dialect {
            Dialect::Postgres => format!("alter table {table} alter column {column} drop not null"),
            Dialect::Sqlite => {
                format!("-- SQLite cannot change a column: make {table} anew with {column} nullable or with a default")
            }
        }
    }
}

/// What a computed value is made of may be missing.
fn always_brings_a_value(field: &Field) -> bool {
    matches!(field.default, Some(FieldDefault::Constant(_))) || field.auto_number.is_some()
}

fn alter_type(table: &str, column: &Column, kind: &FieldType, wanted: &str) -> String {
    let (table, column) = (quote(table), quote(&column.name));
    // There is no way from a bigint to a truth value but through text.
    let through = if *kind == FieldType::Bool { "::text" } else { "" };
    format!("alter table {table} alter column {column} type {wanted} using {column}{through}::{wanted}")
}

/// SQLite cannot change a column, but it can put another in its place. The old one stays until somebody has looked: a shell
/// goes on after a statement that failed.
fn replace_column(table: &str, column: &Column, field: &Field) -> String {
    let old = quote(&format!("{}_old", column.name));
    let (table, name) = (quote(table), quote(&column.name));
    let definition = column_definition(Dialect::Sqlite, field);
    format!(
        "alter table {table} rename column {name} to {old};\n\
         alter table {table} add column {definition};\n\
         update {table} set {} = {old};\n\
         -- then, when all values are there: alter table {table} drop column {old}",
        quote(&field.name)
    )
}
