//! The running definitions: those from files with the data projects that the store keeps. Every process has its own copy and follows the
//! store's number of changes; a process that does not know a project yet claims none of its messages.

use std::sync::Arc;

use tokio::sync::{Mutex, watch};

use crate::definitions::Definitions;
use crate::domain::project::Project;
use crate::storage::{Store, StoreError};
use crate::telemetry::name_jobs;

/// Keeps the running definitions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Projects {
    store: Store,
    known: Arc<Mutex<Known>>,
    running: watch::Sender<Arc<Definitions>>,
}

#[derive(Debug)]
struct Known {
    files: Arc<Definitions>,
    projects: Vec<Project>,
    changes: Option<i64>,
}

impl Projects {
    /// With what the files say, and no project yet.
    #[must_use]
    pub fn new(store: Store, files: Definitions) -> Self {
        let files = Arc::new(files);
        name_jobs(files.jobs.iter().map(|job| (job.id, job.name.as_str())));
        let known = Known {
            files: Arc::clone(&files),
            projects: Vec::new(),
            changes: None,
        };
        Self {
            store,
            known: Arc::new(Mutex::new(known)),
            running: watch::channel(files).0,
        }
    }

    /// The running definitions, for whoever wants to see them change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Definitions>> {
        self.running.subscribe()
    }

    /// Reads the projects again if they changed, and returns the definitions as they are now.
    ///
    /// # Errors
    /// [`StoreError`]; what was known stays.
    pub async fn refresh(&self) -> Result<Arc<Definitions>, StoreError> {
        let mut known = self.known.lock().await;
        let changes = self.store.project_changes().await?;
        if known.changes != Some(changes) {
            known.projects = self.store.projects().await?;
            known.changes = Some(changes);
            self.publish(&known);
        }
        Ok(Arc::clone(&self.running.borrow()))
    }

    /// Takes what the files say now, and returns what they said before.
    pub async fn set_files(&self, files: Definitions) -> Arc<Definitions> {
        let mut known = self.known.lock().await;
        let before = std::mem::replace(&mut known.files, Arc::new(files));
        self.publish(&known);
        before
    }

    fn publish(&self, known: &Known) {
        let running = if known.projects.is_empty() {
            Arc::clone(&known.files)
        } else {
            Arc::new(known.files.with_projects(&known.projects))
        };
        name_jobs(running.jobs.iter().map(|job| (job.id, job.name.as_str())));
        self.running.send_replace(running);
    }
}
