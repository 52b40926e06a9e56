//! GET and HEAD of a blob, whole or a part of it, and DELETE (PKG-6).

use actix_web::body::SizedStream;
use actix_web::http::header::{
    ACCEPT_RANGES, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LAST_MODIFIED,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, stream};

use super::block_list;
use super::problem::BlobProblem;
use super::put::no_such_part;
use super::sent::{self, Part};
use crate::blob::{BlobError, ByteStream};
use crate::domain::dmf::{BlobPath, Unmet};
use crate::domain::time::Timestamp;
use crate::http::Api;
use crate::http::query::Query;
use crate::pipeline::blob_host::{self, BlobHostError};
use crate::storage::dmf_blobs::DmfContent;

/// `GET`, `HEAD`.
pub(super) async fn get(api: &Api, request: &HttpRequest, path: BlobPath) -> Result<HttpResponse, BlobProblem> {
    let query = Query::of(request);
    match query.get("comp").as_deref() {
        None => {}
        Some("blocklist") if request.method() == Method::GET => return blocks(api, &query, &path).await,
        Some(other) => return Err(no_such_part(other)),
    }
    let conditions = sent::conditions(request)?;
    let mut tries = 0;
    loop {
        let (_, content) = blob_host::find(&api.context, &path).await?;
        match conditions.check_read(&content.version()) {
            Ok(()) => {}
            Err(Unmet::NotModified) => return Ok(not_modified(&content)),
            Err(unmet) => return Err(BlobHostError::Unmet(unmet).into()),
        }
        if request.method() == Method::HEAD {
            let nothing = stream::empty::<Result<bytes::Bytes, std::io::Error>>();
            let answer = whole(&content).body(SizedStream::new(content.bytes, nothing));
            return Ok(answer);
        }
        let part = sent::part(request, content.bytes)?;
        match open(api, &content, part).await {
            Ok(bytes) if path.is_export() => {
                let bytes = noting(api, &path, &content, part, bytes);
                return Ok(answer(&path, &content, part, bytes));
            }
            Ok(bytes) => return Ok(answer(&path, &content, part, bytes)),
            // Somebody put another content in its place just now.
            Err(BlobError::Missing(_)) if tries == 0 => tries += 1,
            Err(error) => return Err(BlobHostError::from(error).into()),
        }
    }
}

/// All of it verified on the way; a part cannot be.
async fn open(api: &Api, content: &DmfContent, part: Option<Part>) -> Result<ByteStream, BlobError> {
    match part {
        None => Ok(blob_host::read(&api.context, content).await?.into_stream().boxed()),
        Some(Part { first, last }) => api.context.blobs.range(&content.key, first..last + 1).await,
    }
}

fn answer(path: &BlobPath, content: &DmfContent, part: Option<Part>, bytes: ByteStream) -> HttpResponse {
    let (mut answer, length) = match part {
        None => (whole(content), content.bytes),
        Some(Part { first, last }) => {
            let mut answer = head(StatusCode::PARTIAL_CONTENT, content);
            let range = format!("bytes {first}-{last}/{}", content.bytes);
            answer.insert_header((CONTENT_RANGE, range));
            // `Content-MD5` would be the part's.
            answer.insert_header(("x-ms-blob-content-md5", STANDARD.encode(content.md5)));
            (answer, last - first + 1)
        }
    };
    let path = path.clone();
    let bytes = bytes.map(move |chunk| {
        chunk.map_err(|error| {
            tracing::error!(%path, %error, "a download broke off");
            std::io::Error::other("the blob cannot be read")
        })
    });
    answer.body(SizedStream::new(length, bytes))
}

/// The same bytes of an exported package; once the last of them was taken from us, it is noted which part was sent. That is not for
/// the download to wait for, and goes on when the client is gone.
fn noting(api: &Api, path: &BlobPath, content: &DmfContent, part: Option<Part>, bytes: ByteStream) -> ByteStream {
    let (first, end) = part.map_or((0, content.bytes), |part| (part.first, part.last + 1));
    let (store, clock) = (api.context.store.clone(), api.context.clock.clone());
    let (runtime, path) = (api.context.runtime.clone(), path.clone());
    let note = move || {
        runtime.spawn(async move {
            match store.note_package_sent(&path, (first, end), clock.now()).await {
                Ok(true) => tracing::info!(%path, "an exported package was fetched"),
                Ok(false) => {}
                Err(error) => tracing::warn!(%path, %error, "it could not be noted that a package was fetched"),
            }
        });
    };
    let sent = stream::unfold(
        (bytes, first, Some(note)),
        move |(mut bytes, mut at, mut note)| async move {
            let Some(chunk) = bytes.next().await else {
                if let Some(note) = note.take().filter(|_| at == end) {
                    note();
                }
                return None;
            };
            at += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            Some((chunk, (bytes, at, note)))
        },
    );
    sent.boxed()
}

/// What is said of a blob as a whole.
fn whole(content: &DmfContent) -> HttpResponseBuilder {
    let mut answer = head(StatusCode::OK, content);
    answer.insert_header(("Content-MD5", STANDARD.encode(content.md5)));
    answer
}

/// What is said of a blob with its bytes and without.
fn head(status: StatusCode, content: &DmfContent) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    let written = http_time(content.written_at);
    answer
        .insert_header((CONTENT_TYPE, content.content_type.as_str()))
        .insert_header((ETAG, content.version().tag))
        .insert_header((LAST_MODIFIED, written.clone()))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header(("x-ms-blob-type", "BlockBlob"))
        .insert_header(("x-ms-creation-time", written))
        .insert_header(("x-ms-lease-status", "unlocked"))
        .insert_header(("x-ms-lease-state", "available"))
        .insert_header(("x-ms-server-encrypted", "true"))
        // A client says what its blob is; a browser shall not act on it.
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"));
    answer
}

fn not_modified(content: &DmfContent) -> HttpResponse {
    HttpResponse::build(StatusCode::NOT_MODIFIED)
        .insert_header((ETAG, content.version().tag))
        .insert_header((LAST_MODIFIED, http_time(content.written_at)))
        .insert_header(("x-ms-error-code", "ConditionNotMet"))
        .finish()
}

/// `GET` with `comp=blocklist`.
async fn blocks(api: &Api, query: &Query, path: &BlobPath) -> Result<HttpResponse, BlobProblem> {
    let wanted = query.get("blocklisttype").unwrap_or_default().to_lowercase();
    let (committed, uncommitted) = match wanted.as_str() {
        "" | "committed" => (true, false),
        "uncommitted" => (false, true),
        "all" => (true, true),
        _ => {
            let message = "blocklisttype is committed, uncommitted or all.";
            return Err(BlobProblem::bad("InvalidQueryParameterValue", message));
        }
    };
    let blocks = blob_host::blocks(&api.context, path).await?;
    if blocks.content.is_none() && blocks.uncommitted.is_empty() {
        return Err(BlobProblem::not_found());
    }
    let mut answer = HttpResponse::Ok();
    answer.content_type("application/xml");
    if let Some(content) = &blocks.content {
        answer
            .insert_header((ETAG, content.version().tag))
            .insert_header((LAST_MODIFIED, http_time(content.written_at)))
            .insert_header(("x-ms-blob-content-length", content.bytes.to_string()));
    }
    Ok(answer.body(block_list::write(&blocks, committed, uncommitted)))
}

/// `DELETE`.
pub(super) async fn delete(api: &Api, request: &HttpRequest, path: BlobPath) -> Result<HttpResponse, BlobProblem> {
    if let Some(comp) = Query::of(request).get("comp") {
        return Err(no_such_part(&comp));
    }
    let conditions = sent::conditions(request)?;
    blob_host::delete(&api.context, &path, conditions).await?;
    Ok(HttpResponse::Accepted()
        .insert_header(("x-ms-delete-type-permanent", "true"))
        .finish())
}

/// A time as HTTP writes it.
pub(super) fn http_time(at: Timestamp) -> String {
    at.to_utc().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
