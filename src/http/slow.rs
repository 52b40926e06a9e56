//! How long the body of a request may take that is no upload. Uploads take as long as they take (GEN-13), as long as they go on: who sends
//! nothing holds a place that others wait for, and where its machine is gone it would for ever.

use std::io;
use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

/// What an upload has to bring, or its end, while its patience lasts.
const BROUGHT_BYTES_MIN: usize = 1024;

/// How long is waited for bodies.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the whole of one that is no upload.
    pub body: Duration,
    /// For the next KiB of an upload.
    pub upload: Duration,
}

/// Bounds the body of a request on its canonical path.
pub fn bound(request: &mut ServiceRequest, patience: Patience) {
    let has_body = [CONTENT_LENGTH, TRANSFER_ENCODING]
        .iter()
        .any(|name| request.headers().contains_key(name));
    if has_body {
        let body = request.take_payload();
        request.set_payload(if is_upload(request.path()) {
            flowing(body, patience.upload)
        } else {
            within(body, patience.body)
        });
    }
}

fn is_upload(path: &str) -> bool {
    let native = path.strip_prefix("/api/v1/").is_some_and(|path| {
        ["/messages", "/messages/batch", "/resubmit"]
            .iter()
            .any(|end| path.ends_with(end))
    });
    native || path.starts_with("/api/connector/enqueue/") || path.starts_with("/dmf/")
}

fn within(body: Payload, patience: Duration) -> Payload {
    let deadline = Instant::now() + patience;
    let pieces = stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match tokio::time::timeout_at(deadline, body.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(piece))) => Some((Ok(piece), Some(body))),
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Err(_) => Some((Err(too_slow("it did not come", patience)), None)),
        }
    });
    Payload::Stream {
        payload: Box::pin(pieces),
    }
}

/// Only the time counts that is spent waiting for the sender.
fn flowing(body: Payload, patience: Duration) -> Payload {
    let flow = (body, Duration::ZERO, 0);
    let pieces = stream::unfold(Some(flow), move |flow| async move {
        let (mut body, waited, brought) = flow?;
        let began = Instant::now();
        match tokio::time::timeout(patience.saturating_sub(waited), body.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(piece))) => {
                let (waited, brought) = (waited + began.elapsed(), brought + piece.len());
                let flow = if brought < BROUGHT_BYTES_MIN {
                    (body, waited, brought)
                } else {
                    (body, Duration::ZERO, 0)
                };
                Some((Ok(piece), Some(flow)))
            }
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Err(_) => Some((Err(too_slow("no KiB of it came", patience)), None)),
        }
    });
    Payload::Stream {
        payload: Box::pin(pieces),
    }
}

fn too_slow(what: &str, patience: Duration) -> PayloadError {
    let why = format!("{what} within {} seconds", patience.as_secs());
    PayloadError::Io(io::Error::new(io::ErrorKind::TimedOut, why))
}

#[cfg(test)]
mod tests {
    use super::is_upload;

    #[test]
    fn only_uploads_take_as_long_as_they_take() {
        for path in [
            "/api/v1/jobs/x/messages",
            "/api/v1/jobs/x/messages/batch",
            "/api/v1/messages/1/resubmit",
            "/api/connector/enqueue/1",
            "/dmf/packages/x",
        ] {
            assert!(is_upload(path), "{path}");
        }
        for path in [
            "/common/oauth2/token",
            "/console/sign-in",
            "/console/messages",
            "/api/v1/jobs/x/leases",
            "/api/connector/ack/1",
            "/data/DataManagementDefinitionGroups",
        ] {
            assert!(!is_upload(path), "{path}");
        }
    }
}
