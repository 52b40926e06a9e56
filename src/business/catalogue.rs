//! What is there: tables, columns and keys, as the catalogues of both databases tell.

use std::collections::HashMap;

use super::dialect::{Dialect, quote};
use super::session::{Fault, Session, Value};
use super::tables::{OWN_PREFIX, OWN_SUFFIXES};
use super::{BusinessError, Database};
use crate::domain::entity::Entity;
use crate::domain::table::{self, Filled, ForeignKey, Table};

/// The SQL types that staged values are turned into on their way to the target, by column.
pub(super) type Conversions = HashMap<String, String>;

/// A column as the database describes it.
pub(super) struct Column {
    pub(super) name: String,
    /// Its type; of a domain, the type below it.
    pub(super) declared: String,
    pub(super) not_null: bool,
    pub(super) filled: Filled,
    /// What PostgreSQL's enum may hold.
    labels: Option<Vec<String>>,
}

/// A unique key.
pub(super) struct Key {
    /// The name of its index; of a primary key on PostgreSQL also that of its constraint.
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    pub(super) is_primary: bool,
}

impl Database {
    /// What a table is like; nothing when there is none. Does not create a SQLite file.
    pub async fn table(&self, name: &str) -> Result<Option<Table>, BusinessError> {
        if self.inner.address.is_missing_file() {
            return Ok(None);
        }
        let name = name.to_owned();
        self.read(move |session| Box::pin(async move { table(session, name).await }))
            .await
    }

    /// The names of the tables that an entity may have, in order: what is Tranship's own is left out.
    pub async fn table_names(&self) -> Result<Vec<String>, BusinessError> {
        if self.inner.address.is_missing_file() {
            return Ok(Vec::new());
        }
        let names = self.read(|session| {
            Box::pin(async move {
                let rows = session.rows(session.dialect.tables(), Vec::new()).await?;
                rows.iter()
                    .map(|row| Ok(row.text(0)?))
                    .collect::<Result<Vec<_>, Fault>>()
            })
        });
        let mut names = names.await?;
        let is_own = |name: &str| name.starts_with(OWN_PREFIX) || OWN_SUFFIXES.iter().any(|end| name.ends_with(end));
        names.retain(|name| !is_own(name));
        Ok(names)
    }
}

async fn table(session: &mut Session, name: String) -> Result<Option<Table>, Fault> {
    let columns = columns(session, &name).await?;
    if columns.is_empty() {
        return Ok(None);
    }
    let (primary, others): (Vec<_>, Vec<_>) = keys(session, &name).await?.into_iter().partition(|key| key.is_primary);
    let foreign_keys = foreign_keys(session, &name).await?;
    let dialect = session.dialect;
    Ok(Some(Table {
        name,
        columns: columns.into_iter().map(|column| column.described(dialect)).collect(),
        primary_key: primary.into_iter().next().map_or_else(Vec::new, |key| key.columns),
        unique_keys: others.into_iter().map(|key| key.columns).collect(),
        foreign_keys,
    }))
}

impl Column {
    fn described(self, dialect: Dialect) -> table::Column {
        let required = self.not_null && self.filled == Filled::No;
        let field = dialect.field_of(&self.declared, self.labels.as_deref());
        table::Column {
            field: field.map(|mut field| {
                field.name.clone_from(&self.name);
                field.required = required;
                field
            }),
            converted: dialect.converts(&self.declared),
            name: self.name,
            declared: self.declared,
            filled: self.filled,
        }
    }
}

/// The columns of a table; none when there is no such table.
pub(super) async fn columns(session: &mut Session, table: &str) -> Result<Vec<Column>, Fault> {
    let name = Value::Text(catalogue_name(session.dialect, table));
    let rows = session.rows(session.dialect.columns(), vec![name]).await?;
    let mut columns = Vec::with_capacity(rows.len());
    for row in &rows {
        let filled = match row.text(3)?.as_str() {
            "always" => Filled::Always,
            "numbered" => Filled::Numbered,
            "default" => Filled::ByDefault,
            _ => Filled::No,
        };
        let labels = row.opt_text(4)?;
        columns.push(Column {
            name: row.text(0)?,
            declared: row.text(1)?,
            not_null: row.flag(2)?,
            filled,
            // The database made the list itself.
            labels: labels.and_then(|labels| serde_json::from_str(&labels).ok()),
        });
    }
    Ok(columns)
}

/// The unconditional unique keys of a table that an upsert may name.
pub(super) async fn keys(session: &mut Session, table: &str) -> Result<Vec<Key>, Fault> {
    let name = Value::Text(catalogue_name(session.dialect, table));
    let mut keys: Vec<Key> = Vec::new();
    for row in session.rows(session.dialect.unique_keys(), vec![name]).await? {
        let (name, column, is_primary) = (row.text(0)?, row.text(1)?, row.flag(2)?);
        match keys.last_mut() {
            Some(key) if key.name == name => key.columns.push(column),
            _ => keys.push(Key {
                name,
                columns: vec![column],
                is_primary,
            }),
        }
    }
    Ok(keys)
}

/// Whether a unique key on exactly the entity's key exists, in any order of columns.
pub(super) async fn has_key(session: &mut Session, entity: &Entity) -> Result<bool, Fault> {
    let dialect = session.dialect;
    let keys = keys(session, &entity.table).await?;
    Ok(keys.iter().any(|key| key.is_on(dialect, &entity.key)))
}

impl Key {
    /// Whether it is on exactly these columns, in any order.
    pub(super) fn is_on(&self, dialect: Dialect, columns: &[String]) -> bool {
        let has = |wanted: &String| self.columns.iter().any(|column| same_name(dialect, column, wanted));
        self.columns.len() == columns.len() && columns.iter().all(has)
    }
}

async fn foreign_keys(session: &mut Session, table: &str) -> Result<Vec<ForeignKey>, Fault> {
    let name = Value::Text(catalogue_name(session.dialect, table));
    let rows = session.rows(session.dialect.foreign_keys(), vec![name]).await?;
    let mut keys = Vec::with_capacity(rows.len());
    for row in &rows {
        // SQLite lets a table refer to one that is not there.
        if let Some(parent_column) = row.opt_text(2)? {
            keys.push(ForeignKey {
                column: row.text(0)?,
                parent: row.text(1)?,
                parent_column,
            });
        }
    }
    Ok(keys)
}

/// What staged values of these columns are turned into. A `real` is among them, because a number only compares as equal to it
/// after the same rounding.
pub(super) fn conversions(dialect: Dialect, columns: &[Column]) -> Conversions {
    let converted = |column: &&Column| dialect.converts(&column.declared) || dialect.rounds(&column.declared);
    columns
        .iter()
        .filter(converted)
        .map(|column| (column.name.clone(), column.declared.clone()))
        .collect()
}

/// SQLite's names ignore case, quoted or not.
fn same_name(dialect: Dialect, one: &str, other: &str) -> bool {
    match dialect {
        Dialect::Postgres => one == other,
        Dialect::Sqlite => one.eq_ignore_ascii_case(other),
    }
}

/// How catalogue queries want a table's name: PostgreSQL resolves it like a statement would, SQLite takes it bare.
pub(super) fn catalogue_name(dialect: Dialect, table: &str) -> String {
    match dialect {
        Dialect::Postgres => quote(table),
        Dialect::Sqlite => table.to_owned(),
    }
}

impl Dialect {
    /// Lists the tables a statement finds by their bare names.
    fn tables(self) -> &'static str {
        match self {
            Self::Postgres => {
                "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                 where c.relkind in ('r', 'p') and not c.relispartition and pg_table_is_visible(c.oid) \
                   and n.nspname not in ('pg_catalog', 'information_schema') order by 1"
            }
            Self::Sqlite => {
                "select name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' escape '\\' order by 1"
            }
        }
    }

    /// Lists name, type, whether it must not be null, who fills it (`always`, `numbered`, `default`, `no`), and the labels of
    /// an enum, for the columns of table `$1`. Of a domain the type below it is told, whose values it takes.
    fn columns(self) -> &'static str {
        match self {
            Self::Postgres => {
                "select a.attname::text, format_type(b.type, b.modifier)::text, a.attnotnull or b.not_null, \
                   case when a.attgenerated <> '' or a.attidentity = 'a' then 'always' \
                     when a.attidentity = 'd' or pg_get_expr(d.adbin, d.adrelid) like 'nextval(%' then 'numbered' \
                     when a.atthasdef or b.has_default then 'default' else 'no' end, \
                   (select json_agg(e.enumlabel order by e.enumsortorder)::text from pg_enum e where e.enumtypid = b.type) \
                 from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
                 cross join lateral ( \
                   with recursive below(type, modifier, not_null, has_default) as ( \
                     select a.atttypid, a.atttypmod, false, false \
                     union all select t.typbasetype, t.typtypmod, below.not_null or t.typnotnull, \
                       below.has_default or t.typdefault is not null \
                     from below join pg_type t on t.oid = below.type and t.typtype = 'd') \
                   select below.* from below join pg_type t on t.oid = below.type and t.typtype <> 'd') b \
                 where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum"
            }
            // A single integer key is filled by SQLite itself, but as a rule it comes from outside; AUTOINCREMENT says that
            // it does not.
            Self::Sqlite => {
                "select x.name, x.type, x.\"notnull\" <> 0, \
                   case when x.hidden in (2, 3) then 'always' \
                     when x.pk > 0 and exists (select 1 from sqlite_schema s where s.type = 'table' \
                       and s.name = $1 collate nocase and s.sql like '%primary key%autoincrement%') then 'numbered' \
                     when x.dflt_value is not null then 'default' else 'no' end, null \
                 from pragma_table_xinfo($1) x where x.hidden <> 1 order by x.cid"
            }
        }
    }

    /// Lists (index, column, whether it is the primary key) of all unconditional unique keys of table `$1` that an upsert may
    /// name, columns in the key's order.
    fn unique_keys(self) -> &'static str {
        match self {
            Self::Postgres => {
                "select n.relname::text, a.attname::text, i.indisprimary from pg_index i join pg_class n on n.oid = i.indexrelid \
                 cross join unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) with ordinality k(attnum, place) \
                 join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
                 where i.indrelid = to_regclass($1) and i.indisunique and i.indisvalid and i.indimmediate \
                   and i.indpred is null and i.indexprs is null order by i.indexrelid, k.place"
            }
            Self::Sqlite => {
                "select l.name as key_name, i.name as column_name, false as is_primary, i.seqno as place \
                   from pragma_index_list($1) l, pragma_index_info(l.name) i \
                   where l.\"unique\" and not l.partial and l.origin <> 'pk' and i.name is not null \
                   and not exists (select 1 from pragma_index_info(l.name) e where e.name is null) \
                 union all select '(primary key)', name, true, pk from pragma_table_info($1) where pk > 0 order by 1, 4"
            }
        }
    }

    /// Lists (column, parent table, parent column) of the foreign keys of table `$1` that have one column and refer to a table
    /// a statement finds by its bare name.
    fn foreign_keys(self) -> &'static str {
        match self {
            Self::Postgres => {
                "select a.attname::text, p.relname::text, pa.attname::text from pg_constraint c \
                 join pg_class p on p.oid = c.confrelid and pg_table_is_visible(p.oid) \
                 join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1] \
                 join pg_attribute pa on pa.attrelid = c.confrelid and pa.attnum = c.confkey[1] \
                 where c.conrelid = to_regclass($1) and c.contype = 'f' and cardinality(c.conkey) = 1 order by a.attnum, c.oid"
            }
            Self::Sqlite => {
                "select min(f.\"from\"), min(f.\"table\"), min(coalesce(f.\"to\", \
                   (select p.name from pragma_table_info(f.\"table\") p where p.pk = 1))) \
                 from pragma_foreign_key_list($1) f group by f.id having count(*) = 1 order by f.id desc"
            }
        }
    }
}
