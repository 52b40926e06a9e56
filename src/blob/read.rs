//! Reading a payload, from a blob or from memory, with its digest verified on the way.

use std::fmt;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};

use super::{BlobError, PayloadHasher};
use crate::domain::ids::BlobKey;
use crate::domain::message::Digest;

/// A payload being read, chunk by chunk.
#[derive(Debug)]
pub struct BlobReader {
    key: BlobKey,
    expected: Digest,
    state: State,
}

enum State {
    /// Chunks are coming; the latest is held back.
    Reading {
        stream: BoxStream<'static, object_store::Result<Bytes>>,
        hasher: PayloadHasher,
        held: Option<Bytes>,
    },
    /// All was handed out, and it was right.
    Proved,
    /// The bytes are not the ones that were stored.
    Damaged { found: Digest },
    /// The store failed half-way.
    Broken,
}

impl BlobReader {
    pub(super) fn new(stream: BoxStream<'static, object_store::Result<Bytes>>, expected: Digest, key: BlobKey) -> Self {
        let state = State::Reading {
            stream,
            hasher: PayloadHasher::new(),
            held: None,
        };
        Self { key, expected, state }
    }

    /// A payload that is in memory, read like any other. `label` stands where errors name the blob.
    #[must_use]
    pub fn from_bytes(bytes: Bytes, expected: Digest, label: &str) -> Self {
        Self::new(stream::iter([Ok(bytes)]).boxed(), expected, BlobKey(label.to_owned()))
    }

    /// The next chunk, or nothing at the end. No chunk is empty. Dropping the future loses nothing.
    ///
    /// All but the last are handed out unproved: whoever acts on them for good waits for the end.
    ///
    /// # Errors
    /// [`BlobError::Damaged`] at the end, in place of the last chunk, when the bytes are not the ones that were stored; the
    /// store's own failure otherwise. An error repeats: a failed reader never looks like one that came to its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        loop {
            let State::Reading { stream, hasher, held } = &mut self.state else {
                return self.outcome();
            };
            match stream.next().await {
                Some(Ok(chunk)) => {
                    if chunk.is_empty() {
                        continue;
                    }
                    hasher.update(&chunk);
                    if let Some(earlier) = held.replace(chunk) {
                        return Ok(Some(earlier));
                    }
                }
                Some(Err(cause)) => {
                    self.state = State::Broken;
                    return Err(cause.into());
                }
                None => {
                    let (found, last) = (std::mem::take(hasher).finish(), held.take());
                    if found != self.expected {
                        self.state = State::Damaged { found };
                        return self.outcome();
                    }
                    self.state = State::Proved;
                    return Ok(last);
                }
            }
        }
    }

    /// The same chunks as a stream, for bodies and packers. It ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
        stream::unfold(Some(self), async |reader| {
            let mut reader = reader?;
            match reader.next().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(reader))),
                Ok(None) => None,
                Err(cause) => Some((Err(cause), None)),
            }
        })
    }

    /// What a reader that came to its end says from then on.
    fn outcome(&self) -> Result<Option<Bytes>, BlobError> {
        match &self.state {
            State::Damaged { found } => Err(BlobError::Damaged {
                key: self.key.clone(),
                found: found.hex(),
                expected: self.expected.hex(),
            }),
            State::Broken => Err(BlobError::failed(format!("reading {} failed before", self.key))),
            State::Reading { .. } | State::Proved => Ok(None),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reading { .. } => "Reading",
            Self::Proved => "Proved",
            Self::Damaged { .. } => "Damaged",
            Self::Broken => "Broken",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKS: [&str; 3] = ["first", "", "last"];

    fn reader(chunks: Vec<object_store::Result<Bytes>>, whole: &str) -> BlobReader {
        let expected = PayloadHasher::digest(whole.as_bytes());
        BlobReader::new(stream::iter(chunks).boxed(), expected, BlobKey("k".into()))
    }

    #[tokio::test]
    async fn a_wrong_digest_withholds_the_last_chunk_and_stays_an_error() {
        let mut reader = reader(CHUNKS.map(|c| Ok(Bytes::from(c))).into(), "first, lost");
        assert_eq!(reader.next().await.expect("unproved"), Some(Bytes::from("first")));
        for _ in 0..2 {
            assert!(matches!(reader.next().await, Err(BlobError::Damaged { .. })));
        }
    }

    #[tokio::test]
    async fn the_right_digest_releases_the_last_chunk() {
        let reader = reader(CHUNKS.map(|c| Ok(Bytes::from(c))).into(), "firstlast");
        let chunks: Vec<_> = reader.into_stream().map(|chunk| chunk.expect("right")).collect().await;
        assert_eq!(chunks, ["first", "last"]);
    }

    #[tokio::test]
    async fn a_store_that_fails_half_way_never_looks_like_the_end() {
        let failure = object_store::Error::Generic {
            store: "test",
            source: "cut".into(),
        };
        // The bytes before the failure have the right digest: that must not count as the end.
        let mut reader = reader(vec![Ok(Bytes::from("all")), Err(failure)], "all");
        for _ in 0..2 {
            assert!(matches!(reader.next().await, Err(BlobError::Store(_))));
        }
    }

    #[tokio::test]
    async fn inline_bytes_are_proved_too() {
        let digest = PayloadHasher::digest(b"inline");
        let mut right = BlobReader::from_bytes(Bytes::from("inline"), digest, "message 1");
        assert_eq!(right.next().await.expect("right"), Some(Bytes::from("inline")));
        assert_eq!(right.next().await.expect("the end"), None);
        let mut wrong = BlobReader::from_bytes(Bytes::from("Inline"), digest, "message 1");
        let cause = wrong.next().await.expect_err("damaged").to_string();
        assert!(cause.starts_with("blob message 1 is damaged"), "{cause}");
        let mut empty = BlobReader::from_bytes(Bytes::new(), PayloadHasher::digest(b""), "message 2");
        assert_eq!(empty.next().await.expect("empty and right"), None);
    }
}
