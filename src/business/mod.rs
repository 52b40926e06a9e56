//! Business databases: where staging and target tables live, on SQLite or PostgreSQL, any number of them.
//!
//! Owns: their pools, the generated tables, the fence, staging, set-based validation, promotion with markers, and
//! consistent reads for exports. Refuses: the service store (the two are always treated as two databases), files, HTTP.
//!
//! Every transaction here first takes the message's fence row (`… set epoch = $e where message = $m and epoch <= $e`) and
//! rolls back on zero rows, so a worker paused past its lease can do nothing (promise 2).

pub mod dialect;
pub mod error;
pub mod promote;
pub mod snapshot;
pub mod staging;
pub mod tables;

pub use error::BusinessError;

use std::collections::BTreeMap;

/// How to reach one business database.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `sqlite://…` or `postgres://…`.
    pub url: String,
    /// Most connections.
    pub max_connections: u32,
}

/// All business databases by name.
#[derive(Debug, Clone, Default)]
pub struct Databases {
    by_name: BTreeMap<String, Database>,
}

/// One business database. Cheap to clone. Opened on first use, so that starting costs nothing.
#[derive(Debug, Clone)]
pub struct Database {
    // name, settings, lazily opened pool
    _name: String,
}

impl Databases {
    /// Describes the databases; connections open on first use.
    ///
    /// # Errors
    /// [`BusinessError::Settings`] for a URL that is neither SQLite nor PostgreSQL.
    pub fn new(_settings: &BTreeMap<String, DatabaseSettings>) -> Result<Self, BusinessError> {
        todo!()
    }

    /// The database of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Database> {
        self.by_name.get(name)
    }

    /// Closes all of them.
    pub async fn close(&self) {
        todo!()
    }
}
