//! A payload on its way in: kept inline while small, else streamed to a blob under an upload row.
//!
//! Blob first, row second (promise 1): the upload row is committed before the blob's first byte, beats while the upload
//! lives, however slow it is, and is moved to `used` by the insert of the message that names the blob (of the blob host's, by
//! the change of its row). Whoever drops a sink half-way gives the upload up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::Context;
use crate::blob::{BlobError, BlobWriter, ContentHasher, PayloadHasher};
use crate::domain::ids::BlobKey;
use crate::domain::message::Digest;
use crate::failpoint;
use crate::storage::StoreError;
use crate::storage::enqueue::NewPayload;

/// Why a payload could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// It is larger than `queue.max_payload_bytes`.
    #[error("the payload is larger than {max_bytes} bytes (queue.max_payload_bytes)")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// The upload row was taken from us, so the blob may be gone.
    #[error("the upload was given up because its owner had not been heard of; send it again")]
    Lost,
    /// The blob store failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The service store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes a payload's bytes.
pub struct PayloadSink {
    context: Context,
    hasher: Hasher,
    bytes: u64,
    /// Bytes kept while the payload is small enough to be inline.
    small: BytesMut,
    /// As many may be.
    inline_max_bytes: usize,
    upload: Option<Upload>,
}

/// What is computed of the bytes on their way.
enum Hasher {
    /// What a message needs.
    Payload(PayloadHasher),
    /// What the blob host needs.
    Content(ContentHasher),
}

impl Hasher {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Payload(hasher) => hasher.update(bytes),
            Self::Content(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> (Digest, Option<[u8; 16]>) {
        match self {
            Self::Payload(hasher) => (hasher.finish(), None),
            Self::Content(hasher) => {
                let (digest, md5) = hasher.finish();
                (digest, Some(md5))
            }
        }
    }
}

/// A payload that is durable (blob) or complete (inline), waiting for its message row.
pub struct StoredPayload {
    /// Digest of all bytes.
    pub digest: Digest,
    /// Their MD5, where they are for the blob host.
    pub md5: Option<[u8; 16]>,
    /// How many.
    pub bytes: u64,
    /// Where they are, for the message row.
    pub payload: NewPayload,
    upload: Option<Upload>,
}

impl PayloadSink {
    /// A sink for the payload of a message.
    #[must_use]
    pub fn new(context: &Context) -> Self {
        let inline_max_bytes = context.limits.queue.inline_max_bytes;
        Self::hashing(context, Hasher::Payload(PayloadHasher::new()), inline_max_bytes)
    }

    /// A sink for what the blob host is to hold: a blob however small it is, whose MD5 is known.
    #[must_use]
    pub fn of_blob_host(context: &Context) -> Self {
        Self::hashing(context, Hasher::Content(ContentHasher::new()), 0)
    }

    fn hashing(context: &Context, hasher: Hasher, inline_max_bytes: usize) -> Self {
        Self {
            context: context.clone(),
            hasher,
            bytes: 0,
            small: BytesMut::new(),
            inline_max_bytes,
            upload: None,
        }
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`PayloadError`]; the sink is of no use afterwards.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), PayloadError> {
        self.bytes += chunk.len() as u64;
        let max_bytes = self.context.limits.queue.max_payload_bytes;
        if self.bytes > max_bytes {
            return Err(PayloadError::TooLarge { max_bytes });
        }
        self.hasher.update(&chunk);
        if let Some(upload) = &mut self.upload {
            return upload.write(chunk).await;
        }
        self.small.extend_from_slice(&chunk);
        if self.small.len() > self.inline_max_bytes {
            let mut upload = Upload::begin(&self.context).await?;
            upload.write(self.small.split().freeze()).await?;
            self.upload = Some(upload);
        }
        Ok(())
    }

    /// Makes the payload durable where it is a blob.
    ///
    /// # Errors
    /// [`PayloadError`] when the blob store or the upload row failed.
    pub async fn finish(self) -> Result<StoredPayload, PayloadError> {
        let (digest, md5) = self.hasher.finish();
        let (payload, upload) = match self.upload {
            None => (NewPayload::Inline(self.small.freeze()), None),
            Some(mut upload) => {
                upload.finish().await?;
                (NewPayload::Blob(upload.key.clone()), Some(upload))
            }
        };
        Ok(StoredPayload {
            digest,
            md5,
            bytes: self.bytes,
            payload,
            upload,
        })
    }
}

impl StoredPayload {
    /// A message names the payload now; it is no longer ours to clean up.
    pub fn keep(self) {
        if let Some(upload) = self.upload {
            upload.keep();
        }
    }
}

/// A blob being written under its upload row.
pub(super) struct Upload {
    context: Context,
    pub(super) key: BlobKey,
    writer: Option<BlobWriter>,
    /// The last step, once it has begun: it cannot be taken back half-way.
    finishing: Option<tokio::task::JoinHandle<Result<(), BlobError>>>,
    lost: Arc<AtomicBool>,
    heartbeat: Option<tokio::task::JoinHandle<()>>,
    /// Whether dropping gives the upload up.
    armed: bool,
}

impl Upload {
    pub(super) async fn begin(context: &Context) -> Result<Self, PayloadError> {
        // Before the row is asked for: a sender that leaves meanwhile must not leave the row to the sweep.
        let mut upload = Self {
            context: context.clone(),
            key: BlobKey::generate(),
            writer: None,
            finishing: None,
            lost: Arc::new(AtomicBool::new(false)),
            heartbeat: None,
            armed: true,
        };
        context
            .store
            .begin_upload(&upload.key, &context.owner, context.clock.now())
            .await?;
        failpoint::reached("upload.begun");
        let beating = beat(context.clone(), upload.key.clone(), Arc::clone(&upload.lost));
        upload.heartbeat = Some(context.runtime.spawn(beating));
        upload.writer = Some(context.blobs.writer(&upload.key).await?);
        Ok(upload)
    }

    pub(super) async fn write(&mut self, chunk: Bytes) -> Result<(), PayloadError> {
        if self.lost.load(Ordering::Relaxed) {
            return Err(PayloadError::Lost);
        }
        let writer = self.writer.as_mut().ok_or(PayloadError::Lost)?;
        Ok(writer.write(chunk).await?)
    }

    pub(super) async fn finish(&mut self) -> Result<(), PayloadError> {
        let writer = self.writer.take().ok_or(PayloadError::Lost)?;
        let task = self.context.runtime.spawn(writer.finish());
        let finished = self.finishing.insert(task).await;
        self.finishing = None;
        // Only the end of the runtime cancels it.
        finished.map_err(|_| PayloadError::Lost)??;
        failpoint::reached("upload.stored");
        Ok(())
    }

    /// A row names the blob now; it is no longer ours to clean up.
    pub(super) fn keep(mut self) {
        self.armed = false;
    }
}

/// Says that the upload lives, for as long as it does: a sender that pauses for a day is slow, not dead.
async fn beat(context: Context, key: BlobKey, lost: Arc<AtomicBool>) {
    let every = Duration::from_secs(u64::from(context.limits.queue.upload_stale_seconds / 3).max(1));
    loop {
        tokio::time::sleep(every).await;
        match context.store.beat_upload(&key, context.clock.now()).await {
            Ok(true) => {}
            Ok(false) => {
                lost.store(true, Ordering::Relaxed);
                return;
            }
            Err(error) => tracing::warn!(blob = %key, %error, "an upload's heartbeat failed; trying again"),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.abort();
        }
        if !self.armed {
            return;
        }
        let (context, key, writer) = (self.context.clone(), self.key.clone(), self.writer.take());
        let finishing = self.finishing.take();
        self.context.runtime.spawn(async move {
            if let Some(finishing) = finishing {
                // A blob that appears after its deletion would stay for ever.
                let _ = finishing.await;
            }
            if let Some(writer) = writer {
                writer.abort().await;
            }
            if let Err(error) = give_up(&context, &key).await {
                // The sweep finds it once its heartbeat is stale.
                tracing::warn!(blob = %key, error = %error, "an abandoned upload is left to the sweep");
            }
        });
    }
}

/// Deletes an upload's blob, but only after the guarded statement said that no message can name it any more, or when its row
/// is gone: the sweep gave it up before this writer had published it.
async fn give_up(context: &Context, key: &BlobKey) -> Result<(), PayloadError> {
    let abandoned = context.store.abandon_upload(key, context.clock.now()).await?;
    if abandoned || context.store.is_upload_gone(key).await? {
        context.blobs.delete(key).await?;
        context.store.forget_upload(key).await?;
    }
    Ok(())
}
