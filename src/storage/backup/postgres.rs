//! A PostgreSQL store is read table by table in one snapshot, and written back in one transaction into a database without a store.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::LazyLock;

use futures_util::TryStreamExt as _;
use regex::Regex;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::{BLOBS, BlobRow, Contents, DatabaseKind, KeptBlob, Table, begin_anew, tell_of, unreadable, unwritable};
use crate::domain::time::Timestamp;
use crate::storage::connect::enter;
use crate::storage::home::HomePool;
use crate::storage::memory::Memory;
use crate::storage::migrate::{self, POSTGRES, migrate, migrate_to};
use crate::storage::pool::{Backend, Pool, Sync};
use crate::storage::{StoreError, dialect};

/// What the steps of the schema make, in their order: a table may refer to those before it.
static MADE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let created = Regex::new(r"(?mi)^create table (?:if not exists )?(\w+)").expect("a pattern");
    let steps = POSTGRES.iter().flat_map(|step| created.captures_iter(step.sql));
    steps.map(|found| found[1].to_owned()).collect()
});

/// Whole tables only, not the parts of partitioned ones: rows find their parts again by themselves.
const TABLES: &str = "select c.relname::text, array(select a.attname::text from pg_attribute a where a.attrelid = c.oid \
        and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum) \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = current_schema() and c.relkind in ('r', 'p') and not c.relispartition and c.relname::text = any($1)";
/// Sequences go on while the snapshot stands: their number is a later one, and none is given twice.
const SEQUENCES: &str = "select s.relname::text, pg_sequence_last_value(s.oid::regclass) from pg_class s \
    join pg_depend d on d.objid = s.oid and d.deptype in ('a', 'i') join pg_class t on t.oid = d.refobjid \
    join pg_namespace n on n.oid = t.relnamespace \
    where s.relkind = 'S' and n.nspname = current_schema() and t.relname::text = any($1)";

/// Name of a table's file in the backup's folder.
pub(super) fn file_of(table: &str) -> String {
    format!("store/{table}.copy")
}

fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| StoreError::Settings(format!("`store.url` is not a PostgreSQL URL: {error}")))?;
    // A large store takes as long as it takes.
    let unhurried = [("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "0")];
    Ok(options.application_name("tranship backup").options(unhurried))
}

pub(super) async fn copy(
    url: &str,
    folder: &Path,
    tell: &mut (dyn FnMut(KeptBlob) -> io::Result<()> + Send),
) -> Result<Contents, StoreError> {
    let mut connection = enter(&options(url)?).await?;
    let mut snapshot = connection
        .begin_with("begin isolation level repeatable read read only")
        .await?;
    let tables = tables(&mut snapshot).await?;
    if !tables.iter().any(|table| table.name == migrate::TABLE) {
        return Err(StoreError::Missing {
            place: "the database of `store.url`".to_owned(),
        });
    }
    let (schema,): (i64,) = sqlx::query_as("select max(number) from schema_migrations")
        .fetch_one(&mut *snapshot)
        .await?;
    let parts = folder.join("store");
    tokio::fs::create_dir_all(&parts)
        .await
        .map_err(|error| unwritable(&parts, &error))?;
    let tables: Vec<Table> = tables
        .into_iter()
        .filter(|table| table.name != migrate::TABLE)
        .collect();
    for table in &tables {
        copy_out(&mut snapshot, table, &folder.join(file_of(&table.name))).await?;
    }
    let mut blobs = sqlx::query_as::<_, BlobRow>(BLOBS).fetch(&mut *snapshot);
    while let Some(row) = blobs.try_next().await? {
        tell_of(row, tell)?;
    }
    drop(blobs);
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let rows: Vec<(String, Option<i64>)> = sqlx::query_as(SEQUENCES).bind(names).fetch_all(&mut *snapshot).await?;
    let sequences: BTreeMap<_, _> = rows
        .into_iter()
        .filter_map(|(name, last)| Some((name, last?)))
        .collect();
    snapshot.rollback().await?;
    connection.close().await?;
    Ok(Contents {
        database: DatabaseKind::Postgres,
        schema,
        tables,
        sequences,
    })
}

/// The store's tables, in the order in which they were made first.
async fn tables(connection: &mut PgConnection) -> Result<Vec<Table>, StoreError> {
    let mut made: Vec<String> = vec![migrate::TABLE.to_owned()];
    made.extend(MADE.iter().cloned());
    let rows: Vec<(String, Vec<String>)> = sqlx::query_as(TABLES).bind(&made).fetch_all(connection).await?;
    let mut tables: Vec<Table> = rows
        .into_iter()
        .map(|(name, columns)| Table { name, columns })
        .collect();
    tables.sort_by_key(|table| made.iter().position(|name| *name == table.name));
    Ok(tables)
}

async fn copy_out(snapshot: &mut PgConnection, table: &Table, path: &Path) -> Result<(), StoreError> {
    let statement = format!(
        "copy (select {} from {}) to stdout",
        columns(table),
        quoted(&table.name)
    );
    let failed = |error: io::Error| unwritable(path, &error);
    let mut file = BufWriter::new(File::create(path).await.map_err(failed)?);
    let mut rows = snapshot.copy_out_raw(&statement).await?;
    while let Some(chunk) = rows.try_next().await? {
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)
}

pub(super) async fn restore(url: &str, folder: &Path, contents: &Contents, now: Timestamp) -> Result<(), StoreError> {
    let options = options(url)?;
    let mut connection = enter(&options).await?;
    let (standing,): (bool,) = sqlx::query_as("select to_regclass('schema_migrations') is not null")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    if standing {
        let why = "the database at `store.url` has a store already: restore into an empty one".to_owned();
        return Err(StoreError::Settings(why));
    }
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
    let pool: Pool = Backend::Postgres(HomePool::here(pool));
    let mut tx = pool.begin(&Memory::default(), Sync::Full).await?;
    migrate_to(&mut tx, contents.schema, now).await?;
    let Backend::Postgres(connection) = tx.db() else {
        unreachable!("the pool is one of PostgreSQL");
    };
    for table in &contents.tables {
        copy_in(connection, table, &folder.join(file_of(&table.name))).await?;
    }
    for (name, last) in &contents.sequences {
        sqlx::query("select setval($1::text::regclass, $2)")
            .bind(quoted(name))
            .bind(last)
            .execute(&mut *connection)
            .await?;
    }
    migrate(&mut tx, now).await?;
    begin_anew(&mut tx).await?;
    tx.commit(()).await
}

async fn copy_in(connection: &mut PgConnection, table: &Table, path: &Path) -> Result<(), StoreError> {
    let file = File::open(path).await.map_err(|error| unreadable(path, &error))?;
    // What the steps of the schema put there is in the copy, too.
    sqlx::query(dialect::sql(format!("delete from {}", quoted(&table.name))))
        .execute(&mut *connection)
        .await?;
    let statement = format!("copy {} ({}) from stdin", quoted(&table.name), columns(table));
    let mut rows = connection.copy_in_raw(&statement).await?;
    rows.read_from(file).await?;
    rows.finish().await?;
    Ok(())
}

fn columns(table: &Table) -> String {
    let mut list = String::new();
    for (at, column) in table.columns.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let _ = write!(list, "{comma}{}", quoted(column));
    }
    list
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
