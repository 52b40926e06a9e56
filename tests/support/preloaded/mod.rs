//! Libraries that are loaded into the built binary and come between it and the system. (Linux; `cc` compiles them, which SQLite needs
//! anyway.)

pub mod clock;

use std::path::{Path, PathBuf};
use std::process::Command;

/// A library, as long as this lives.
pub struct Library {
    /// What `LD_PRELOAD` names.
    pub path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Library {
    /// Compiles a source of the repository.
    pub fn compiled(source: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("preloaded.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([&path, &source])
            .args(["-ldl", "-lpthread"])
            .status();
        assert!(compiled.expect("cc runs").success(), "{}", source.display());
        Self { path, _folder: folder }
    }
}
