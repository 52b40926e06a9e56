//! Ends a statement of PostgreSQL that nobody waits for any more. Its session would notice when it has rows to send, or when it looks for us
//! (`POSTGRES_LOOKS` in `connect`).

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::timeout;

use super::Database;
use super::connect::Address;
use super::session::DbRow;

/// How long the server may take to be told: less than the service has for closing its pools.
const PATIENCE: Duration = Duration::from_secs(2);

/// A transaction as its server knows it.
#[derive(Debug)]
pub(super) struct Transaction {
    server_process: i64,
    /// Another one of the same process, or of another server behind the same address, began at another moment.
    began: String,
}

impl Transaction {
    /// Out of what `Dialect::first_look` asks.
    pub(super) fn of(row: &DbRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            server_process: row.int(0)?,
            began: row.text(1)?,
        })
    }
}

impl Database {
    /// Cancels the statement that this transaction is at. Over a connection of its own, because those of the pool may all be at such
    /// statements. Where the server cannot be told, the statement goes on until its session notices.
    pub(super) async fn cancel(&self, transaction: &Transaction) {
        let Address::Postgres(options) = &self.inner.address else {
            return;
        };
        let Transaction { server_process, began } = transaction;
        let telling = async {
            let mut connection = PgConnection::connect_with(options).await?;
            let cancel = format!(
                "select pg_cancel_backend(pid) from pg_stat_activity \
                 where pid = {server_process} and extract(epoch from xact_start)::text = '{began}'"
            );
            sqlx::raw_sql(AssertSqlSafe(cancel)).execute(&mut connection).await?;
            connection.close().await
        };
        let why = match timeout(PATIENCE, telling).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        tracing::warn!(
            database = self.name(),
            server_process,
            why,
            "a statement that nobody waits for could not be cancelled: it goes on until the server notices"
        );
    }
}
