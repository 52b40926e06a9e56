//! Cookies: few, plain, for the console's pages only.

use actix_web::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse};

use super::session::PATH;
use crate::http::Api;
use crate::http::auth::scheme;

/// The value of a cookie the browser sent.
pub(super) fn sent<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    let headers = request.headers().get_all(COOKIE);
    let pairs = headers
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(sent, _)| *sent == name)
        .map(|(_, value)| value)
}

/// Gives the browser a cookie for so many seconds; none takes it away. No script reads it, no other site's request carries it.
pub(super) fn give(api: &Api, request: &HttpRequest, answer: &mut HttpResponse, cookie: (&str, &str), seconds: u32) {
    let (name, value) = cookie;
    let secure = if scheme(api, request) == "https" {
        "; Secure"
    } else {
        ""
    };
    let text = format!("{name}={value}; Path={PATH}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    match HeaderValue::from_str(&text) {
        Ok(text) => answer.headers_mut().append(SET_COOKIE, text),
        Err(error) => tracing::error!(cookie = name, %error, "a cookie cannot be written"),
    }
}
