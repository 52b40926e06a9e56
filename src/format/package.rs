//! Data packages: a zip with `Manifest.xml`, `PackageHeader.xml` and one data file per entity, all at the root (FMT-1).

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

/// Writes a package as a stream: call the methods in order and take the bytes as they become ready.
pub struct PackageWriter {
    _private: (),
}

impl PackageWriter {
    /// Begins a package for a data project; the manifest and header are the first members.
    ///
    /// # Errors
    /// When the zip writer fails, which an in-memory sink does not.
    pub fn new(_project: &str, _entities: &[ManifestEntity]) -> std::io::Result<Self> {
        todo!()
    }

    /// Begins the data file of the next entity.
    pub fn begin_file(&mut self, _name: &str) -> std::io::Result<()> {
        todo!()
    }

    /// Adds bytes to it.
    pub fn write(&mut self, _bytes: &[u8]) -> std::io::Result<()> {
        todo!()
    }

    /// The zip's bytes that became ready since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        todo!()
    }

    /// Ends the zip and returns its last bytes.
    pub fn finish(self) -> std::io::Result<Vec<u8>> {
        todo!()
    }
}
