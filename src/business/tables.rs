//! Generated tables: control tables, targets with `create_table`, staging beside each target.

use std::collections::BTreeSet;

use super::catalogue::{Column, Conversions, columns, conversions, has_key};
use super::control::lock_schema;
use super::dialect::{Dialect, quote};
use super::session::{Fault, Session, Value};
use super::{BusinessError, Checked, Database};
use crate::domain::entity::{Entity, Field};

/// Staging's own columns begin with this, so that a business field may be called `line` or `state`.
pub(super) const OWN_PREFIX: &str = "tranship_";

/// What the names of the tables beside a target end with.
pub(super) const OWN_SUFFIXES: [&str; 3] = ["_staging", "_last_write", "_changes"];

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
        let ensured = self.write(move |session| {
            Box::pin(async move {
                lock_schema(session).await?;
                let conversions = ensure_target(session, &wanted).await?;
                ensure_staging(session, &wanted).await?;
                let values = vec![Value::Text(wanted.table)];
                session
                    .execute(
                        "insert into tranship_tables (name) values ($1) on conflict (name) do nothing",
                        values,
                    )
                    .await?;
                Ok(conversions)
            })
        });
        let conversions = ensured.await?;
        self.remember_checked(Checked {
            entity: entity.clone(),
            conversions,
        });
        Ok(())
    }

    /// What staged text is turned into on its way to the entity's target.
    pub(super) async fn conversions(&self, entity: &Entity) -> Result<Conversions, BusinessError> {
        self.ensure_entity(entity).await?;
        Ok(self.known_conversions(entity))
    }
}

/// Refuses names that would collide with ours or be cut by the database.
pub(super) fn check_names(dialect: Dialect, entity: &Entity) -> Result<(), BusinessError> {
    let wrong = |detail: String| Err(BusinessError::Definition(format!("entity `{}`: {detail}", entity.name)));
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

async fn ensure_target(session: &mut Session, entity: &Entity) -> Result<Conversions, Fault> {
    let wrong = |detail: String| BusinessError::Definition(format!("entity `{}`: {detail}", entity.name));
    let table = &entity.table;
    let there = columns(session, table).await?;
    if there.is_empty() {
        if !entity.create_table {
            let help = "create it; of an entity that declares its `fields`, `create_table = true` makes it";
            return Err(wrong(format!("there is no table `{table}`; {help}")).into());
        }
        session.run(create_target(session.dialect, entity)).await?;
        note_made(session, table).await?;
        return Ok(Conversions::new());
    }
    let missing: Vec<_> = missing_fields(entity, &there)
        .map(|field| format!("`{}`", field.name))
        .collect();
    if !missing.is_empty() {
        let help = "`tranship check --apply` adds what can be added";
        return Err(wrong(format!("table `{table}` has no column {}; {help}", missing.join(", "))).into());
    }
    if !has_key(session, entity).await? {
        let help = create_key(entity);
        return Err(wrong(format!(
            "table `{table}` has no unique key on ({}): {help}",
            entity.key.join(", ")
        ))
        .into());
    }
    Ok(conversions(session.dialect, &there))
}

/// In the transaction that made it: a table of this name that is there without the note is somebody else's.
pub(super) async fn note_made(session: &mut Session, table: &str) -> Result<(), Fault> {
    let sql = "insert into tranship_made_tables (name) values ($1) on conflict (name) do nothing";
    session.execute(sql, vec![Value::Text(table.to_owned())]).await?;
    Ok(())
}

async fn ensure_staging(session: &mut Session, entity: &Entity) -> Result<(), Fault> {
    let name = entity.staging_table();
    if !columns(session, &name).await?.is_empty() {
        return Ok(());
    }
    session.run(create_staging(session.dialect, entity)).await?;
    index_own_references(session, entity).await?;
    index_culprits(session, entity).await?;
    number_staging(session, &name, &entity.table).await?;
    drop_old_stagings(session, &entity.table).await
}

async fn number_staging(session: &mut Session, name: &str, target: &str) -> Result<(), Fault> {
    let sql = "insert into tranship_stagings (name, target, number) \
         select $1, $2, cast(coalesce(max(number), 0) + 1 as bigint) from tranship_stagings where target = $2 \
         on conflict (name) do update set number = excluded.number";
    let values = [name, target].map(|text| Value::Text(text.to_owned()));
    session.execute(sql, values.into()).await?;
    Ok(())
}

/// Drops what earlier definitions left behind: a staging table goes when no load needs it any more, be it for records that are
/// there or for those a load that lost its staging is yet to stage again. The last but one stays, because a process that has
/// not read the new definition yet may be about to use it.
async fn drop_old_stagings(session: &mut Session, target: &str) -> Result<(), Fault> {
    let sql = "select s.name from tranship_stagings s where s.target = $1 and s.number < \
           (select max(o.number) - 1 from tranship_stagings o where o.target = $1) \
         and not exists (select 1 from tranship_loads l where l.staging = s.name and (not l.staged or exists \
           (select 1 from tranship_chunks c where c.message = l.message and c.entity_no = l.entity_no and not c.done)))";
    for row in session.rows(sql, vec![Value::Text(target.to_owned())]).await? {
        let name = row.text(0)?;
        session.run(format!("drop table if exists {}", quote(&name))).await?;
        let sql = "delete from tranship_stagings where name = $1";
        session.execute(sql, vec![Value::Text(name)]).await?;
    }
    Ok(())
}

/// The children of a rejected record are looked up by the field that refers to it, and a record's parent by the field it refers to.
async fn index_own_references(session: &mut Session, entity: &Entity) -> Result<(), Fault> {
    let name = entity.staging_table();
    for at in own_references(entity) {
        let field = &entity.fields[at];
        let column = session.dialect.indexed(&field.kind, &quote(&field.name));
        // By its place, not by its name: that might be cut to the same as another's.
        let (index, staging) = (quote(&format!("{name}_{at}")), quote(&name));
        let columns = format!("tranship_message, tranship_entity_no, {column}");
        session
            .run(format!("create index {index} on {staging} ({columns})"))
            .await?;
    }
    Ok(())
}

/// What is rejected with a document is found by those of its records that are rejected themselves.
async fn index_culprits(session: &mut Session, entity: &Entity) -> Result<(), Fault> {
    let staging = entity.staging_table();
    let (index, staging) = (quote(&format!("{staging}_bad")), quote(&staging));
    let sql = format!(
        "create index {index} on {staging} (tranship_message, tranship_entity_no, tranship_document, tranship_record) \
         where tranship_state = 1 and tranship_document is not null"
    );
    Ok(session.run(sql).await?)
}

/// The places of fields that refer to the entity itself, and of those referred to.
fn own_references(entity: &Entity) -> BTreeSet<usize> {
    let mut places = BTreeSet::new();
    for (at, field) in entity.fields.iter().enumerate() {
        if let Some(to) = field.references.as_ref().filter(|to| to.entity == entity.name) {
            places.insert(at);
            places.extend(entity.field_index(&to.field));
        }
    }
    places
}

pub(super) fn missing_fields<'a>(entity: &'a Entity, there: &'a [Column]) -> impl Iterator<Item = &'a Field> {
    // Case does not make two columns of one definition, so comparing without it is right for both databases to find a
    // column; a quoted name in another case then fails as a definition error with the database's own words.
    entity
        .fields
        .iter()
        .filter(|field| !there.iter().any(|column| column.name.eq_ignore_ascii_case(&field.name)))
}

pub(super) fn column_definition(dialect: Dialect, field: &Field) -> String {
    let check = dialect
        .length_check(field)
        .map(|check| format!(" {check}"))
        .unwrap_or_default();
    format!("{} {}{check}", quote(&field.name), dialect.target_type(field))
}

pub(super) fn quoted_list(names: &[String]) -> String {
    names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
}

pub(super) fn create_target(dialect: Dialect, entity: &Entity) -> String {
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

/// The statement that makes the unique key an upsert names.
pub(super) fn create_key(entity: &Entity) -> String {
    let index = quote(&format!("{}_{}", entity.table, entity.key.join("_")));
    format!(
        "create unique index {index} on {} ({})",
        quote(&entity.table),
        quoted_list(&entity.key)
    )
}
