//! Imports by the package API: the execution, what was asked of it, its message and, where it brings one along, its project, in one
//! transaction.

use super::enqueue::{NewMessage, insert};
use super::package_requests::{PackageRequest, Submit, submit};
use super::projects::{ProjectChange, ToldChange, change, tell};
use super::{Store, StoreError};
use crate::domain::audit::NewEntry;
use crate::domain::time::Timestamp;

/// An import to be queued.
#[derive(Debug, Clone)]
pub struct PackageImport {
    /// What was asked.
    pub request: PackageRequest,
    /// The message that carries the package.
    pub message: NewMessage,
    /// Of an import into a project that the store keeps, or shall.
    pub project: Option<ProjectChange>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// It is in the queue.
    New,
    /// The same was asked before.
    Repeated,
    /// The execution's id belongs to something else.
    Taken,
    /// The project was created, changed or deleted meanwhile: look again.
    Overtaken,
}

impl Store {
    /// Queues an import. Nothing is stored unless it is [`Queued::New`].
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the payload's upload row is no longer open.
    pub async fn queue_package_import(&self, import: PackageImport, now: Timestamp) -> Result<Queued, StoreError> {
        let overtaken = || StoreError::Conflict {
            what: "project",
            id: String::new(),
            state: "changed".to_owned(),
        };
        let told = import.project.as_ref().map(ToldChange::of);
        let effect = move |queued: &Queued, entry: &mut NewEntry| *queued == Queued::New && tell(told, entry);
        let queued = self.write_audited(effect, move |tx| {
            Box::pin(async move {
                let PackageImport {
                    request,
                    message,
                    project,
                } = import;
                // First, so that of two submits with one id the second waits here, and holds nothing the first one wants.
                match submit(tx, &request, message.job, Some(message.id)).await? {
                    Submit::New => {}
                    Submit::Repeated => return Ok(Queued::Repeated),
                    Submit::Taken => return Ok(Queued::Taken),
                }
                if let Some(project) = &project
                    && !change(tx, project, now).await?
                {
                    return Err(overtaken());
                }
                insert(tx, message, Some(request.execution.0.as_str()), now).await?;
                Ok(Queued::New)
            })
        });
        match queued.await {
            Err(StoreError::Conflict { what: "project", .. }) => Ok(Queued::Overtaken),
            queued => queued,
        }
    }
}
