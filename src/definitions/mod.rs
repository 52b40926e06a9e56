//! Entity and job definitions from `entities/*.toml` and `jobs/*.toml`, with errors that name file, line and cure.
//!
//! Files are the truth for jobs. Loading is all or nothing: a broken file leaves the running set as it was.

use std::path::{Path, PathBuf};

use crate::domain::entity::Entity;
use crate::domain::ids::JobId;
use crate::domain::job::Job;

/// A checked set of definitions: every reference between them resolves.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    /// By technical name.
    pub entities: Vec<Entity>,
    /// By name.
    pub jobs: Vec<Job>,
}

/// One mistake in a definition file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionError {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1, where one can be named.
    pub line: Option<usize>,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl std::fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.message),
            None => write!(f, "{}: {}", self.file.display(), self.message),
        }
    }
}

impl Definitions {
    /// Reads both folders. A folder that does not exist is empty. `databases` are the configured names.
    ///
    /// # Errors
    /// Every mistake found in any file.
    pub fn load(_jobs: &Path, _entities: &Path, _databases: &[String]) -> Result<Self, Vec<DefinitionError>> {
        todo!()
    }

    /// The job with this activity id.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.iter().find(|j| j.id == id)
    }

    /// The job with this name (any case) or activity id (any form).
    #[must_use]
    pub fn find_job(&self, name_or_id: &str) -> Option<&Job> {
        let id = name_or_id.parse::<JobId>().ok();
        self.jobs
            .iter()
            .find(|j| Some(j.id) == id || j.name.to_lowercase() == name_or_id.to_lowercase())
    }

    /// The entity with this technical name.
    #[must_use]
    pub fn entity(&self, name: &str) -> Option<&Entity> {
        self.entities.iter().find(|e| e.name == name)
    }

    /// The entity with this label or technical name, any case.
    #[must_use]
    pub fn find_entity(&self, label_or_name: &str) -> Option<&Entity> {
        let wanted = label_or_name.to_lowercase();
        self.entities
            .iter()
            .find(|e| e.label.to_lowercase() == wanted || e.name.to_lowercase() == wanted)
    }
}
