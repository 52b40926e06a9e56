//! What can go wrong in the store, by what the caller does next.

use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::DiskFault;

/// A failure of the service store.
#[derive(Debug, Clone, thiserror::Error)]
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
    /// The message went into the queue, or out of it, while it was looked for in the other place: ask again.
    #[error("message {id} was moved at this very moment; ask again")]
    Moved {
        /// Its id.
        id: String,
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
    /// There is no store where the settings say, and whoever asks does not make one.
    #[error("there is no store at {place}")]
    Missing {
        /// File, or server and database.
        place: String,
    },
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
    #[error("the service store failed: {}", told(.0))]
    Driver(Arc<sqlx::Error>),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(Arc::new(error))
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

/// The same, and what to do where the disk is at fault.
fn told(error: &sqlx::Error) -> String {
    let words = words_of(error);
    match fault_of(error) {
        Some(fault) => format!("{words}; the disk that store.url names {fault}: {}", fault.cure()),
        None => words,
    }
}

fn fault_of(error: &sqlx::Error) -> Option<DiskFault> {
    DiskFault::of_database(&error.as_database_error()?.code()?)
}

impl StoreError {
    /// What the disk has to do with it, if anything.
    #[must_use]
    pub fn disk_fault(&self) -> Option<DiskFault> {
        match self {
            Self::Driver(error) => fault_of(error),
            _ => None,
        }
    }

    /// The store is being closed: nothing is asked of it any more.
    pub(super) fn closed() -> Self {
        sqlx::Error::PoolClosed.into()
    }

    /// Whether another transaction was in the way for too long (PostgreSQL).
    pub(super) fn is_lock_timeout(&self) -> bool {
        let Self::Driver(error) = self else { return false };
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        code.is_some_and(|code| code == "55P03")
    }

    /// Whether the data is at fault: the database refused a value, so others may fare better without it.
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Driver(error) = self else { return true };
        let Some(error) = error.as_database_error() else {
            return false;
        };
        // PostgreSQL's classes of wrong data and of violated constraints; on SQLite the constraints are all there is.
        let code = error.code().unwrap_or_default();
        code.len() == 5 && (code.starts_with("22") || code.starts_with("23")) || error.is_unique_violation()
    }

    /// Whether this transaction was sacrificed for another one, or came in between its steps: the same again may well succeed
    /// (PostgreSQL).
    pub(super) fn is_deadlock(&self) -> bool {
        let error = match self {
            Self::Moved { .. } => return true,
            Self::Driver(error) => error,
            _ => return false,
        };
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        code.is_some_and(|code| code == "40P01" || code == "40001")
    }

    /// Whether trying again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Driver(_) | Self::Unreachable { .. } | Self::Moved { .. })
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
        error.into()
    }
}
