//! What only a PostgreSQL store has: a server with other sessions, and dead rows it must be able to clean up.

use std::str::FromStr as _;

use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;

use super::super::connect::{DURABLE_SETTINGS, enter};
use super::{LogSize, Setting};
use crate::storage::StoreError;

/// No look takes long; one that does is reported instead of waited for.
const STATEMENT_TIMEOUT: &str = "10s";

/// Everything that keeps dead rows from being cleaned up: whatever may still have to see them. `age` counts transactions; a
/// session of another database, or one that merely began, holds up nothing here.
const PINS: &str = "
select kind, pid, name, state, query, seconds, transactions, log_bytes from (
    select 'session' as kind, pid::bigint as pid,
        trim(concat_ws(', ', usename::text, nullif(application_name, ''))) as name,
        coalesce(state, '') as state, left(query, 200) as query,
        extract(epoch from clock_timestamp() - coalesce(xact_start, query_start, backend_start))::bigint as seconds,
        greatest(age(backend_xid), age(backend_xmin))::bigint as transactions, null::bigint as log_bytes
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type <> 'autovacuum worker'
        and (backend_xid is not null or backend_xmin is not null)
    union all
    select 'prepared', null, gid, '', null, extract(epoch from clock_timestamp() - prepared)::bigint,
        age(transaction)::bigint, null
    from pg_prepared_xacts where database = current_database()
    union all
    select 'slot', active_pid::bigint, slot_name::text, case when active then 'active' else 'inactive' end, null, null,
        greatest(age(xmin), age(catalog_xmin))::bigint,
        case when not pg_is_in_recovery() then pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint end
    from pg_replication_slots where xmin is not null or catalog_xmin is not null or restart_lsn is not null
    union all
    select 'standby', pid::bigint, coalesce(application_name, ''), coalesce(state, ''), null,
        extract(epoch from clock_timestamp() - backend_start)::bigint, age(backend_xmin)::bigint, null
    from pg_stat_replication where backend_xmin is not null
) as pins order by seconds desc nulls last, transactions desc nulls last limit 50";

/// Partitions count by themselves, as they are vacuumed.
const TABLES: &str = "
select relname::text, n_live_tup, n_dead_tup,
    extract(epoch from clock_timestamp() - greatest(last_vacuum, last_autovacuum))::bigint
from pg_stat_user_tables where schemaname = current_schema() order by n_dead_tup desc, relname limit 50";

/// What may hold up the clean-up of dead rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinKind {
    /// A session with a transaction.
    Session,
    /// A prepared transaction nobody finished.
    Prepared,
    /// A replication slot.
    Slot,
    /// A standby that sends what it still reads.
    Standby,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// What it is.
    pub kind: PinKind,
    /// The server process, where there is one.
    pub pid: Option<i64>,
    /// Role and application, or the name of the transaction or slot.
    pub name: String,
    /// In the server's words.
    pub state: String,
    /// The beginning of the session's latest statement, where this role may see it.
    pub query: Option<String>,
    /// Its age.
    pub seconds: Option<i64>,
    /// Its age in transactions; `None`: it holds back the log, not the clean-up.
    pub transactions: Option<i64>,
    /// How much of the log a slot holds back.
    pub log_bytes: Option<i64>,
}

/// Rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRows {
    /// The table.
    pub table: String,
    /// Living rows, as the server estimates.
    pub live: u64,
    /// Dead rows that are not cleaned up yet.
    pub dead: u64,
    /// Seconds since it was last vacuumed; `None`: never.
    pub vacuumed_seconds_ago: Option<i64>,
}

/// How the clean-up of dead rows is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vacuum {
    /// Whether this role sees the sessions of others.
    pub sees_all_sessions: bool,
    /// Whether the server cleans up by itself.
    pub is_automatic: bool,
    /// What may hold it up, the oldest first.
    pub pins: Vec<Pin>,
    /// The store's tables, those with the most dead rows first.
    pub tables: Vec<TableRows>,
}

pub(super) async fn open(url: &str) -> Result<PgConnection, StoreError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|e| StoreError::Settings(format!("`store.url` is not a PostgreSQL URL: {e}")))?
        .application_name("tranship doctor")
        .options([
            // As the service asks for it, so that what is found is what the service gets.
            ("synchronous_commit", "on"),
            ("default_transaction_read_only", "on"),
            ("statement_timeout", STATEMENT_TIMEOUT),
        ]);
    enter(&options).await
}

pub(super) async fn version(connection: &mut PgConnection) -> Result<String, StoreError> {
    let version = setting(connection, "server_version").await?;
    // Behind it packagers say who built it.
    Ok(format!("PostgreSQL {}", version.split(' ').next().unwrap_or_default()))
}

pub(super) async fn is_standby(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let (standby,): (bool,) = sqlx::query_as("select pg_is_in_recovery()")
        .fetch_one(connection)
        .await?;
    Ok(standby)
}

pub(super) async fn durability(connection: &mut PgConnection) -> Result<Vec<Setting>, StoreError> {
    let mut settings = Vec::new();
    for name in DURABLE_SETTINGS {
        let value = setting(connection, name).await?;
        settings.push(Setting {
            name,
            is_weak: value == "off",
            value,
        });
    }
    Ok(settings)
}

pub(super) async fn log_size(connection: &mut PgConnection) -> Result<LogSize, StoreError> {
    let (may_look,): (bool,) = sqlx::query_as("select has_function_privilege('pg_ls_waldir()', 'execute')")
        .fetch_one(&mut *connection)
        .await?;
    if !may_look {
        let (bytes,): (i64,) = sqlx::query_as("select least(wal_bytes, 9223372036854775807)::bigint from pg_stat_wal")
            .fetch_one(connection)
            .await?;
        return Ok(LogSize::Written {
            bytes: bytes.unsigned_abs(),
        });
    }
    let text = "select coalesce(sum(size), 0)::bigint, pg_size_bytes(current_setting('max_wal_size')) \
        + pg_size_bytes(current_setting('wal_keep_size')) from pg_ls_waldir()";
    let (bytes, expected): (i64, i64) = sqlx::query_as(text).fetch_one(connection).await?;
    Ok(LogSize::Folder {
        bytes: bytes.unsigned_abs(),
        expected_bytes: expected.unsigned_abs(),
    })
}

pub(super) async fn now_micros(connection: &mut PgConnection) -> Result<i64, StoreError> {
    let (now,): (i64,) = sqlx::query_as("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
        .fetch_one(connection)
        .await?;
    Ok(now)
}

pub(super) async fn vacuum(connection: &mut PgConnection) -> Result<Vacuum, StoreError> {
    let (sees_all_sessions,): (bool,) =
        sqlx::query_as("select pg_has_role(current_user, 'pg_read_all_stats', 'usage')")
            .fetch_one(&mut *connection)
            .await?;
    let is_automatic = setting(connection, "autovacuum").await? == "on";
    let pins: Vec<PinRow> = sqlx::query_as(PINS).fetch_all(&mut *connection).await?;
    let tables: Vec<(String, i64, i64, Option<i64>)> = sqlx::query_as(TABLES).fetch_all(connection).await?;
    let tables = tables.into_iter().map(|(table, live, dead, vacuumed)| TableRows {
        table,
        live: live.unsigned_abs(),
        dead: dead.unsigned_abs(),
        vacuumed_seconds_ago: vacuumed,
    });
    Ok(Vacuum {
        sees_all_sessions,
        is_automatic,
        pins: pins.into_iter().map(Pin::from).collect(),
        tables: tables.collect(),
    })
}

#[derive(sqlx::FromRow)]
struct PinRow {
    kind: String,
    pid: Option<i64>,
    name: String,
    state: String,
    query: Option<String>,
    seconds: Option<i64>,
    transactions: Option<i64>,
    log_bytes: Option<i64>,
}

impl From<PinRow> for Pin {
    fn from(row: PinRow) -> Self {
        Self {
            kind: match row.kind.as_str() {
                "prepared" => PinKind::Prepared,
                "slot" => PinKind::Slot,
                "standby" => PinKind::Standby,
                _ => PinKind::Session,
            },
            pid: row.pid,
            name: row.name,
            state: row.state,
            query: row.query,
            seconds: row.seconds,
            transactions: row.transactions,
            log_bytes: row.log_bytes,
        }
    }
}

async fn setting(connection: &mut PgConnection, name: &str) -> Result<String, StoreError> {
    let (value,): (String,) = sqlx::query_as("select current_setting($1)")
        .bind(name)
        .fetch_one(connection)
        .await?;
    Ok(value)
}
