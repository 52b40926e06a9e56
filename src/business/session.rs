//! One transaction on one business database, the same to the caller on both: statements with bound values, and rows. The
//! only place that hands text to the driver.

use std::borrow::Cow;

use futures_util::StreamExt as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Row as _, Sqlite, SqlitePool};
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;
use uuid::Uuid;

use super::BusinessError;
use super::dialect::{Dialect, Purpose};
use super::snapshot::{Row, UnreadableCell, shown_bytes};
use super::transaction::{WORK_MAX, timed_out};
use crate::disk::DiskFault;
use crate::failpoint;

/// Steps of SQLite's virtual machine between two looks whether a statement is to end: a fraction of a millisecond.
pub(super) const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// A value bound to a statement.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Id(Uuid),
    Int(i64),
    OptInt(Option<i64>),
    Text(String),
    OptText(Option<String>),
    Flag(bool),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(int(number))
    }
}

/// Both databases count in signed 64 bits; no file reaches the end of them.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Why a transaction ends without a commit.
#[derive(Debug)]
pub(super) enum Fault {
    Business(BusinessError),
    Driver(sqlx::Error),
}

impl From<BusinessError> for Fault {
    fn from(error: BusinessError) -> Self {
        Self::Business(error)
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

/// Why a stream of rows breaks off.
#[derive(Debug)]
pub(super) enum StreamFault {
    Driver(sqlx::Error),
    Unreadable(Box<UnreadableCell>),
}

impl From<sqlx::Error> for StreamFault {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

/// Where a batch of streamed rows is cut, whichever comes first.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchLimit {
    pub(super) rows: usize,
    /// Of text; the row that reaches it is the batch's last.
    pub(super) bytes: usize,
}

/// An open pool.
#[derive(Debug, Clone)]
pub(super) enum Pool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

#[derive(Debug)]
enum Connection {
    Postgres(PoolConnection<Postgres>),
    Sqlite(PoolConnection<Sqlite>),
}

/// A row of a result.
pub(super) enum DbRow {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

/// Runs the same driver call on whichever connection it is.
macro_rules! on_connection {
    ($session:expr, $connection:ident => $body:expr) => {
        match &mut $session.connection {
            Connection::Postgres($connection) => $body,
            Connection::Sqlite($connection) => $body,
        }
    };
}

macro_rules! bound {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($sql));
        for value in $values {
            query = match value {
                Value::Id(id) => query.bind(id),
                Value::Int(number) => query.bind(number),
                Value::OptInt(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
                Value::OptText(text) => query.bind(text),
                Value::Flag(flag) => query.bind(flag),
            };
        }
        query
    }};
}

/// A row of texts whose cell at `$column` is none.
macro_rules! unreadable {
    ($row:expr, $column:expr) => {{
        let mut row = Row::default();
        for at in 0..$row.len() {
            match $row.try_get_unchecked::<Option<&str>, _>(at) {
                Ok(text) => row.push(text),
                Err(_) => row.push($row.try_get_unchecked::<&[u8], _>(at).ok().map(shown_bytes).as_deref()),
            }
        }
        let column = $column;
        StreamFault::Unreadable(Box::new(UnreadableCell { column, row }))
    }};
}

macro_rules! getter {
    ($(#[$doc:meta])* $name:ident -> $type:ty) => {
        $(#[$doc])*
        pub(super) fn $name(&self, index: usize) -> Result<$type, sqlx::Error> {
            match self {
                Self::Postgres(row) => row.try_get(index),
                Self::Sqlite(row) => row.try_get(index),
            }
        }
    };
}

impl DbRow {
    getter!(int -> i64);
    getter!(opt_int -> Option<i64>);
    getter!(text -> String);
    getter!(opt_text -> Option<String>);
    getter!(flag -> bool);

    /// A number that is never negative.
    pub(super) fn count(&self, index: usize) -> Result<u64, sqlx::Error> {
        let number = self.int(index)?;
        u64::try_from(number).map_err(|error| sqlx::Error::Decode(Box::new(error)))
    }
}

/// An open transaction. Dropped without an end it takes its connection with it.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    pub(super) dialect: Dialect,
    ended: bool,
    discard: bool,
    /// Rows of a stream are still to come.
    under_way: bool,
}

impl Session {
    pub(super) async fn begin(pool: &Pool, purpose: Purpose) -> Result<Self, sqlx::Error> {
        let (connection, dialect) = match pool {
            Pool::Postgres(pool) => (Connection::Postgres(pool.acquire().await?), Dialect::Postgres),
            Pool::Sqlite(pool) => (Connection::Sqlite(pool.acquire().await?), Dialect::Sqlite),
        };
        let mut session = Self {
            connection,
            dialect,
            ended: false,
            discard: false,
            under_way: false,
        };
        session.run(dialect.begin(purpose)).await?;
        Ok(session)
    }

    /// Runs a statement without values: table definitions, savepoints. It is not kept prepared.
    pub(super) async fn run(&mut self, sql: impl Into<Cow<'static, str>>) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.into());
        on_connection!(self, connection => sqlx::raw_sql(sql).execute(&mut **connection).await.map(drop))
    }

    /// Runs a statement and returns the number of rows it touched.
    pub(super) async fn execute(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        values: Vec<Value>,
    ) -> Result<u64, sqlx::Error> {
        let sql = sql.into();
        on_connection!(self, connection => {
            bound!(sql, values).execute(&mut **connection).await.map(|done| done.rows_affected())
        })
    }

    /// All rows of a bounded result.
    pub(super) async fn rows(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        values: Vec<Value>,
    ) -> Result<Vec<DbRow>, sqlx::Error> {
        let sql = sql.into();
        match &mut self.connection {
            Connection::Postgres(connection) => {
                let rows = bound!(sql, values).fetch_all(&mut **connection).await?;
                Ok(rows.into_iter().map(DbRow::Postgres).collect())
            }
            Connection::Sqlite(connection) => {
                let rows = bound!(sql, values).fetch_all(&mut **connection).await?;
                Ok(rows.into_iter().map(DbRow::Sqlite).collect())
            }
        }
    }

    /// The first row, if there is one.
    pub(super) async fn row(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        values: Vec<Value>,
    ) -> Result<Option<DbRow>, sqlx::Error> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Feeds a `COPY … FROM STDIN`, which only PostgreSQL has.
    pub(super) async fn copy(&mut self, sql: &str, data: Vec<u8>) -> Result<(), sqlx::Error> {
        let Connection::Postgres(connection) = &mut self.connection else {
            return Err(sqlx::Error::Protocol("COPY is for PostgreSQL".into()));
        };
        let mut copy = connection.copy_in_raw(sql).await?;
        copy.send(data).await?;
        copy.finish().await.map(drop)
    }

    /// Streams rows of text columns in batches. Ends early when the receiver is gone; the statement is then still under way.
    pub(super) async fn stream(
        &mut self,
        sql: String,
        values: Vec<Value>,
        limit: BatchLimit,
        to: &Sender<Vec<Row>>,
    ) -> Result<u64, StreamFault> {
        let mut sent = 0;
        self.under_way = true;
        on_connection!(self, connection => {
            let mut rows = bound!(sql, values).fetch(&mut **connection);
            let mut batch = Vec::new();
            let mut bytes = 0;
            loop {
                let next = timeout(WORK_MAX, rows.next()).await.map_err(|_| timed_out(WORK_MAX))?;
                self.under_way = matches!(next, Some(Ok(_)));
                let row = next.transpose()?;
                let last = row.is_none();
                if let Some(row) = row {
                    // Rows of one result are much alike: as much room as the last one took.
                    let mut texts = Row::with_capacity(row.len(), batch.last().map_or(0, Row::bytes));
                    for index in 0..row.len() {
                        // All columns are texts; asking every cell again whether it is one takes longer than reading it.
                        texts.push(row.try_get_unchecked(index).map_err(|_| unreadable!(row, index))?);
                    }
                    bytes += texts.bytes();
                    batch.push(texts);
                }
                if batch.len() == limit.rows || bytes >= limit.bytes || (last && !batch.is_empty()) {
                    let rows = batch.len() as u64;
                    bytes = 0;
                    if to.send(std::mem::take(&mut batch)).await.is_err() {
                        return Ok(sent);
                    }
                    sent += rows;
                }
                if last {
                    return Ok(sent);
                }
            }
        })
    }

    /// Whether a statement was left in the middle.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Ends the statement that is running, and each that is begun, as soon as this says so. PostgreSQL has other means.
    pub(super) async fn interrupt_when(
        &mut self,
        mut is_over: impl FnMut() -> bool + Send + 'static,
    ) -> Result<(), sqlx::Error> {
        if let Connection::Sqlite(connection) = &mut self.connection {
            let mut handle = connection.lock_handle().await?;
            handle.set_progress_handler(STEPS_BETWEEN_LOOKS, move || !is_over());
        }
        Ok(())
    }

    /// Takes that back, so that others can use the connection.
    pub(super) async fn never_interrupt(&mut self) -> Result<(), sqlx::Error> {
        if let Connection::Sqlite(connection) = &mut self.connection {
            connection.lock_handle().await?.remove_progress_handler();
        }
        Ok(())
    }

    /// Rolls back at the end although all went well: nothing but the fence was touched, and a commit would cost a sync.
    pub(super) fn discard(&mut self) {
        self.discard = true;
    }

    /// Commits what went well, rolls back the rest.
    pub(super) async fn end<T>(mut self, outcome: Result<T, Fault>) -> Result<T, Fault> {
        let outcome = match outcome {
            Ok(value) if !self.discard => {
                failpoint::reached("business.committing");
                match self.run("commit").await {
                    Ok(()) => {
                        self.ended = true;
                        failpoint::reached("business.committed");
                        return Ok(value);
                    }
                    Err(error) => Err(Fault::Driver(error)),
                }
            }
            other => other,
        };
        // A rollback that fails leaves `ended` unset, which closes the connection. So does a disk that takes nothing: what is opened while
        // it is read-only can only read, for as long as it lives.
        let is_of_disk = matches!(&outcome, Err(Fault::Driver(error)) if disk_fault(error).is_some());
        self.ended = self.run("rollback").await.is_ok() && !is_of_disk;
        outcome
    }

    /// Ends a reading transaction.
    pub(super) async fn finish(self) {
        // What was read stays read, whether or not the rollback reaches the server.
        let _ = self.end::<()>(Err(Fault::Driver(sqlx::Error::RowNotFound))).await;
    }

    fn close_on_drop(&mut self) {
        on_connection!(self, connection => connection.close_on_drop());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.ended {
            self.close_on_drop();
        }
    }
}

/// What the disk of the database has to do with it, if anything.
pub(super) fn disk_fault(error: &sqlx::Error) -> Option<DiskFault> {
    DiskFault::of_database(&error.as_database_error()?.code()?)
}

/// The database's or the operating system's own words, without the driver's. The detail of NOT NULL, CHECK and view checks is
/// left out: it shows the whole row, with columns the client neither sent nor may see.
pub(super) fn message_of(error: &sqlx::Error) -> String {
    let database = match error {
        sqlx::Error::Database(database) => database,
        sqlx::Error::Io(error) => return error.to_string(),
        other => return other.to_string(),
    };
    let detail = database
        .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
        .filter(|error| !matches!(error.code(), "23502" | "23514" | "44000"))
        .and_then(|error| error.detail());
    match detail {
        Some(detail) => format!("{} ({detail})", database.message()),
        None => database.message().to_owned(),
    }
}
