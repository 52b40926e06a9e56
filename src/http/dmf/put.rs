//! Put Blob, Put Block and Put Block List (PKG-4 to PKG-6).

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, ETAG, LAST_MODIFIED};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::problem::BlobProblem;
use super::{block_list, sent};
use crate::domain::dmf::BlobPath;
use crate::http::problem::{Problem, Surface};
use crate::http::query::Query;
use crate::http::{Api, body};
use crate::pipeline::blob_host::{self, Put};
use crate::pipeline::payload::PayloadError;
use crate::storage::dmf_blobs::DmfContent;

/// Headers that ask for more than this host does; left unread they would lead to another blob than the client means.
const UNSUPPORTED: [&str; 4] = [
    "x-ms-copy-source",
    "x-ms-content-crc64",
    "x-ms-structured-body",
    "x-ms-encryption-key",
];

/// `PUT`: what it puts says the query.
pub(super) async fn put(
    api: &Api,
    request: &HttpRequest,
    path: BlobPath,
    create_only: bool,
    body: web::Payload,
) -> Result<HttpResponse, BlobProblem> {
    if let Some(name) = UNSUPPORTED
        .into_iter()
        .find(|name| request.headers().contains_key(*name))
    {
        let message = format!("The header {name} is not supported here.");
        return Err(BlobProblem::bad("UnsupportedHeader", message));
    }
    let client = client_of(api, &path).await?;
    let query = Query::of(request);
    let mut conditions = sent::conditions(request)?;
    conditions.create_only = create_only;
    let put = Put {
        path,
        conditions,
        content_type: String::new(),
        md5: None,
    };
    match query.get("comp").as_deref() {
        None => put_blob(api, request, &client, put, body).await,
        Some("block") => put_block(api, request, &client, &put.path, &query, body).await,
        Some("blocklist") => put_block_list(api, request, &client, put, body).await,
        Some(other) => Err(no_such_part(other)),
    }
}

/// A link is used for the client that asked for it, and that client's calls are counted. No name where the blob is gone.
async fn client_of(api: &Api, path: &BlobPath) -> Result<String, BlobProblem> {
    let now = api.context.clock.now();
    let blob = api.context.store.dmf_blob(path, now).await.map_err(Problem::from)?;
    let Some(blob) = blob else { return Ok(String::new()) };
    api.pace.let_in(&blob.client, Surface::Connector).await?;
    Ok(blob.client)
}

/// The refusal of a part of a blob that is not kept here: properties, metadata, leases, pages and so on.
pub(super) fn no_such_part(comp: &str) -> BlobProblem {
    let shown: String = comp.chars().take(100).collect();
    let message = format!("comp={shown} is not supported here; block and blocklist are.");
    BlobProblem::bad("InvalidQueryParameterValue", message)
}

async fn put_blob(
    api: &Api,
    request: &HttpRequest,
    client: &str,
    put: Put,
    body: web::Payload,
) -> Result<HttpResponse, BlobProblem> {
    match sent::text(request, "x-ms-blob-type") {
        None => {
            let message = "A header this needs is missing: x-ms-blob-type: BlockBlob.";
            return Err(BlobProblem::bad("MissingRequiredHeader", message));
        }
        Some(kind) if kind.eq_ignore_ascii_case("BlockBlob") => {}
        Some(_) => {
            let message = "x-ms-blob-type must be BlockBlob; page and append blobs are not kept here.";
            return Err(BlobProblem::bad("InvalidHeaderValue", message));
        }
    }
    let put = Put {
        content_type: sent::content_type(request)?,
        md5: sent::md5(request, "content-md5")?.or(sent::md5(request, "x-ms-blob-content-md5")?),
        ..put
    };
    refuse_too_large(api, request)?;
    // With the body unread: who sends a large file is not sent away after it (RI-6a).
    let _turn = api.admission.in_time(client).await?;
    let content = blob_host::put(&api.context, put, body).await?;
    let mut answer = created();
    answer.insert_header(("Content-MD5", STANDARD.encode(content.md5)));
    Ok(with_version(&mut answer, &content).finish())
}

async fn put_block(
    api: &Api,
    request: &HttpRequest,
    client: &str,
    path: &BlobPath,
    query: &Query,
    body: web::Payload,
) -> Result<HttpResponse, BlobProblem> {
    let id = query.get("blockid").unwrap_or_default();
    let id = block_list::id(&id).ok_or_else(|| block_list::invalid_id(&id))?;
    let md5 = sent::md5(request, "content-md5")?;
    refuse_too_large(api, request)?;
    let _turn = api.admission.in_time(client).await?;
    let md5 = blob_host::put_block(&api.context, path, &id, md5, body).await?;
    let mut answer = created();
    Ok(answer.insert_header(("Content-MD5", STANDARD.encode(md5))).finish())
}

async fn put_block_list(
    api: &Api,
    request: &HttpRequest,
    client: &str,
    put: Put,
    list: web::Payload,
) -> Result<HttpResponse, BlobProblem> {
    let list_md5 = sent::md5(request, "content-md5")?;
    let put = Put {
        content_type: sent::list_content_type(request)?,
        md5: sent::md5(request, "x-ms-blob-content-md5")?,
        ..put
    };
    // A list takes memory while it is carried out, the longer the more. What is longer than it may be is refused as it is read.
    let bytes_max = length(request).and_then(|length| usize::try_from(length).ok());
    let bytes_max = bytes_max.unwrap_or(block_list::BYTES_MAX).min(block_list::BYTES_MAX);
    let _turn = api.admission.list_in_time(client, bytes_max).await?;
    let list = body::read(list, block_list::BYTES_MAX).await?;
    if let Some(expected) = list_md5 {
        blob_host::verify_md5(&list, expected)?;
    }
    let list = block_list::read(&list)?;
    let content = blob_host::commit(&api.context, put, list).await?;
    Ok(with_version(&mut created(), &content).finish())
}

fn created() -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(StatusCode::CREATED);
    answer.insert_header(("x-ms-request-server-encrypted", "true"));
    answer
}

fn with_version<'a>(answer: &'a mut HttpResponseBuilder, content: &DmfContent) -> &'a mut HttpResponseBuilder {
    answer
        .insert_header((ETAG, content.version().tag))
        .insert_header((LAST_MODIFIED, super::fetch::http_time(content.written_at)))
}

fn length(request: &HttpRequest) -> Option<u64> {
    sent::text(request, CONTENT_LENGTH)?.parse().ok()
}

/// Before the first byte is read.
fn refuse_too_large(api: &Api, request: &HttpRequest) -> Result<(), BlobProblem> {
    let max_bytes = api.context.limits.queue.max_payload_bytes;
    if length(request).is_some_and(|length| length > max_bytes) {
        return Err(PayloadError::TooLarge { max_bytes }.into());
    }
    Ok(())
}
