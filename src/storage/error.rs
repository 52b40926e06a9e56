//! What can go wrong in the store, by what the caller does next.

use std::path::PathBuf;

/// A failure of the service store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The lease is no longer the caller's, or the thing is not in the state the event needs. Drop the work.
    #[error("the {what} {id} is no longer in the state this needs: {state}")]
    Conflict {
        /// Noun.
        what: &'static str,
        /// Its id.
        id: String,
        /// What it is now, for the answer.
        state: String,
    },
    /// A unique name is taken.
    #[error("{what} `{name}` exists already")]
    Exists {
        /// Noun.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Another process has the SQLite store open (promise 10).
    #[error("another process has {} open; a SQLite store serves one process. Stop the other one, or use PostgreSQL", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A row that no version of this program wrote.
    #[error("{table}.{column} of row {id} holds something this version cannot read: {detail}")]
    Corrupt {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// Row.
        id: String,
        /// What was found.
        detail: String,
    },
    /// The database is newer than this program, or a migration failed.
    #[error("the store's schema could not be brought up to date: {0}")]
    Migration(String),
    /// The settings do not describe a store.
    #[error("{0}")]
    Settings(String),
    /// Nobody answers at the settings' address, or lets us in.
    #[error("cannot connect to PostgreSQL at {server}: {cause}")]
    Unreachable {
        /// Host and port, or socket.
        server: String,
        /// In the server's or the operating system's words.
        cause: String,
    },
    /// The database refused or is out of reach; trying again later may help.
    // Not a `source`: its words are in the sentence already.
    #[error("the service store failed: {}", words_of(.0))]
    Driver(sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

/// The cause in the database's or the operating system's own words, without the driver's.
pub(super) fn words_of(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

impl StoreError {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Driver(_) | Self::Unreachable { .. })
    }
}

/// Turns a unique violation into [`StoreError::Exists`] for this name, and leaves every other error as it is.
pub(super) fn taken(error: sqlx::Error, what: &'static str, name: &str) -> StoreError {
    if error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    {
        StoreError::Exists {
            what,
            name: name.to_owned(),
        }
    } else {
        StoreError::Driver(error)
    }
}
