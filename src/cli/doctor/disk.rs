//! The disks: whether what is synced really gets there, how long that takes, and how much room is left.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{StatVfsMountFlags, statvfs};
use serde_json::json;

use super::blobs;
use super::chart::{Chart, Finding, Verdict};
use super::mounts::Mount;
use super::words::{size, span};
use crate::config::{Config, sqlite_file};
use crate::disk::DiskFault;

/// Syncs timed on each disk, and how long that may take in all.
const SYNCS_MAX: usize = 25;
const SYNCING_MAX: Duration = Duration::from_secs(2);
/// What is written before each of them.
const BLOCK_BYTES: usize = 4096;
/// No disk confirms sooner: what does has only reached somebody's memory.
const SYNC_PLAUSIBLE: Duration = Duration::from_micros(20);
/// Every durable answer waits that long, or longer.
const SYNC_SLOW: Duration = Duration::from_millis(100);

/// Room below which somebody should look, and below which the next load may fail.
const ROOM_WARN_BYTES: u64 = 2 << 30;
const ROOM_BAD_BYTES: u64 = 256 << 20;
/// A folder for temporary files needs this much less.
const TEMPORARY_SHARE: u64 = 16;
/// What such a folder is called here.
const TEMPORARY: &str = "temp";
/// Files that can still be made.
const FILES_WARN: u64 = 10_000;
const FILES_BAD: u64 = 1_000;

/// Folders of ours that lie on one file system.
struct Disk {
    device: u64,
    /// `data_dir`, `blobs`, …
    uses: Vec<String>,
    /// One of them that is there, or the nearest folder above.
    folder: PathBuf,
    /// A folder of ours that is there; none before the first start.
    ours: Option<PathBuf>,
    has_sqlite: bool,
    is_temporary: bool,
}

/// Looks at all of them.
pub(super) async fn examine(config: &Config, chart: &mut Chart) {
    let disks = disks(config);
    let looked = tokio::task::spawn_blocking(move || {
        let syncs = disks.iter().filter(|disk| !disk.is_temporary).map(look_at_sync);
        let rooms = disks.iter().map(look_at_room);
        syncs.chain(rooms).collect::<Vec<_>>()
    });
    for finding in looked.await.unwrap_or_default() {
        chart.add(finding);
    }
}

fn disks(config: &Config) -> Vec<Disk> {
    let mut disks = Vec::new();
    let mut add = |name: &str, folder: &Path, is_sqlite| place(&mut disks, name, folder, is_sqlite);
    add("data_dir", &config.data_dir, false);
    if let Some(folder) = blobs::folder(config) {
        add("blobs", &folder, false);
    }
    let databases = config
        .databases
        .iter()
        .map(|(name, d)| (format!("databases.{name}"), d));
    for (name, database) in [("store".to_owned(), &config.store)].into_iter().chain(databases) {
        let file = sqlite_file(&database.url);
        if let Some(folder) = file.as_deref().and_then(Path::parent) {
            add(&name, folder, true);
        }
    }
    add(TEMPORARY, &std::env::temp_dir(), false);
    disks
}

/// Adds a folder to the file system it lies on.
fn place(disks: &mut Vec<Disk>, name: &str, folder: &Path, is_sqlite: bool) {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let nearest = folder.ancestors().find_map(|f| Some((f, f.metadata().ok()?)));
    let Some((nearest, metadata)) = nearest else {
        return;
    };
    let ours = (nearest == folder && name != TEMPORARY).then(|| folder.clone());
    let known = disks.iter_mut().find(|disk| disk.device == metadata.dev());
    if let Some(disk) = known {
        disk.uses.push(name.to_owned());
        disk.ours = disk.ours.take().or(ours);
        disk.has_sqlite |= is_sqlite;
        return;
    }
    disks.push(Disk {
        device: metadata.dev(),
        uses: vec![name.to_owned()],
        folder: nearest.to_owned(),
        ours,
        has_sqlite: is_sqlite,
        is_temporary: name == TEMPORARY,
    });
}

/// `data_dir, blobs (ext4)`
fn title<'a>(uses: impl Iterator<Item = &'a str>, mount: Option<&Mount>) -> String {
    let kind = mount.map_or("unknown file system", |mount| mount.kind.as_str());
    format!("{} ({kind})", uses.collect::<Vec<_>>().join(", "))
}

/// What timing a disk came to.
struct Syncs {
    count: usize,
    median: Duration,
    slowest: Duration,
}

fn look_at_sync(disk: &Disk) -> Finding {
    let mount = Mount::of(&disk.folder);
    let durable = disk.uses.iter().filter(|name| *name != TEMPORARY);
    let title = title(durable.map(String::as_str), mount.as_ref());
    let Some(folder) = &disk.ours else {
        return Finding::ok(
            "disk_sync",
            format!("{title}: nothing there yet; the first start makes it"),
        );
    };
    match time_syncs(folder) {
        Ok(syncs) => {
            let finding = judge_sync(&title, mount.as_ref(), disk.has_sqlite, &syncs);
            finding.measured(json!({
                "folder": folder, "file_system": mount.map(|mount| mount.kind), "syncs": syncs.count,
                "median_microseconds": micros(syncs.median), "slowest_microseconds": micros(syncs.slowest),
            }))
        }
        Err(error) => {
            let found = format!("{title}: cannot write to {}: {error}", folder.display());
            Finding::bad("disk_sync", found, cure(&error))
        }
    }
}

/// What helps where a folder cannot be written.
fn cure(error: &io::Error) -> &'static str {
    match DiskFault::of_io(error) {
        Some(DiskFault::Full) => "Make room, or move it to a larger disk: what needs room there is refused until then.",
        Some(DiskFault::Unwritable) => {
            "Mount it so that it can be written, and look into the system's log why it is not: a file system that meets an error \
             turns read-only. What writes there is refused until then."
        }
        None => "Run this as the service's user; if it is that user, let it write there.",
    }
}

fn judge_sync(title: &str, mount: Option<&Mount>, has_sqlite: bool, syncs: &Syncs) -> Finding {
    let (median, slowest) = (span(syncs.median), span(syncs.slowest));
    let timed = format!(
        "{title}: a sync takes {median}, of {} the slowest {slowest}",
        syncs.count
    );
    let is = |test: fn(&Mount) -> bool| mount.is_some_and(test);
    let warn = |what: &str, cure: &str| Finding::warn("disk_sync", format!("{timed}; {what}"), cure);
    if is(Mount::is_memory) {
        return warn(
            "it lives in memory",
            "What is stored there is gone when the power is. Put it on a disk.",
        );
    }
    if let Some(option) = mount.and_then(Mount::without_barriers) {
        let found = format!("{timed}; mounted with `{option}`, it does not wait for the disk's own cache");
        return Finding::bad(
            "disk_sync",
            found,
            "Mount it without that option, or a power cut loses what was acknowledged.",
        );
    }
    if is(Mount::is_container_layer) {
        return warn(
            "it is the container's own layer",
            "What is stored there is gone when the container is. Mount a volume.",
        );
    }
    if has_sqlite && is(Mount::is_network) {
        return warn(
            "it is a network file system, and a SQLite file lies there",
            "SQLite's locks and its log need a local disk; or use PostgreSQL.",
        );
    }
    if syncs.median < SYNC_PLAUSIBLE {
        return warn(
            "what is synced may not reach the disk",
            "No disk is that fast: look for a write cache that lies (of the virtual machine, the controller, a library such \
             as eatmydata), or a power cut loses what was acknowledged.",
        );
    }
    if syncs.median > SYNC_SLOW {
        return warn(
            "that is slow",
            "Every durable answer waits that long. Look for a busy or failing disk, or use a faster one.",
        );
    }
    Finding::ok("disk_sync", timed)
}

/// Writes and syncs a file of its own, again and again, and removes it.
fn time_syncs(folder: &Path) -> io::Result<Syncs> {
    let path = folder.join(format!(".tranship-doctor.{}", std::process::id()));
    let timed = File::create(&path).and_then(|mut file| {
        let (began, mut took) = (Instant::now(), Vec::new());
        while took.len() < SYNCS_MAX && (took.is_empty() || began.elapsed() < SYNCING_MAX) {
            file.write_all(&[0x5a; BLOCK_BYTES])?;
            let one = Instant::now();
            file.sync_data()?;
            took.push(one.elapsed());
        }
        took.sort_unstable();
        Ok(Syncs {
            count: took.len(),
            median: took[took.len() / 2],
            slowest: took[took.len() - 1],
        })
    });
    let removed = std::fs::remove_file(&path);
    let timed = timed?;
    removed?;
    Ok(timed)
}

fn look_at_room(disk: &Disk) -> Finding {
    let title = title(disk.uses.iter().map(String::as_str), Mount::of(&disk.folder).as_ref());
    match statvfs(&disk.folder) {
        Ok(found) if found.f_flag.contains(StatVfsMountFlags::RDONLY) => Finding::bad(
            "disk_space",
            format!("{title}: {} is mounted read-only", disk.folder.display()),
            cure(&io::ErrorKind::ReadOnlyFilesystem.into()),
        ),
        Ok(found) => judge_room(
            &title,
            disk.is_temporary,
            found.f_bavail.saturating_mul(found.f_frsize),
            // Some file systems have no fixed number of files, and say 0.
            (found.f_files > 0).then_some(found.f_favail),
        ),
        Err(error) => Finding::warn(
            "disk_space",
            format!("{title}: {}: {error}", disk.folder.display()),
            "Run this as the service's user.",
        ),
    }
}

fn judge_room(title: &str, is_temporary: bool, bytes: u64, files: Option<u64>) -> Finding {
    let share = if is_temporary { TEMPORARY_SHARE } else { 1 };
    let under = |bytes_limit: u64, files_limit| bytes < bytes_limit / share || files.is_some_and(|f| f < files_limit);
    let verdict = if under(ROOM_BAD_BYTES, FILES_BAD) {
        Verdict::Bad
    } else if under(ROOM_WARN_BYTES, FILES_WARN) {
        Verdict::Warn
    } else {
        Verdict::Ok
    };
    let files_free = files.map_or_else(String::new, |files| format!(" and {files} files"));
    Finding::ok("disk_space", format!("{title}: room for {}{files_free}", size(bytes)))
        .measured(json!({"free_bytes": bytes, "free_files": files}))
        .judged(
            verdict,
            "Make room, or move it to a larger disk, before messages are refused.",
        )
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(mount: &str, has_sqlite: bool, median_micros: u64) -> (Verdict, String) {
        let syncs = Syncs {
            count: 25,
            median: Duration::from_micros(median_micros),
            slowest: Duration::from_secs(1),
        };
        let finding = judge_sync("data_dir", Mount::parse(mount).as_ref(), has_sqlite, &syncs);
        (finding.verdict(), finding.text())
    }

    #[test]
    fn a_disk_is_judged_by_what_it_is_and_by_how_fast_it_says_it_is_done() {
        const EXT4: &str = "22 1 8:1 / / rw - ext4 /dev/sda1 rw";
        const NFS: &str = "22 1 0:50 / / rw - nfs4 server:/share rw";
        let cases = [
            (EXT4, true, 1_000, Verdict::Ok, "1.0 ms"),
            (EXT4, true, 19, Verdict::Warn, "may not reach the disk"),
            (EXT4, true, 100_001, Verdict::Warn, "slow"),
            (
                "22 1 8:1 / / rw - ext4 /dev/sda1 rw,nobarrier",
                true,
                1_000,
                Verdict::Bad,
                "nobarrier",
            ),
            ("22 1 0:26 / / rw - tmpfs tmpfs rw", true, 2, Verdict::Warn, "memory"),
            (
                "22 1 0:99 / / rw - overlay overlay rw",
                true,
                1_000,
                Verdict::Warn,
                "volume",
            ),
            (NFS, true, 1_000, Verdict::Warn, "network"),
            (NFS, false, 1_000, Verdict::Ok, "1.0 ms"),
        ];
        for (mount, has_sqlite, micros, expected, word) in cases {
            let (found, text) = verdict(mount, has_sqlite, micros);
            assert_eq!(found, expected, "{mount}: {text}");
            assert!(text.contains(word), "{mount}: {text}");
        }
    }

    #[test]
    fn room_is_counted_in_bytes_and_in_files() {
        let verdict = |bytes, files| judge_room("data_dir", false, bytes, files).verdict();
        assert_eq!(verdict(10 << 30, Some(1_000_000)), Verdict::Ok);
        assert_eq!(verdict(10 << 30, None), Verdict::Ok);
        assert_eq!(verdict(1 << 30, None), Verdict::Warn);
        assert_eq!(verdict(10 << 30, Some(9_999)), Verdict::Warn);
        assert_eq!(verdict(100 << 20, None), Verdict::Bad);
        assert_eq!(verdict(10 << 30, Some(999)), Verdict::Bad);
        assert_eq!(judge_room("temp", true, 1 << 30, None).verdict(), Verdict::Ok);
    }

    #[test]
    fn timing_a_disk_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let syncs = time_syncs(folder.path()).expect("timed");
        assert!(syncs.count > 0 && syncs.median <= syncs.slowest);
        assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 0);
    }

    #[test]
    fn folders_on_one_file_system_are_one_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut disks = Vec::new();
        place(&mut disks, "blobs", &folder.path().join("not/yet"), false);
        assert!(disks[0].ours.is_none());
        place(&mut disks, "data_dir", folder.path(), true);
        assert_eq!(disks.len(), 1);
        assert_eq!(disks[0].uses, ["blobs", "data_dir"]);
        assert_eq!(disks[0].ours.as_deref(), Some(folder.path()));
        assert!(disks[0].has_sqlite);
    }
}
