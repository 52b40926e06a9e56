//! What `agent.toml` says: the server, and each folder that is sent from or collected into.

mod file;
mod flow;
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::Regex;
use url::Url;

use crate::definitions::DefinitionError;
use crate::domain::ids::JobId;
use crate::domain::schedule::Schedule;
use crate::domain::webhook::SecretSource;

/// A checked configuration. Every path in it is absolute, or as absolute as the name of its file.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Who is spoken to.
    pub server: Server,
    /// Where journal, lock and standing are kept.
    pub state_dir: PathBuf,
    /// How failures are waited out.
    pub retry: Retry,
    /// Folders that are sent from: `[[upload]]` and `[[import]]`.
    pub sends: Vec<SendFolder>,
    /// Folders that are collected into: `[[download]]` and `[[export]]`.
    pub collects: Vec<CollectFolder>,
}

/// The server, and who signs in to it.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its address.
    pub url: Url,
    /// What it is.
    pub product: Product,
    /// Where tokens come from.
    pub token_url: Url,
    /// Which of the two forms tokens are asked in.
    pub token_version: TokenVersion,
    /// What tokens are for.
    pub resource: String,
    /// The program's own name.
    pub client_id: String,
    /// The user whose password the secret is (the `password` grant); without one it is the program's.
    pub username: Option<String>,
    /// Where the secret is.
    pub secret: SecretSource,
    /// Certificates of authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// What the server is: what it does with a file that is sent a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Tranship: the same file sent again is the same message.
    Tranship,
    /// Dynamics 365 Finance & Operations: it is another message (RI-6).
    Dynamics,
}

/// Form of a token request (contract 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenVersion {
    /// `resource=`, at `/oauth2/token`.
    V1,
    /// `scope=`, at `/oauth2/v2.0/token`.
    V2,
}

/// How failures are waited out.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// The first wait; each further one is twice as long.
    pub first: Duration,
    /// The longest wait.
    pub cap: Duration,
    /// Answers with status 500 to one file before it counts as failed.
    pub attempts_max: u32,
}

/// One folder whose files are sent.
#[derive(Debug, Clone)]
pub struct SendFolder {
    /// What people, the journal and the log call it.
    pub name: String,
    /// Where its files are, by how far they came.
    pub folders: Folders,
    /// Which files: any of these matches the name.
    pub patterns: Vec<Regex>,
    /// Which comes first.
    pub order: Order,
    /// When a file is complete.
    pub ready: Ready,
    /// Most files sent and not ended.
    pub in_flight: usize,
    /// Whether nothing more is sent while a file that failed lies in the error folder.
    pub stop_at_failure: bool,
    /// How often it looks.
    pub poll: Duration,
    /// Where the files go.
    pub to: Target,
    /// New files are taken at its due times only.
    pub schedule: Option<Schedule>,
}

/// The four folders of a [`SendFolder`].
#[derive(Debug, Clone)]
pub struct Folders {
    /// Where files arrive.
    pub incoming: PathBuf,
    /// Where they are while they are sent and worked on.
    pub processing: PathBuf,
    /// Where they end.
    pub success: PathBuf,
    /// Where they end when something was wrong with them, each with its reasons beside it.
    pub error: PathBuf,
}

impl Folders {
    /// Each with the word people know it by.
    #[must_use]
    pub fn each(&self) -> [(&'static str, &Path); 4] {
        [
            ("in", &self.incoming),
            ("processing", &self.processing),
            ("success", &self.success),
            ("error", &self.error),
        ]
    }
}

/// Which file comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By name, byte by byte.
    Name,
    /// The one modified first; of equal ones by name.
    Modified,
}

/// When a file is complete.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// Its size and time have not changed for so long.
    pub stable: Duration,
    /// A file of the same name with `.done` behind it must be there.
    pub done_file: bool,
}

/// Where files are sent.
#[derive(Debug, Clone)]
pub enum Target {
    /// A recurring data job's queue (contract 3.2).
    Queue {
        /// Its activity id.
        job: JobId,
        /// Label of the entity, for jobs of single files.
        entity: Option<String>,
        /// Company the records belong to.
        company: Option<String>,
        /// Whether a file is done once it is enqueued, however the message ends.
        until_enqueued: bool,
    },
    /// A data project, as a package (contract 4.3).
    Project {
        /// The project: `definitionGroupId`.
        project: String,
        /// Company to import into.
        legal_entity: String,
        /// Whether the project's entities become those of the package.
        overwrite: bool,
        /// Whether records go on from staging into their tables.
        execute: bool,
    },
}

/// One folder that is collected into.
#[derive(Debug, Clone)]
pub struct CollectFolder {
    /// What people, the journal and the log call it.
    pub name: String,
    /// Where files are put.
    pub folder: PathBuf,
    /// What they are called: a text with `{...}` in it.
    pub file_name: String,
    /// Whether packages are unpacked, each into a folder of its own.
    pub unzip: bool,
    /// How often it looks.
    pub poll: Duration,
    /// Where they come from.
    pub from: Source,
}

/// Where files are collected.
#[derive(Debug, Clone)]
pub enum Source {
    /// A recurring data job's queue (contract 3.3).
    Queue {
        /// Its activity id.
        job: JobId,
    },
    /// Exports of a data project, which the agent starts (contract 4.5).
    Project(Box<ProjectExport>),
}

/// What is exported when.
#[derive(Debug, Clone)]
pub struct ProjectExport {
    /// The project: `definitionGroupId`.
    pub project: String,
    /// Company whose records are exported.
    pub legal_entity: String,
    /// Name of the package.
    pub package_name: String,
    /// Only these entities of the project; empty: all.
    pub entities: Vec<String>,
    /// When; without one only `--once` exports.
    pub schedule: Option<Schedule>,
}

/// What a file's name may be made of, in `{}`.
pub const PLACEHOLDERS: [&str; 4] = ["original_name", "message_id", "time", "job"];

impl AgentConfig {
    /// Reads a file. Nothing else is opened: no secret, no folder, no server.
    ///
    /// # Errors
    /// Every mistake, with its line.
    pub fn load(path: &Path) -> Result<Self, Vec<DefinitionError>> {
        file::load(path)
    }
}

#[cfg(test)]
mod tests;
