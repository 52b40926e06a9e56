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
    /// The database refused or is out of reach; trying again later may help.
    #[error("the service store failed: {0}")]
    Driver(#[from] sqlx::Error),
}

impl StoreError {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Driver(_))
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
