//! Blobs: `object_store` behind two promises: what `finish` returned for is on stable storage, and what is read is what
//! was written (the digest is verified on every read).
//!
//! Refuses: to know what a blob is for. Keys are made by [`BlobKey::generate`]; nothing a client sent becomes a path.

use bytes::Bytes;

use crate::domain::ids::BlobKey;
use crate::domain::message::Digest;

/// A failure of the blob store.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such blob.
    #[error("blob {0} is gone")]
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
    Store(#[from] object_store::Error),
}

/// The blob store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    _private: (),
}

/// A blob being written. Dropping it without `finish` abandons it.
#[derive(Debug)]
pub struct BlobWriter {
    _private: (),
}

/// A blob being read, chunk by chunk.
#[derive(Debug)]
pub struct BlobReader {
    _private: (),
}

impl Blobs {
    /// Opens `file://…`, `s3://bucket/prefix`, `az://container/prefix` or `gs://bucket/prefix`. A file store is created
    /// lazily and syncs file and directory.
    pub fn open(_url: &str) -> Result<Self, BlobError> {
        todo!()
    }

    /// A cheap round trip, for readiness; creates nothing.
    pub async fn probe(&self) -> Result<(), BlobError> {
        todo!()
    }

    /// Begins to write a blob.
    pub async fn writer(&self, _key: &BlobKey) -> Result<BlobWriter, BlobError> {
        todo!()
    }

    /// Opens a blob for reading from its start. The last chunk is withheld until the digest of all bytes proved right.
    pub async fn reader(&self, _key: &BlobKey, _expected: Digest) -> Result<BlobReader, BlobError> {
        todo!()
    }

    /// Deletes a blob; one that is gone already is a success.
    pub async fn delete(&self, _key: &BlobKey) -> Result<(), BlobError> {
        todo!()
    }
}

impl BlobWriter {
    /// Adds bytes; at most two parts are in flight.
    pub async fn write(&mut self, _bytes: Bytes) -> Result<(), BlobError> {
        todo!()
    }

    /// Makes the blob durable.
    pub async fn finish(self) -> Result<(), BlobError> {
        todo!()
    }

    /// Gives the blob up and removes what was written.
    pub async fn abort(self) {
        todo!()
    }
}

impl BlobReader {
    /// The next chunk, or nothing at the end.
    ///
    /// # Errors
    /// [`BlobError::Damaged`] at the end when the bytes are not the ones that were stored.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        todo!()
    }
}
