//! Settings: defaults, then `tranship.toml`, then environment `TRANSHIP_SECTION__KEY`, then flags. Every limit is a setting
//! with a default and a unit in its name. All mistakes are reported at once, before anything opens.

mod issuers;
mod layers;
mod limits;
mod outgoing;
mod reader;
mod sandbox;
mod telemetry;
mod urls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

pub use issuers::{Issuer, is_fit_for_keys};
pub use layers::DEFAULTS;
pub use limits::Limits;
pub use outgoing::Outgoing;
use reader::Reader;
pub use sandbox::Sandbox;
pub use telemetry::Telemetry;
pub use urls::{redacted, sqlite_file};

/// Everything the service can be told. `Debug` hides passwords.
#[derive(Debug, Clone)]
pub struct Config {
    /// `server.*`
    pub server: Server,
    /// `data_dir`: where the embedded store, blobs and business database live.
    pub data_dir: PathBuf,
    /// `store.*`
    pub store: Database,
    /// `blobs.url`; it never holds credentials.
    pub blobs_url: String,
    /// The rest of `blobs.*`
    pub blobs: Blobs,
    /// `databases.<name>.*`
    pub databases: BTreeMap<String, Database>,
    /// `jobs_dir`
    pub jobs_dir: PathBuf,
    /// `entities_dir`
    pub entities_dir: PathBuf,
    /// `queue.*`
    pub queue: Queue,
    /// `limits.*`
    pub limits: Limits,
    /// `worker.*`
    pub worker: Worker,
    /// `issuers.NAME.*`
    pub issuers: Vec<Issuer>,
    /// `import.*`
    pub import: Import,
    /// `export.*`
    pub export: Export,
    /// `file.*`
    pub file: File,
    /// `webhooks.*`
    pub webhooks: Outgoing,
    /// `destinations.*`
    pub destinations: Outgoing,
    /// `audit.*`
    pub audit: Audit,
    /// `telemetry.*`
    pub telemetry: Telemetry,
    /// `sandbox.*`, where it is enabled.
    pub sandbox: Option<Sandbox>,
}

/// `server.*`
#[derive(Debug, Clone)]
pub struct Server {
    /// `listen`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// `tls_listen`, `tls_cert`, `tls_key`: the listener for TLS, if there is one.
    pub tls: Option<Tls>,
    /// `public_url`: base URL clients use, where it differs from what they connect to.
    pub public_url: Option<url::Url>,
    /// `trusted_proxies`: addresses and networks whose `X-Forwarded-Proto` and `X-Forwarded-Host` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// `shutdown_seconds`: longest drain after SIGTERM.
    pub shutdown_seconds: u64,
    /// `token_seconds`: life of an access token.
    pub token_seconds: u32,
    /// `link_seconds`: life of a link to an error file or a package.
    pub link_seconds: u32,
    /// `session_seconds`: life of a session of the console.
    pub session_seconds: u32,
    /// `workers`: threads that answer requests.
    pub workers: usize,
    /// `max_waiters`: requests that wait for a message or for news of one.
    pub max_waiters: usize,
    /// `max_listeners`: open streams of events.
    pub max_listeners: usize,
}

/// The listener for TLS.
#[derive(Debug, Clone)]
pub struct Tls {
    /// `tls_listen`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What it shows to clients.
    pub certificate: Certificate,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// PEM files, read again on SIGHUP.
    Files {
        /// `tls_cert`: the server's own certificate first, then those of its issuers.
        cert: PathBuf,
        /// `tls_key`
        key: PathBuf,
    },
    /// Made at each start by an authority in the data folder (`tranship serve --dev-tls`).
    Development,
}

/// A database's address and limits. `Debug` hides passwords.
#[derive(Clone)]
pub struct Database {
    /// `url`
    pub url: String,
    /// `max_connections`
    pub max_connections: u32,
}

/// What the blob host under `/dmf/` obeys: `blobs.*` but for the URL.
#[derive(Debug, Clone)]
pub struct Blobs {
    /// `retention_days`: how long a blob is kept once it was put.
    pub retention_days: u32,
    /// `upload_link_seconds`: life of a link to upload by.
    pub upload_link_seconds: u32,
    /// `presigned`: links lead to the bucket itself.
    pub presigned: bool,
}

/// `queue.*`
#[derive(Debug, Clone)]
pub struct Queue {
    /// `inline_max_bytes`: larger payloads go to the blob store.
    pub inline_max_bytes: usize,
    /// `max_payload_bytes`
    pub max_payload_bytes: u64,
    /// `large_bytes`: larger files leave the last free worker to smaller ones.
    pub large_bytes: u64,
    /// `admit_wait_seconds`: how long a connector or blob upload waits to be let in.
    pub admit_wait_seconds: u32,
    /// `max_enqueues`: enqueues under way at once.
    pub max_enqueues: usize,
    /// `batch_max_bytes`: largest body of a batch of enqueues.
    pub batch_max_bytes: usize,
    /// `max_messages`: messages that may wait or be handed out in the queue of a job that says nothing else; 0: as many as come.
    pub max_messages: u32,
    /// `lease_seconds`: for dequeuers.
    pub lease_seconds: u32,
    /// `max_deliveries`
    pub max_deliveries: u32,
    /// `retention_days`
    pub retention_days: u32,
    /// `failed_retention_days`: payloads of messages that ended without success; from `retention_days` to
    /// `idempotency_days`.
    pub failed_retention_days: u32,
    /// `idempotency_days`
    pub idempotency_days: u32,
    /// `upload_stale_seconds`: an upload whose owner has not beaten for this long is dead.
    pub upload_stale_seconds: u32,
}

/// `audit.*`
#[derive(Debug, Clone)]
pub struct Audit {
    /// `keep_days`: how long entries of the audit log are kept; 0: for ever.
    pub keep_days: u32,
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
    /// `batch_bytes`: bytes per staging transaction, as records stand in the file (a workbook's: as its cells hold them).
    pub batch_bytes: usize,
    /// `chunk_records`: records per promotion transaction.
    pub chunk_records: u64,
    /// `parallel_entities`: entities of one message loaded at once.
    pub parallel_entities: usize,
}

/// `export.*`
#[derive(Debug, Clone)]
pub struct Export {
    /// `positions_kept`: positions of an incremental export that it can be rewound to.
    pub positions_kept: u32,
    /// `max_wal_bytes`: how far a SQLite database's write-ahead log may grow while an export reads it.
    pub max_wal_bytes: u64,
}

/// `file.*`: bounds on what a data file may be.
#[derive(Debug, Clone)]
pub struct File {
    /// `max_field_bytes`
    pub max_field_bytes: usize,
    /// `max_record_bytes`
    pub max_record_bytes: usize,
    /// `max_columns`
    pub max_columns: usize,
    /// `max_unpacked_bytes`: of a packed file.
    pub max_unpacked_bytes: u64,
}

/// What flags say; each wins over file and environment. `Debug` shows the keys only.
#[derive(Clone, Default)]
pub struct Overrides {
    /// `--config FILE`; without it `./tranship.toml` is read where it exists.
    pub file: Option<PathBuf>,
    /// `key = value` pairs with dotted keys, e.g. `("server.listen", "127.0.0.1:0")`.
    pub values: Vec<(String, String)>,
}

/// One mistake in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// `tranship.toml:12`, `TRANSHIP_QUEUE__LEASE_SECONDS` or `--set server.listen`.
    pub place: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

impl Config {
    /// Reads all sources and checks everything.
    ///
    /// # Errors
    /// Every mistake found, never only the first.
    pub fn load(overrides: &Overrides, environment: &[(String, String)]) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let values = layers::gather(overrides, environment, &mut mistakes);
        let defaults = layers::defaults();
        let reader = Reader::new(&values, &defaults);
        let config = Self::read(&reader);
        config.check_pairs(&reader);
        mistakes.extend(reader.finish());
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
    }

    fn read(reader: &Reader<'_>) -> Self {
        let data_dir = reader.text_or_default("data_dir");
        if data_dir.contains(['%', '?', '#']) {
            reader.blame(
                "data_dir",
                "`data_dir` may not hold % ? or #, which mean something else in URLs",
            );
        }
        let blobs_url = expand(&reader.text_or_default("blobs.url"), &data_dir);
        if let Some(flaw) = urls::blobs_flaw(&blobs_url) {
            reader.blame("blobs.url", format!("`blobs.url`: {flaw}"));
        }
        let blobs = Blobs {
            retention_days: number(reader, "blobs.retention_days", 1, 3650),
            upload_link_seconds: number(reader, "blobs.upload_link_seconds", 60, 604_800),
            presigned: reader.truth("blobs.presigned"),
        };
        if blobs.presigned && blobs_url.starts_with("file:") {
            let message = "`blobs.presigned` needs a bucket: files have no links of their own; set `blobs.url` to \
                           s3://…, az://… or gs://…, or leave it false";
            reader.blame_pair("blobs.presigned", "blobs.url", message);
        }
        let databases = reader.names_below("databases").into_iter();
        Self {
            server: Server::read(reader),
            store: Database::read(reader, "store", &data_dir),
            blobs_url,
            blobs,
            databases: databases
                .map(|name| Database::read_named(reader, name, &data_dir))
                .collect(),
            issuers: Issuer::read_all(reader),
            jobs_dir: reader.text_or_default("jobs_dir").into(),
            entities_dir: reader.text_or_default("entities_dir").into(),
            data_dir: data_dir.into(),
            queue: Queue::read(reader),
            limits: Limits::read(reader),
            worker: Worker {
                concurrency: number(reader, "worker.concurrency", 1, 256),
                heartbeat_seconds: number(reader, "worker.heartbeat_seconds", 1, 3600),
                poll_milliseconds: number(reader, "worker.poll_milliseconds", 1, 60_000),
            },
            import: Import {
                batch_records: number(reader, "import.batch_records", 1, 1_000_000),
                batch_bytes: number(reader, "import.batch_bytes", 1024, GIB),
                chunk_records: number(reader, "import.chunk_records", 1, 1_000_000),
                parallel_entities: number(reader, "import.parallel_entities", 1, 64),
            },
            export: Export {
                positions_kept: number(reader, "export.positions_kept", 1, 100_000),
                max_wal_bytes: number(reader, "export.max_wal_bytes", MIB, 1024 * GIB),
            },
            file: File {
                max_field_bytes: number(reader, "file.max_field_bytes", 1, GIB),
                max_record_bytes: number(reader, "file.max_record_bytes", 1, GIB),
                max_columns: number(reader, "file.max_columns", 1, 16_384),
                max_unpacked_bytes: number(reader, "file.max_unpacked_bytes", 1, 1024 * GIB),
            },
            webhooks: Outgoing::read(reader, "webhooks", 60),
            destinations: Outgoing::read(reader, "destinations", 86_400),
            audit: Audit {
                keep_days: number(reader, "audit.keep_days", 0, 36_500),
            },
            telemetry: Telemetry::read(reader),
            sandbox: Sandbox::read(reader),
        }
    }

    /// What must hold between two settings.
    fn check_pairs(&self, reader: &Reader<'_>) {
        let at_most = |least: (&str, u64), most: (&str, u64)| {
            if least.1 > most.1 {
                let message = format!(
                    "`{}` ({}) may not be more than `{}` ({})",
                    least.0, least.1, most.0, most.1
                );
                reader.blame_pair(least.0, most.0, message);
            }
        };
        let queue = &self.queue;
        at_most(
            ("queue.inline_max_bytes", queue.inline_max_bytes as u64),
            ("queue.max_payload_bytes", queue.max_payload_bytes),
        );
        at_most(
            ("queue.retention_days", queue.retention_days.into()),
            ("queue.idempotency_days", queue.idempotency_days.into()),
        );
        at_most(
            ("file.max_field_bytes", self.file.max_field_bytes as u64),
            ("file.max_record_bytes", self.file.max_record_bytes as u64),
        );
        for outgoing in [&self.webhooks, &self.destinations] {
            let key = |name: &str| format!("{}.{name}", outgoing.section);
            at_most(
                (&key("retry_first_seconds"), outgoing.retry_first_seconds.into()),
                (&key("retry_cap_seconds"), outgoing.retry_cap_seconds.into()),
            );
        }
        if let Some(sandbox) = &self.sandbox {
            sandbox.check(&self.server, reader);
        }
        // Two databases, always (promise 10): in one file the store's lock would be held by business transactions.
        let store = urls::sqlite_file(&self.store.url);
        for (name, database) in &self.databases {
            if store.is_some() && urls::sqlite_file(&database.url) == store {
                let key = format!("databases.{name}.url");
                let message = format!("`{key}` is the same SQLite file as `store.url`; give it a file of its own");
                reader.blame_pair(&key, "store.url", message);
            }
        }
    }
}

/// A number whose default stands under the same key.
fn number<T: TryFrom<u64>>(reader: &Reader<'_>, key: &str, least: u64, most: u64) -> T {
    reader.number(key, key, least..=most)
}

/// Puts the data folder in, absolute: a URL has no working directory.
fn expand(url: &str, data_dir: &str) -> String {
    let absolute =
        std::path::absolute(data_dir).map_or_else(|_| data_dir.to_owned(), |path| path.display().to_string());
    url.replace("{data_dir}", absolute.trim_end_matches('/'))
}

impl Tls {
    /// Where `server.dev_tls` listens unless `server.tls_listen` says otherwise.
    const DEV_LISTEN: &'static str = "127.0.0.1:8443";

    fn read(reader: &Reader<'_>) -> Option<Self> {
        let is_dev = reader.truth("server.dev_tls");
        let [listen, cert, key] = ["server.tls_listen", "server.tls_cert", "server.tls_key"]
            .map(|setting| reader.text(setting).map(|text| (setting, text)));
        let (certificate, default) = match (is_dev, &cert, &key) {
            (true, None, None) => (Certificate::Development, Some(Self::DEV_LISTEN.to_owned())),
            (false, Some((_, cert)), Some((_, key))) => {
                let (cert, key) = (PathBuf::from(cert), PathBuf::from(key));
                (Certificate::Files { cert, key }, None)
            }
            (false, None, None) if listen.is_none() => return None,
            _ => {
                let at = [listen, cert, key].into_iter().flatten().next();
                reader.blame(
                    at.map_or("server.dev_tls", |(setting, _)| setting),
                    "TLS takes `server.tls_listen`, `server.tls_cert` and `server.tls_key` together, or `server.dev_tls` (--dev-tls) without a certificate",
                );
                return None;
            }
        };
        let Some(listen) = listen.map(|(_, text)| text).or(default) else {
            reader.blame(
                "server.tls_cert",
                "`server.tls_listen` says where, such as 0.0.0.0:8443",
            );
            return None;
        };
        let listen = read_address(reader, "server.tls_listen", &listen);
        Some(Self { listen, certificate })
    }
}

fn read_address(reader: &Reader<'_>, key: &str, text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| {
        let message = format!("`{key}` is `{text}`; write an IP address and a port such as 127.0.0.1:8080");
        reader.blame(key, message);
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

impl Server {
    fn read(reader: &Reader<'_>) -> Self {
        let listen = reader.text_or_default("server.listen");
        Self {
            listen: read_address(reader, "server.listen", &listen),
            tls: Tls::read(reader),
            public_url: reader
                .text("server.public_url")
                .and_then(|url| read_public_url(reader, &url)),
            trusted_proxies: read_proxies(reader),
            shutdown_seconds: number(reader, "server.shutdown_seconds", 0, 3600),
            token_seconds: number(reader, "server.token_seconds", 60, 86_400),
            link_seconds: number(reader, "server.link_seconds", 60, 604_800),
            session_seconds: number(reader, "server.session_seconds", 60, 604_800),
            workers: match number(reader, "server.workers", 0, 1024) {
                0 => std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2)),
                workers => workers,
            },
            max_waiters: number(reader, "server.max_waiters", 0, 100_000),
            max_listeners: number(reader, "server.max_listeners", 0, 100_000),
        }
    }
}

fn read_public_url(reader: &Reader<'_>, text: &str) -> Option<url::Url> {
    let flaw = match url::Url::parse(text) {
        Ok(url) => match urls::public_flaw(&url) {
            None => return Some(url),
            Some(flaw) => flaw.to_owned(),
        },
        Err(error) => format!("is not a URL: {error}"),
    };
    reader.blame("server.public_url", format!("`server.public_url` {flaw}"));
    None
}

fn read_proxies(reader: &Reader<'_>) -> Vec<IpNet> {
    let mut proxies = Vec::new();
    for text in reader.list("server.trusted_proxies") {
        let one = text.parse::<std::net::IpAddr>().map(IpNet::from).ok();
        match one.or_else(|| text.parse().ok()) {
            Some(proxy) => proxies.push(proxy),
            None => reader.blame(
                "server.trusted_proxies",
                format!("`server.trusted_proxies` holds `{text}`; write IP addresses or networks such as 10.0.0.7 or 10.0.0.0/8"),
            ),
        }
    }
    proxies
}

impl Database {
    fn read(reader: &Reader<'_>, section: &str, data_dir: &str) -> Self {
        let key = format!("{section}.url");
        // Without a text the reader has complained already.
        let url = reader
            .required_text(&key)
            .map_or_else(String::new, |url| expand(&url, data_dir));
        if let Some(flaw) = urls::database_flaw(&url).filter(|_| !url.is_empty()) {
            reader.blame(&key, format!("`{key}`: {flaw}"));
        }
        let max_connections = format!("{section}.max_connections");
        Self {
            url,
            max_connections: reader.number(&max_connections, "databases.main.max_connections", 1..=1000),
        }
    }

    /// One of `databases.*`.
    fn read_named(reader: &Reader<'_>, name: String, data_dir: &str) -> (String, Self) {
        let section = format!("databases.{name}");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if !name.chars().all(plain) || name.is_empty() {
            let message = format!("database name `{name}` may hold a-z, 0-9, - and _ only");
            reader.blame(&format!("{section}.url"), message);
        }
        let database = Self::read(reader, &section, data_dir);
        (name, database)
    }

    /// The URL without its password.
    #[must_use]
    pub fn redacted_url(&self) -> String {
        redacted(&self.url)
    }
}

impl Queue {
    fn read(reader: &Reader<'_>) -> Self {
        let retention_days = number(reader, "queue.retention_days", 1, 3650);
        let failed_retention_days: u32 = number(reader, "queue.failed_retention_days", 1, 3650);
        let idempotency_days = number(reader, "queue.idempotency_days", 1, 3650);
        Self {
            inline_max_bytes: number(reader, "queue.inline_max_bytes", 0, 16 * MIB),
            max_payload_bytes: number(reader, "queue.max_payload_bytes", 1, 5 * 1024 * GIB),
            large_bytes: number(reader, "queue.large_bytes", 1, 5 * 1024 * GIB),
            admit_wait_seconds: number(reader, "queue.admit_wait_seconds", 0, 3600),
            max_enqueues: number(reader, "queue.max_enqueues", 1, 4096),
            batch_max_bytes: number(reader, "queue.batch_max_bytes", 1024, GIB),
            max_messages: number(reader, "queue.max_messages", 0, 1_000_000_000),
            lease_seconds: number(reader, "queue.lease_seconds", 1, 86_400),
            max_deliveries: number(reader, "queue.max_deliveries", 1, 1000),
            retention_days,
            failed_retention_days: failed_retention_days.min(idempotency_days).max(retention_days),
            idempotency_days,
            upload_stale_seconds: number(reader, "queue.upload_stale_seconds", 1, 86_400),
        }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("url", &self.redacted_url())
            .field("max_connections", &self.max_connections)
            .finish()
    }
}

impl std::fmt::Debug for Overrides {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.values.iter().map(|(key, _)| key).collect::<Vec<_>>();
        f.debug_struct("Overrides")
            .field("file", &self.file)
            .field("keys", &keys)
            .finish()
    }
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

#[cfg(test)]
mod tests;
