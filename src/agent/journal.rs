//! What the agent has begun, on disk before it goes on: a file of JSON lines, each the state of one thing from then on.
//!
//! A line is on stable storage before the step it announces, or that follows what it tells, is taken. Whatever kills the agent,
//! the last line of each thing says where to go on. What is over is forgotten when the journal is written anew, at a start and
//! every so many lines; deliveries that were acknowledged are remembered for longer, because they may be offered again.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::sync_folder;
use super::record::Record;
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::folders;

/// The journal's file.
const FILE: &str = "journal.jsonl";
/// Whoever holds its lock is the one agent of this folder.
const LOCK: &str = "lock";
/// How often the lock is tried before it counts as another agent's.
const LOCK_ATTEMPTS: u32 = 5;
/// Between two of these.
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
/// Lines after which it is written anew.
const LINES_MAX: usize = 20_000;
/// Deliveries that were acknowledged and are still remembered.
const ACKNOWLEDGED_KEPT: usize = 5_000;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    noted_at: Timestamp,
    #[serde(flatten)]
    record: Record,
}

/// The state of everything, and the file it is in.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    lines: usize,
    records: HashMap<String, Line>,
    clock: Clock,
    /// Held until the process ends.
    _lock: File,
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has it.
    #[error("another agent is at work with {0}")]
    Taken(PathBuf),
    /// The disk.
    #[error("cannot keep the journal {path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A line before the last that cannot be read.
    #[error("line {line} of {path} cannot be read: {error}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        error: String,
    },
}

impl Journal {
    /// Takes the folder for this process and reads what it was at.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(folder: &Path, clock: Clock) -> Result<Self, JournalError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| JournalError::Io { path, error }
        };
        folders::make(folder).map_err(failed(folder))?;
        let lock_path = folder.join(LOCK);
        let lock = private().append(true).open(&lock_path).map_err(failed(&lock_path))?;
        take(&lock).map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => JournalError::Taken(folder.to_owned()),
            std::fs::TryLockError::Error(error) => failed(&lock_path)(error),
        })?;
        let path = folder.join(FILE);
        let records = read(&path)?;
        let (file, kept) = write_anew(&path, records).map_err(failed(&path))?;
        Ok(Self {
            path,
            file,
            lines: kept.len(),
            records: kept,
            clock,
            _lock: lock,
        })
    }

    /// What is in a journal, for those who only look.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn peek(folder: &Path) -> Result<Vec<Record>, JournalError> {
        let records = read(&folder.join(FILE))?;
        Ok(records.into_values().map(|line| line.record).collect())
    }

    /// Whether some process works with this folder's journal.
    #[must_use]
    pub fn is_taken(folder: &Path) -> bool {
        let lock = File::open(folder.join(LOCK));
        lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
    }

    /// Writes a state down; it is on stable storage when this returns.
    ///
    /// # Errors
    /// [`JournalError::Io`]: the step that was to follow must not be taken.
    pub fn note(&mut self, record: Record) -> Result<(), JournalError> {
        let line = Line {
            noted_at: self.clock.now(),
            record,
        };
        let mut text = serde_json::to_vec(&line).unwrap_or_default();
        text.push(b'\n');
        let written = self.file.write_all(&text).and_then(|()| self.file.sync_data());
        let key = line.record.key();
        let is_over = line.record.is_over();
        let written = written.and_then(|()| {
            self.lines += 1;
            if is_over && !line.record.is_remembered() {
                self.records.remove(&key);
            } else {
                self.records.insert(key, line);
            }
            if self.lines < LINES_MAX.max(2 * self.records.len()) {
                return Ok(());
            }
            let (file, kept) = write_anew(&self.path, std::mem::take(&mut self.records))?;
            (self.file, self.lines, self.records) = (file, kept.len(), kept);
            Ok(())
        });
        written.map_err(|error| JournalError::Io {
            path: self.path.clone(),
            error,
        })
    }

    /// The state of one thing.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Record> {
        self.records.get(key).map(|line| &line.record)
    }

    /// All states, oldest ids first.
    #[must_use]
    pub fn records(&self) -> Vec<&Record> {
        let mut records: Vec<_> = self.records.values().map(|line| &line.record).collect();
        records.sort_by_key(|record| record.key());
        records
    }
}

/// Takes the lock, which somebody who asks for the agent's status may hold for a moment.
fn take(lock: &File) -> Result<(), std::fs::TryLockError> {
    for _ in 0..LOCK_ATTEMPTS {
        match lock.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            other => return other,
        }
    }
    lock.try_lock()
}

/// It may hold links that need no token: for nobody else to read.
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

/// The last state of everything. A last line that was cut short announces a step that was not taken.
fn read(path: &Path) -> Result<HashMap<String, Line>, JournalError> {
    let failed = |error| JournalError::Io {
        path: path.to_owned(),
        error,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut records = HashMap::new();
    let (mut reader, mut bytes, mut number) = (BufReader::new(file), Vec::new(), 0);
    loop {
        bytes.clear();
        number += 1;
        if reader.read_until(b'\n', &mut bytes).map_err(failed)? == 0 || bytes.last() != Some(&b'\n') {
            return Ok(records);
        }
        let line: Line = serde_json::from_slice(&bytes).map_err(|error| JournalError::Damaged {
            path: path.to_owned(),
            line: number,
            error: error.to_string(),
        })?;
        records.insert(line.record.key(), line);
    }
}

/// Writes what is still of interest into a new file in the old one's place.
fn write_anew(path: &Path, records: HashMap<String, Line>) -> std::io::Result<(File, HashMap<String, Line>)> {
    let mut lines: Vec<Line> = records
        .into_values()
        .filter(|line| !line.record.is_over() || line.record.is_remembered())
        .collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.noted_at));
    let mut remembered = 0;
    lines.retain(|line| {
        remembered += usize::from(line.record.is_over());
        !line.record.is_over() || remembered <= ACKNOWLEDGED_KEPT
    });
    let anew = path.with_extension("new");
    let _ = std::fs::remove_file(&anew);
    let mut file = private().append(true).open(&anew)?;
    for line in lines.iter().rev() {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        file.write_all(&text)?;
    }
    file.sync_all()?;
    std::fs::rename(&anew, path)?;
    sync_folder(path)?;
    Ok((file, lines.into_iter().map(|line| (line.record.key(), line)).collect()))
}

#[cfg(test)]
mod tests;
