//! What every answer carries besides its body, and what the log says of the request it answers.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, X_FRAME_OPTIONS};
use actix_web::middleware::Next;
use actix_web::web;
use actix_web::{Error, HttpMessage as _};
use tracing::Instrument as _;

use super::Api;
use super::auth::scheme;
use super::envelope::header;
use super::host;
use super::problem::{Problem, Surface};
use crate::config::Certificate;
use crate::domain::ids::RequestId;

/// The id of a request, in its answer (on the blob host as `x-ms-request-id` too) and in every line of the log about it (GEN-11).
const REQUEST: HeaderName = HeaderName::from_static("ms-dyn-aid");
/// Ids that clients give their requests (GEN-9).
const CLIENT_REQUEST: &str = "x-ms-client-request-id";
const CLIENT_SESSION: &str = "x-ms-client-session-id";
/// Longest of them that is logged.
const LOGGED_CHARS_MAX: usize = 100;
/// Browsers that saw the service under TLS ask for nothing else for a year.
const ONLY_TLS: &str = "max-age=31536000";

/// Stamps the answer to a request on its canonical path.
///
/// # Errors
/// Those of the request's handler.
pub async fn stamp(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let surface = Surface::of(request.path());
    let api = request.app_data::<web::Data<Api>>();
    let is_tls = api.is_some_and(|api| scheme(api, request.request()) == "https");
    // A browser would insist on TLS for all that ever listens on localhost.
    let is_development = api.is_some_and(|api| {
        api.server
            .tls
            .as_ref()
            .is_some_and(|tls| tls.certificate == Certificate::Development)
    });
    let id = RequestId::generate();
    request.extensions_mut().insert(id);
    let client_request = named(&request, CLIENT_REQUEST);
    let client_session = named(&request, CLIENT_SESSION);
    let span = tracing::info_span!("request", request.id = %id, client.request = client_request, client.session = client_session);
    let is_named = client_request.is_some() || client_session.is_some();
    let answered = async move {
        if let Some(flaw) = host::flaw(request.request()) {
            let mut answer = Problem::bad("invalid_host", flaw).respond(surface);
            answer.head_mut().set_connection_type(ConnectionType::Close);
            return Ok(request.into_response(answer).map_into_right_body());
        }
        let answered = next.call(request).await.map(ServiceResponse::map_into_left_body);
        if let (true, Ok(answer)) = (is_named, &answered) {
            // As a pattern: paths of links, leases and sign-ins are secrets.
            let method = answer.request().method();
            let route = answer.request().match_pattern().unwrap_or_default();
            tracing::info!(%method, route, status = answer.status().as_u16(), "answered a request that its client named");
        }
        answered
    };
    let mut answer = answered.instrument(span).await?;
    let is_error = answer.status().is_client_error() || answer.status().is_server_error();
    write(answer.headers_mut(), surface, is_error, &id);
    if is_tls && !is_development {
        set(answer.headers_mut(), "strict-transport-security", ONLY_TLS);
    }
    Ok(answer)
}

fn write(headers: &mut HeaderMap, surface: Surface, is_error: bool, id: &RequestId) {
    set(headers, "x-content-type-options", "nosniff");
    if !headers.contains_key(X_FRAME_OPTIONS) {
        set(headers, "x-frame-options", "SAMEORIGIN");
    }
    if surface == Surface::Native {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST, value);
    }
    let is_json = headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    match surface {
        // RI-5
        Surface::Connector if is_json => set(headers, "content-type", "application/json; charset=utf-8"),
        Surface::Data if is_json && is_error => {
            set(headers, "content-type", "application/json; odata.metadata=minimal");
            set(headers, "odata-version", "4.0");
        }
        _ => {}
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &'static str) {
    headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
}

/// An id a client gave, as far as it is logged.
fn named(request: &ServiceRequest, name: &str) -> Option<String> {
    header(request.request(), name).map(|id| id.chars().take(LOGGED_CHARS_MAX).collect())
}
