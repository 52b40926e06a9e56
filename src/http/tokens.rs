//! The token endpoints (contract 2.1): look the client up, let [`crate::auth`] decide, answer as MSAL and ADAL expect.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::Api;
use super::problem::{Problem, Surface};
use crate::auth::token_endpoint::{self, TokenRequest, Version};

/// Longest form body.
pub const FORM_BYTES_MAX: usize = 16 * 1024;

/// `POST /{tenant}/oauth2/token`.
pub async fn version_1(api: web::Data<Api>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    answer(&api, &request, &body, Version::V1).await
}

/// `POST /{tenant}/oauth2/v2.0/token`.
pub async fn version_2(api: web::Data<Api>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    answer(&api, &request, &body, Version::V2).await
}

async fn answer(api: &Api, request: &HttpRequest, body: &[u8], version: Version) -> HttpResponse {
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let asked = TokenRequest::parse(body, authorization, version);
    let client = match asked.as_ref().ok().map(|asked| asked.client_id.clone()) {
        None => None,
        Some(name) => match api.context.store.client(&name).await {
            Ok(client) => client.filter(|c| c.revoked_at.is_none()),
            Err(error) => return Problem::from(error).respond(Surface::Connector),
        },
    };
    let tenant = request.match_info().get("tenant").unwrap_or("common").to_owned();
    let (issuer, now) = (std::sync::Arc::clone(&api.issuer), api.context.clock.now());
    // Checking a secret is meant to be slow; it must not hold up the other requests of this thread.
    let decided = web::block(move || {
        let secret_hash = client.as_ref().map(|c| (c.name.as_str(), c.secret_hash.as_str()));
        token_endpoint::decide(asked, secret_hash, &issuer, &tenant, version, now)
    })
    .await;
    let Ok(decided) = decided else {
        return HttpResponse::InternalServerError().finish();
    };
    let status = StatusCode::from_u16(decided.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .json(decided.body)
}
