//! Settings: defaults, then `tranship.toml`, then environment `TRANSHIP_SECTION__KEY`, then flags. Every limit is a setting
//! with a default and a unit in its name. All mistakes are reported at once, before anything opens.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything the service can be told.
#[derive(Debug, Clone)]
pub struct Config {
    /// `server.*`
    pub server: Server,
    /// `data_dir`: where the embedded store, blobs and business database live.
    pub data_dir: PathBuf,
    /// `store.*`
    pub store: Database,
    /// `blobs.url`
    pub blobs_url: String,
    /// `databases.<name>.*`
    pub databases: BTreeMap<String, Database>,
    /// `jobs_dir`
    pub jobs_dir: PathBuf,
    /// `entities_dir`
    pub entities_dir: PathBuf,
    /// `queue.*`
    pub queue: Queue,
    /// `worker.*`
    pub worker: Worker,
    /// `import.*`
    pub import: Import,
    /// `csv.*`
    pub csv: Csv,
}

/// `server.*`
#[derive(Debug, Clone)]
pub struct Server {
    /// `listen`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// `public_url`: base URL clients use, where it differs from what they connect to.
    pub public_url: Option<url::Url>,
    /// `trusted_proxies`: addresses whose `X-Forwarded-Proto` and `X-Forwarded-Host` are believed.
    pub trusted_proxies: Vec<std::net::IpAddr>,
    /// `shutdown_seconds`: longest drain after SIGTERM.
    pub shutdown_seconds: u64,
    /// `token_seconds`: life of an access token.
    pub token_seconds: u32,
}

/// A database's address and limits. `Debug` hides passwords.
#[derive(Clone)]
pub struct Database {
    /// `url`
    pub url: String,
    /// `max_connections`
    pub max_connections: u32,
}

/// `queue.*`
#[derive(Debug, Clone)]
pub struct Queue {
    /// `inline_max_bytes`: larger payloads go to the blob store.
    pub inline_max_bytes: usize,
    /// `max_payload_bytes`
    pub max_payload_bytes: u64,
    /// `lease_seconds`: for dequeuers.
    pub lease_seconds: u32,
    /// `max_deliveries`
    pub max_deliveries: u32,
    /// `retention_days`
    pub retention_days: u32,
    /// `idempotency_days`
    pub idempotency_days: u32,
    /// `upload_stale_seconds`: an upload whose owner has not beaten for this long is dead.
    pub upload_stale_seconds: u32,
}

/// `worker.*`
#[derive(Debug, Clone)]
pub struct Worker {
    /// `concurrency`: messages worked on at once.
    pub concurrency: usize,
    /// `heartbeat_seconds`; a worker's lease is three of these.
    pub heartbeat_seconds: u32,
    /// `poll_milliseconds`: longest wait between looks at the queue.
    pub poll_milliseconds: u64,
}

/// `import.*`
#[derive(Debug, Clone)]
pub struct Import {
    /// `batch_records`: records per staging transaction.
    pub batch_records: usize,
    /// `batch_bytes`: source bytes per staging transaction.
    pub batch_bytes: usize,
    /// `chunk_records`: records per promotion transaction.
    pub chunk_records: u64,
}

/// `csv.*`
#[derive(Debug, Clone)]
pub struct Csv {
    /// `max_field_bytes`
    pub max_field_bytes: usize,
    /// `max_record_bytes`
    pub max_record_bytes: usize,
    /// `max_columns`
    pub max_columns: usize,
}

/// What flags say; each wins over file and environment.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config FILE`; without it `./tranship.toml` is read where it exists.
    pub file: Option<PathBuf>,
    /// `key = value` pairs with dotted keys, e.g. `("server.listen", "127.0.0.1:0")`.
    pub values: Vec<(String, String)>,
}

/// One mistake in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// `tranship.toml:12`, `TRANSHIP_QUEUE__LEASE_SECONDS` or `--listen`.
    pub place: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl Config {
    /// Reads all sources and checks everything.
    ///
    /// # Errors
    /// Every mistake found, never only the first.
    pub fn load(_overrides: &Overrides, _environment: &[(String, String)]) -> Result<Self, Vec<Mistake>> {
        todo!()
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}
