//! What the blob host needs beyond whole payloads: a part of a blob, and, in a bucket, links that lead there and objects that
//! clients put by them.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::signer::Method;

use super::place::Place;
use super::{BlobError, Blobs};
use crate::domain::ids::BlobKey;

/// Bytes as they come.
pub type ByteStream = BoxStream<'static, Result<Bytes, BlobError>>;

/// An object that somebody else wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// How many bytes it has.
    pub bytes: u64,
    /// Which version it is; another text when it was written anew.
    pub version: String,
}

impl Blobs {
    /// Opens a part of a blob. Its bytes are **not** verified: the digest is known of the whole alone.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Store`]; a stream that ends early when the blob is shorter than the part.
    pub async fn range(&self, key: &BlobKey, range: Range<u64>) -> Result<ByteStream, BlobError> {
        if range.is_empty() {
            return Ok(futures_util::stream::empty().boxed());
        }
        let stream = self.place.read_range(key, range).await?;
        Ok(stream.map_err(BlobError::from).boxed())
    }

    /// An object that a client may have put under this key by [`Self::signed_url`].
    pub async fn object(&self, key: &BlobKey) -> Result<Option<Object>, BlobError> {
        self.place.look(key).await
    }

    /// Whether the store makes links that lead to it: a bucket does.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        matches!(self.place, Place::Bucket { .. })
    }

    /// A link of the store's own to this key, good for `life` from now: to put or, with `upload` false, to get it.
    ///
    /// # Errors
    /// [`BlobError::Settings`] on files, which nobody but us can reach; [`BlobError::Store`] when the credentials cannot sign.
    pub async fn signed_url(&self, key: &BlobKey, upload: bool, life: Duration) -> Result<url::Url, BlobError> {
        let method = if upload { Method::PUT } else { Method::GET };
        self.place.sign(key, method, life).await
    }
}
