//! The control tables of a business database: fence, loads, chunks (the markers), rejects, warnings, repairs, number sequences,
//! promoted and staging tables.
//!
//! They live beside the business tables because they must commit with them: a marker in another database could be there
//! without its rows, or the rows without their marker.

use std::sync::atomic::Ordering;

use super::dialect::Dialect;
use super::session::{Fault, Session, Value};
use super::staging::Load;
use super::{BusinessError, Database};
use crate::business::dialect::quote;

/// `{id}` is the type of a message id. Every number is a `bigint`, so that both databases return the same type.
const TABLES: &[&str] = &[
    // The newest epoch that wrote for a message. Never deleted: an old worker must find it.
    "create table if not exists tranship_fence (message {id} not null primary key, epoch bigint not null)",
    // How far the source was read, and what became of the load as a whole. `truncated`: rows deleted before its first record
    // landed, once that has happened.
    "create table if not exists tranship_loads (
       message {id} not null, entity_no bigint not null, entity text not null, target text not null, staging text not null,
       fields text not null, policy text not null,
       records bigint not null, line bigint not null, byte bigint not null, staged_rows bigint not null,
       staged boolean not null, stopped text, truncated bigint,
       primary key (message, entity_no))",
    // The markers: ranges fixed when staging ends, counts written with the rows they count.
    "create table if not exists tranship_chunks (
       message {id} not null, entity_no bigint not null, chunk_no bigint not null,
       first_record bigint not null, last_record bigint not null, done boolean not null,
       staging_errors bigint not null, inserted bigint not null, updated bigint not null, unchanged bigint not null,
       target_errors bigint not null, skipped bigint not null, deleted bigint not null,
       primary key (message, entity_no, chunk_no))",
    // What was rejected and why, until the store has it.
    "create table if not exists tranship_rejects (
       message {id} not null, entity_no bigint not null, record bigint not null, ordinal bigint not null,
       origin text, by_target boolean not null,
       line bigint not null, byte_start bigint not null, byte_end bigint not null,
       column_no bigint, field text, code text not null, value text, reason text not null,
       primary key (message, entity_no, record, ordinal))",
    // Rejects of ancestors that an applied record of this load corrected.
    "create table if not exists tranship_repairs (
       message {id} not null, entity_no bigint not null, origin text not null,
       primary key (message, entity_no, origin))",
    // How many good records of a range fail a rule that only warns, until the store has it.
    "create table if not exists tranship_warnings (
       message {id} not null, entity_no bigint not null, rule text not null, first_record bigint not null,
       records bigint not null,
       primary key (message, entity_no, rule, first_record))",
    // The next number of each sequence.
    "create table if not exists tranship_numbers (
       entity text not null, field text not null, next bigint not null, primary key (entity, field))",
    // The number of the newest attempt to export changes, by job and entity: a restored database knows only an earlier one.
    "create table if not exists tranship_export_marks (
       job {id} not null, entity text not null, mark bigint not null, primary key (job, entity))",
    // The change tables: a word that none made before or after has (on SQLite, where nothing else tells), and the change below
    // which some are forgotten.
    "create table if not exists tranship_change_histories (
       name text not null primary key, history text not null, forgotten bigint not null)",
    // One row per target table: the lock that serialises promotion into it.
    "create table if not exists tranship_tables (name text not null primary key)",
    // The target tables that were made here because there were none: what a reset of the sandbox may empty.
    "create table if not exists tranship_made_tables (name text not null primary key)",
    // The staging tables made for each target, numbered in the order they were made.
    "create table if not exists tranship_stagings (name text not null primary key, target text not null, number bigint not null)",
];

/// One load's names and ids, owned, so that they can move into a transaction's task.
#[derive(Debug, Clone)]
pub(super) struct LoadKey {
    pub(super) load: Value,
    pub(super) entity_no: Value,
    /// Quoted.
    pub(super) staging: String,
    /// As it is.
    pub(super) table: String,
}

impl LoadKey {
    pub(super) fn new(load: Load<'_>) -> Self {
        Self {
            load: Value::Id(load.fence.message.0),
            entity_no: Value::Int(load.entity_no.into()),
            staging: quote(&load.entity.staging_table()),
            table: load.entity.table.clone(),
        }
    }

    /// `$1` and `$2` of every statement about a load, and what follows.
    pub(super) fn with(&self, more: impl IntoIterator<Item = Value>) -> Vec<Value> {
        [self.load.clone(), self.entity_no.clone()]
            .into_iter()
            .chain(more)
            .collect()
    }
}

impl Database {
    /// Creates the control tables once per process, and again when they turn out to be gone. Two callers may both do it.
    pub(super) async fn ensure_control_tables(&self) -> Result<(), BusinessError> {
        if self.inner.control_tables.load(Ordering::Acquire) {
            return Ok(());
        }
        self.write(|session| Box::pin(async move { Ok(create_tables(session).await?) }))
            .await?;
        self.inner.control_tables.store(true, Ordering::Release);
        Ok(())
    }
}

/// Takes the lock under which tables are made. `create table if not exists` alone fails when two do it at once.
pub(super) async fn lock_schema(session: &mut Session) -> Result<(), sqlx::Error> {
    match session.dialect.schema_lock() {
        Some(lock) => session.run(lock).await,
        None => Ok(()),
    }
}

/// Serialises promotion per target table (design, Serialisation). Always taken after the fence and alone, so two loads cannot
/// wait for each other.
pub(super) async fn lock_target(session: &mut Session, key: &LoadKey) -> Result<(), Fault> {
    let sql = format!(
        "select name from tranship_tables where name = $1{}",
        session.dialect.for_update()
    );
    let table = &key.table;
    if session.row(sql, vec![Value::Text(table.clone())]).await?.is_none() {
        return Err(BusinessError::Definition(format!("table `{table}` has not been made ready for loads")).into());
    }
    Ok(())
}

async fn create_tables(session: &mut Session) -> Result<(), sqlx::Error> {
    lock_schema(session).await?;
    for table in TABLES {
        session
            .run(table.replace("{id}", Dialect::id_type(session.dialect)))
            .await?;
    }
    Ok(())
}
