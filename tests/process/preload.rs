//! Libraries that are loaded into the built binary before its own (`LD_PRELOAD`), compiled by the compiler SQLite is compiled by.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A compiled library; its file goes with this.
pub struct Library {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Library {
    /// Compiles one of the test's own sources, named from the repository's root.
    pub fn compiled(source: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("preload.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([&path, &source])
            .args(["-ldl", "-lpthread"])
            .status();
        assert!(compiled.expect("cc runs").success(), "{}", source.display());
        Self { path, _folder: folder }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}
