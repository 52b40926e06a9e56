//! Data packages: a zip with `Manifest.xml`, `PackageHeader.xml` and one data file per entity, all at the root (FMT-1).
//!
//! Written as a stream into memory that the caller drains, so a package of any size takes little of it.

mod manifest_read;
mod manifest_write;
#[cfg(test)]
mod tests;

use std::io;

use super::zip_stream::ZipStream;
pub use manifest_read::{Conversion, FieldMap, Manifest, PackageEntity, PackageError, read_manifest};

/// Name of the manifest's member.
pub const MANIFEST_FILE: &str = "Manifest.xml";
/// Name of the header's member; a zip without one is no package (FMT-6).
pub const PACKAGE_HEADER_FILE: &str = "PackageHeader.xml";

/// Whether a package's header says that it is a template: what a project holds, without data (FMT-6).
#[must_use]
pub fn is_template_header(header: &[u8]) -> bool {
    // In UTF-16 (FMT-3) every other byte is zero; the name is of ASCII.
    let text: Vec<u8> = header.iter().copied().filter(|byte| *byte != 0).collect();
    let name = b"DataManagementTemplatePackageManifest";
    text.windows(name.len()).any(|window| window == name)
}

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
    /// `SourceFormat` (FMT-8).
    pub format: String,
    /// Name of the sheet in a workbook; empty in other files.
    pub sheet: String,
    /// Field and the file's column; `EntityField` is written in upper case. A composite entity has none.
    pub fields: Vec<(String, String)>,
}

/// The member name of a data file made from an entity's label: flat, and safe on every file system it may be unpacked to.
#[must_use]
pub fn data_file_name(label: &str, extension: &str) -> String {
    safe_name(&format!("{label}.{extension}"))
}

/// Writes a package as a stream: call the methods in order and take the bytes as they become ready.
#[derive(Debug)]
pub struct PackageWriter {
    zip: ZipStream,
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
        let mut writer = Self { zip: ZipStream::new() };
        for (name, content) in [(MANIFEST_FILE, manifest), (PACKAGE_HEADER_FILE, header)] {
            writer.add_document(name, content)?;
        }
        Ok(writer)
    }

    /// Adds a member that is small, and all there.
    ///
    /// # Errors
    /// When the package has a member of this name already.
    pub fn add_document(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.zip.begin_small_member(name)?;
        self.zip.write(content)
    }

    /// Begins the data file of the next entity. The name is made safe as the manifest's `InputFilePath` is.
    ///
    /// # Errors
    /// When the package has a member of this name already.
    pub fn begin_file(&mut self, name: &str) -> io::Result<()> {
        self.zip.begin_member(&safe_name(name))
    }

    /// Begins a data file under exactly this name, which the package's manifest has.
    ///
    /// # Errors
    /// When the package has a member of this name already.
    pub fn begin_listed_file(&mut self, name: &str) -> io::Result<()> {
        self.zip.begin_member(name)
    }

    /// Adds bytes to it.
    ///
    /// # Errors
    /// When no file was begun.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.zip.write(bytes)
    }

    /// The zip's bytes that became ready since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        self.zip.take()
    }

    /// Ends the zip and returns its last bytes.
    ///
    /// # Errors
    /// When the zip writer fails, which an in-memory sink does not.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        self.zip.finish()
    }
}

/// A name that stays at the zip's root (FMT-1), is no control member, and can be a file on Windows too.
#[must_use]
pub fn safe_name(name: &str) -> String {
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
