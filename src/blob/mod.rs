//! Blobs: `object_store` behind two promises: what `finish` returned for is on stable storage, and what is read is what
//! was written (the digest is verified on every read).
//!
//! Refuses: to know what a blob is for. Keys are made by [`BlobKey::generate`]; nothing a client sent becomes a path.

mod files;
mod folder_id;
mod hash;
mod place;
mod range;
mod read;
mod unfinished;
mod write;

use std::path::PathBuf;
use std::time::Duration;

use crate::disk::DiskFault;
use crate::domain::ids::BlobKey;
use crate::domain::message::Digest;

pub use folder_id::BlobFolder;
pub use hash::{ContentHasher, PayloadHasher};
pub use range::{ByteStream, Object};
pub use read::BlobReader;
pub use write::{BlobWriter, PART_BYTES, PARTS_IN_FLIGHT};

/// How long a round trip for readiness may take, and how long cleaning up after an abandoned upload.
const PATIENCE: Duration = Duration::from_secs(10);

/// A failure of the blob store.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such blob.
    #[error("there is no blob {0}; is this the place (blobs.url) it was written to?")]
    Missing(BlobKey),
    /// The bytes are not the ones that were stored.
    #[error("blob {key} is damaged: digest {found}, expected {expected}")]
    Damaged {
        /// The blob.
        key: BlobKey,
        /// Digest of the bytes read.
        found: String,
        /// Digest when it was stored.
        expected: String,
    },
    /// The URL does not describe a blob store.
    #[error("{0}")]
    Settings(String),
    /// The store refused or is out of reach; trying again later may help.
    #[error("the blob store failed: {0}")]
    Store(object_store::Error),
    /// The disk takes nothing more; trying again helps once somebody has looked after it.
    #[error("the blob store failed: {cause}; the disk of {} {fault}: {}", .folder.display(), .fault.cure())]
    Disk {
        /// Where the blobs lie.
        folder: PathBuf,
        /// What is the matter with it.
        fault: DiskFault,
        /// What was tried, in the system's words.
        cause: String,
    },
}

impl From<object_store::Error> for BlobError {
    fn from(error: object_store::Error) -> Self {
        metrics::counter!("tranship_blob_errors_total").increment(1);
        Self::Store(error)
    }
}

impl BlobError {
    /// What a disk has to do with it, if anything.
    #[must_use]
    pub fn disk_fault(&self) -> Option<DiskFault> {
        match self {
            Self::Disk { fault, .. } => Some(*fault),
            _ => None,
        }
    }

    /// A failure that `object_store` did not report itself.
    pub(crate) fn failed(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Store(object_store::Error::Generic {
            store: "blobs",
            source: cause.into(),
        })
    }
}

/// Makes ring the process's TLS cryptography; every call after the first does nothing.
///
/// `object_store` and `reqwest` are built without a provider of their own (one C build of cryptography is enough, and sqlx
/// brings ring), so a TLS client made before this call would panic. `object_store`'s `ring` feature is not that: it only
/// signs requests.
pub fn install_crypto() {
    // An error means that a provider is installed already, which is all that is asked for.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The blob store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    place: place::Place,
}

impl Blobs {
    /// Opens `file://…`, `s3://bucket/prefix`, `az://container/prefix` or `gs://bucket/prefix`. A file store is created
    /// lazily and syncs file and directory.
    ///
    /// What follows `file://` is a path as written, relative ones to the working directory. Credentials, endpoint and
    /// region of the others come from the environment variables their own tools use (`AWS_*`, `AZURE_*`, `GOOGLE_*`).
    ///
    /// # Errors
    /// [`BlobError::Settings`] when the URL does not describe a store, or its settings are incomplete.
    pub fn open(url: &str) -> Result<Self, BlobError> {
        install_crypto();
        Ok(Self {
            place: place::Place::open(url)?,
        })
    }

    /// A cheap round trip, for readiness; writes nothing, unless a disk refused the latest write.
    pub async fn probe(&self) -> Result<(), BlobError> {
        tokio::time::timeout(PATIENCE, self.place.probe())
            .await
            .unwrap_or_else(|_| Err(BlobError::failed(format!("no answer within {} s", PATIENCE.as_secs()))))
    }

    /// The folder the blobs lie in, with the id it carries; it gets one, durably, when it has none. `None`: they lie in a
    /// bucket, which is the same one for everybody.
    pub async fn folder(&self) -> Result<Option<BlobFolder>, BlobError> {
        self.place.folder().await
    }

    /// Begins to write a blob. Nothing reaches the store before the first full part, or `finish`.
    #[expect(clippy::unused_async, reason = "a store may have to be asked before the first byte")]
    pub async fn writer(&self, key: &BlobKey) -> Result<BlobWriter, BlobError> {
        Ok(BlobWriter::new(self.place.clone(), key.clone()))
    }

    /// A writer that writes over what is there.
    #[must_use]
    pub fn replacing_writer(&self, key: &BlobKey) -> BlobWriter {
        BlobWriter::new(self.place.clone(), key.clone()).replacing()
    }

    /// Opens a blob for reading from its start. The last chunk is withheld until the digest of all bytes proved right.
    pub async fn reader(&self, key: &BlobKey, expected: Digest) -> Result<BlobReader, BlobError> {
        let stream = self.place.read(key).await?;
        Ok(BlobReader::new(stream, expected, key.clone()))
    }

    /// Whether a blob is there.
    pub async fn is_there(&self, key: &BlobKey) -> Result<bool, BlobError> {
        tokio::time::timeout(PATIENCE, self.place.is_there(key))
            .await
            .unwrap_or_else(|_| Err(BlobError::failed(format!("no answer within {} s", PATIENCE.as_secs()))))
    }

    /// Deletes a blob; one that is gone already is a success. On files the deletion is synced. Parts
    /// that a killed process left under this key go with it.
    pub async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.place.delete(key).await
    }
}
