//! Where a matrix runs: a database, and what payloads are kept in.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::buckets::Bucket;
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::{TestDatabase, rows};
use crate::wire::Caller;

/// What payloads are kept in.
pub enum Payloads {
    /// The store's own rows.
    Inline,
    /// Local files.
    Files,
    /// An object store.
    Bucket(Bucket),
}

impl Payloads {
    /// Has a site keep them there.
    pub fn keep(&self, site: &mut Site) {
        if !matches!(self, Self::Inline) {
            // So that there are uploads and blobs.
            site.set("TRANSHIP_QUEUE__INLINE_MAX_BYTES", "16");
        }
        if let Self::Bucket(bucket) = self {
            site.set("TRANSHIP_BLOBS__URL", &format!("{}/blobs", bucket.url));
        }
    }
}

/// A site to crash in, and its client.
pub struct Place {
    pub site: Site,
    pub tester: Credentials,
    payloads: Payloads,
    store_url: String,
    arguments: Vec<&'static str>,
}

impl Place {
    /// A site with these definitions: paths and texts.
    pub async fn new(store: TestDatabase, payloads: Payloads, definitions: &[(&str, &str)]) -> Self {
        let store_url = store.url.clone();
        let mut site = Site::on(store).await;
        // Lives are many and have few callers: each more takes a third of what a start costs.
        site.set("TRANSHIP_SERVER__WORKERS", "1");
        site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
        site.set("TRANSHIP_QUEUE__UPLOAD_STALE_SECONDS", "1");
        // A message may be in the way of every life there is.
        site.set("TRANSHIP_QUEUE__MAX_DELIVERIES", "1000");
        payloads.keep(&mut site);
        for folder in ["jobs", "entities"] {
            std::fs::create_dir_all(site.path(folder)).expect("a folder");
        }
        for (path, text) in definitions {
            site.write(path, text);
        }
        let tester = site.add_client("tester", "operator");
        Self {
            site,
            tester,
            payloads,
            store_url,
            arguments: Vec::new(),
        }
    }

    /// The same with a clock that can be moved.
    pub fn with_clock(mut self) -> Self {
        self.arguments.push("--sandbox");
        self
    }

    /// Whether there are uploads and blobs.
    pub fn has_blobs(&self) -> bool {
        !matches!(self.payloads, Payloads::Inline)
    }

    /// A life that is not to end.
    pub async fn live(&self) -> (Service, Caller) {
        let service = Service::start(self.command(), &self.site.data_dir("data")).await;
        let caller = Caller::new(&service, &self.tester).await;
        (service, caller)
    }

    /// A life that is to end at `failpoint`. What `act` asks of it may be cut short anywhere, and it may die before it is asked anything.
    pub async fn die_at(&self, failpoint: &str, act: impl AsyncFnOnce(&Caller)) {
        let died = self.may_die_at(failpoint, Duration::from_mins(1), act).await;
        assert!(died, "the service never comes to {failpoint}");
    }

    /// The same where the life may also go on; it ends so long after the act. Whether it came to the failpoint.
    pub async fn may_die_at(&self, failpoint: &str, patience: Duration, act: impl AsyncFnOnce(&Caller)) -> bool {
        let mut command = self.command();
        command.env("FAILPOINT", failpoint);
        let mut service = match Service::try_start(command, &self.site.data_dir("data")).await {
            Ok(service) => service,
            Err(ended) => {
                assert!(ended.contains("signal: 9"), "{failpoint}: {ended}");
                return true;
            }
        };
        if let Some(caller) = Caller::at(&service.base, &self.tester).await {
            act(&caller).await;
        }
        let began = Instant::now();
        while began.elapsed() < patience {
            if !service.is_running() {
                service.killed().await;
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        service.kill9();
        false
    }

    fn command(&self) -> Command {
        let mut command = self.site.serve_command("data");
        command.args(&self.arguments);
        command
    }

    /// One number of the service store.
    pub async fn number(&self, sql: &str) -> u64 {
        let sql = format!("select cast(({sql}) as text)");
        let found = rows(&self.store_url, &sql).await;
        let number = found[0][0].as_deref().and_then(|text| text.parse().ok());
        number.unwrap_or_else(|| panic!("{sql} gives {found:?}"))
    }

    /// Waits until nothing but the blobs of `messages` messages is kept: every upload is used or swept, and no blob is without its row.
    pub async fn is_swept(&self, messages: u64) {
        let wanted = if self.has_blobs() { messages } else { 0 };
        let mut seen = (0, 0, 0);
        for _ in 0..200 {
            let rows = self.number("select count(*) from uploads").await;
            let used = self.number("select count(*) from uploads where state = 'used'").await;
            seen = (rows, used, self.blobs().await);
            if seen == (wanted, wanted, wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("{wanted} uploads, used ones, and blobs are to stay; there are {seen:?}");
    }

    async fn blobs(&self) -> u64 {
        match &self.payloads {
            Payloads::Bucket(bucket) => bucket.count().await as u64,
            _ => files_below(&self.site.path("blobs")),
        }
    }
}

/// Files of a folder and those below, whatever their names. What says whose folder it is is no blob.
fn files_below(folder: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let count = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_below(&path)
        } else {
            u64::from(!path.ends_with("blobs.id"))
        }
    };
    entries.map(count).sum()
}

/// Declares a test for each place of each `async fn name(store: TestDatabase, payloads: Payloads)`.
#[macro_export]
macro_rules! in_every_place {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            use $crate::crash_matrix::place::Payloads;
            use $crate::support::databases::TestDatabase;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn inline_on_sqlite() {
                super::$name(TestDatabase::sqlite(), Payloads::Inline).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn inline_on_postgres() {
                if let Some(store) = TestDatabase::postgres().await {
                    super::$name(store, Payloads::Inline).await;
                }
            }

            $crate::in_places_of_blobs!(super::$name);
        })+
    };
}

/// Declares them in a module of their own for each place where payloads are blobs.
#[macro_export]
macro_rules! in_every_place_of_blobs {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            use $crate::crash_matrix::place::Payloads;
            use $crate::support::databases::TestDatabase;

            $crate::in_places_of_blobs!(super::$name);
        })+
    };
}

/// The tests of one module where payloads are blobs.
#[macro_export]
macro_rules! in_places_of_blobs {
    ($test:path) => {
        use $crate::buckets::Bucket;

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn in_files_on_sqlite() {
            $test(TestDatabase::sqlite(), Payloads::Files).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn in_files_on_postgres() {
            if let Some(store) = TestDatabase::postgres().await {
                $test(store, Payloads::Files).await;
            }
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn in_s3_on_sqlite() {
            if let Some(bucket) = Bucket::s3() {
                $test(TestDatabase::sqlite(), Payloads::Bucket(bucket)).await;
            }
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn in_azure_on_postgres() {
            if let (Some(store), Some(bucket)) = (TestDatabase::postgres().await, Bucket::azure()) {
                $test(store, Payloads::Bucket(bucket)).await;
            }
        }
    };
}
