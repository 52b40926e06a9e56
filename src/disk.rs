//! A disk that takes nothing more: how the system and the databases say so, and what people are told.

use std::error::Error;
use std::fmt;
use std::io;

/// What is the matter with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// There is no room, or no more than this user may take.
    Full,
    /// It cannot be written: it is read-only, or it fails.
    Unwritable,
}

impl DiskFault {
    /// What a failure of the system says of the disk, if anything.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Self::Full),
            io::ErrorKind::ReadOnlyFilesystem => Some(Self::Unwritable),
            _ => None,
        }
    }

    /// The same of any failure, by what caused it.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let causes = std::iter::successors(Some(error), |error| (*error).source());
        causes.filter_map(<dyn Error>::downcast_ref).find_map(Self::of_io)
    }

    /// The same of a database, by its code: SQLite's extended ones, PostgreSQL's five signs.
    #[must_use]
    pub fn of_database(code: &str) -> Option<Self> {
        match code {
            // SQLITE_FULL, SQLITE_IOERR_SHMSIZE: the index of the log has no room; disk_full
            "13" | "4874" | "53100" => Some(Self::Full),
            // SQLITE_IOERR_ WRITE, FSYNC, DIR_FSYNC, TRUNCATE, SHMOPEN
            "778" | "1034" | "1290" | "1546" | "4618" => Some(Self::Unwritable),
            // SQLITE_READONLY, with what it adds
            code if code.len() < 5 && code.parse::<u32>().is_ok_and(|code| code & 0xff == 8) => Some(Self::Unwritable),
            _ => None,
        }
    }

    /// In a word, for `/health/ready`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Unwritable => "not writable",
        }
    }

    /// What whoever runs the service can do.
    #[must_use]
    pub fn cure(self) -> &'static str {
        match self {
            Self::Full => "make room there",
            Self::Unwritable => "mount it so that it can be written, and look whether it fails",
        }
    }
}

impl fmt::Display for DiskFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "is full",
            Self::Unwritable => "cannot be written",
        })
    }
}

/// A failure of the system, and what to do where a disk is the cause.
#[must_use]
pub fn told(error: &io::Error) -> String {
    match DiskFault::of_io(error) {
        Some(fault) => format!("{error}; the disk {fault}: {}", fault.cure()),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_known_by_what_the_system_and_the_databases_say_of_it() {
        let known = [
            io::ErrorKind::StorageFull,
            io::ErrorKind::QuotaExceeded,
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::NotFound,
        ];
        let known = known.map(|kind| DiskFault::of_io(&kind.into()));
        let (full, unwritable) = (Some(DiskFault::Full), Some(DiskFault::Unwritable));
        assert_eq!(known, [full, full, unwritable, None]);
        for (code, fault) in [
            ("13", full),
            ("53100", full),
            ("8", unwritable),
            ("1032", unwritable),
            ("778", unwritable),
            ("10", None),
            ("266", None),
            ("23505", None),
            ("08006", None),
        ] {
            assert_eq!(DiskFault::of_database(code), fault, "{code}");
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("it failed")]
    struct Failed(#[source] io::Error);

    #[test]
    fn a_fault_is_found_behind_whatever_it_caused() {
        let caused = Failed(io::ErrorKind::StorageFull.into());
        assert_eq!(DiskFault::of(&caused), Some(DiskFault::Full));
        assert_eq!(DiskFault::of(&fmt::Error), None);
    }
}
