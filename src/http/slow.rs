//! How long the body of a request may take that is no upload. Uploads take as long as they take (GEN-13), but their senders are known before
//! the first byte of one is read; what asks for a token, or signs in, comes from anybody.

use std::io;
use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

/// Bounds the body of a request on its canonical path.
pub fn bound(request: &mut ServiceRequest, patience: Duration) {
    let has_body = [CONTENT_LENGTH, TRANSFER_ENCODING]
        .iter()
        .any(|name| request.headers().contains_key(name));
    if has_body && !is_upload(request.path()) {
        let body = request.take_payload();
        request.set_payload(within(body, patience));
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
            Err(_) => {
                let why = format!("it did not come within {} seconds", patience.as_secs());
                Some((
                    Err(PayloadError::Io(io::Error::new(io::ErrorKind::TimedOut, why))),
                    None,
                ))
            }
        }
    });
    Payload::Stream {
        payload: Box::pin(pieces),
    }
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
