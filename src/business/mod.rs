//! Business databases: where staging and target tables live, on SQLite or PostgreSQL, any number of them.
//!
//! Owns: their pools, the generated tables, the fence, staging, set-based validation, promotion with markers, and
//! consistent reads for exports. Refuses: the service store (the two are always treated as two databases), files, HTTP.
//!
//! Every transaction here first holds the message's fence row (`select … where message = $m and epoch = $e for share`) and
//! rolls back on zero rows, so a worker paused past its lease can do nothing (promise 2): whoever raises the fence waits for
//! those that hold it, and none of an older epoch finds it again. What only reads looks at the fence without holding it.
//!
//! The way of one load: [`Database::raise_fence`], [`Database::ensure_entity`], [`Database::begin_load`], then
//! [`Database::stage`] batch by batch, [`Database::finish_staging`], [`Database::promote_chunk`] for each of
//! [`Database::chunks`] (or [`Database::promote_file`] for all at once), [`Database::load_counts`], and
//! [`Database::clear_staging`] when the store has the outcome.
//!
//! Staging can be filled again from the payload at any time, so PostgreSQL keeps it without a log (`unlogged`), for half the
//! cost; when the server crashes it empties such tables. That is noticed before a record would go missing, and
//! [`BusinessError::StagingLost`] sends the load back to its source; chunks that have landed stay as they are.

pub mod backup;
mod cancel;
mod catalogue;
mod check_constraints;
mod connect;
mod control;
mod copy;
pub mod dialect;
pub mod differences;
pub mod direct;
mod documents;
pub mod erase;
pub mod error;
pub mod keys;
mod landing;
mod last_writes;
mod lost;
mod newer;
mod numbers;
mod pieces;
pub mod policy;
pub mod promote;
mod promotion;
mod refusal;
mod rejects;
mod repeated;
pub mod reset;
mod rows;
mod rules;
mod session;
pub mod snapshot;
pub mod staging;
mod suspects;
pub mod tables;
pub mod tracking;
mod transaction;
mod truncate;
mod types;
mod upsert;
mod validate;

pub use error::BusinessError;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use self::catalogue::Conversions;
use self::connect::Address;
use self::dialect::Dialect;
use self::session::Pool;
use crate::domain::entity::Entity;

/// Ranges of one load that are checked at the same time; more than there are cores gain nothing.
const RANGES_AT_ONCE: usize = 4;

/// How to reach one business database. `Debug` hides the URL, which may hold a password.
#[derive(Clone)]
pub struct DatabaseSettings {
    /// `sqlite://…` or `postgres://…`.
    pub url: String,
    /// Most connections.
    pub max_connections: u32,
}

impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSettings")
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

/// All business databases by name.
#[derive(Debug, Clone, Default)]
pub struct Databases {
    by_name: BTreeMap<String, Database>,
}

/// One business database. Cheap to clone. Opened on first use, so that starting costs nothing.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    address: Address,
    max_connections: u32,
    writer: OnceCell<Pool>,
    /// On PostgreSQL the same pool as `writer`.
    reader: OnceCell<Pool>,
    /// Whether this process has found or made the control tables.
    control_tables: AtomicBool,
    /// What this process found in order, by entity.
    checked: Mutex<HashMap<String, Checked>>,
}

/// An entity whose tables were found in order.
#[derive(Clone)]
struct Checked {
    /// As it was defined then.
    entity: Entity,
    conversions: Conversions,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}

impl Databases {
    /// Describes the databases; connections open on first use.
    ///
    /// # Errors
    /// [`BusinessError::Settings`] for a URL that is neither SQLite nor PostgreSQL.
    pub fn new(settings: &BTreeMap<String, DatabaseSettings>) -> Result<Self, BusinessError> {
        let mut by_name = BTreeMap::new();
        for (name, settings) in settings {
            by_name.insert(name.clone(), Database::new(name, settings)?);
        }
        Ok(Self { by_name })
    }

    /// The database of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Database> {
        self.by_name.get(name)
    }

    /// All databases, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Database> {
        self.by_name.values()
    }

    /// Closes all of them.
    pub async fn close(&self) {
        for database in self.by_name.values() {
            database.close().await;
        }
    }
}

impl Database {
    fn new(name: &str, settings: &DatabaseSettings) -> Result<Self, BusinessError> {
        let address = Address::parse(name, &settings.url)?;
        Ok(Self::open(name, address, settings.max_connections.max(1)))
    }

    fn open(name: &str, address: Address, max_connections: u32) -> Self {
        let inner = Inner {
            name: name.to_owned(),
            address,
            max_connections,
            writer: OnceCell::new(),
            reader: OnceCell::new(),
            control_tables: AtomicBool::new(false),
            checked: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Whether this database is the SQLite file at `path`, whatever either is called: a business database may not be the
    /// store's file (promise 10).
    #[must_use]
    pub fn is_same_file(&self, path: &Path) -> bool {
        self.inner.address.is_file(path)
    }

    /// Whether this is a SQLite file that the first load is yet to make.
    #[must_use]
    pub fn is_yet_to_be_made(&self) -> bool {
        self.inner.address.is_missing_file()
    }

    /// A read that touches the database, for readiness. A SQLite file that is not there yet is in order.
    pub async fn ping(&self) -> Result<(), BusinessError> {
        if self.inner.address.is_missing_file() {
            return Ok(());
        }
        self.read(|session| Box::pin(async move { Ok(session.run("select 1").await?) }))
            .await
    }

    async fn close(&self) {
        for pool in [self.inner.reader.get(), self.inner.writer.get()].into_iter().flatten() {
            match pool {
                Pool::Postgres(pool) => pool.close().await,
                Pool::Sqlite(pool) => pool.close().await,
            }
        }
    }

    fn dialect(&self) -> Dialect {
        self.inner.address.dialect()
    }

    /// How many transactions of one load may write at once. SQLite has one writer; on PostgreSQL others want connections, too.
    fn writers_at_once(&self) -> usize {
        match self.dialect() {
            Dialect::Sqlite => 1,
            Dialect::Postgres => (self.inner.max_connections as usize / 2).clamp(1, RANGES_AT_ONCE),
        }
    }

    async fn writer(&self) -> Result<Pool, BusinessError> {
        let open = || connect::writer(&self.inner.name, &self.inner.address, self.inner.max_connections);
        self.inner.writer.get_or_try_init(open).await.cloned()
    }

    async fn reader(&self) -> Result<Pool, BusinessError> {
        if self.dialect() == Dialect::Postgres {
            return self.writer().await;
        }
        let open = || connect::reader(&self.inner.name, &self.inner.address, self.inner.max_connections);
        self.inner.reader.get_or_try_init(open).await.cloned()
    }

    fn is_checked(&self, entity: &Entity) -> bool {
        let checked = self.inner.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked
            .get(&entity.name)
            .is_some_and(|checked| checked.entity == *entity)
    }

    fn remember_checked(&self, found: Checked) {
        let mut checked = self.inner.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.insert(found.entity.name.clone(), found);
    }

    fn known_conversions(&self, entity: &Entity) -> Conversions {
        let checked = self.inner.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = checked.get(&entity.name);
        known.map_or_else(Conversions::new, |known| known.conversions.clone())
    }

    /// Forgets everything found in this database: somebody dropped or recreated it.
    fn forget_tables(&self) {
        self.inner.control_tables.store(false, Ordering::Release);
        self.forget_checked();
    }

    fn forget_checked(&self) {
        self.inner
            .checked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
