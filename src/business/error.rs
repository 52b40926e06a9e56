//! What can go wrong in a business database, by what the caller does next.

use super::session::message_of;

/// A failure of a business database.
#[derive(Debug, thiserror::Error)]
pub enum BusinessError {
    /// A newer claim raised the fence: this worker's lease is over. Drop the work.
    #[error("another worker has taken over message {0}")]
    Fenced(crate::domain::ids::MessageId),
    /// The table and the definition do not fit, and no retry will help.
    #[error("{0}")]
    Definition(String),
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
    #[error("business database `{database}` failed: {}", message_of(.source))]
    Driver {
        /// Database name.
        database: String,
        /// The driver's error.
        source: sqlx::Error,
    },
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

impl BusinessError {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Driver { .. } | Self::Unreachable { .. })
    }
}
