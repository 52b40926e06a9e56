//! Imports by the package API (PKG-11): a package on the blob host → a payload of its own → looked at → queued under the id that is
//! answered.
//!
//! Whatever makes an import fail for good is found before the answer, so that it can be the answer. From then on the message is loaded
//! like any other one; those of one project in turn, as parallel imports of one project trip over each other (PKG-11f).

mod check;
pub mod project;

use serde::{Deserialize, Serialize};

use self::project::Chosen;
use super::enqueue::{EnqueueError, Envelope};
use super::package_file::{PackageFile, Spool};
use super::payload::{PayloadError, PayloadSink, StoredPayload};
use super::placement::place;
use super::projects::Projects;
use super::stop::Stop;
use super::{Context, blob_host};
use crate::blob::BlobError;
use crate::domain::ids::{ExecutionId, MessageId};
use crate::domain::job::{Job, Order};
use crate::domain::message::{Digest, Placement};
use crate::domain::trace::TraceContext;
use crate::failpoint;
use crate::storage::StoreError;
use crate::storage::dmf_blobs::DmfContent;
use crate::storage::enqueue::{NewMessage, NewPayload};
use crate::storage::package_imports::{PackageImport, Queued};
use crate::storage::package_requests::PackageRequest;

/// The group in which the packages of a project stand.
const GROUP: &str = "package api";
/// How often a project that others change at the same moment is looked at again.
const ATTEMPTS: u32 = 20;

/// What a client asks of an import besides its project: what counts when it asks again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOptions {
    /// Where the package is: the path of its URL (PKG-8).
    pub package: String,
    /// Whether staged records go on to the target.
    pub execute: bool,
    /// Whether the project's entities become those of the package.
    pub overwrite: bool,
    /// Company of all records, lower case.
    pub company: Option<String>,
    /// Whether nothing more is loaded once an entity failed.
    pub fail_on_error: bool,
}

impl ImportOptions {
    /// As [`PackageRequest::asked`] keeps them.
    #[must_use]
    pub fn canonical(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// Those of a request.
    ///
    /// # Errors
    /// When no import was asked for.
    pub fn read(request: &PackageRequest) -> serde_json::Result<Self> {
        serde_json::from_str(&request.asked)
    }
}

/// An import as a client asks for it.
#[derive(Debug, Clone)]
pub struct Import {
    /// Who asks for what, under which id.
    pub request: PackageRequest,
    /// The same, read.
    pub options: ImportOptions,
    /// The package.
    pub content: DmfContent,
    /// The sender's place in its trace.
    pub traceparent: Option<TraceContext>,
}

/// What a client may do.
pub struct Rights {
    /// Whether it may use a job.
    pub may_use: Box<dyn Fn(&Job) -> bool + Send + Sync>,
    /// Whether it may create projects.
    pub may_create: bool,
}

/// Why an import, or an export from a package, was not taken on. Nothing is stored.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The package, the project or the request is at fault.
    #[error("{0}")]
    Refused(String),
    /// The execution's id belongs to something else.
    #[error("the execution id {0} was used before, for something else: send another one, or none to have one made")]
    Taken(ExecutionId),
    /// Something is out of reach; trying again helps.
    #[error("{0}")]
    Unavailable(String),
    /// The package could not be copied.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The service store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImportError {
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }
}

impl From<Stop> for ImportError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Fail(failure) => Self::Refused(failure.detail),
            Stop::BlobMissing(detail) | Stop::Unreachable(detail) | Stop::Locked(detail) | Stop::Retry(detail) => {
                Self::Unavailable(detail)
            }
            Stop::Lost | Stop::Stopped => Self::Unavailable("the service is stopping; send it again".to_owned()),
        }
    }
}

impl From<EnqueueError> for ImportError {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::Payload(error) => error.into(),
            EnqueueError::Store(error) => error.into(),
            other => Self::Refused(other.to_string()),
        }
    }
}

/// Whether an import need not be queued, because the very same was (PKG-11h); asked before its package is opened, which may be gone
/// by now.
///
/// # Errors
/// [`ImportError::Taken`] when the id belongs to something else.
pub async fn is_repeated(context: &Context, request: &PackageRequest) -> Result<bool, ImportError> {
    // In this order: both are written in one transaction, so that what was asked of an execution that is there can be read.
    if context.store.execution(&request.execution).await?.is_none() {
        return Ok(false);
    }
    let before = context.store.package_request(&request.execution).await?;
    if before.is_some_and(|before| request.is_repeated_by(&before)) {
        Ok(true)
    } else {
        Err(ImportError::Taken(request.execution.clone()))
    }
}

/// Queues an import. Once this returns, its id can be polled, and it goes on whoever is gone.
///
/// # Errors
/// [`ImportError`]; nothing is stored.
pub async fn submit(
    context: &Context,
    projects: &Projects,
    import: Import,
    rights: &Rights,
) -> Result<(), ImportError> {
    let began = context.clock.now();
    let (payload, package) = receive(context, &import.content).await?;
    if package.manifest().is_template {
        return Err(ImportError::refused(
            "the package is a template, which has no data to import (FMT-6); ExportFromPackage takes it",
        ));
    }
    let copied = Copied {
        digest: payload.digest,
        bytes: payload.bytes,
        payload: payload.payload.clone(),
    };
    for _ in 0..ATTEMPTS {
        let definitions = projects.refresh().await?;
        let chosen = project::choose(context, &definitions, &import, rights, package.manifest()).await?;
        check::check(context, &definitions, &chosen.job, &import.options, &package).await?;
        let (queued, message) = queue(context, &chosen, &import, &copied).await?;
        match queued {
            Queued::New => {
                failpoint::reached("package_import.queued");
                payload.keep();
                let (execution, project) = (&import.request.execution, &chosen.job.name);
                tracing::info!(%execution, %project, client = %import.request.client, "package import queued");
                context.tell_package_enqueued(message, project, began).await;
                if chosen.change.is_some() {
                    projects.refresh().await?;
                }
                return Ok(());
            }
            Queued::Repeated => return Ok(()),
            Queued::Taken => return Err(ImportError::Taken(import.request.execution)),
            Queued::Overtaken => {}
        }
    }
    Err(ImportError::Unavailable(
        "others change the data project at this moment; send it again".to_owned(),
    ))
}

/// The payload, as its message names it.
struct Copied {
    digest: Digest,
    bytes: u64,
    payload: NewPayload,
}

/// Copies the package into a payload of its own: the blob may be written over or go, and another import may name it, too.
async fn receive(context: &Context, from: &DmfContent) -> Result<(StoredPayload, PackageFile), ImportError> {
    let unreadable = |error: BlobError| ImportError::from(PayloadError::Blob(error));
    let mut blob = blob_host::read(context, from).await.map_err(unreadable)?;
    let (mut sink, mut spool) = (PayloadSink::new(context), Spool::begin()?);
    while let Some(chunk) = blob.next().await.map_err(unreadable)? {
        sink.write(chunk.clone()).await?;
        spool = spool.write(chunk).await?;
    }
    if sink.bytes() == 0 {
        return Err(ImportError::refused(
            "the blob of packageUrl is empty: upload the package to it first (DMF2053)",
        ));
    }
    let package = PackageFile::of_spool(context, spool).await?;
    Ok((sink.finish().await?, package))
}

/// What became of it, and the message it would be.
async fn queue(
    context: &Context,
    chosen: &Chosen,
    import: &Import,
    copied: &Copied,
) -> Result<(Queued, MessageId), ImportError> {
    let (job, now) = (&chosen.job, context.clock.now());
    let id = MessageId::generate_at(now);
    let company = import.options.company.clone().or_else(|| job.company.clone());
    let message = NewMessage {
        id,
        job: job.id,
        direction: job.direction,
        entity: None,
        placement: placement(context, job, company.as_deref(), copied.bytes)?,
        company,
        external_id: import.options.package.rsplit('/').next().map(str::to_owned),
        enqueued_by: import.request.client.clone(),
        digest: copied.digest,
        bytes: copied.bytes,
        payload: copied.payload.clone(),
        // Whatever the job says: the id that is answered must be there after a power cut.
        durability: context.store.durability().class,
        parent: None,
        forced: false,
        identities: Vec::new(),
        webhook: None,
        entry: None,
        traceparent: import.traceparent,
    };
    let import = PackageImport {
        request: import.request.clone(),
        message,
        project: chosen.change.clone(),
    };
    match context.store.queue_package_import(import, now).await {
        // The sweep took the upload row.
        Err(StoreError::Conflict { .. }) => Err(PayloadError::Lost.into()),
        queued => Ok((queued?, id)),
    }
}

/// In turn with the project's other packages, and at once: it is the client that has a schedule.
fn placement(context: &Context, job: &Job, company: Option<&str>, bytes: u64) -> Result<Placement, ImportError> {
    let envelope = Envelope {
        company: company.map(str::to_owned),
        ..Envelope::default()
    };
    let now = context.clock.now();
    let placement = place(job, &envelope, bytes, &context.limits.queue, now)?;
    let group = match job.queue.order {
        // In turn with everything else of the job.
        Order::Job => placement.group,
        _ => Some(GROUP.to_owned()),
    };
    Ok(Placement {
        group,
        not_before: None,
        ..placement
    })
}
