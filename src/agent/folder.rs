//! Which files of a folder are next: complete ones, in order.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::config::{Order, Ready, SendFolder};
use super::files::UNFINISHED;
use super::record::Mark;
use super::send::REASONS;
use super::trouble::{Kind, Trouble};

/// What the name of a done-file has behind the name of its file.
pub const DONE: &str = ".done";
/// Most files that are looked at: the first ones, however many there are.
const LISTED_MAX: usize = 1_000;

/// A file that is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// How it is recognised.
    pub mark: Mark,
}

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Seen {
    /// Complete files, in order.
    pub ready: Vec<Found>,
    /// Files that may be complete in a moment.
    pub settling: usize,
    /// Something that will never be sent as it is.
    pub unfit: Option<Trouble>,
}

/// Remembers since when files have not changed.
#[derive(Debug, Default)]
pub struct Watcher {
    since: HashMap<String, (Mark, Instant)>,
}

impl Watcher {
    /// Looks at the folder files arrive in. `strict`: nothing overtakes a file that is not complete.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn look(&mut self, send: &SendFolder, strict: bool, now: Instant) -> Result<Seen, Trouble> {
        let mut listed = list(&send.folders.incoming, send)?;
        let mut seen = Seen {
            unfit: listed.unfit.take(),
            ..Seen::default()
        };
        let mut since = HashMap::new();
        for found in listed.files {
            let (mark, first) = self
                .since
                .get(&found.name)
                .filter(|(mark, _)| *mark == found.mark)
                .map_or((found.mark, now), |known| *known);
            since.insert(found.name.clone(), (mark, first));
            if is_complete(&found, send, now.saturating_duration_since(first)) {
                seen.ready.push(found);
                continue;
            }
            seen.settling += usize::from(!send.ready.done_file || has_done_file(&found, send));
            if strict {
                break;
            }
        }
        self.since = since;
        Ok(seen)
    }
}

fn is_complete(found: &Found, send: &SendFolder, unchanged: Duration) -> bool {
    let Ready { stable, done_file } = send.ready;
    unchanged >= stable && (!done_file || has_done_file(found, send))
}

fn has_done_file(found: &Found, send: &SendFolder) -> bool {
    let done = send.folders.incoming.join(format!("{}{DONE}", found.name));
    done.symlink_metadata().is_ok_and(|facts| facts.is_file())
}

/// The first files, and what is none.
struct Listed {
    files: Vec<Found>,
    unfit: Option<Trouble>,
}

fn list(folder: &Path, send: &SendFolder) -> Result<Listed, Trouble> {
    let unreadable = |error: std::io::Error| Trouble::local("list", folder, &error);
    let mut listed = Listed {
        files: Vec::new(),
        unfit: None,
    };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Ok(name) = entry.file_name().into_string() else {
            let what = format!("{} is left alone: its name is no UTF-8", entry.file_name().display());
            listed.unfit = Some(Trouble::new(Kind::Local, what));
            continue;
        };
        if !is_wanted(&name, send) {
            continue;
        }
        // A link may lead anywhere, and a file may be gone again.
        let Ok(facts) = entry.path().symlink_metadata() else {
            continue;
        };
        if facts.is_symlink() {
            listed.unfit = Some(Trouble::new(
                Kind::Local,
                format!("{name:?} is left alone: it is a link"),
            ));
        }
        if facts.is_file() {
            let mark = Mark::of(&facts);
            listed.files.push(Found { name, mark });
        }
        if listed.files.len() >= 2 * LISTED_MAX {
            keep_first(&mut listed.files, send.order);
        }
    }
    keep_first(&mut listed.files, send.order);
    Ok(listed)
}

fn keep_first(files: &mut Vec<Found>, order: Order) {
    files.sort_unstable_by(|a, b| match order {
        Order::Name => a.name.cmp(&b.name),
        Order::Modified => (a.mark.modified, &a.name).cmp(&(b.mark.modified, &b.name)),
    });
    files.truncate(LISTED_MAX);
}

/// Hidden files are other programs' business, unfinished ones the agent's own.
fn is_wanted(name: &str, send: &SendFolder) -> bool {
    let is_done_file = send.ready.done_file && name.ends_with(DONE);
    !name.starts_with('.')
        && !name.starts_with(UNFINISHED)
        && !is_done_file
        && (send.patterns.is_empty() || send.patterns.iter().any(|pattern| pattern.is_match(name)))
}

/// The names of the files that would be sent as soon as they are complete, in order.
///
/// # Errors
/// When the folder cannot be read.
pub fn waiting(send: &SendFolder) -> Result<Vec<String>, Trouble> {
    let listed = list(&send.folders.incoming, send)?;
    Ok(listed.files.into_iter().map(|found| found.name).collect())
}

/// How many files lie in a folder.
#[must_use]
pub fn count(folder: &Path) -> Option<u64> {
    Some(visible(folder)?.len() as u64)
}

/// How many files lie in the folder of what failed. Beside each lies a file with the reasons, which is none of them; a file may
/// be called like one, and then it has another beside it.
#[must_use]
pub fn count_failed(folder: &Path) -> Option<u64> {
    let names = visible(folder)?;
    let is_failed = |name: &&OsString| {
        let mut reasons = (*name).clone();
        reasons.push(REASONS);
        !name.as_encoded_bytes().ends_with(REASONS.as_bytes()) || names.contains(&reasons)
    };
    Some(names.iter().filter(is_failed).count() as u64)
}

fn visible(folder: &Path) -> Option<HashSet<OsString>> {
    let entries = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let names = files.map(|entry| entry.file_name());
    Some(
        names
            .filter(|name| !name.as_encoded_bytes().starts_with(b"."))
            .collect(),
    )
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
