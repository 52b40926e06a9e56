//! `tranship agent`: a program beside the files. It sends what lies in folders and collects into folders, from Tranship or from
//! the real product, and never loses, repeats or overtakes what it can help.
//!
//! Owns: folders, the journal that makes a crash a pause, when to try again. Refuses: anything only Tranship has. What it says to
//! the server is the wire contract ([`client`]), so that the same configuration serves both.

pub mod client;
mod collect;
pub mod config;
mod files;
pub mod folder;
pub mod journal;
mod pace;
pub mod record;
mod send;
mod shared;
pub mod standing;
pub mod trouble;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::folders;
use client::Client;
use collect::Collector;
use config::AgentConfig;
use files::UNFINISHED;
use journal::{Journal, JournalError};
use pace::{Pace, Passed, dice};
use send::Sender;
use shared::Shared;
use trouble::Kind;

/// Longest part of an execution's id that comes from the project's name (PKG-11a).
const PROJECT_CHARS_MAX: usize = 40;
/// Unfinished files older than this are nobody's.
const UNFINISHED_KEPT: Duration = Duration::from_hours(24);

/// How the agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Files that ended badly, and messages that could not be collected.
    pub failed: u64,
    /// Trouble that was still there at the end, the worst of all folders.
    pub trouble: Option<Kind>,
}

/// Why it did not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no journal to work with.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No HTTPS.
    #[error("{0}")]
    Client(String),
    /// A folder that is missing and cannot be made.
    #[error("cannot make the folder {path}: {error}")]
    Folder {
        /// The folder.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
}

/// How long to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Until it is told to stop.
    Stopped,
    /// Until nothing is left to do, or so much time has passed.
    Idle(Duration),
}

/// Works.
///
/// # Errors
/// [`StartError`], before anything was done.
pub async fn run(
    config: &AgentConfig,
    clock: Clock,
    until: Until,
    stopping: CancellationToken,
) -> Result<Summary, StartError> {
    let client = Client::new(&config.server, clock.clone()).map_err(StartError::Client)?;
    let journal = Journal::open(&config.state_dir, clock.clone())?;
    prepare_folders(config, &clock)?;
    let once = until != Until::Stopped;
    let shared = Arc::new(Shared::new(client, config, journal, clock, once, stopping));
    tell_strays(&shared, config);
    let deadline = match until {
        Until::Stopped => None,
        Until::Idle(patience) => Some(Instant::now() + patience),
    };
    let mut tasks = JoinSet::new();
    for folder in config.sends.iter().cloned() {
        let (shared, pace) = (Arc::clone(&shared), Pace::new(config.retry, folder.poll));
        let name = folder.name.clone();
        let sender = Flow::Send(Box::new(Sender::new(Arc::clone(&shared), folder)));
        tasks.spawn(work(shared, name, sender, pace, deadline));
    }
    for folder in config.collects.iter().cloned() {
        let (shared, pace) = (Arc::clone(&shared), Pace::new(config.retry, folder.poll));
        let name = folder.name.clone();
        let collector = Flow::Collect(Box::new(Collector::new(Arc::clone(&shared), folder)));
        tasks.spawn(work(shared, name, collector, pace, deadline));
    }
    let mut summary = Summary::default();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(ended) => {
                summary.failed += ended.failed;
                summary.trouble = summary.trouble.or(ended.trouble);
            }
            Err(error) => {
                tracing::error!(%error, "a folder's task ended by itself");
                summary.trouble = Some(Kind::Local);
                shared.stopping.cancel();
            }
        }
    }
    Ok(summary)
}

/// One folder's work.
enum Flow {
    Send(Box<Sender>),
    Collect(Box<Collector>),
}

impl Flow {
    async fn pass(&mut self) -> Passed {
        match self {
            Self::Send(sender) => sender.pass().await,
            Self::Collect(collector) => collector.pass().await,
        }
    }

    fn failed(&self) -> u64 {
        match self {
            Self::Send(sender) => sender.failed,
            Self::Collect(collector) => collector.failed,
        }
    }
}

/// Passes over one folder, with pauses, until it is told to stop, or nothing is left.
async fn work(shared: Arc<Shared>, name: String, mut flow: Flow, mut pace: Pace, deadline: Option<Instant>) -> Summary {
    let (mut trouble, mut told) = (None, None);
    while !shared.stopping.is_cancelled() {
        let passed = flow.pass().await;
        let pause = pace.pause(&passed, dice());
        trouble = passed
            .trouble
            .as_ref()
            .or(passed.aside.as_ref())
            .map(|trouble| trouble.kind);
        if let Some(aside) = passed.aside.as_ref().filter(|aside| told.as_ref() != Some(&aside.what)) {
            shared.told_aside(&name, aside);
        }
        told = passed.aside.as_ref().map(|aside| aside.what.clone());
        if let Some(trouble) = &passed.trouble {
            shared.troubled(&name, trouble, pause);
        }
        let next = Instant::now() + pause;
        if let Some(deadline) = deadline {
            let nothing_left = passed.trouble.is_none() && !passed.left && !passed.moved;
            if nothing_left || next > deadline {
                break;
            }
        }
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = shared.stopping.cancelled() => {}
        }
    }
    Summary {
        failed: flow.failed(),
        trouble,
    }
}

/// Makes missing folders, and clears away what no attempt will finish.
fn prepare_folders(config: &AgentConfig, clock: &Clock) -> Result<(), StartError> {
    let sends = config
        .sends
        .iter()
        .flat_map(|send| send.folders.each())
        .map(|(_, path)| path);
    let collects = config.collects.iter().map(|collect| collect.folder.as_path());
    for path in sends.chain(collects) {
        folders::make(path).map_err(|error| StartError::Folder {
            path: path.display().to_string(),
            error,
        })?;
        sweep(path, clock);
    }
    Ok(())
}

fn sweep(folder: &Path, clock: &Clock) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        if !entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            continue;
        }
        let Ok(facts) = entry.metadata() else { continue };
        let modified = facts
            .modified()
            .map(|at| Timestamp::from(chrono::DateTime::<chrono::Utc>::from(at)));
        let kept = i64::try_from(UNFINISHED_KEPT.as_secs()).unwrap_or(i64::MAX);
        if modified.is_ok_and(|at| clock.now().seconds_since(at) > kept) {
            let path = entry.path();
            tracing::info!(?path, "clearing away what an attempt left unfinished");
            let _ = if facts.is_dir() {
                std::fs::remove_dir_all(path)
            } else {
                std::fs::remove_file(path)
            };
        }
    }
}

/// Things in the journal whose folder is no longer in the configuration: nobody goes on with them.
fn tell_strays(shared: &Shared, config: &AgentConfig) {
    let sends = config.sends.iter().map(|send| &send.name);
    let names: Vec<&String> = sends
        .chain(config.collects.iter().map(|collect| &collect.name))
        .collect();
    for (flow, count) in shared.live_flows() {
        if !names.contains(&&flow) {
            tracing::warn!(
                folder = flow,
                count,
                "the journal has unfinished things of a folder that is not in the configuration; it keeps them"
            );
        }
    }
}

/// The id an import or export is known by, in the form known clients give (PKG-11a).
fn execution_id(project: &str, at: Timestamp, id: &str) -> String {
    let project: String = project.chars().take(PROJECT_CHARS_MAX).collect();
    format!("{project}-{}-{id}", at.to_utc().format("%Y-%m-%d_%H-%M-%S"))
}
