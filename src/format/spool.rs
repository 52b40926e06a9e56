//! A file's bytes, kept in a temporary file without a name until all are there: a workbook, or Parquet, is read from its end.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Bytes being received.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    /// Made with the first bytes.
    file: Option<BufWriter<File>>,
    /// Why bytes were lost.
    failed: Option<io::Error>,
}

impl Spool {
    /// Keeps them in this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            file: None,
            failed: None,
        }
    }

    /// Adds bytes. A failure shows when they are wanted back.
    pub fn add(&mut self, bytes: &[u8]) {
        if self.failed.is_none()
            && !bytes.is_empty()
            && let Err(error) = self.write(bytes)
        {
            self.failed = Some(error);
            self.file = None;
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(tempfile::tempfile_in(&self.folder)?)),
        };
        file.write_all(bytes)
    }

    /// The file with all bytes; `None` when there were none.
    ///
    /// # Errors
    /// When bytes could not be kept.
    pub fn into_file(self) -> io::Result<Option<File>> {
        match (self.failed, self.file) {
            (Some(error), _) => Err(error),
            (None, None) => Ok(None),
            (None, Some(file)) => Ok(Some(file.into_inner().map_err(io::IntoInnerError::into_error)?)),
        }
    }
}
