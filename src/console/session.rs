//! Sessions of browsers: the cookie, who it stands for, and whether a request that changes something comes from a page of ours.

use actix_web::HttpRequest;
use actix_web::http::header;

use super::cookie;
use crate::auth::sessions::digest;
use crate::domain::audit::Surface;
use crate::domain::time::Timestamp;
use crate::http::Api;
use crate::http::auth::{Caller, base_url};
use crate::http::problem::{Kind, Problem};
use crate::storage::StoreError;

/// The cookie of a session.
pub(super) const COOKIE: &str = "tranship_console";
/// The only pages it is sent to.
pub(super) const PATH: &str = "/console";

/// A session and its secret.
pub(super) struct Session {
    pub caller: Caller,
    pub secret: String,
    pub expires_at: Timestamp,
}

/// The session of the request's cookie; `None` without one that is good. Asked of the store every time, so that signing out and
/// revoking work at once.
pub(super) async fn session(api: &Api, request: &HttpRequest) -> Result<Option<Session>, StoreError> {
    let Some(secret) = cookie::sent(request, COOKIE) else {
        return Ok(None);
    };
    let secret = secret.to_owned();
    let now = api.context.clock.now();
    let found = api.context.store.session(digest(&secret), now).await?;
    if let Some(client) = found.as_ref().and_then(|found| found.client.as_ref()) {
        api.last_uses.note(&client.name, now);
    }
    Ok(found.map(|found| Session {
        caller: match &found.client {
            None => Caller::local_operator(),
            Some(client) => Caller::of(client, Surface::Console),
        },
        secret,
        expires_at: found.expires_at,
    }))
}

/// Refuses a form that another site's page sent. A browser says where it comes from: in `Sec-Fetch-Site`, where it trusts the
/// connection, else in `Origin`; what says neither is no browser.
///
/// # Errors
/// 403 saying what differs.
pub(super) fn refuse_other_sites(api: &Api, request: &HttpRequest) -> Result<(), Problem> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let refused = |detail: String| Err(Problem::new(Kind::Forbidden, detail));
    if let Some(site) = header("sec-fetch-site") {
        return match site {
            "same-origin" | "none" => Ok(()),
            site => refused(format!("the form comes from a page elsewhere (Sec-Fetch-Site: {site})")),
        };
    }
    let Some(origin) = header(header::ORIGIN.as_str()) else {
        return Ok(());
    };
    let public = api
        .server
        .public_url
        .as_ref()
        .map(|url| url.origin().ascii_serialization());
    let own = base_url(api, request);
    if origin.eq_ignore_ascii_case(&own) || public.is_some_and(|public| public.eq_ignore_ascii_case(origin)) {
        return Ok(());
    }
    refused(format!(
        "the form comes from {origin}, and this is {own}. Behind a proxy, say in `server.public_url` what browsers use, or trust \
         the proxy (`server.trusted_proxies`)"
    ))
}

/// Whether a link on another site's page led here. Its request carries no cookie of ours, although there may be one.
pub(super) fn comes_from_elsewhere(request: &HttpRequest) -> bool {
    let site = request.headers().get("sec-fetch-site");
    site.is_some_and(|site| site == "cross-site" || site == "same-site")
}
