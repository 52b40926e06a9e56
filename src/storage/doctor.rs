//! The store as `tranship doctor` sees it: what the database does with commits, how large its log is, who holds up its
//! clean-up, what time it is there, and whose leases nobody took over.
//!
//! Owns: a read-only connection of its own, which works beside a running service. Refuses: to create, migrate or change
//! anything, and to judge what it finds. Like `connect`, it says which database it is on; the parts only one of them has are in
//! `postgres` and `sqlite`.

mod postgres;
pub(super) mod sqlite;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, SqliteConnection};

use super::StoreError;
use super::dialect::{Dialect, sql};
use super::migrate::only_adds;
use super::pool::{Backend, Connection, fetch_all, fetch_optional};
use super::uploads::KEPT;
use crate::clock::Clock;
use crate::domain::ids::BlobKey;
use crate::domain::time::Timestamp;

pub use postgres::{Pin, PinKind, TableRows, Vacuum};

/// Looks at the server's clock; the quickest one counts.
const CLOCK_SAMPLES: usize = 9;
/// Where leases of workers are, and which rows can hold one: those an index names.
const LEASED: [(&str, &str); 2] = [
    ("queue", "status in ('PreProcessing', 'Processing')"),
    ("occurrences", "state = 'running'"),
];

/// A store that is being looked at.
#[derive(Debug)]
pub struct Examination {
    connection: Backend<SqliteConnection, PgConnection>,
    /// The database's file, on SQLite; of no meaning elsewhere.
    file: PathBuf,
}

/// The schema's steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// The newest one in the database; `None`: there is no schema yet.
    pub found: Option<i64>,
    /// The newest one this program has.
    pub known: i64,
    /// Whether a newer one takes away what this program uses.
    pub is_beyond: bool,
}

/// A setting on which depends whether commits survive a power cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the database.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Whether commits may be lost under it.
    pub is_weak: bool,
}

/// The write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSize {
    /// SQLite: the file beside the database.
    File {
        /// Its size.
        bytes: u64,
        /// The database's size.
        database_bytes: u64,
    },
    /// PostgreSQL: the server's log folder.
    Folder {
        /// Its size.
        bytes: u64,
        /// What the server's settings let it grow to.
        expected_bytes: u64,
    },
    /// PostgreSQL, for a role that may not see the folder: what was written since the server's counters were last reset.
    Written {
        /// So much.
        bytes: u64,
    },
}

/// The server's clock against ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// How far the server is ahead; negative: behind. Half of the round trip is taken off.
    pub micros: i64,
    /// The round trip of the quickest look: the answer is no more exact than half of this.
    pub round_trip: Duration,
}

/// Leases of one owner that have ended and that nobody took over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LapsedLeases {
    /// The worker that held them.
    pub owner: String,
    /// How many.
    pub count: u64,
    /// When the first of them ended.
    pub since: Timestamp,
}

impl Examination {
    /// Connects. `None`: the SQLite file is not there, and is not made.
    ///
    /// # Errors
    /// [`StoreError`] when nobody answers, or the URL names no store.
    pub async fn open(url: &str) -> Result<Option<Self>, StoreError> {
        if url.starts_with("sqlite:") {
            let opened = sqlite::open(url).await?;
            return Ok(opened.map(|(connection, file)| Self {
                connection: Backend::Sqlite(connection),
                file,
            }));
        }
        Ok(Some(Self {
            connection: Backend::Postgres(postgres::open(url).await?),
            file: PathBuf::new(),
        }))
    }

    /// Says goodbye. How that goes changes nothing.
    pub async fn close(self) {
        let _ = match self.connection {
            Backend::Sqlite(connection) => connection.close().await,
            Backend::Postgres(connection) => connection.close().await,
        };
    }

    /// Which database it is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.connection {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
        }
    }

    fn db(&mut self) -> Connection<'_> {
        match &mut self.connection {
            Backend::Sqlite(connection) => Backend::Sqlite(connection),
            Backend::Postgres(connection) => Backend::Postgres(connection),
        }
    }

    /// Name and version of the database.
    pub async fn version(&mut self) -> Result<String, StoreError> {
        match &mut self.connection {
            Backend::Sqlite(connection) => sqlite::version(connection).await,
            Backend::Postgres(connection) => postgres::version(connection).await,
        }
    }

    /// Whether the server only follows another one: nothing can be written there.
    pub async fn is_standby(&mut self) -> Result<bool, StoreError> {
        match &mut self.connection {
            Backend::Sqlite(_) => Ok(false),
            Backend::Postgres(connection) => postgres::is_standby(connection).await,
        }
    }

    /// How far the schema is.
    pub async fn schema(&mut self) -> Result<Schema, StoreError> {
        let known = self.dialect().migrations().last().map_or(0, |step| step.number);
        let columns = self.columns("schema_migrations").await?;
        let text = "select number, name from schema_migrations where number >= $1 or number = \
            (select max(number) from schema_migrations) order by number desc";
        let newest: Vec<(i64, String)> = if columns.is_empty() {
            Vec::new()
        } else {
            fetch_all!(self.db(), (i64, String), text, known)?
        };
        Ok(Schema {
            found: newest.first().map(|(number, _)| *number),
            known,
            is_beyond: newest.iter().any(|(number, name)| *number > known && !only_adds(name)),
        })
    }

    /// What decides whether a commit survives a power cut.
    pub async fn durability(&mut self) -> Result<Vec<Setting>, StoreError> {
        match &mut self.connection {
            Backend::Sqlite(_) => sqlite::durability(&self.file),
            Backend::Postgres(connection) => postgres::durability(connection).await,
        }
    }

    /// How large the write-ahead log is.
    pub async fn log_size(&mut self) -> Result<LogSize, StoreError> {
        match &mut self.connection {
            Backend::Sqlite(_) => Ok(sqlite::log_size(&self.file)),
            Backend::Postgres(connection) => postgres::log_size(connection).await,
        }
    }

    /// What holds up the clean-up of dead rows, and how many there are. SQLite leaves no dead rows behind.
    pub async fn vacuum(&mut self) -> Result<Option<Vacuum>, StoreError> {
        match &mut self.connection {
            Backend::Sqlite(_) => Ok(None),
            Backend::Postgres(connection) => postgres::vacuum(connection).await.map(Some),
        }
    }

    /// The server's clock against `clock`. SQLite has none of its own.
    pub async fn clock_offset(&mut self, clock: &Clock) -> Result<Option<ClockOffset>, StoreError> {
        let Backend::Postgres(connection) = &mut self.connection else {
            return Ok(None);
        };
        let mut best: Option<ClockOffset> = None;
        for _ in 0..CLOCK_SAMPLES {
            let (before, began) = (clock.now(), Instant::now());
            let there = postgres::now_micros(connection).await?;
            let round_trip = began.elapsed();
            let half = i64::try_from(round_trip.as_micros() / 2).unwrap_or(i64::MAX);
            if best.is_none_or(|best| round_trip < best.round_trip) {
                best = Some(ClockOffset {
                    micros: there - before.micros() - half,
                    round_trip,
                });
            }
        }
        Ok(best)
    }

    /// Workers' leases that had ended at `by`, the oldest first, up to 20 owners.
    pub async fn lapsed_leases(&mut self, by: Timestamp) -> Result<Vec<LapsedLeases>, StoreError> {
        let mut found = Vec::new();
        for (table, may_be_leased) in LEASED {
            let columns = self.columns(table).await?;
            if !["owner", "lease_until"]
                .iter()
                .all(|column| columns.iter().any(|c| c == column))
            {
                continue;
            }
            let text = format!(
                "select coalesce(owner, ''), count(*), min(lease_until) from {table} \
                 where {may_be_leased} and lease_until <= $1 group by 1 order by 3 limit 20"
            );
            found.extend(fetch_all!(self.db(), (String, i64, i64), sql(text), by.micros())?);
        }
        found.sort_by_key(|(_, _, since)| *since);
        found.truncate(20);
        let lapsed = found.into_iter().map(|(owner, count, since)| LapsedLeases {
            owner,
            count: count.unsigned_abs(),
            since: Timestamp(since),
        });
        Ok(lapsed.collect())
    }

    /// What every process on this store must agree on, by name; `None` before the first start.
    pub async fn fact(&mut self, name: &str) -> Result<Option<String>, StoreError> {
        let text = "select value from store_facts where name = $1";
        let found: Option<(String,)> = fetch_optional!(self.db(), (String,), text, name)?;
        Ok(found.map(|(value,)| value))
    }

    /// Whether the store still names a blob.
    pub async fn is_blob_kept(&mut self, key: &BlobKey) -> Result<bool, StoreError> {
        let kept: Option<(i32,)> = fetch_optional!(self.db(), (i32,), KEPT, key.0.as_str())?;
        Ok(kept.is_some())
    }

    /// Reads the whole SQLite file and returns what is damaged, up to five sentences. Takes as long as reading takes.
    pub async fn damage(&mut self) -> Result<Option<Vec<String>>, StoreError> {
        match &mut self.connection {
            Backend::Sqlite(connection) => sqlite::damage(connection).await.map(Some),
            Backend::Postgres(_) => Ok(None),
        }
    }

    /// The columns of a table of the store; none when there is no such table.
    async fn columns(&mut self, table: &str) -> Result<Vec<String>, StoreError> {
        let text = match self.dialect() {
            Dialect::Sqlite => "select name from pragma_table_info($1)",
            Dialect::Postgres => {
                "select attname::text from pg_attribute \
                 where attrelid = to_regclass($1) and attnum > 0 and not attisdropped"
            }
        };
        let rows: Vec<(String,)> = fetch_all!(self.db(), (String,), text, table)?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }
}
