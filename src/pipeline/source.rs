//! A stored payload as a stream of verified bytes, inline or blob.

use bytes::Bytes;

use super::Context;
use crate::blob::{BlobError, BlobReader};
use crate::domain::ids::MessageId;
use crate::domain::message::{Message, PayloadAt};
use crate::storage::StoreError;
use crate::storage::erase::Erased;

/// Why a payload cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The payload is not what was stored, or no longer kept; no retry will help.
    #[error("{0}")]
    Unreadable(String),
    /// The payload was withdrawn.
    #[error("the payload of message {id} was erased by {} at {}, for it held a person's data; its status and counts stay", .erased.by, .erased.at.wire())]
    Erased {
        /// Whose.
        id: MessageId,
        /// When and by whom.
        erased: Erased,
    },
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
            BlobError::Missing(_) | BlobError::Settings(_) | BlobError::Store(_) | BlobError::Disk { .. } => {
                Self::Blob(error)
            }
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
        PayloadAt::Blob(key) => match context.blobs.reader(key, message.digest).await {
            Err(error @ BlobError::Missing(_)) => Err(erased(context, message.id).await?.unwrap_or(error.into())),
            // The blob of a payload that was withdrawn goes a little later than the payload.
            Ok(reader) if message.status.is_final() => match erased(context, message.id).await? {
                Some(erased) => Err(erased),
                None => Ok(reader),
            },
            read => Ok(read?),
        },
        PayloadAt::Inline => {
            let Some(bytes) = context.store.inline_payload(message.id).await? else {
                let detail = format!("the payload of message {} is no longer kept", message.id);
                let gone = SourceError::Unreadable(detail);
                return Err(erased(context, message.id).await?.unwrap_or(gone));
            };
            Ok(BlobReader::from_bytes(
                Bytes::from(bytes),
                message.digest,
                &message.id.to_string(),
            ))
        }
    }
}

/// That the payload was withdrawn, if it was.
async fn erased(context: &Context, id: MessageId) -> Result<Option<SourceError>, StoreError> {
    let erased = context.store.erased(id).await?;
    Ok(erased.map(|erased| SourceError::Erased { id, erased }))
}
