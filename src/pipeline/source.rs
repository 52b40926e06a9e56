//! A stored payload as a stream of verified bytes, inline or blob.

use bytes::Bytes;

use super::Context;
use crate::blob::{BlobError, BlobReader};
use crate::domain::message::{Message, PayloadAt};
use crate::storage::StoreError;

/// Why a payload cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The payload is not what was stored, or no longer kept; no retry will help.
    #[error("{0}")]
    Unreadable(String),
    /// Blob store out of reach, or without the blob; trying again later may help.
    #[error(transparent)]
    Blob(BlobError),
    /// Service store out of reach.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<BlobError> for SourceError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Damaged { .. } => Self::Unreadable(error.to_string()),
            // A blob that is missing may be a folder that is not mounted: the message must not end for that.
            BlobError::Missing(_) | BlobError::Settings(_) | BlobError::Store(_) => Self::Blob(error),
        }
    }
}

/// Opens a message's payload from its start; the digest is checked on the way and the last chunk withheld until it proved
/// right.
///
/// # Errors
/// [`SourceError`] when it is gone or out of reach.
pub async fn open(context: &Context, message: &Message) -> Result<BlobReader, SourceError> {
    match &message.payload {
        PayloadAt::Blob(key) => Ok(context.blobs.reader(key, message.digest).await?),
        PayloadAt::Inline => {
            let bytes = context.store.inline_payload(message.id).await?;
            let bytes = bytes.ok_or_else(|| {
                SourceError::Unreadable(format!("the payload of message {} is no longer kept", message.id))
            })?;
            Ok(BlobReader::from_bytes(
                Bytes::from(bytes),
                message.digest,
                &message.id.to_string(),
            ))
        }
    }
}
