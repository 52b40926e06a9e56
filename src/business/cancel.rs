//! Ends a statement of PostgreSQL that nobody waits for any more: its session would notice only once it has rows to send.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::timeout;

use super::Database;
use super::connect::Address;

/// How long the server may take to be told.
const PATIENCE: Duration = Duration::from_secs(5);

impl Database {
    /// Cancels what this server process is at. Over a connection of its own, because those of the pool may all be at such statements. Where
    /// the server cannot be told, the statement goes on until it ends.
    pub(super) async fn cancel(&self, server_process: i64) {
        let Address::Postgres(options) = &self.inner.address else {
            return;
        };
        let telling = async {
            let mut connection = PgConnection::connect_with(options).await?;
            let cancel = format!("select pg_cancel_backend({server_process})");
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
            "a statement that nobody waits for could not be cancelled: it goes on until it ends"
        );
    }
}
