//! An answer that never comes: the server closes the connection where its status line would have been.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

/// A body that breaks off before its first byte. The server writes head and first bytes together, so nothing of the answer is sent.
pub(super) struct LostAnswer;

impl MessageBody for LostAnswer {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let why = "the answer is lost: a fault of the sandbox";
        Poll::Ready(Some(Err(std::io::Error::new(
            std::io::ErrorKind::ConnectionAborted,
            why,
        ))))
    }
}
