//! Generated tables: control tables, targets with `create_table`, staging beside each target.

use super::control::lock_schema;
use super::dialect::{Dialect, quote};
use super::session::{Fault, Session, Value};
use super::{BusinessError, Database};
use crate::domain::entity::{Entity, Field};

/// Staging's own columns begin with this, so that a business field may be called `line` or `state`.
pub(super) const OWN_PREFIX: &str = "tranship_";

/// What the names of the tables beside a target end with.
pub(super) const OWN_SUFFIXES: [&str; 2] = ["_staging", "_last_write"];

/// One difference between a definition and its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What differs, in a sentence.
    pub what: String,
    /// The statement that would mend it.
    pub sql: String,
    /// Whether `check --apply` may run it (it only adds).
    pub additive: bool,
    /// Whether the service makes it by itself, on the entity's first use.
    pub made_on_first_use: bool,
}

/// A column as the database describes it.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) declared: String,
    not_null: bool,
    filled: bool,
}

impl Database {
    /// Creates control tables, the target (with `create_table`) and staging where they are missing. Cheap when all is there.
    ///
    /// # Errors
    /// [`BusinessError::Definition`] when the target is missing and may not be created, lacks a column, or has no unique key
    /// on the entity's key.
    pub async fn ensure_entity(&self, entity: &Entity) -> Result<(), BusinessError> {
        if self.is_checked(entity) {
            return Ok(());
        }
        check_names(self.dialect(), entity)?;
        self.ensure_control_tables().await?;
        let wanted = entity.clone();
        self.write(move |session| {
            Box::pin(async move {
                lock_schema(session).await?;
                ensure_target(session, &wanted).await?;
                ensure_staging(session, &wanted).await?;
                let values = vec![Value::Text(wanted.table)];
                session
                    .execute(
                        "insert into tranship_tables (name) values ($1) on conflict (name) do nothing",
                        values,
                    )
                    .await?;
                Ok(())
            })
        })
        .await?;
        self.remember_checked(entity.clone());
        Ok(())
    }

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
                let mut found = differing_columns(dialect, &entity, &columns);
                if !has_key(session, &entity).await? {
                    found.push(missing_key(&entity));
                }
                Ok(found)
            })
        })
        .await
    }

    /// Runs the additive differences, all or none.
    pub async fn apply(&self, differences: &[Difference]) -> Result<(), BusinessError> {
        let statements: Vec<String> = differences
            .iter()
            .filter(|d| d.additive)
            .map(|d| d.sql.clone())
            .collect();
        if statements.is_empty() {
            return Ok(());
        }
        self.forget_checked();
        self.write(move |session| {
            Box::pin(async move {
                lock_schema(session).await?;
                for sql in statements {
                    session.run(sql).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

/// Refuses names that would collide with ours or be cut by the database.
fn check_names(dialect: Dialect, entity: &Entity) -> Result<(), BusinessError> {
    let wrong = |detail: String| Err(BusinessError::Definition(format!("entity `{}`: {detail}", entity.name)));
    let longest = index_name(entity);
    if longest.len() > dialect.name_bytes_max() {
        let room = dialect.name_bytes_max() - (longest.len() - entity.table.len());
        return wrong(format!(
            "table name `{}` is too long; this database has room for {room} bytes",
            entity.table
        ));
    }
    let names = entity.fields.iter().map(|f| &f.name).chain([&entity.table]);
    for name in names {
        if name.to_ascii_lowercase().starts_with(OWN_PREFIX) {
            return wrong(format!("`{name}`: names that begin with `{OWN_PREFIX}` are reserved"));
        }
        if name.is_empty() || name.contains('\0') || name.len() > dialect.name_bytes_max() {
            return wrong(format!("`{name}` cannot be the name of a table or column"));
        }
    }
    Ok(())
}

fn index_name(entity: &Entity) -> String {
    format!("{}_key", entity.staging_table())
}

async fn ensure_target(session: &mut Session, entity: &Entity) -> Result<(), Fault> {
    let wrong = |detail: String| BusinessError::Definition(format!("entity `{}`: {detail}", entity.name));
    let table = &entity.table;
    let there = columns(session, table).await?;
    if there.is_empty() {
        if !entity.create_table {
            let help = "create it, or set `create_table = true`";
            return Err(wrong(format!("there is no table `{table}`; {help}")).into());
        }
        session.run(create_target(session.dialect, entity)).await?;
        return Ok(());
    }
    let missing: Vec<_> = missing_fields(entity, &there)
        .map(|field| format!("`{}`", field.name))
        .collect();
    if !missing.is_empty() {
        let help = "`tranship check --apply` adds what can be added";
        return Err(wrong(format!("table `{table}` has no column {}; {help}", missing.join(", "))).into());
    }
    if !has_key(session, entity).await? {
        let help = missing_key(entity).sql;
        return Err(wrong(format!(
            "table `{table}` has no unique key on ({}): {help}",
            entity.key.join(", ")
        ))
        .into());
    }
    Ok(())
}

async fn ensure_staging(session: &mut Session, entity: &Entity) -> Result<(), Fault> {
    let dialect = session.dialect;
    let name = entity.staging_table();
    let staging = quote(&name);
    let mut there = columns(session, &name).await?;
    let changed = entity.fields.iter().find(|field| {
        let now = there
            .iter()
            .find(|column| same_name(dialect, &column.name, &field.name));
        now.is_some_and(|column| !column.declared.eq_ignore_ascii_case(dialect.staging_type(&field.kind)))
    });
    if let Some(field) = changed {
        if session
            .row(format!("select 1 from {staging} limit 1"), Vec::new())
            .await?
            .is_some()
        {
            return Err(BusinessError::Definition(format!(
                "entity `{}`: field `{}` changed its type while loads of the earlier definition are in `{name}`; let them end first",
                entity.name, field.name
            ))
            .into());
        }
        session.run(format!("drop table {staging}")).await?;
        there.clear();
    }
    if there.is_empty() {
        session.run(create_staging(dialect, entity)).await?;
        index_own_references(session, entity).await?;
        index_culprits(session, entity).await?;
    }
    for field in missing_fields(entity, &there).filter(|_| !there.is_empty()) {
        let kind = dialect.staging_type(&field.kind);
        session
            .run(format!(
                "alter table {staging} add column {} {kind}",
                quote(&field.name)
            ))
            .await?;
    }
    Ok(())
}

/// The children of a rejected record are looked up by the field that refers to it, and a record's parent by the field it refers to.
async fn index_own_references(session: &mut Session, entity: &Entity) -> Result<(), Fault> {
    let dialect = session.dialect;
    let (name, staging) = (entity.staging_table(), quote(&entity.staging_table()));
    let of_itself = |field: &&Field| field.references.as_ref().is_some_and(|to| to.entity == entity.name);
    let referring = entity.fields.iter().filter(of_itself);
    let referred = referring
        .clone()
        .filter_map(|field| entity.field(&field.references.as_ref()?.field));
    for field in referring.chain(referred) {
        let mut index = format!("{name}_ref_{}", field.name);
        index.truncate(index.floor_char_boundary(dialect.name_bytes_max()));
        let (index, column) = (quote(&index), dialect.indexed(&field.kind, &quote(&field.name)));
        // Two long names may be cut to the same one: the second field goes without, which is slower and as right.
        let columns = format!("tranship_message, tranship_entity_no, {column}");
        session
            .run(format!("create index if not exists {index} on {staging} ({columns})"))
            .await?;
    }
    Ok(())
}

/// What is rejected with a document is found by those of its records that are rejected themselves. The name is as long as the
/// key's index.
async fn index_culprits(session: &mut Session, entity: &Entity) -> Result<(), Fault> {
    let staging = entity.staging_table();
    let (index, staging) = (quote(&format!("{staging}_bad")), quote(&staging));
    let sql = format!(
        "create index {index} on {staging} (tranship_message, tranship_entity_no, tranship_document, tranship_record) \
         where tranship_state = 1 and tranship_document is not null"
    );
    Ok(session.run(sql).await?)
}

pub(super) async fn columns(session: &mut Session, table: &str) -> Result<Vec<Column>, Fault> {
    let name = Value::Text(session.dialect.catalogue_name(table));
    let rows = session.rows(session.dialect.columns(), vec![name]).await?;
    rows.iter()
        .map(|row| {
            let (name, declared) = (row.text(0)?, row.text(1)?);
            Ok(Column {
                name,
                declared,
                not_null: row.flag(2)?,
                filled: row.flag(3)?,
            })
        })
        .collect()
}

/// Whether a unique key on exactly the entity's key exists, in any order of columns.
async fn has_key(session: &mut Session, entity: &Entity) -> Result<bool, Fault> {
    let dialect = session.dialect;
    let name = Value::Text(dialect.catalogue_name(&entity.table));
    let mut keys: Vec<(String, Vec<String>)> = Vec::new();
    for row in session.rows(dialect.unique_keys(), vec![name]).await? {
        let (index, column) = (row.text(0)?, row.text(1)?);
        match keys.last_mut() {
            Some((last, columns)) if *last == index => columns.push(column),
            _ => keys.push((index, vec![column])),
        }
    }
    Ok(keys.iter().any(|(_, columns)| {
        columns.len() == entity.key.len()
            && entity
                .key
                .iter()
                .all(|key| columns.iter().any(|column| same_name(dialect, column, key)))
    }))
}

/// SQLite's names ignore case, quoted or not.
fn same_name(dialect: Dialect, one: &str, other: &str) -> bool {
    match dialect {
        Dialect::Postgres => one == other,
        Dialect::Sqlite => one.eq_ignore_ascii_case(other),
    }
}

fn missing_fields<'a>(entity: &'a Entity, there: &'a [Column]) -> impl Iterator<Item = &'a Field> {
    // Case does not make two columns of one definition, so comparing without it is right for both databases to find a
    // column; a quoted name in another case then fails as a definition error with the database's own words.
    entity
        .fields
        .iter()
        .filter(|field| !there.iter().any(|column| column.name.eq_ignore_ascii_case(&field.name)))
}

fn column_definition(dialect: Dialect, field: &Field) -> String {
    let check = dialect
        .length_check(field)
        .map(|check| format!(" {check}"))
        .unwrap_or_default();
    format!("{} {}{check}", quote(&field.name), dialect.target_type(field))
}

fn quoted_list(names: &[String]) -> String {
    names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
}

fn create_target(dialect: Dialect, entity: &Entity) -> String {
    let columns: Vec<_> = entity
        .fields
        .iter()
        .map(|field| {
            let required = if field.required || entity.is_key(&field.name) {
                " not null"
            } else {
                ""
            };
            format!("  {}{required}", column_definition(dialect, field))
        })
        .collect();
    let (table, columns, key) = (quote(&entity.table), columns.join(",\n"), quoted_list(&entity.key));
    format!("create table {table} (\n{columns},\n  primary key ({key})\n)")
}

fn create_staging(dialect: Dialect, entity: &Entity) -> String {
    let fields: Vec<_> = entity
        .fields
        .iter()
        .map(|field| format!("{} {}", quote(&field.name), dialect.staging_type(&field.kind)))
        .collect();
    format!(
        "create {} {} (tranship_message {} not null, tranship_entity_no bigint not null, tranship_record bigint not null, \
         tranship_line bigint not null, tranship_byte_start bigint not null, tranship_byte_end bigint not null, \
         tranship_origin text, tranship_document text, tranship_state smallint not null, {}, \
         primary key (tranship_message, tranship_entity_no, tranship_record))",
        dialect.unlogged_table(),
        quote(&entity.staging_table()),
        dialect.id_type(),
        fields.join(", ")
    )
}

fn missing_table(dialect: Dialect, entity: &Entity) -> Difference {
    Difference {
        what: format!("there is no table `{}` for entity `{}`", entity.table, entity.name),
        sql: create_target(dialect, entity),
        additive: entity.create_table,
        made_on_first_use: entity.create_table,
    }
}

/// Not additive: building an index may fail on the rows that are there, and locks a big table.
fn missing_key(entity: &Entity) -> Difference {
    let index = quote(&format!("{}_{}", entity.table, entity.key.join("_")));
    Difference {
        what: format!(
            "table `{}` has no unique key on ({})",
            entity.table,
            entity.key.join(", ")
        ),
        sql: format!(
            "create unique index {index} on {} ({})",
            quote(&entity.table),
            quoted_list(&entity.key)
        ),
        additive: false,
        made_on_first_use: false,
    }
}

fn differing_columns(dialect: Dialect, entity: &Entity, there: &[Column]) -> Vec<Difference> {
    let table = &entity.table;
    let missing = missing_fields(entity, there).map(|field| Difference {
        what: format!("table `{table}` has no column `{}`", field.name),
        // Without NOT NULL, because rows that are there have no value yet; an import asks for required fields anyway.
        sql: format!(
            "alter table {} add column {}",
            quote(table),
            column_definition(dialect, field)
        ),
        additive: !field.required || entity.create_table,
        made_on_first_use: false,
    });
    let mistyped = entity.fields.iter().filter_map(|field| {
        let column = there
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(&field.name))?;
        let wanted = dialect.target_type(field);
        (!dialect.holds(field, &column.declared)).then(|| Difference {
            what: format!(
                "column `{}` of `{table}` is {}, the definition asks for {wanted}",
                field.name, column.declared
            ),
            sql: dialect.alter_type(table, &column.name, &wanted),
            additive: false,
            made_on_first_use: false,
        })
    });
    let unfilled = there
        .iter()
        .filter(|column| column.not_null && !column.filled)
        .filter(|column| !entity.fields.iter().any(|field| column.name.eq_ignore_ascii_case(&field.name)))
        .map(|column| Difference {
            what: format!(
                "column `{}` of `{table}` must not be null, has no default, and is no field: every new record is refused",
                column.name
            ),
            sql: dialect.drop_not_null(table, &column.name),
            additive: false,
            made_on_first_use: false,
        });
    missing.chain(mistyped).chain(unfilled).collect()
}
