//! The file as a whole: its sections, and what must hold between them.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{AgentConfig, CollectFolder, Retry, SendFolder};
use crate::definitions::read::{Placed, Table};
use crate::definitions::{DefinitionError, read_file};

/// Where state is kept unless the file says so, beside the file.
const STATE_DIR: &str = "agent-state";
/// Longest pause a file may name: a day.
pub(super) const SECONDS_MAX: u32 = 86_400;

/// What the sections of one file share.
pub(super) struct Shared {
    /// The folder relative paths start in.
    base: PathBuf,
    /// How often folders and queues are looked at that say nothing themselves.
    pub poll: Duration,
    /// The folders' names so far.
    names: RefCell<Vec<Placed<String>>>,
    /// Folders that are sent from so far: two flows would take each other's files.
    folders: RefCell<Vec<(PathBuf, String)>>,
}

impl Shared {
    /// A path of the file, from where the file lies.
    pub fn path(&self, written: &str) -> PathBuf {
        self.base.join(written)
    }

    /// Notes the name of a flow; two of a kind are a mistake.
    pub fn named(&self, table: &Table<'_>, name: Placed<String>) -> String {
        let text = name.value.clone();
        let mut names = self.names.borrow_mut();
        if let Some(other) = names.iter().find(|other| other.value.eq_ignore_ascii_case(&text)) {
            let place = table.findings().place(&other.span);
            table.findings().at(
                &name.span,
                format!("`name` is `{text}` as at {place}; each has its own"),
            );
        }
        names.push(name);
        text
    }

    /// Notes a folder that is worked in; two of a kind are a mistake.
    pub fn claimed(&self, table: &Table<'_>, folder: &Path, name: &str) {
        let mut folders = self.folders.borrow_mut();
        if let Some((_, other)) = folders.iter().find(|(taken, _)| taken == folder) {
            let message = format!("{} is a folder of `{other}` already", folder.display());
            table.findings().at(table.span(), message);
        }
        folders.push((folder.to_owned(), name.to_owned()));
    }
}

/// Reads and checks a file.
pub(super) fn load(path: &Path) -> Result<AgentConfig, Vec<DefinitionError>> {
    let bytes = std::fs::read(path).map_err(|error| {
        vec![DefinitionError {
            file: path.to_owned(),
            line: None,
            message: format!("cannot be read: {error}"),
        }]
    })?;
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    let (findings, config) = read_file(path, &bytes, "the file", |table, _| read(table, &base));
    let mut errors = findings.errors();
    errors.sort_by_key(|error| error.line);
    match config {
        Some(config) if errors.is_empty() => Ok(config),
        _ => Err(errors),
    }
}

fn read(file: Table<'_>, base: &Path) -> Option<AgentConfig> {
    let server = file.table("server", "[server]");
    if server.is_none() {
        file.require("server");
    }
    let server = server.and_then(|table| super::server::read(table, base));
    let agent = file.table("agent", "[agent]");
    let seconds = |key, default: u64| {
        let written = agent.as_ref().and_then(|agent| agent.number(key, 1..=SECONDS_MAX));
        written.map_or(Duration::from_secs(default), |seconds| {
            Duration::from_secs(seconds.value.into())
        })
    };
    let shared = Shared {
        base: base.to_owned(),
        poll: seconds("poll_seconds", 10),
        names: RefCell::default(),
        folders: RefCell::default(),
    };
    let retry = Retry {
        first: seconds("retry_first_seconds", 1),
        cap: seconds("retry_cap_seconds", 300),
        attempts_max: agent
            .as_ref()
            .and_then(|agent| agent.number("attempts_max", 1..=1000))
            .map_or(10, |most| most.value),
    };
    let state_dir = agent.as_ref().and_then(|agent| agent.text("state_dir"));
    let state_dir = shared.path(state_dir.as_ref().map_or(STATE_DIR, |dir| &dir.value));
    if let Some(agent) = agent {
        agent.finish();
    }
    let (sends, collects) = flows(&file, &shared);
    file.finish();
    Some(AgentConfig {
        server: server?,
        state_dir,
        retry,
        sends,
        collects,
    })
}

/// Every folder. One that has mistakes is left out: they are noted.
fn flows(file: &Table<'_>, shared: &Shared) -> (Vec<SendFolder>, Vec<CollectFolder>) {
    let sends = [
        ("upload", "[[upload]]", super::flow::read_upload as fn(_, &_) -> _),
        ("import", "[[import]]", super::flow::read_import),
    ];
    let collects = [
        ("download", "[[download]]", super::flow::read_download as fn(_, &_) -> _),
        ("export", "[[export]]", super::flow::read_export),
    ];
    let mut none = true;
    let mut sent = Vec::new();
    for (key, name, read) in sends {
        none &= !file.has(key);
        sent.extend(
            file.tables(key, name)
                .into_iter()
                .filter_map(|table| read(table, shared)),
        );
    }
    let mut collected = Vec::new();
    for (key, name, read) in collects {
        none &= !file.has(key);
        collected.extend(
            file.tables(key, name)
                .into_iter()
                .filter_map(|table| read(table, shared)),
        );
    }
    if none {
        let message = "there is nothing to do: add an [[upload]], [[download]], [[import]] or [[export]]";
        file.findings().at(file.span(), message);
    }
    (sent, collected)
}
