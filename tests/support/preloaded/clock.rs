//! A process's wall clock, to be set while it runs.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::process::Command;
use std::sync::OnceLock;

use super::Library;

/// The clock of the processes it was given to.
pub struct SteppedClock {
    file: File,
    folder: tempfile::TempDir,
}

impl SteppedClock {
    /// One that shows the system's time.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("offset");
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let clock = Self {
            file: file.expect("a new file"),
            folder,
        };
        clock.set(0);
        clock
    }

    /// Makes `command`'s process go by this clock.
    pub fn give_to(&self, command: &mut Command) {
        static LIBRARY: OnceLock<Library> = OnceLock::new();
        let library = LIBRARY.get_or_init(|| Library::compiled("tests/support/preloaded/clock.c"));
        command.env("LD_PRELOAD", &library.path);
        command.env("CLOCK_OFFSET", self.folder.path().join("offset"));
    }

    /// From now on it is this far ahead of the system's, or behind it.
    pub fn set(&self, micros: i64) {
        let twice = [micros.to_ne_bytes(), micros.to_ne_bytes()].concat();
        self.file.write_all_at(&twice, 0).expect("the offset is written");
    }
}
