//! A PostgreSQL server of a test's own, which may crash, and whose transactions keep nobody else waiting.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs until it is dropped.
pub struct Server {
    /// Of its first database.
    pub url: String,
    folder: PathBuf,
    _parent: tempfile::TempDir,
}

impl Server {
    /// Nothing where there is no PostgreSQL and that is allowed.
    pub fn start() -> Option<Self> {
        if std::env::var("TRANSHIP_TEST_POSTGRES").is_err() {
            assert!(std::env::var("CI").is_err(), "in CI PostgreSQL is not optional");
            return None;
        }
        let parent = tempfile::tempdir().expect("a temporary folder");
        // The server's own user has to reach its folder inside.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(parent.path(), open).expect("it is ours");
        let folder = parent.path().join("server");
        let said = script("start", &folder);
        let url = said
            .lines()
            .find_map(|line| line.strip_prefix("export TRANSHIP_TEST_POSTGRES="))
            .unwrap_or_else(|| panic!("no URL in {said}"));
        Some(Self {
            url: url.to_owned(),
            folder,
            _parent: parent,
        })
    }

    /// Dies with everything that is under way, and comes back as what was committed.
    pub fn crash(&self) {
        script("crash", &self.folder);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where it failed, another failure tells nothing.
        let _ = command("stop", &self.folder).status();
    }
}

fn command(verb: &str, folder: &Path) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres"));
    command.arg(verb).arg(folder);
    command
}

fn script(verb: &str, folder: &Path) -> String {
    let output = command(verb, folder).output().expect("the script runs");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{verb}: {}{}",
        said(&output.stdout),
        said(&output.stderr)
    );
    said(&output.stdout)
}
