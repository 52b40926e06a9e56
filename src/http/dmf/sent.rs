//! What a request to the blob host says in its headers.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;

use super::problem::BlobProblem;
use crate::domain::dmf::{Conditions, Tags};
use crate::domain::time::Timestamp;

/// What a blob is whose client did not say.
const DEFAULT_TYPE: &str = "application/octet-stream";
/// Longest content type, in bytes.
const TYPE_BYTES_MAX: usize = 255;

/// A header's value, if it is text.
pub(super) fn text(request: &HttpRequest, name: impl header::AsHeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok().map(str::trim)
}

/// The conditions of the request.
///
/// # Errors
/// 400 for a time that is none.
pub(super) fn conditions(request: &HttpRequest) -> Result<Conditions, BlobProblem> {
    Ok(Conditions {
        if_match: text(request, header::IF_MATCH).map(Tags::read),
        if_none_match: text(request, header::IF_NONE_MATCH).map(Tags::read),
        modified_since: time(request, &header::IF_MODIFIED_SINCE)?,
        unmodified_since: time(request, &header::IF_UNMODIFIED_SINCE)?,
        create_only: false,
    })
}

fn time(request: &HttpRequest, name: &HeaderName) -> Result<Option<Timestamp>, BlobProblem> {
    let Some(text) = text(request, name) else {
        return Ok(None);
    };
    let read = DateTime::parse_from_rfc2822(text);
    let read = read.map_err(|_| invalid(name, text, "a time such as Mon, 05 Jan 2026 08:00:00 GMT"))?;
    Ok(Some(Timestamp(read.timestamp_micros())))
}

/// An MD5 in a header.
///
/// # Errors
/// 400 `InvalidMd5` for anything else.
pub(super) fn md5(request: &HttpRequest, name: &'static str) -> Result<Option<[u8; 16]>, BlobProblem> {
    let Some(text) = text(request, name) else {
        return Ok(None);
    };
    let read = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    let refuse = || BlobProblem::bad("InvalidMd5", format!("{name} is `{text}`; it is an MD5 in Base64."));
    read.map(Some).ok_or_else(refuse)
}

/// What the client says the blob is.
///
/// # Errors
/// 400 for more than a content type has.
pub(super) fn content_type(request: &HttpRequest) -> Result<String, BlobProblem> {
    let sent = text(request, "x-ms-blob-content-type").or_else(|| text(request, header::CONTENT_TYPE));
    checked_type(sent)
}

/// The same where the body is a list of the blob's blocks: its own type is not the blob's.
///
/// # Errors
/// As [`content_type`].
pub(super) fn list_content_type(request: &HttpRequest) -> Result<String, BlobProblem> {
    checked_type(text(request, "x-ms-blob-content-type"))
}

fn checked_type(sent: Option<&str>) -> Result<String, BlobProblem> {
    let sent = sent.filter(|sent| !sent.is_empty()).unwrap_or(DEFAULT_TYPE);
    if sent.len() > TYPE_BYTES_MAX || sent.chars().any(char::is_control) {
        let want = format!("at most {TYPE_BYTES_MAX} bytes");
        return Err(invalid(&header::CONTENT_TYPE, sent, &want));
    }
    Ok(sent.to_owned())
}

fn invalid(name: &HeaderName, sent: &str, want: &str) -> BlobProblem {
    let shown: String = sent.chars().take(100).collect();
    BlobProblem::bad("InvalidHeaderValue", format!("{name} is `{shown}`; write {want}."))
}

/// A part of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// The first byte.
    pub first: u64,
    /// The last byte; it is there.
    pub last: u64,
}

/// The part of a blob of `bytes` bytes that is asked for; none: all of it. `x-ms-range` counts before `Range`.
///
/// # Errors
/// 416 for one that begins after the end.
pub(super) fn part(request: &HttpRequest, bytes: u64) -> Result<Option<Part>, BlobProblem> {
    let sent = text(request, "x-ms-range").or_else(|| text(request, header::RANGE));
    match sent.and_then(range) {
        // What is no range, or several, means the whole (RFC 9110, 14.2).
        None => Ok(None),
        Some(range) => within(range, bytes)
            .map(Some)
            .ok_or_else(|| BlobProblem::invalid_range(bytes)),
    }
}

/// From where to where; without a start the last so many.
type Range = (Option<u64>, Option<u64>);

fn range(text: &str) -> Option<Range> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    };
    let range = (number(first)?, number(last)?);
    match range {
        (None, None) => None,
        (Some(first), Some(last)) if last < first => None,
        _ => Some(range),
    }
}

fn within(range: Range, bytes: u64) -> Option<Part> {
    let end = bytes.checked_sub(1)?;
    let (first, last) = match range {
        (Some(first), last) => (first, last.unwrap_or(end).min(end)),
        (None, count) => (bytes.saturating_sub(count.filter(|count| *count > 0)?), end),
    };
    (first <= end).then_some(Part { first, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_what_is_there() {
        let part =
            |text: &str, bytes| range(text).map(|range| within(range, bytes).map(|part| (part.first, part.last)));
        assert_eq!(part("bytes=0-33554431", 10), Some(Some((0, 9))));
        assert_eq!(part("bytes=3-", 10), Some(Some((3, 9))));
        assert_eq!(part("bytes=9-9", 10), Some(Some((9, 9))));
        assert_eq!(part("bytes=-4", 10), Some(Some((6, 9))));
        assert_eq!(part("bytes=-40", 10), Some(Some((0, 9))));
        for none in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            assert_eq!(part(none, 10), Some(None), "{none}");
        }
        assert_eq!(part("bytes=0-0", 0), Some(None));
        for whole in [
            "bytes=-",
            "bytes=5-4",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=+1-2",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(part(whole, 10), None, "{whole}");
        }
    }
}
