//! Wiring: builds store, blobs, databases, scheduler, worker and HTTP server, and owns the order of start and stop.
//!
//! Start: definitions → listener bound → store → blobs → keys → HTTP → worker → alarm clock → a first look. Stop, in reverse: readiness off → HTTP →
//! alarm clock → stop claiming, hand leases back → close pools, all within `server.shutdown_seconds`.

pub(crate) mod beside;
pub(crate) mod data_dir;
pub(crate) mod definitions;
mod dev_ca;
mod first_client;
mod first_look;
mod keys;
mod last_uses;
mod listener;
mod regularly;
mod reload;
mod sandbox;
mod senders;
mod tell;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::blob::Blobs;
use crate::business::Databases;
use crate::business::backup::sweep_copies;
use crate::clock::Clock;
use crate::config::Config;
use crate::console;
use crate::definitions::Definitions;
use crate::destination;
use crate::domain::audit::{Action, NewEntry};
use crate::domain::message::Durability;
use crate::http::Api;
use crate::http::admission::Admission;
use crate::http::auth::LOCAL_OPERATOR;
use crate::http::issuers::Issuers;
use crate::http::pace::Pace;
use crate::http::recent::Recent;
use crate::http::reload::{Asked, Reloading};
use crate::http::secret_checks::SecretChecks;
use crate::http::watch::Watch;
use crate::pipeline::projects::Projects;
use crate::pipeline::pulse::Pulse;
use crate::pipeline::room::Rooms;
use crate::pipeline::{Context, Limits};
use crate::scheduler::Scheduler;
use crate::storage::sessions::Visitor;
use crate::storage::{Sharing, Store, StoreSettings};
use crate::telemetry;
use crate::telemetry::traces::Traces;
use crate::webhook;
use crate::worker::Worker;
use first_client::first_client;
use keys::Keys;
use listener::Listeners;
use reload::Reload;
use senders::Senders;

/// Client secrets checked at once; each takes 4 MiB and some milliseconds of a processor.
const SECRET_CHECKS_AT_ONCE: usize = 4;
/// Packages of the package API copied and looked at at once; each takes disk for what it is packed.
const PACKAGE_CHECKS_AT_ONCE: usize = 4;
/// Messages handed out lately whose job is remembered.
const LEASED_REMEMBERED: usize = 100_000;

/// The fact by which a store knows its folder of blobs.
pub(crate) const BLOB_FOLDER: &str = "blob_folder";

/// What is not a setting.
#[derive(Debug, Clone)]
pub struct AppOptions {
    /// The time.
    pub clock: Clock,
    /// Whether an empty store gets the client `dev`.
    pub first_client: FirstClient,
    /// Whether schedules fire and messages are worked on by themselves; tests drive both by hand.
    pub background: Background,
}

/// Whether an empty store gets the client `dev` (design, "First start and keys").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstClient {
    /// On a terminal: yes, where nobody outside can reach the listener.
    WhenLoopback,
    /// No: nothing is open until `tranship client add`.
    Never,
}

/// Who drives scheduler and worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    /// They run by themselves.
    On,
    /// Nobody, until a test does.
    Off,
}

/// The service, built and bound, not yet serving.
pub struct App {
    api: Api,
    config: Arc<Config>,
    listeners: Listeners,
    address: SocketAddr,
    options: AppOptions,
    projects: Projects,
    asked_to_reload: mpsc::Receiver<Asked>,
    ready: watch::Sender<bool>,
    worker: Worker,
    scheduler: Scheduler,
    senders: Senders,
    keys: Keys,
    stopping: CancellationToken,
    first_client: Option<(String, String)>,
}

impl App {
    /// Opens everything and binds the listener.
    ///
    /// # Errors
    /// Whatever keeps the service from starting, in a sentence that says what to do.
    pub async fn build(config: Config, options: AppOptions) -> anyhow::Result<Self> {
        crate::blob::install_crypto();
        telemetry::exposition();
        data_dir::make(&config.data_dir).map_err(anyhow::Error::msg)?;
        let databases = definitions::databases(&config)?;
        let definitions = load_definitions(&config, &databases).await?;
        let listeners = Listeners::bind(&config)?;
        let address = listeners.address()?;
        let (store, blobs) = open_store(&config).await?;
        let clock = sandbox::clock(&options.clock, config.sandbox.as_ref(), &store).await?;
        let now = clock.now();
        let keys = Keys::open(&store, config.server.token_seconds, now).await?;
        let first_client = first_client(&store, &config, &options, &listeners).await?;
        if store.has_one_process() {
            store.release_worker_leases(now).await?;
        }
        store.set_webhook_rules(webhook::rules(&definitions, config.server.public_url.as_ref()));
        let stopping = CancellationToken::new();
        let sandbox = Box::pin(sandbox::build(
            config.sandbox.as_ref(),
            &clock,
            &store,
            &definitions,
            &stopping,
        ))
        .await?;
        let owner: Arc<str> = owner(address).into();
        let slots = config.worker.concurrency;
        let pulse = Pulse::new(Arc::clone(&owner), address.to_string(), slots, clock.now());
        let context = Context {
            databases,
            blobs,
            clock,
            limits: Arc::new(limits(&config)),
            copies: copies(&config.data_dir).into(),
            owner,
            pulse: Arc::new(pulse),
            store,
            runtime: tokio::runtime::Handle::current(),
            sandbox,
            traces: traces(&config)?,
            rooms: Rooms::default(),
        };
        let projects = Projects::new(context.store.clone(), definitions);
        projects.refresh().await?;
        let watched = projects.watch();
        let (ready, readiness) = watch::channel(true);
        let (reloading, asked_to_reload) = Reloading::answered_by();
        let wake = Arc::new(Notify::new());
        let worker = Worker::new(
            context.clone(),
            watched.clone(),
            config.worker.clone(),
            Arc::clone(&wake),
            stopping.clone(),
        );
        let scheduler = Scheduler::new(context.clone(), watched.clone(), Arc::clone(&wake));
        let senders = Senders::new(&context, &watched, &stopping);
        let api = Api {
            watch: Watch::new(&context),
            context,
            definitions: watched,
            projects: projects.clone(),
            reloading,
            signers: keys.watch(),
            issuers: Arc::new(Issuers::new(&config.issuers)),
            package_checks: Arc::new(Semaphore::new(PACKAGE_CHECKS_AT_ONCE)),
            secret_checks: SecretChecks::new(SECRET_CHECKS_AT_ONCE),
            callers: Arc::default(),
            pace: Pace::new(&config.limits, &config.queue),
            last_uses: Arc::default(),
            admission: Admission::new(&config.queue),
            leased: Arc::new(Recent::new(LEASED_REMEMBERED)),
            waiters: Arc::new(Semaphore::new(config.server.max_waiters)),
            listeners: Arc::new(Semaphore::new(config.server.max_listeners)),
            server: Arc::new(config.server.clone()),
            wake,
            draining: stopping.clone(),
            webhook_wake: Arc::clone(&senders.webhook_wake),
            destination_wake: Arc::clone(&senders.destination_wake),
            ready: readiness,
        };
        Ok(Self {
            api,
            config: Arc::new(config),
            listeners,
            address,
            options,
            projects,
            asked_to_reload,
            ready,
            worker,
            scheduler,
            senders,
            keys,
            stopping,
            first_client,
        })
    }

    /// The address the listener is bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the TLS listener, and where the certificate of the authority is that `server.dev_tls` made.
    #[must_use]
    pub fn tls(&self) -> Option<(SocketAddr, Option<PathBuf>)> {
        let settings = self.config.server.tls.as_ref()?;
        Some((
            self.listeners.tls_address()?,
            tls::authority(&self.config, &settings.certificate),
        ))
    }

    /// The port the listener is bound to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Name and secret of the client this start created, shown once.
    #[must_use]
    pub fn first_client(&self) -> Option<(String, String)> {
        self.first_client.clone()
    }

    /// A link that signs in to the console once, as the local operator; `None` where others than this machine can reach the service.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn console_link(&self) -> anyhow::Result<Option<String>> {
        let server = &self.config.server;
        let is_reachable = server.public_url.is_some() || !server.trusted_proxies.is_empty();
        if is_reachable || self.listeners.open_address()?.is_some() {
            return Ok(None);
        }
        let (store, now) = (&self.api.context.store, self.api.context.clock.now());
        let base = format!("http://{}", self.address);
        let entry = NewEntry::of_service(now, Action::ConsoleLink, LOCAL_OPERATOR);
        let link = console::link::new_link(&store.audited(entry), &base, &Visitor::Local, now).await;
        Ok(Some(link.context("cannot make a link to the console")?))
    }

    /// Cancelling it stops the service as SIGTERM does.
    #[must_use]
    pub fn stop_handle(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// The worker, for tests that drive it by hand.
    #[must_use]
    pub fn worker(&self) -> Worker {
        self.worker.clone()
    }

    /// The scheduler, for tests that drive it by hand.
    #[must_use]
    pub fn scheduler(&self) -> Scheduler {
        self.scheduler.clone()
    }

    /// The webhook sender, for tests that drive it by hand.
    #[must_use]
    pub fn webhooks(&self) -> webhook::Sender {
        self.senders.webhooks.clone()
    }

    /// The sender to destinations, for tests that drive it by hand.
    #[must_use]
    pub fn destinations(&self) -> destination::Sender {
        self.senders.destinations.clone()
    }

    /// The definitions as they are now.
    #[must_use]
    pub fn definitions(&self) -> Arc<Definitions> {
        Arc::clone(&self.api.definitions.borrow())
    }

    /// What the handlers work with, for tests.
    #[must_use]
    pub fn api(&self) -> Api {
        self.api.clone()
    }

    /// What the use cases work with, for tests.
    #[must_use]
    pub fn context(&self) -> Context {
        self.api.context.clone()
    }

    /// Serves until SIGTERM, SIGINT or [`App::stop_handle`]; then drains within `server.shutdown_seconds`. A second signal
    /// ends the process at once.
    ///
    /// # Errors
    /// When the server or the alarm clock cannot start.
    pub async fn run(self) -> anyhow::Result<()> {
        let drain = Duration::from_secs(self.config.server.shutdown_seconds);
        let (tls, tls_address) = (self.listeners.tls(), self.listeners.tls_address());
        let server = self.listeners.serve(self.api.clone(), &self.config)?;
        let handle = server.handle();
        let serving = tokio::spawn(server);
        let mut background = tokio::task::JoinSet::new();
        let mut alarm = None;
        if self.options.background == Background::On {
            background.spawn(self.worker.clone().run());
            background.spawn(self.senders.webhooks.clone().run());
            background.spawn(self.senders.destinations.clone().run());
            background.spawn(regularly::tidy(self.api.context.clone(), self.stopping.clone()));
            background.spawn(tell::write_traffic(self.api.context.clone(), self.stopping.clone()));
            alarm = Some(self.scheduler.start().await?);
            sandbox::play(&self.api, &self.scheduler, &self.stopping, &mut background);
        }
        let reload = Reload {
            config: Arc::clone(&self.config),
            context: self.api.context.clone(),
            projects: self.projects.clone(),
            tls,
            asked: self.asked_to_reload,
            stopping: self.stopping.clone(),
        };
        background.spawn(reload.run());
        background.spawn(regularly::sum_up(self.stopping.clone()));
        let (uses, store) = (Arc::clone(&self.api.last_uses), self.api.context.store.clone());
        background.spawn(last_uses::keep(uses, store, self.stopping.clone()));
        background.spawn(self.keys.follow(self.api.context.clone(), self.stopping.clone()));
        if !self.api.context.store.has_one_process() {
            if self.options.background == Background::On {
                background.spawn(tell::beat(self.api.context.clone(), self.stopping.clone()));
            }
            background.spawn(regularly::follow_projects(self.projects.clone(), self.stopping.clone()));
        }
        write_addresses(&self.config, self.address, tls_address);
        tracing::info!(address = %self.address, tls = tls_address.map(tracing::field::display), "listening");
        if self.options.background == Background::On {
            let definitions = Arc::clone(&self.api.definitions.borrow());
            background.spawn(first_look::look(
                self.api.context.clone(),
                definitions,
                self.stopping.clone(),
            ));
        }
        stop_asked(&self.stopping).await;
        tracing::info!(
            seconds = drain.as_secs(),
            "stopping: finishing requests, handing leases back"
        );
        let _ = self.ready.send(false);
        self.stopping.cancel();
        let drained = async {
            handle.stop(true).await;
            if let Some(alarm) = alarm {
                alarm.shutdown().await;
            }
            while background.join_next().await.is_some() {}
        };
        tokio::select! {
            () = drained => tracing::info!("stopped"),
            () = tokio::time::sleep(drain) => tracing::warn!("the drain took too long; leases lapse by themselves"),
            () = signal() => tracing::warn!("second signal: stopping now"),
        }
        serving.abort();
        // Bounded too: a connection a server does not answer must not keep the process.
        let close = async {
            tell::last(&self.api.context).await;
            tokio::join!(self.api.context.databases.close(), self.api.context.store.close());
        };
        let _ = tokio::time::timeout(Duration::from_secs(5), close).await;
        let traces = self.api.context.traces.clone();
        let _ = tokio::task::spawn_blocking(move || traces.stop()).await;
        for file in address_files(&self.config.data_dir) {
            let _ = std::fs::remove_file(file);
        }
        Ok(())
    }
}

/// Where spans go, if anywhere.
fn traces(config: &Config) -> anyhow::Result<Traces> {
    let telemetry = &config.telemetry;
    match &telemetry.otlp_endpoint {
        None => Ok(Traces::default()),
        Some(endpoint) => Traces::to(endpoint, &telemetry.service_name)
            .map_err(|error| anyhow!("cannot send traces to {endpoint} (telemetry.otlp_endpoint): {error}")),
    }
}

/// The store and the blobs that it names.
async fn open_store(config: &Config) -> anyhow::Result<(Store, Blobs)> {
    let store = Store::connect(&StoreSettings {
        url: config.store.url.clone(),
        max_connections: config.store.max_connections,
        sharing: Sharing::Exclusive,
    })
    .await
    .context("cannot open the service store (store.url)")?;
    let blobs = Blobs::open(&config.blobs_url).context("cannot open the blob store (blobs.url)")?;
    insist_on_shared_blobs(&store, &blobs).await?;
    report_durability(&store);
    Ok((store, blobs))
}

fn limits(config: &Config) -> Limits {
    Limits {
        queue: config.queue.clone(),
        blobs: config.blobs.clone(),
        import: config.import.clone(),
        export: config.export.clone(),
        file: config.file.clone(),
        webhooks: config.webhooks.clone(),
        destinations: config.destinations.clone(),
        audit: config.audit.clone(),
    }
}

async fn load_definitions(config: &Config, databases: &Databases) -> anyhow::Result<Definitions> {
    definitions::load(config, databases).await.map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow!("the definitions have mistakes:\n  {}", lines.join("\n  "))
    })
}

/// Any process on a store may get any message, so all of them must find its payload: a folder that is not the one the store
/// knows keeps the service from starting. A SQLite store has one process and needs no such care.
async fn insist_on_shared_blobs(store: &Store, blobs: &Blobs) -> anyhow::Result<()> {
    if store.has_one_process() {
        return Ok(());
    }
    let folder = blobs.folder().await.context("cannot use the blob folder (blobs.url)")?;
    let Some(folder) = folder else {
        return Ok(());
    };
    let known = store.remember(BLOB_FOLDER, &folder.id).await?;
    if known != folder.id {
        bail!(
            "the blobs of this store lie in another folder than {} (blobs.url): every process on a PostgreSQL store needs the \
             same blobs. Let blobs.url name that folder in all of them, through a shared file system, or a bucket (s3://, \
             az://, gs://). If this folder holds a copy of all the store's blobs, write {known} into {}",
            folder.path.display(),
            folder.id_file.display()
        );
    }
    Ok(())
}

fn report_durability(store: &Store) {
    let durability = store.durability();
    if durability.class != Durability::Full {
        tracing::warn!(
            weakened_by = %durability.weakened_by.join(", "),
            "the store's server does not keep what it commits through a power cut; every answer says durability = relaxed"
        );
    }
}

/// Host, process and port: who holds a lease, for the operator's eyes.
fn owner(address: SocketAddr) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}/{}/{}", host.trim(), std::process::id(), address.port())
}

/// Where copies of business databases are made. What a killed process left there is deleted.
fn copies(data_dir: &Path) -> PathBuf {
    let folder = data_dir.join("copies");
    match sweep_copies(&folder) {
        Ok(0) => {}
        Ok(copies) => tracing::info!(
            copies,
            "deleted copies of business databases that a killed process left"
        ),
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "copies that a killed process left may remain");
        }
    }
    folder
}

/// Where scripts find the bound addresses, port 0 included: the plain one, and the one for TLS.
fn address_files(data_dir: &Path) -> [PathBuf; 2] {
    ["listening", "listening-tls"].map(|name| data_dir.join(name))
}

fn write_addresses(config: &Config, plain: SocketAddr, tls: Option<SocketAddr>) {
    let mut written = Ok(());
    for (file, address) in address_files(&config.data_dir).iter().zip([Some(plain), tls]) {
        written = written.and_then(|()| match address {
            Some(address) => std::fs::write(file, format!("{address}\n")),
            None => Ok(()),
        });
    }
    if let Err(error) = written {
        tracing::warn!(%error, "could not write the address file in data_dir");
    }
}

async fn stop_asked(stopping: &CancellationToken) {
    tokio::select! {
        () = signal() => {}
        () = stopping.cancelled() => {}
    }
}

/// SIGTERM or SIGINT.
pub async fn signal() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminate => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
