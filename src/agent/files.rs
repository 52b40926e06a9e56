//! Files on this machine: listed, told apart, moved without writing over others, and on the disk when a step is done.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::record::Mark;
use super::trouble::{Kind, Trouble};
use crate::domain::message::Digest;

/// What files begin with that the agent has not finished.
pub const UNFINISHED: &str = ".tranship-";
/// Most numbers that are tried behind a name that is taken.
const NUMBER_MAX: u32 = 100_000;
/// Longest name file systems take, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1024;

impl Mark {
    /// Of a file as it is.
    #[must_use]
    pub fn of(facts: &Metadata) -> Self {
        Self {
            bytes: facts.len(),
            modified: facts
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(facts.mtime_nsec()),
            inode: facts.ino(),
        }
    }
}

/// What lies at a path: its mark when it is a regular file, nothing when nothing is there. Links are not followed.
///
/// # Errors
/// When that cannot be seen, or something else lies there.
pub fn look(path: &Path) -> Result<Option<Mark>, Trouble> {
    match path.symlink_metadata() {
        Ok(facts) if facts.is_file() => Ok(Some(Mark::of(&facts))),
        Ok(_) => Err(Trouble::new(
            Kind::Local,
            format!("{:?} is not a file", path.display().to_string()),
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Trouble::local("look at", path, &error)),
    }
}

/// Opens a regular file, and not what a link leads to.
///
/// # Errors
/// When it is none, or cannot be read.
pub fn open(path: &Path) -> Result<File, Trouble> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = File::options().read(true).custom_flags(no_follow).open(path);
    file.map_err(|error| Trouble::local("read", path, &error))
}

/// SHA-256 and length of a file.
///
/// # Errors
/// When it cannot be read.
pub fn digest(path: &Path) -> Result<(Digest, u64), Trouble> {
    let mut file = open(path)?;
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; READ_BYTES]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((Digest(hash.finalize().into()), bytes)),
            Ok(read) => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Trouble::local("read", path, &error)),
        }
    }
}

/// Moves a file or folder to a name nobody has. Across file systems it is copied, synced, and only then removed.
///
/// # Errors
/// [`MoveError::Taken`] when the name is not free: nothing has changed.
pub fn move_new(from: &Path, to: &Path) -> Result<(), MoveError> {
    match rename_new(from, to) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(MoveError::Taken),
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            let part = unfinished(to);
            let copied = copy(from, &part).and_then(|()| rename_new(&part, to));
            if let Err(error) = copied {
                let _ = std::fs::remove_file(&part);
                return Err(match error.kind() {
                    ErrorKind::AlreadyExists => MoveError::Taken,
                    _ => MoveError::Io(error),
                });
            }
            sync_folder(to).map_err(MoveError::Io)?;
            std::fs::remove_file(from).map_err(MoveError::Io)?;
        }
        Err(error) => return Err(MoveError::Io(error)),
    }
    sync_folder(to).and_then(|()| sync_folder(from)).map_err(MoveError::Io)
}

/// Why a file was not moved.
#[derive(Debug)]
pub enum MoveError {
    /// There is something of that name.
    Taken,
    /// The system's reason.
    Io(std::io::Error),
}

/// Renames, and never over something.
fn rename_new(from: &Path, to: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot promise it: nobody but the agent gives names in its folders.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            if to.symlink_metadata().is_ok() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(from, to)
        }
        other => other.map_err(Into::into),
    }
}

fn copy(from: &Path, part: &Path) -> std::io::Result<()> {
    // A leftover of a broken attempt, or a link somebody put there: never written through.
    let _ = std::fs::remove_file(part);
    let facts = from.symlink_metadata()?;
    if !facts.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut source = File::open(from)?;
    let mut target = File::create_new(part)?;
    std::io::copy(&mut source, &mut target)?;
    let _ = target.set_modified(facts.modified()?);
    target.sync_all()
}

/// Makes the entry of a path durable: a rename is on disk when its folder is.
///
/// # Errors
/// The system's.
pub fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// A name in a folder that nobody has, nor that name with `beside` behind it: the wanted one, or with a number before its
/// extension; shorter where the file system would not take it.
///
/// # Errors
/// When the folder cannot be looked at, or has that many.
pub fn free_name(folder: &Path, wanted: &str, beside: &str) -> Result<PathBuf, Trouble> {
    let (stem, extension) = match wanted.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
        _ => (wanted, String::new()),
    };
    for number in 1..NUMBER_MAX {
        let end = if number == 1 {
            extension.clone()
        } else {
            format!("-{number}{extension}")
        };
        let room = NAME_BYTES_MAX.saturating_sub(end.len() + beside.len());
        let name = format!("{}{end}", &stem[..stem.floor_char_boundary(room)]);
        if !is_there(&folder.join(&name))? && !is_there(&folder.join(format!("{name}{beside}")))? {
            return Ok(folder.join(name));
        }
    }
    let place = folder.display();
    Err(Trouble::new(
        Kind::Local,
        format!("{place} has too many files called {wanted:?}"),
    ))
}

fn is_there(path: &Path) -> Result<bool, Trouble> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Trouble::local("look at", path, &error)),
    }
}

/// What a file is called beside its place until it is whole.
fn unfinished(path: &Path) -> PathBuf {
    let name = Digest(Sha256::digest(path.as_os_str().as_encoded_bytes()).into()).hex();
    path.with_file_name(format!("{UNFINISHED}{name}.part"))
}

/// Writes a small file so that it is whole or not there.
///
/// # Errors
/// The system's.
pub fn write_whole(path: &Path, text: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let part = unfinished(path);
    let _ = std::fs::remove_file(&part);
    let mut file = File::create_new(&part)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    sync_folder(path)
}

/// The last part of a path.
#[must_use]
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Runs something that blocks on a disk.
///
/// # Errors
/// Its own.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Trouble::new(Kind::Local, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_moved_to_a_free_name_and_never_over_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["a.csv", "b.csv", "b-2.csv", "b-3.csv.errors.json"] {
            std::fs::write(at(name), name).expect("written");
        }
        assert!(matches!(move_new(&at("a.csv"), &at("b.csv")), Err(MoveError::Taken)));
        let free = free_name(folder.path(), "b.csv", ".errors.json").expect("a name");
        assert_eq!(free, at("b-4.csv"));
        move_new(&at("a.csv"), &free).expect("moved");
        assert!(!at("a.csv").exists());
        assert_eq!(std::fs::read_to_string(free).expect("text"), "a.csv");
        assert_eq!(std::fs::read_to_string(at("b.csv")).expect("text"), "b.csv");
        let long = format!("{}.csv", "ü".repeat(125));
        let short = free_name(folder.path(), &long, ".errors.json").expect("a name");
        assert_eq!(file_name(&short), format!("{}.csv", "ü".repeat(119)));
        for (wanted, free) in [("none", "none"), (".hidden", ".hidden")] {
            assert_eq!(free_name(folder.path(), wanted, "").expect("a name"), at(free));
        }
    }

    /// `/dev/shm` is another file system nearly everywhere; where it is not, this proves the same as the test above.
    #[test]
    fn a_file_crosses_file_systems_whole() {
        let here = tempfile::tempdir().expect("a folder");
        let Ok(there) = tempfile::tempdir_in("/dev/shm") else {
            return;
        };
        let (from, to) = (here.path().join("a"), there.path().join("a"));
        std::fs::write(&from, vec![7; 3_000_000]).expect("written");
        move_new(&from, &to).expect("moved");
        assert!(!from.exists());
        assert_eq!(std::fs::read(&to).expect("bytes").len(), 3_000_000);
        std::fs::write(&from, "other").expect("written");
        assert!(matches!(move_new(&from, &to), Err(MoveError::Taken)));
        assert!(from.exists());
        assert_eq!(
            std::fs::read_dir(there.path()).expect("a list").count(),
            1,
            "no part is left"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "secret").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        assert!(look(&link).is_err() && open(&link).is_err());
        assert!(look(&file).expect("a file").is_some());
        assert_eq!(look(&folder.path().join("none")).expect("nothing"), None);
    }
}
