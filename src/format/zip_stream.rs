//! A zip written as a stream into memory that the caller drains, so one of any size takes little of it. The bytes depend on the
//! content only: every member carries the same fixed time.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

/// A zip being written.
pub(super) struct ZipStream {
    zip: ZipWriter<StreamWriter<Sink>>,
    ready: Sink,
}

impl std::fmt::Debug for ZipStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZipStream").finish_non_exhaustive()
    }
}

impl ZipStream {
    /// One without members yet.
    pub fn new() -> Self {
        let ready = Sink::default();
        Self {
            zip: ZipWriter::new_stream(ready.clone()),
            ready,
        }
    }

    /// Begins a member of any length.
    ///
    /// # Errors
    /// When there is one of this name already.
    pub fn begin_member(&mut self, name: &str) -> io::Result<()> {
        // Nobody knows yet how long it gets, and a stream cannot go back to say so: zip64 from the start.
        Ok(self.zip.start_file(name, member().large_file(true))?)
    }

    /// Begins a member of less than 4 GiB.
    ///
    /// # Errors
    /// When there is one of this name already.
    pub fn begin_small_member(&mut self, name: &str) -> io::Result<()> {
        Ok(self.zip.start_file(name, member())?)
    }

    /// Adds bytes to the member begun last.
    ///
    /// # Errors
    /// When there is none.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.zip.write_all(bytes)
    }

    /// The zip's bytes that became ready since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        self.ready.take()
    }

    /// Ends the zip and returns its last bytes.
    ///
    /// # Errors
    /// When the zip writer fails, which one into memory does not.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        self.zip.finish()?;
        Ok(self.ready.take())
    }
}

fn member() -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::DEFAULT)
}

/// Memory that the zip writer fills and its owner empties.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
