//! `/dmf/…`: what links open that carry their own right (AUTH-15): the blob host, and error files. It answers as Azure's blob
//! storage does, because clients take it for that: blobs are put whole or in blocks, read whole or in part, and errors are XML with
//! their code in `x-ms-error-code` (PKG-4 to PKG-7).

mod block_list;
mod error_file;
mod fetch;
mod links;
mod problem;
mod put;
mod sent;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};

use super::Api;
use super::query::Query;
use crate::auth::sas::{Permission, Sas, SasRefusal};
use crate::domain::dmf::BlobPath;
use crate::domain::ids::RequestId;
pub use links::{download_url, open_package, package_path, write_url};
use problem::BlobProblem;

/// Where links begin that need no token.
pub(super) const ROOT: &str = "/dmf/";

/// The protocol version that answers name.
const VERSION: &str = "2021-12-02";
/// Longest id of a client's own that is sent back.
const CLIENT_REQUEST_ID_BYTES_MAX: usize = 1024;

/// The ids of the blocks that a list names, in its order, read as a commit reads it.
///
/// # Errors
/// What its sender is told.
pub fn listed_blocks(body: &[u8]) -> Result<Vec<String>, String> {
    let list = block_list::read(body).map_err(|problem| problem.to_string())?;
    Ok(list.into_iter().map(|listed| listed.id).collect())
}

/// What a fault of the sandbox answers, in the form of these paths.
pub(super) fn fault(status: u16, message: String, head: bool) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let code = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "ServerBusy",
        _ => "InternalError",
    };
    BlobProblem::new(status, code, message).respond(head)
}

/// Any method on `/dmf/{name}?{SAS}`, with no token. Nothing is told to who has no link.
pub async fn handle(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let mut answer = Box::pin(serve(&api, &request, &name, body))
        .await
        .unwrap_or_else(|problem| problem.respond(request.method() == Method::HEAD));
    mark(&request, answer.headers_mut());
    answer
}

async fn serve(api: &Api, request: &HttpRequest, name: &str, body: web::Payload) -> Result<HttpResponse, BlobProblem> {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let is_blobs = !error_file::is_one(name);
    match request.method().as_str() {
        "GET" | "HEAD" => allow(api, request, name, Permission::Read)?,
        "PUT" | "DELETE" if is_blobs => {}
        _ => return Err(BlobProblem::no_such_verb(request.method())),
    }
    if !is_blobs {
        return error_file::fetch(api, request, name).await;
    }
    let path = || BlobPath::read(name).ok_or_else(BlobProblem::not_found);
    if reads {
        return fetch::get(api, request, path()?).await;
    }
    if request.method() == Method::DELETE {
        allow(api, request, name, Permission::Delete)?;
        return fetch::delete(api, request, path()?).await;
    }
    let create_only = match allow(api, request, name, Permission::Write) {
        Err(SasRefusal::NotPermitted) => allow(api, request, name, Permission::Create).map(|()| true)?,
        allowed => allowed.map(|()| false)?,
    };
    put::put(api, request, path()?, create_only, body).await
}

/// Whether the request's link allows this.
fn allow(api: &Api, request: &HttpRequest, name: &str, permission: Permission) -> Result<(), SasRefusal> {
    check_sas(api, &Query::of(request), name, permission)
}

/// Whether the link to `name`, below [`ROOT`] and unescaped, with this query allows this now.
fn check_sas(api: &Api, query: &Query, name: &str, permission: Permission) -> Result<(), SasRefusal> {
    let of = |name: &str| query.get(name).unwrap_or_default();
    let sas = Sas {
        version: of("sv"),
        resource: of("sr"),
        permissions: of("sp"),
        starts: of("st"),
        expires: of("se"),
        signature: of("sig"),
    };
    let now = api.context.clock.now();
    api.signers()
        .links
        .check(&format!("{ROOT}{name}"), &sas, permission, now)
}

/// What stands in every answer: the request's id, the client's, and the version spoken.
fn mark(request: &HttpRequest, headers: &mut HeaderMap) {
    let id = request.extensions().get::<RequestId>().map(RequestId::to_string);
    if let Some(Ok(id)) = id.map(HeaderValue::try_from) {
        headers.insert(HeaderName::from_static("x-ms-request-id"), id);
    }
    headers.insert(
        HeaderName::from_static("x-ms-version"),
        HeaderValue::from_static(VERSION),
    );
    let name = HeaderName::from_static("x-ms-client-request-id");
    if let Some(theirs) = request.headers().get(&name)
        && theirs.len() <= CLIENT_REQUEST_ID_BYTES_MAX
    {
        headers.insert(name, theirs.clone());
    }
}
