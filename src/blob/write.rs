//! Writing a blob: small ones in one request, large ones in parts, memory bounded either way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayloadMut};
use tokio::task::JoinSet;

use super::place::Place;
use super::{BlobError, PATIENCE};
use crate::domain::ids::BlobKey;

/// Size of a part of a large blob. It is the least that S3 takes; its 10,000 parts make 48 GiB the largest blob there.
pub const PART_BYTES: usize = 5 * 1024 * 1024;

/// Parts on their way to the store at once. With the one being filled, a writer holds at most three.
pub const PARTS_IN_FLIGHT: usize = 2;

/// Longest wait for a store to put the parts of a blob together: S3 says that of many parts it may take minutes.
const COMPLETION_MAX: Duration = Duration::from_mins(5);

/// Allocation step while a part fills: small payloads stay small in memory.
const BLOCK_BYTES: usize = 64 * 1024;

/// A blob being written. Dropping it without `finish` abandons it.
#[derive(Debug)]
pub struct BlobWriter {
    place: Place,
    key: BlobKey,
    /// The part being filled.
    pending: PutPayloadMut,
    /// Begun with the first full part.
    upload: Option<Upload>,
    /// Set while a write is under way: one that failed or was dropped half-way leaves a hole, so nothing may follow it.
    torn: bool,
    /// Whether a blob that is there is written over.
    replaces: bool,
}

#[derive(Debug)]
struct Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    parts: Box<dyn MultipartUpload>,
    in_flight: JoinSet<object_store::Result<()>>,
}

impl BlobWriter {
    pub(super) fn new(place: Place, key: BlobKey) -> Self {
        Self {
            place,
            key,
            pending: empty_part(),
            upload: None,
            torn: false,
            replaces: false,
        }
    }

    /// The same, but a blob that is there is written over.
    pub(super) fn replacing(mut self) -> Self {
        self.replaces = true;
        self
    }

    /// Adds bytes; at most [`PARTS_IN_FLIGHT`] parts are in flight.
    ///
    /// # Errors
    /// [`BlobError::Store`]; the blob is then beyond repair, and every later call fails.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        match self.add(bytes).await {
            // Nothing may have reached the disk yet.
            Ok(()) => Ok(()),
            failed => self.place.judge(failed),
        }
    }

    async fn add(&mut self, mut bytes: Bytes) -> Result<(), BlobError> {
        self.tear()?;
        while !bytes.is_empty() {
            let room = PART_BYTES - self.pending.content_length();
            // Copied, not kept: a network buffer of which we hold one byte would stay in memory whole.
            self.pending.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
            if self.pending.content_length() == PART_BYTES {
                self.send_part().await?;
            }
        }
        self.torn = false;
        Ok(())
    }

    /// Makes the blob durable. A blob that exists is overwritten by a replacing writer only.
    ///
    /// # Errors
    /// [`BlobError::Store`]. The store may have the blob all the same, when only its answer was lost: the key is spent.
    pub async fn finish(self) -> Result<(), BlobError> {
        let place = self.place.clone();
        place.judge(self.publish().await)
    }

    async fn publish(mut self) -> Result<(), BlobError> {
        self.tear()?;
        if self.upload.is_none() {
            let (store, path) = self.place.for_writing(&self.key).await?;
            let only = std::mem::take(&mut self.pending).freeze();
            let mode = if self.replaces {
                PutMode::Overwrite
            } else {
                PutMode::Create
            };
            let put = async { Ok(store.put_opts(&path, only, PutOptions::from(mode)).await?) };
            self.place.answered(put).await?;
            return Ok(());
        }
        if !self.pending.is_empty() {
            self.send_part().await?;
        }
        let Some(upload) = &mut self.upload else { return Ok(()) };
        for left in (1..=PARTS_IN_FLIGHT).rev() {
            self.place.answered(upload.wait_for_fewer_than(left)).await?;
        }
        if !self.replaces {
            self.place.answered(upload.refuse_another()).await?;
        }
        upload.complete().await?;
        self.upload = None;
        Ok(())
    }

    /// Gives the blob up and removes what was written.
    pub async fn abort(mut self) {
        if let Some(upload) = self.upload.take() {
            upload.abandon(&self.key).await;
        }
    }

    async fn send_part(&mut self) -> Result<(), BlobError> {
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => {
                let (store, path) = self.place.for_writing(&self.key).await?;
                none.insert(self.place.answered(Upload::begin(store, path)).await?)
            }
        };
        self.place.answered(upload.wait_for_fewer_than(PARTS_IN_FLIGHT)).await?;
        let part = std::mem::replace(&mut self.pending, empty_part()).freeze();
        upload.in_flight.spawn(upload.parts.put_part(part));
        Ok(())
    }

    /// Marks the blob as unusable until the call at hand succeeds.
    fn tear(&mut self) -> Result<(), BlobError> {
        if std::mem::replace(&mut self.torn, true) {
            return Err(BlobError::failed(format!("writing {} failed before", self.key)));
        }
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        // Without a runtime nothing can be sent. Files are removed all the same; what is at a bucket, the sweep finds.
        if let (Some(upload), Ok(runtime)) = (self.upload.take(), tokio::runtime::Handle::try_current()) {
            let key = self.key.clone();
            runtime.spawn(async move { upload.abandon(&key).await });
        }
    }
}

impl Upload {
    async fn begin(store: Arc<dyn ObjectStore>, path: Path) -> Result<Self, BlobError> {
        let parts = store.put_multipart(&path).await?;
        Ok(Self {
            store,
            path,
            parts,
            in_flight: JoinSet::new(),
        })
    }

    async fn wait_for_fewer_than(&mut self, limit: usize) -> Result<(), BlobError> {
        while self.in_flight.len() >= limit {
            match self.in_flight.join_next().await {
                Some(sent) => sent.map_err(BlobError::failed)??,
                None => break,
            }
        }
        Ok(())
    }

    /// No store has a create mode for parts. Keys are unique per upload, so this look is a guard against our own mistakes, not a
    /// lock.
    async fn refuse_another(&mut self) -> Result<(), BlobError> {
        match self.store.head(&self.path).await {
            Err(Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(cause.into()),
            Ok(_) => Err(BlobError::Store(Error::AlreadyExists {
                path: self.path.to_string(),
                source: "a blob is written once".into(),
            })),
        }
    }

    /// Makes a blob of the parts, once all of them were sent.
    async fn complete(&mut self) -> Result<(), BlobError> {
        let completing = tokio::time::timeout(COMPLETION_MAX, self.parts.complete());
        let completed = completing.await.map_err(|_| {
            let waited = COMPLETION_MAX.as_secs();
            BlobError::failed(format!(
                "the object store did not put the parts together within {waited} s"
            ))
        })?;
        completed?;
        Ok(())
    }

    /// Removes what was sent. Best effort: the upload's row stays until the sweep has deleted the key.
    async fn abandon(mut self, key: &BlobKey) {
        let cleaning = async {
            self.in_flight.shutdown().await;
            self.parts.abort().await
        };
        match tokio::time::timeout(PATIENCE, cleaning).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => tracing::warn!(blob.key = %key, error = %cause, "parts of an abandoned blob may remain"),
            Err(_) => tracing::warn!(blob.key = %key, "parts of an abandoned blob may remain: no answer"),
        }
    }
}

fn empty_part() -> PutPayloadMut {
    PutPayloadMut::new().with_block_size(BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_writer_holds_at_most_three_parts_and_sends_at_most_two() {
        let home = tempfile::tempdir().expect("a folder");
        let url = format!("file://{}", home.path().display());
        let mut writer = BlobWriter::new(Place::open(&url).expect("opens"), BlobKey::generate());
        let piece = Bytes::from(vec![7; PART_BYTES / 2 + 1]);
        for _ in 0..12 {
            writer.write(piece.clone()).await.expect("written");
            let in_flight = writer.upload.as_ref().map_or(0, |upload| upload.in_flight.len());
            assert!(in_flight <= PARTS_IN_FLIGHT, "{in_flight}");
            assert!(writer.pending.content_length() < PART_BYTES);
        }
        writer.abort().await;
    }

    #[tokio::test]
    async fn nothing_follows_a_write_that_failed() {
        let home = tempfile::tempdir().expect("a folder");
        let file = home.path().join("in-the-way");
        std::fs::write(&file, b"not a folder").expect("written");
        let place = Place::open(&format!("file://{}", file.display())).expect("opens");
        let mut writer = BlobWriter::new(place, BlobKey::generate());
        let part = Bytes::from(vec![0; PART_BYTES]);
        assert!(writer.write(part).await.is_err());
        assert!(writer.write(Bytes::from("more")).await.is_err());
        let cause = writer.finish().await.expect_err("torn").to_string();
        assert!(cause.contains("failed before"), "{cause}");
    }
}
