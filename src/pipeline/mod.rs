//! The use cases, one file per verb: the only code that talks to store, business databases, blobs and formats together.
//!
//! Owns: what happens in which order, so that a crash between any two steps loses nothing and does nothing twice. Refuses:
//! SQL, HTTP, deciding when to run (that is `worker` and `scheduler`).

pub mod backfill;
pub mod blob_host;
pub mod bulk;
pub mod carriers;
mod composite;
mod data_file;
pub mod deliver;
pub mod enqueue;
pub mod erase;
pub mod export;
pub mod export_from_package;
pub mod find;
pub mod import;
mod package_file;
pub mod package_import;
mod package_listing;
pub mod payload;
pub mod placement;
pub mod preview;
pub mod projects;
pub mod pulse;
pub mod redrive;
pub mod rejects;
pub mod room;
pub mod sandbox;
pub mod source;
pub mod stop;
pub mod sweep;
pub mod telling;
pub mod tidy;

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::blob::Blobs;
use crate::business::Databases;
use crate::clock::Clock;
use crate::config;
use crate::domain::ids::{CorrelationId, ExecutionId};
use crate::domain::time::Timestamp;
use crate::sandbox::Sandbox;
use crate::sandbox::gate::Work;
use crate::storage::Store;
use crate::telemetry::traces::Traces;
use pulse::Pulse;
use room::Rooms;

/// What every use case works with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    /// The service store.
    pub store: Store,
    /// The business databases.
    pub databases: Databases,
    /// The blob store.
    pub blobs: Blobs,
    /// The time.
    pub clock: Clock,
    /// Limits.
    pub limits: Arc<Limits>,
    /// The folder of copies of business databases that exports read from.
    pub copies: Arc<Path>,
    /// Who we are, in lease and upload rows: host, process.
    pub owner: Arc<str>,
    /// How we are.
    pub pulse: Arc<Pulse>,
    /// The runtime that outlives any one request: clean-up runs there.
    pub runtime: tokio::runtime::Handle,
    /// What goes wrong on purpose, where that is wanted.
    pub sandbox: Option<Arc<Sandbox>>,
    /// Where spans go.
    pub traces: Traces,
    /// Room in queues.
    pub rooms: Rooms,
}

impl Context {
    /// Waits until work may begin in the background, and says when it is to stop: when the service does, or when the sandbox
    /// holds all work.
    pub async fn begin_work(&self, stopping: &CancellationToken) -> Work {
        match &self.sandbox {
            None => Work::unheld(stopping),
            Some(sandbox) => sandbox.gate.begin().await,
        }
    }
}

/// The settings the use cases obey.
#[derive(Debug, Clone)]
pub struct Limits {
    /// `queue.*`
    pub queue: config::Queue,
    /// `blobs.*`
    pub blobs: config::Blobs,
    /// `import.*`
    pub import: config::Import,
    /// `export.*`
    pub export: config::Export,
    /// `file.*`
    pub file: config::File,
    /// `webhooks.*`
    pub webhooks: config::Outgoing,
    /// `destinations.*`
    pub destinations: config::Outgoing,
    /// `audit.*`
    pub audit: config::Audit,
}

/// A server-made execution id: `<project>-<yyyy-MM-ddTHH:mm:ss>-<32 hex>` (PKG-11a).
#[must_use]
pub fn new_execution_id(project: &str, now: Timestamp) -> ExecutionId {
    let at = now.to_utc().format("%Y-%m-%dT%H:%M:%S");
    ExecutionId(format!("{project}-{at}-{}", CorrelationId::generate().0.simple()))
}
