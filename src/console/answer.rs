//! How pages are sent: what browsers are told to refuse, where they go after a form.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, LOCATION};
use maud::Markup;

use super::bidi;

/// Nothing is loaded from elsewhere, no script or style stands in a page, nobody frames one.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Adds what every answer of the console carries.
pub(super) fn harden(mut answer: HttpResponse) -> HttpResponse {
    let headers = answer.headers_mut();
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-frame-options", "DENY"),
        // Not `no-referrer`: a form would then not say where it comes from.
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    answer
}

/// A page.
pub(super) fn page(status: StatusCode, markup: Markup) -> HttpResponse {
    harden(
        HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .body(bidi::shown(markup.into_string())),
    )
}

/// On to another page; going back or reloading then sends no form twice.
pub(super) fn see_other(path: &str) -> HttpResponse {
    harden(HttpResponse::SeeOther().insert_header((LOCATION, path)).finish())
}
