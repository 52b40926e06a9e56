//! The built binary under the recorder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::disk::{Disk, Loss};
use super::journal::{self, Entry};
use crate::preload::Library;
use crate::service::Service;
use crate::site::Site;

/// A recorder whose process runs.
pub struct Recorder {
    /// What it writes; its length is the time.
    pub journal: PathBuf,
    _folder: tempfile::TempDir,
}

/// All that was recorded.
pub struct Recording {
    pub entries: Vec<Entry>,
    /// As it is after all of it.
    pub disk: Disk,
}

/// The recorder, compiled once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY
        .get_or_init(|| Library::compiled("tests/process/power_cut/recorder.c"))
        .path()
}

impl Recorder {
    /// Has `command` recorded, as far as it changes what is in `data`.
    pub fn of(command: &mut Command, data: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = folder.path().join("journal");
        command.env("LD_PRELOAD", library());
        command.env("POWER_ROOT", data);
        command.env("POWER_JOURNAL", &journal);
        Self {
            journal,
            _folder: folder,
        }
    }

    /// Reads the journal of a process that has ended. `base`: the disk as it was before. What the journal says must be what became of the
    /// files: a change that came by another way would be missing in each disk made of it.
    pub fn end(self, mut base: Disk, data: &Path) -> Recording {
        let entries = journal::read(&self.journal);
        for entry in &entries {
            base.apply(&entry.op);
        }
        assert_same(&base.after_cut(Loss::Nothing), &Disk::of(data).after_cut(Loss::Nothing));
        Recording { entries, disk: base }
    }
}

fn assert_same(told: &BTreeMap<String, Option<Vec<u8>>>, found: &BTreeMap<String, Option<Vec<u8>>>) {
    let names = |disk: &BTreeMap<String, Option<Vec<u8>>>| disk.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(told), names(found), "the journal knows the files there are");
    for (path, bytes) in told {
        assert!(*bytes == found[path], "{path} is not what the journal says");
    }
}

/// Starts the site's service under a recorder.
pub async fn start(site: &Site) -> (Recorder, Service) {
    let data = site.data_dir("data");
    let mut command = site.serve_command("data");
    let recorder = Recorder::of(&mut command, &data);
    let service = Service::start(command, &data).await;
    (recorder, service)
}
