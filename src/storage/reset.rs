//! The store as it was before the first message: what the sandbox goes back to.
//!
//! Clients, keys and what the installation is known by stay. Blobs go through the sweep, like those of dead uploads: a crash right
//! after leaves them to the next one.

use uuid::Uuid;

use super::dialect::sql;
use super::pool::{Backend, Tx, execute, fetch_all, fetch_optional};
use super::{Sharing, Store, StoreError};
use crate::domain::ids::{CorrelationId, MessageId};
use crate::domain::time::Timestamp;

/// What is emptied, those that refer to others first. `uploads` stays until its blobs are gone.
const EMPTIED: [&str; 28] = [
    "message_events",
    "erased_payloads",
    "record_errors",
    "error_groups",
    "repairs",
    "blocked_groups",
    "identities",
    "payloads",
    "queue",
    "queue_depths",
    "outcomes",
    "message_webhooks",
    "webhook_deliveries",
    "export_deliveries",
    "export_messages",
    "export_positions",
    "missed_occurrences",
    "occurrences",
    "execution_entities",
    "exported_packages",
    "package_requests",
    "executions",
    "schedules",
    "dmf_blocks",
    "dmf_blobs",
    "messages",
    "projects",
    "traffic",
];

/// How often a reset is tried that meets others' locks.
const TRIES: usize = 3;

/// What a reset of the store removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Removed {
    /// Messages, whatever became of them.
    pub messages: u64,
    /// Runs of jobs.
    pub executions: u64,
    /// Due times of schedules and runs that were asked for.
    pub occurrences: u64,
    /// How far incremental exports had come.
    pub positions: u64,
    /// Deliveries to webhooks and destinations.
    pub deliveries: u64,
    /// Payloads in the blob store, and blobs of the blob host.
    pub blobs: u64,
}

impl Sharing {
    /// What a connection is called on the server: services are told from commands, and from each other.
    pub(super) fn application_name(self) -> String {
        match self {
            Self::Exclusive => format!("{SERVICE}{}", CorrelationId::generate().0.simple()),
            Self::Beside | Self::BesideOrFirst => "tranship".to_owned(),
        }
    }
}

/// What the connections of a service's store are called, before a word of its own.
const SERVICE: &str = "tranship store ";

impl Store {
    /// How many other services have this store open now. A SQLite store has one owner.
    pub async fn other_processes(&self) -> Result<u64, StoreError> {
        let Backend::Postgres(db) = self.reader() else {
            return Ok(0);
        };
        let text = "select count(distinct application_name) from pg_stat_activity \
            where datname = current_database() and starts_with(application_name, $1) \
            and application_name <> current_setting('application_name')";
        let (others,): (i64,) = sqlx::query_as(text).bind(SERVICE).fetch_one(db).await?;
        Ok(u64::try_from(others).unwrap_or(0))
    }

    /// The imports that were begun and have not ended: of these something may be staged.
    pub async fn begun_imports(&self) -> Result<Vec<MessageId>, StoreError> {
        let text = "select message from queue where started_at is not null";
        let rows: Vec<(Uuid,)> = fetch_all!(self.reader(), (Uuid,), text)?;
        Ok(rows.into_iter().map(|(message,)| MessageId(message)).collect())
    }

    /// Empties the store, in one transaction; its blobs are for the sweep from then on. Only for who has stopped all work on it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is removed.
    pub async fn reset(&self, now: Timestamp) -> Result<Removed, StoreError> {
        let mut tries = TRIES;
        let removed = loop {
            tries -= 1;
            // On PostgreSQL others may hold what this waits for, and wait for what it holds.
            match self.write(move |tx| Box::pin(empty(tx, now))).await {
                Err(error @ StoreError::Driver(_)) if tries > 0 => {
                    tracing::warn!(%error, "the store could not be emptied; trying again");
                }
                done => break done?,
            }
        };
        self.memory().forget_paused();
        drop(self.memory().take_traffic());
        Ok(removed)
    }
}

async fn empty(tx: &mut Tx, now: Timestamp) -> Result<Removed, StoreError> {
    let removed = Removed {
        messages: count(tx, "messages", "true").await?,
        executions: count(tx, "executions", "true").await?,
        occurrences: count(tx, "occurrences", "true").await?,
        positions: count(tx, "export_positions", "true").await?,
        deliveries: count(tx, "webhook_deliveries", "true").await? + count(tx, "export_deliveries", "true").await?,
        blobs: count(tx, "uploads", "state <> 'dead'").await?,
    };
    // Before the messages: an upload that is under way finds its row dead, and its sender is told to come again.
    let text = "update uploads set state = 'dead', message = null, beat_at = $1 where state <> 'dead'";
    execute!(tx.db(), text, now.micros())?;
    // Every process reads anew which projects there are.
    execute!(tx.db(), "update project_changes set number = number + 1")?;
    if matches!(tx.db(), Backend::Postgres(_)) {
        execute!(tx.db(), sql(format!("truncate table {}", EMPTIED.join(", "))))?;
        return Ok(removed);
    }
    for table in EMPTIED {
        execute!(tx.db(), sql(format!("delete from {table}")))?;
    }
    Ok(removed)
}

async fn count(tx: &mut Tx, table: &str, condition: &str) -> Result<u64, StoreError> {
    let text = format!("select count(*) from {table} where {condition}");
    let counted: Option<(i64,)> = fetch_optional!(tx.db(), (i64,), sql(text))?;
    Ok(counted.map_or(0, |(rows,)| u64::try_from(rows).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::StoreSettings;

    /// What is neither emptied nor known to stay was forgotten here.
    #[tokio::test]
    async fn every_table_of_the_store_is_emptied_or_known_to_stay() {
        let kept = [
            // Append-only.
            "audit",
            "clients",
            // Who looks on in the console goes on looking.
            "console_links",
            "console_sessions",
            "processes",
            "project_changes",
            "schema_migrations",
            "signing_keys",
            "store_facts",
            "uploads",
        ];
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::connect(&StoreSettings {
            url: format!("sqlite://{}/tables.db", folder.path().display()),
            max_connections: 1,
            sharing: Sharing::Exclusive,
        })
        .await
        .expect("opens");
        let text = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'";
        let tables: Result<Vec<(String,)>, StoreError> =
            async { Ok(fetch_all!(store.reader(), (String,), text)?) }.await;
        let tables: Vec<String> = tables.expect("a list").into_iter().map(|(name,)| name).collect();
        assert!(tables.len() > kept.len());
        for table in &tables {
            let places = usize::from(EMPTIED.contains(&table.as_str())) + usize::from(kept.contains(&table.as_str()));
            assert_eq!(places, 1, "`{table}`: say in EMPTIED whether a reset empties it");
        }
        assert_eq!(tables.len(), EMPTIED.len() + kept.len());
        store.close().await;
    }
}
