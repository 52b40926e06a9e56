//! What pages load: style sheets, scripts, one icon, compiled in. The digest is in the name, so they may be kept for ever.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use sha2::{Digest as _, Sha256};

use super::answer::harden;
use super::pages::trouble;
use crate::domain::message::Digest;
use crate::http::Api;

/// A file pages load.
pub(super) struct Asset {
    /// Where it is.
    pub path: String,
    media_type: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(name: &str, extension: &str, media_type: &'static str, text: &'static str) -> Self {
        let digest = Digest(Sha256::digest(text.as_bytes()).into()).hex();
        Self {
            path: format!("/console/assets/{name}-{}.{extension}", &digest[..12]),
            media_type,
            text,
        }
    }
}

/// How everything looks.
pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("assets/console.css");
    Asset::new("console", "css", "text/css; charset=utf-8", text)
});
/// What is nicer with a script: copying, and pages that keep up with what happens.
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("assets/console.js");
    Asset::new("console", "js", "text/javascript; charset=utf-8", text)
});
/// What the page of the API adds to that.
pub(super) static API_STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("assets/api.css");
    Asset::new("api", "css", "text/css; charset=utf-8", text)
});
/// Calls tried from the page of the API.
pub(super) static API_SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("assets/api.js");
    Asset::new("api", "js", "text/javascript; charset=utf-8", text)
});
/// The icon of the browser's tab.
pub(super) static ICON: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("assets/icon.svg");
    Asset::new("icon", "svg", "image/svg+xml", text)
});

/// `GET /console/assets/{name}`.
pub(super) async fn send(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let asked = request.path();
    let all = [&STYLE, &SCRIPT, &API_STYLE, &API_SCRIPT, &ICON];
    let Some(asset) = all.into_iter().find(|asset| asset.path == asked) else {
        return trouble::no_such_page(api, request).await;
    };
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((CONTENT_TYPE, asset.media_type))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"));
    harden(answer.body(asset.text))
}
