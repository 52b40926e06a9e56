//! Data packages: a zip with `Manifest.xml`, `PackageHeader.xml` and one data file per entity, all at the root (FMT-1).
//!
//! Written as a stream into memory that the caller drains, so a package of any size takes little of it. The bytes depend on the
//! content only: every member carries the same fixed time.

mod manifest_read;
mod manifest_write;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

pub use manifest_read::{Conversion, FieldMap, Manifest, PackageEntity, PackageError, read_manifest};

/// Name of the manifest's member.
pub const MANIFEST_FILE: &str = "Manifest.xml";
/// Name of the header's member; a zip without one is no package (FMT-6).
pub const PACKAGE_HEADER_FILE: &str = "PackageHeader.xml";

/// Longest member name, in characters: what common file systems take, with room for a suffix.
const NAME_CHARS_MAX: usize = 200;

/// One entity in a manifest being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntity {
    /// Label on the wire.
    pub label: String,
    /// Technical name.
    pub target: String,
    /// Data file in the zip, e.g. `Sales order headers.csv`.
    pub file: String,
    /// Field names; `EntityField` is written in upper case, `XMLField` as the file's column.
    pub fields: Vec<String>,
}

/// The member name of a data file made from an entity's label: flat, and safe on every file system it may be unpacked to.
#[must_use]
pub fn data_file_name(label: &str, extension: &str) -> String {
    safe_name(&format!("{label}.{extension}"))
}

/// Writes a package as a stream: call the methods in order and take the bytes as they become ready.
pub struct PackageWriter {
    zip: ZipWriter<StreamWriter<Sink>>,
    ready: Sink,
}

impl std::fmt::Debug for PackageWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackageWriter").finish_non_exhaustive()
    }
}

impl PackageWriter {
    /// Begins a package for a data project; the manifest and header are the first members.
    ///
    /// # Errors
    /// When the zip writer fails, which an in-memory sink does not.
    pub fn new(project: &str, entities: &[ManifestEntity]) -> io::Result<Self> {
        let (manifest, header) = (
            manifest_write::manifest(project, entities),
            manifest_write::package_header(project),
        );
        Self::with_documents(manifest.as_bytes(), header.as_bytes())
    }

    /// Begins a package with a manifest and a header as they are.
    ///
    /// # Errors
    /// When the zip writer fails, which an in-memory sink does not.
    pub fn with_documents(manifest: &[u8], header: &[u8]) -> io::Result<Self> {
        let ready = Sink::default();
        let mut writer = Self {
            zip: ZipWriter::new_stream(ready.clone()),
            ready,
        };
        for (name, content) in [(MANIFEST_FILE, manifest), (PACKAGE_HEADER_FILE, header)] {
            writer.zip.start_file(name, member())?;
            writer.zip.write_all(content)?;
        }
        Ok(writer)
    }

    /// Begins the data file of the next entity. The name is made safe as the manifest's `InputFilePath` is.
    ///
    /// # Errors
    /// When the package has a member of this name already.
    pub fn begin_file(&mut self, name: &str) -> io::Result<()> {
        // Nobody knows yet how long it gets, and a stream cannot go back to say so: zip64 from the start.
        self.zip.start_file(safe_name(name), member().large_file(true))?;
        Ok(())
    }

    /// Begins a data file under exactly this name, which the package's manifest has.
    ///
    /// # Errors
    /// When the package has a member of this name already.
    pub fn begin_listed_file(&mut self, name: &str) -> io::Result<()> {
        self.zip.start_file(name, member().large_file(true))?;
        Ok(())
    }

    /// Adds bytes to it.
    ///
    /// # Errors
    /// When no file was begun.
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
    /// When the zip writer fails, which an in-memory sink does not.
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

/// A name that stays at the zip's root (FMT-1), is no control member, and can be a file on Windows too.
fn safe_name(name: &str) -> String {
    let unsafe_char = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    let flat: String = name.chars().map(|c| if unsafe_char(c) { '_' } else { c }).collect();
    let flat = flat.trim().trim_matches('.').trim();
    let (stem, extension) = flat
        .rsplit_once('.')
        .map_or((flat, String::new()), |(stem, extension)| {
            (stem, format!(".{extension}"))
        });
    let room = NAME_CHARS_MAX.saturating_sub(extension.chars().count());
    let short: String = stem
        .chars()
        .take(room)
        .chain(extension.chars())
        .take(NAME_CHARS_MAX)
        .collect();
    let is_control_member = [MANIFEST_FILE, PACKAGE_HEADER_FILE]
        .iter()
        .any(|m| m.eq_ignore_ascii_case(&short));
    if short.is_empty() || is_control_member {
        format!("_{short}")
    } else {
        short
    }
}
