//! What can go wrong in a business database, by what the caller does next.

use super::session::{disk_fault, message_of};
use super::snapshot::UnreadableCell;
use crate::disk;

/// A failure of a business database.
#[derive(Debug, thiserror::Error)]
pub enum BusinessError {
    /// A newer claim raised the fence: this worker's lease is over. Drop the work.
    #[error("another worker has taken over message {0}")]
    Fenced(crate::domain::ids::MessageId),
    /// The table and the definition do not fit, and no retry will help.
    #[error("{0}")]
    Definition(String),
    /// A rule of the database, such as a foreign key, keeps a row that a load is to replace. No retry will help.
    #[error("the rows of table `{table}` cannot be deleted before the load: {detail}")]
    TruncateRefused {
        /// The target table.
        table: String,
        /// The database's own words.
        detail: String,
    },
    /// The load began under another definition of its entity, and records were read since: it cannot go on under this one.
    #[error("{0}")]
    DefinitionChanged(String),
    /// The settings do not describe a database.
    #[error("{0}")]
    Settings(String),
    /// What the control tables say cannot be.
    #[error("business database `{database}`: {detail}")]
    Corrupt {
        /// Database name.
        database: String,
        /// What was found.
        detail: String,
    },
    /// The database refused or is out of reach; trying again later may help.
    #[error("business database `{database}` failed: {}", told(.database, .source))]
    Driver {
        /// Database name.
        database: String,
        /// The driver's error.
        source: sqlx::Error,
    },
    /// The database crashed and lost what was staged. The load goes back to its source; trying again now helps.
    #[error(
        "business database `{database}` crashed and lost what was staged of message {message}: the file is read again"
    )]
    StagingLost {
        /// Database name.
        database: String,
        /// The message.
        message: crate::domain::ids::MessageId,
    },
    /// A cell of a row that was read is no text. No retry will help.
    #[error("business database `{database}`: a value holds bytes that are no text ({})", .cell.shown())]
    Unreadable {
        /// Database name.
        database: String,
        /// Which, and the row it is in.
        cell: Box<UnreadableCell>,
    },
    /// The database met a value, in a read, that it cannot give as its field's type. No retry will help.
    #[error("{0}")]
    ValueRefused(String),
    /// SQLite's write-ahead log grew too far under a snapshot, which was given up. Reading goes on from a copy.
    #[error(
        "the write-ahead log of business database `{database}` grew by {grown_bytes} bytes while it was read (export.max_wal_bytes)"
    )]
    LogGrown {
        /// Database name.
        database: String,
        /// By how much it had grown since the snapshot was opened.
        grown_bytes: u64,
    },
    /// There is no room for a copy of the database.
    #[error(
        "business database `{database}` has to be read from a copy, because its write-ahead log grew too far, and there is no \
         room for one: it needs {needed_bytes} bytes in {}, where {free_bytes} are free", .folder.display()
    )]
    NoRoom {
        /// Database name.
        database: String,
        /// Where the copy was to be.
        folder: std::path::PathBuf,
        /// What it needs.
        needed_bytes: u64,
        /// What there is.
        free_bytes: u64,
    },
    /// A temporary file could not be written or read; trying again later may help.
    #[error("a temporary file in {} failed: {}", std::env::temp_dir().display(), disk::told(.0))]
    Temporary(std::io::Error),
    /// Nobody answers at the settings' address, or lets us in; trying again later may help.
    #[error("business database `{database}`: cannot connect to PostgreSQL at {server}: {cause}")]
    Unreachable {
        /// Database name.
        database: String,
        /// Host and port, or socket.
        server: String,
        /// In the server's or the operating system's words.
        cause: String,
    },
}

/// The database's own words, and what to do where its disk is at fault.
fn told(database: &str, error: &sqlx::Error) -> String {
    let words = message_of(error);
    match disk_fault(error) {
        Some(fault) => format!(
            "{words}; the disk that databases.{database}.url names {fault}: {}",
            fault.cure()
        ),
        None => words,
    }
}

impl BusinessError {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Driver { .. } | Self::Unreachable { .. } | Self::Temporary(_) | Self::StagingLost { .. }
        )
    }

    /// Whether somebody held a lock for longer than we wait for one (PostgreSQL; SQLite that is busy is out of reach).
    #[must_use]
    pub fn is_locked(&self) -> bool {
        match self {
            Self::Driver { source, .. } => source
                .as_database_error()
                .is_some_and(|error| error.code().as_deref() == Some("55P03")),
            _ => false,
        }
    }

    /// Whether the database is out of reach or out of means, whatever was asked of it: no fault of the message.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        let source = match self {
            Self::Unreachable { .. } | Self::Temporary(_) => return true,
            Self::Driver { source, .. } => source,
            Self::Fenced(_)
            | Self::Definition(_)
            | Self::TruncateRefused { .. }
            | Self::DefinitionChanged(_)
            | Self::Settings(_)
            | Self::Corrupt { .. }
            | Self::StagingLost { .. }
            | Self::Unreadable { .. }
            | Self::ValueRefused(_)
            | Self::LogGrown { .. }
            | Self::NoRoom { .. } => return false,
        };
        match source {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                // PostgreSQL: connection, resources, operator intervention, errors of its system and disk, and read-only as a standby is.
                // SQLite: busy, locked, read-only, I/O, full, cannot open.
                let sqlite = code
                    .parse::<i32>()
                    .is_ok_and(|c| matches!(c & 0xff, 5 | 6 | 8 | 10 | 13 | 14));
                matches!(code.get(..2), Some("08" | "53" | "57"))
                    || matches!(code.as_ref(), "25006" | "58000" | "58030")
                    || (code.len() < 5 && sqlite)
            }
            _ => false,
        }
    }
}
