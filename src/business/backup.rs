//! A copy of a SQLite database, for an export that reads more slowly than others write.
//!
//! `VACUUM INTO` makes it: one read transaction, so a copy is of one state, at the disk's speed and of an amount that is known when it
//! begins. SQLite's file must not be read beside SQLite: to close it would let go of the locks this process has on it. See
//! docs/adr/0010.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tempfile::TempPath;
use tokio_util::sync::CancellationToken;

use super::connect::{self, Address};
use super::session::STEPS_BETWEEN_LOOKS;
use super::{BusinessError, Database};

/// Begins the name of every copy.
const PREFIX: &str = "export-copy-";
/// What SQLite calls the journal of a file, which a process that was killed leaves beside it.
const JOURNAL: &str = "-journal";
/// What is left free on the disk, for those who write meanwhile.
const SPARE_BYTES: u64 = 64 << 20;

/// A copy of a database as it was at one moment, to be read. It is deleted with this.
#[derive(Debug)]
pub struct BackupCopy {
    database: Database,
    bytes: u64,
    file: CopyFile,
}

/// A file of ours that no other process takes for one left behind.
#[derive(Debug)]
struct CopyFile {
    path: TempPath,
    /// Locked as long as it is open.
    _lock: File,
}

impl BackupCopy {
    /// The copy, under the name of the database it was made of.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Its size.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.path
    }
}

impl Database {
    /// Copies a SQLite database into a file in this folder. Dropped half-way, it ends and leaves nothing.
    ///
    /// # Errors
    /// [`BusinessError::NoRoom`] where the disk has none for it; [`BusinessError::Settings`] on PostgreSQL, which needs no copies.
    pub async fn back_up(&self, folder: &Path) -> Result<BackupCopy, BusinessError> {
        let Address::Sqlite(options) = &self.inner.address else {
            let why = format!(
                "business database `{}` is not on SQLite, and is not copied",
                self.name()
            );
            return Err(BusinessError::Settings(why));
        };
        let failed = |error: io::Error| self.settle(sqlx::Error::Io(error).into());
        let file = CopyFile::create(folder).map_err(failed)?;
        self.copy_into(options, &file.path).await?;
        let bytes = file.path.metadata().map_err(failed)?.len();
        let copied = SqliteConnectOptions::new()
            .filename(&file.path)
            .immutable(true)
            .disable_statement_logging();
        Ok(BackupCopy {
            database: Database::open(
                self.name(),
                Address::Sqlite(Box::new(copied)),
                self.inner.max_connections,
            ),
            bytes,
            file,
        })
    }

    /// SQLite runs a statement on a thread of its own, where it would go on when this is dropped half-way: the guard ends it.
    async fn copy_into(&self, options: &SqliteConnectOptions, copy: &Path) -> Result<(), BusinessError> {
        let settle = |error: sqlx::Error| self.settle(error.into());
        let over = CancellationToken::new();
        let _guard = over.clone().drop_guard();
        let options = connect::sqlite(options).create_if_missing(false);
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(settle)?;
        let sql = "select (page_count - freelist_count) * page_size from pragma_page_count, pragma_freelist_count, pragma_page_size";
        let needed: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut connection)
            .await
            .map_err(settle)?;
        let needed = u64::try_from(needed).unwrap_or(0);
        self.insist_on_room(copy, needed)?;
        connection
            .lock_handle()
            .await
            .map_err(settle)?
            .set_progress_handler(STEPS_BETWEEN_LOOKS, move || !over.is_cancelled());
        let copied = sqlx::query("vacuum into $1")
            .bind(copy.display().to_string())
            .execute(&mut connection)
            .await;
        match copied {
            Err(error) if is_full(&error) => Err(self.without_room(copy, needed, 0)),
            done => done.map(drop).map_err(settle),
        }
    }

    fn insist_on_room(&self, copy: &Path, needed_bytes: u64) -> Result<(), BusinessError> {
        let room = rustix::fs::statvfs(copy.parent().unwrap_or(copy))
            .map_err(|error| self.settle(sqlx::Error::Io(error.into()).into()))?;
        let free_bytes = room.f_bavail.saturating_mul(room.f_frsize);
        if needed_bytes.saturating_add(SPARE_BYTES) > free_bytes {
            return Err(self.without_room(copy, needed_bytes, free_bytes));
        }
        Ok(())
    }

    fn without_room(&self, copy: &Path, needed_bytes: u64, free_bytes: u64) -> BusinessError {
        BusinessError::NoRoom {
            database: self.name().to_owned(),
            folder: copy.parent().unwrap_or(copy).to_owned(),
            needed_bytes,
            free_bytes,
        }
    }
}

impl CopyFile {
    /// An empty file with a name of its own.
    fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (lock, path) = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(".db")
            .tempfile_in(folder)?
            .into_parts();
        lock.try_lock()?;
        Ok(Self { path, _lock: lock })
    }
}

/// `SQLITE_FULL`: somebody else took the room that was there.
fn is_full(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "13")
}

/// Deletes the copies in this folder that a process left behind which was killed. Those of processes that live are locked.
///
/// # Errors
/// When the folder is there and cannot be read, or a copy cannot be deleted.
pub fn sweep_copies(folder: &Path) -> io::Result<usize> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut swept = 0;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(PREFIX)
            && path.extension().is_some_and(|of| of == "db")
            && File::open(&path)?.try_lock().is_ok()
        {
            remove(path.clone())?;
            let mut journal = path.into_os_string();
            journal.push(JOURNAL);
            remove(journal.into())?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn remove(path: PathBuf) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::business::DatabaseSettings;

    #[test]
    fn a_copy_that_does_not_fit_is_refused_before_it_is_begun() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = DatabaseSettings {
            url: format!("sqlite://{}/business.db", folder.path().display()),
            max_connections: 1,
        };
        let database = Database::new("main", &settings).expect("valid settings");
        let copy = folder.path().join("copy.db");
        database.insist_on_room(&copy, 0).expect("there is some room");
        let refused = database
            .insist_on_room(&copy, 1 << 60)
            .expect_err("no disk is that large");
        assert!(matches!(refused, BusinessError::NoRoom { needed_bytes, .. } if needed_bytes == 1 << 60));
        let said = refused.to_string();
        assert!(said.contains(&format!("in {}", folder.path().display())), "{said}");
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let living = CopyFile::create(folder.path()).expect("a copy");
        for left in ["export-copy-1.db", "export-copy-1.db-journal", "notes.db"] {
            std::fs::write(folder.path().join(left), b"left").expect("written");
        }
        assert_eq!(sweep_copies(folder.path()).expect("swept"), 1);
        assert_eq!(sweep_copies(&folder.path().join("not there")).expect("swept"), 0);
        let there = std::fs::read_dir(folder.path()).expect("lists");
        let mut there: Vec<_> = there.map(|entry| entry.expect("an entry").path()).collect();
        there.sort();
        assert_eq!(there, [living.path.to_path_buf(), folder.path().join("notes.db")]);
    }
}
