//! The token endpoints (contract 2.1): look the client up, let [`crate::auth`] decide, answer as MSAL and ADAL expect.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};

use super::Api;
use super::auth::base_url;
use super::problem::{Problem, Surface};
use super::sandbox::note_client;
use crate::auth::token_endpoint::{self, KnownClient, TokenRefusal, TokenRequest, Version};
use crate::domain::ids::CorrelationId;
use crate::storage::StoreError;
use crate::storage::clients::Client;

/// `POST /{tenant}/oauth2/token`.
pub async fn version_1(api: web::Data<Api>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    answer(&api, &request, &body, Version::V1).await
}

/// `POST /{tenant}/oauth2/v2.0/token`.
pub async fn version_2(api: web::Data<Api>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    answer(&api, &request, &body, Version::V2).await
}

async fn answer(api: &Api, request: &HttpRequest, form: &[u8], version: Version) -> HttpResponse {
    let authorization = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok());
    let asked = match TokenRequest::parse(version, form, authorization) {
        Ok(asked) => asked,
        Err(refusal) => return refuse(api, &refusal),
    };
    if let (Some(_), Some(name)) = (&api.context.sandbox, asked.names().into_iter().next()) {
        note_client(request, name);
    }
    let client = match known(api, &asked).await {
        Ok(client) => client,
        Err(error) => return Problem::from(error).respond(Surface::Connector),
    };
    let (signers, base, now) = (api.signers(), base_url(api, request), api.context.clock.now());
    // Checking a secret is meant to be slow; it must not hold up the other requests of this thread.
    let turn = match api.secret_checks.turn().await {
        Ok(turn) => turn,
        Err(busy) => return busy.respond(Surface::Connector),
    };
    let decided = web::block(move || {
        let _turn = turn;
        let known = client.as_ref().map(|client| KnownClient {
            name: &client.name,
            secret_hash: &client.secret_hash,
            revoked: client.revoked_at.is_some(),
        });
        token_endpoint::answer(&asked, known, &signers.issuer, &base, now)
    })
    .await;
    match decided {
        Ok(Ok(token)) => uncached(&mut HttpResponse::Ok()).json(token),
        Ok(Err(refusal)) => refuse(api, &refusal),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

async fn known(api: &Api, asked: &TokenRequest) -> Result<Option<Client>, StoreError> {
    for name in asked.names() {
        if let Some(client) = api.context.store.client(name).await? {
            return Ok(Some(client));
        }
    }
    Ok(None)
}

fn refuse(api: &Api, refusal: &TokenRefusal) -> HttpResponse {
    let (trace, correlation) = (
        CorrelationId::generate().to_string(),
        CorrelationId::generate().to_string(),
    );
    tracing::info!(error = refusal.error, trace_id = %trace, "no token issued");
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    uncached(&mut HttpResponse::build(status)).json(refusal.body(api.context.clock.now(), &trace, &correlation))
}

fn uncached(answer: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    answer
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
}
