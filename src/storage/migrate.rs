//! The schema's steps and the runner that applies what is missing, all of it in one transaction.
//!
//! Steps are numbered and forward-only. A step that was changed after it ran is an error: a database is never guessed into shape.
//!
//! While one process after the other is brought to a newer version, both versions use one store. So a step only adds, in ways the
//! version before it need not know of, or its name begins with `contract_` after the number: it takes away what that version still
//! uses, and comes a release after the one that stopped using it. A version that meets steps it does not know works on where all of
//! them only add, and refuses where one takes away.

use sha2::{Digest as _, Sha256};

use super::StoreError;
use super::dialect::Dialect;
use super::pool::{Tx, execute, fetch_all, with_pool};
use crate::domain::message::Digest;
use crate::domain::time::Timestamp;

/// One numbered step.
#[derive(Debug)]
pub struct Migration {
    /// Its number, from 1 without gaps.
    pub number: i64,
    /// Its name.
    pub name: &'static str,
    /// What it runs.
    pub sql: &'static str,
}

macro_rules! migrations {
    ($folder:literal: $($number:literal $file:literal),+ $(,)?) => {
        &[$(Migration {
            number: $number,
            name: $file,
            sql: include_str!(concat!("../../migrations/", $folder, "/", $file, ".sql")),
        }),+]
    };
}

/// The steps in SQLite's words.
pub const SQLITE: &[Migration] = migrations!("sqlite": 1 "0001_messages", 2 "0002_executions", 3 "0003_schedules", 4 "0004_access", 5 "0005_webhooks", 6 "0006_schedule_policies", 7 "0007_error_phases", 8 "0008_export_positions", 9 "0009_destinations", 10 "0010_dmf_blobs", 11 "0011_package_requests", 12 "0012_projects", 13 "0013_exported_packages", 14 "0014_collected_by", 15 "0015_console", 16 "0016_audit", 17 "0017_traceparent", 18 "0018_failed", 19 "0019_traffic", 20 "0020_key_rotation", 21 "0021_erased_payloads");
/// The steps in PostgreSQL's words.
pub const POSTGRES: &[Migration] = migrations!("postgres": 1 "0001_messages", 2 "0002_executions", 3 "0003_schedules", 4 "0004_access", 5 "0005_webhooks", 6 "0006_schedule_policies", 7 "0007_error_phases", 8 "0008_export_positions", 9 "0009_destinations", 10 "0010_dmf_blobs", 11 "0011_package_requests", 12 "0012_projects", 13 "0013_exported_packages", 14 "0014_collected_by", 15 "0015_console", 16 "0016_audit", 17 "0017_traceparent", 18 "0018_failed", 19 "0019_traffic", 20 "0020_key_rotation", 21 "0021_erased_payloads");

/// Where the steps that were applied are written down.
pub(super) const TABLE: &str = "schema_migrations";
/// Any number, so long as every version of the program uses the same.
const MIGRATION_LOCK: i64 = 0x7472_616e_7368_6970;

/// What the name of a step begins with, after its number, that takes away what the version before it uses.
const CONTRACT: &str = "contract_";

/// Whether a version that does not know the step of this name works beside it.
#[must_use]
pub fn only_adds(name: &str) -> bool {
    let words = name.trim_start_matches(|c: char| c.is_ascii_digit());
    !words.trim_start_matches('_').starts_with(CONTRACT)
}

/// Applies every step that is missing, in the transaction given: a start finds the old schema or the new one.
pub(super) async fn migrate(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    let newest = tx.dialect().migrations().last().map_or(0, |step| step.number);
    migrate_to(tx, newest, now).await
}

/// Applies what is missing up to the step of this number.
pub(super) async fn migrate_to(tx: &mut Tx, number: i64, now: Timestamp) -> Result<(), StoreError> {
    wait_for_turn(tx).await?;
    execute!(
        tx.db(),
        "create table if not exists schema_migrations \
         (number bigint not null primary key, name text not null, checksum text not null, applied_at bigint not null)"
    )?;
    let applied: Vec<(i64, String, String)> = fetch_all!(
        tx.db(),
        (i64, String, String),
        "select number, name, checksum from schema_migrations order by number"
    )?;
    let known = tx.dialect().migrations();
    check_applied(&applied, known)?;
    let newest = known.last().map_or(0, |step| step.number);
    if number > newest {
        return Err(StoreError::Migration(format!(
            "step {number} is wanted, and this version knows {newest}: use the newer version it was made with"
        )));
    }
    let missing = known.iter().skip(applied.len());
    for step in missing.filter(|step| step.number <= number) {
        with_pool!(tx.db(), db: _Db => sqlx::raw_sql(step.sql).execute(db).await.map(|_| ()))
            .map_err(|e| StoreError::Migration(format!("{}: {e}", step.name)))?;
        execute!(
            tx.db(),
            "insert into schema_migrations (number, name, checksum, applied_at) values ($1, $2, $3, $4)",
            step.number,
            step.name,
            checksum(step.sql),
            now.micros()
        )?;
    }
    Ok(())
}

/// Lets one process migrate at a time. The wait may be long, so the connection's own limits do not count here.
async fn wait_for_turn(tx: &mut Tx) -> Result<(), StoreError> {
    if tx.dialect() == Dialect::Postgres {
        execute!(tx.db(), "set local statement_timeout = 0")?;
        execute!(tx.db(), "set local lock_timeout = 0")?;
        execute!(tx.db(), "select pg_advisory_xact_lock($1)", MIGRATION_LOCK)?;
    }
    Ok(())
}

fn check_applied(applied: &[(i64, String, String)], known: &[Migration]) -> Result<(), StoreError> {
    for (at, (number, name, sum)) in applied.iter().enumerate() {
        let Some(step) = known.get(at) else {
            if only_adds(name) {
                tracing::warn!(
                    step = name,
                    "a newer version has used this store; its step only adds, so this version works on"
                );
                continue;
            }
            return Err(StoreError::Migration(format!(
                "it has step {number} ({name}), which takes away what this version uses: start the newer version it was used with"
            )));
        };
        if step.number != *number || step.name != name || checksum(step.sql) != *sum {
            return Err(StoreError::Migration(format!(
                "step {number} ({name}) is not the step {} ({}) of this version: the files were changed after it ran",
                step.number, step.name
            )));
        }
    }
    Ok(())
}

fn checksum(text: &str) -> String {
    Digest(Sha256::digest(text).into()).hex()
}
