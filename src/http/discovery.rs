//! What MSAL and other clients read before they ask for a token (AUTH-6): where the endpoints are, and the keys.
//!
//! All addresses begin as the client's request did, port included.

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::auth::base_url;
use super::problem::{Problem, Surface};
use super::{Api, at};
use crate::auth::token_endpoint::Version;
use crate::auth::tokens::TokenIssuer;

/// Every route of these.
pub(super) fn routes(service: &mut ServiceConfig) {
    service
        .service(at(
            "/{tenant}/.well-known/openid-configuration",
            web::get().to(version_1),
        ))
        .service(at(
            "/{tenant}/v2.0/.well-known/openid-configuration",
            web::get().to(version_2),
        ))
        .service(at("/{tenant}/discovery/keys", web::get().to(keys)))
        .service(at("/{tenant}/discovery/v2.0/keys", web::get().to(keys)))
        .service(at("/common/discovery/instance", web::get().to(instance)))
        .service(at("/common/userrealm/{user}", web::get().to(user_realm)))
        .service(at("/{tenant}/oauth2/authorize", web::get().to(authorize)))
        .service(at("/{tenant}/oauth2/v2.0/authorize", web::get().to(authorize)));
}

/// `GET /{tenant}/.well-known/openid-configuration`
pub async fn version_1(api: web::Data<Api>, request: HttpRequest, tenant: web::Path<String>) -> HttpResponse {
    configuration(&api, &request, &tenant, Version::V1)
}

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`
pub async fn version_2(api: web::Data<Api>, request: HttpRequest, tenant: web::Path<String>) -> HttpResponse {
    configuration(&api, &request, &tenant, Version::V2)
}

fn configuration(api: &Api, request: &HttpRequest, tenant: &str, version: Version) -> HttpResponse {
    let base = base_url(api, request);
    let (oauth2, keys) = match version {
        Version::V1 => ("oauth2", "discovery/keys"),
        Version::V2 => ("oauth2/v2.0", "discovery/v2.0/keys"),
    };
    HttpResponse::Ok().json(json!({
        "issuer": TokenIssuer::issuer(&base, version),
        "authorization_endpoint": format!("{base}/{tenant}/{oauth2}/authorize"),
        "token_endpoint": format!("{base}/{tenant}/{oauth2}/token"),
        "jwks_uri": format!("{base}/{tenant}/{keys}"),
        "grant_types_supported": ["client_credentials", "password"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "response_types_supported": ["token"],
        "response_modes_supported": ["form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "scopes_supported": [format!("{base}/.default")],
        "claims_supported": ["iss", "aud", "tid", "appid", "azp", "oid", "sub", "iat", "nbf", "exp", "ver"],
    }))
}

/// `GET /{tenant}/discovery/keys` and `/{tenant}/discovery/v2.0/keys`
pub async fn keys(api: web::Data<Api>) -> HttpResponse {
    HttpResponse::Ok().json(api.signers().issuer.key_set())
}

/// `GET /common/discovery/instance`: MSAL asks whether it may trust the authority.
pub async fn instance(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let base = base_url(&api, &request);
    let host = base.split_once("://").map_or("", |(_, host)| host);
    HttpResponse::Ok().json(json!({
        "tenant_discovery_endpoint": format!("{base}/common/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": [{ "preferred_network": host, "preferred_cache": host, "aliases": [host] }],
    }))
}

/// `GET /common/userrealm/{user}`: ADAL and MSAL ask how a user signs in before they send a password (AUTH-4).
pub async fn user_realm(user: web::Path<String>) -> HttpResponse {
    let domain = user.rsplit_once('@').map_or("", |(_, domain)| domain);
    HttpResponse::Ok().json(json!({
        "ver": "1.0",
        "account_type": "Managed",
        "domain_name": domain,
        "cloud_instance_name": "tranship",
        "cloud_audience_urn": "urn:federation:tranship",
    }))
}

/// `GET /{tenant}/oauth2/authorize` and its second version: nobody signs in by hand.
pub async fn authorize() -> HttpResponse {
    let detail = "there are no interactive sign-ins here: ask the token endpoint, by client_credentials or password";
    Problem::bad("interactive_sign_in", detail).respond(Surface::Connector)
}
