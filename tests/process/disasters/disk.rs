//! A disk that a test fills, empties and makes read-only under a running process (`disk.c`).

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::preloaded::Library;

/// What lies below one folder, as the process that is furnished with it meets it.
pub struct Disk {
    root: PathBuf,
    library: Library,
    folder: tempfile::TempDir,
}

impl Disk {
    /// The disk of this folder. It is well.
    pub fn of(root: &Path) -> Self {
        std::fs::create_dir_all(root).expect("a folder");
        Self {
            root: root.to_owned(),
            library: Library::compiled("tests/process/disasters/disk.c"),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// Has the command meet it.
    pub fn under(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", &self.library.path);
        command.env("DISK_ROOT", &self.root);
        command.env("DISK_STATE", self.state());
        command
    }

    /// So many bytes more, and it is full.
    pub fn fill_after(&self, bytes: usize) {
        self.set(&format!("full {bytes}"));
    }

    /// Nothing fits, and nothing can be written over.
    pub fn stuff(&self) {
        self.set("stuffed");
    }

    /// Nothing can be changed.
    pub fn make_read_only(&self) {
        self.set("read-only");
    }

    /// It is well again.
    pub fn mend(&self) {
        std::fs::remove_file(self.state()).expect("it was not well");
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// At once: a half of it must not be read.
    fn set(&self, state: &str) {
        let draft = self.folder.path().join("draft");
        std::fs::write(&draft, state).expect("it is written");
        std::fs::rename(draft, self.state()).expect("it gets its name");
    }
}
