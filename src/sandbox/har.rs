//! The journal as JSON: as people read it, and as an HTTP archive (HAR 1.2) for tools that read those.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::journal::{Body, Entry, Rest};
use super::secrets::{cut_body, cut_header, cut_pairs};

/// An entry as one row of a list.
#[must_use]
pub fn row(entry: &Entry) -> Value {
    row_of(entry, &entry.rest())
}

fn row_of(entry: &Entry, rest: &Rest) -> Value {
    json!({
        "number": entry.number,
        "at": entry.sent.at,
        "method": entry.sent.method,
        "path": entry.sent.path,
        "query": cut_pairs(&entry.sent.query),
        "client": rest.client,
        "status": rest.status,
        "milliseconds": rest.waited.map(milliseconds),
        "bytes_received": rest.body.total,
        "bytes_sent": rest.answer.total,
        "request_id": rest.request_id,
        "faults": rest.faults,
    })
}

/// Everything about an entry.
#[must_use]
pub fn whole(entry: &Entry) -> Value {
    let rest = entry.rest();
    let mut whole = row_of(entry, &rest);
    whole["peer"] = json!(entry.sent.peer);
    whole["request"] = json!({
        "headers": pairs(&entry.sent.headers),
        "body": body(&rest.body, is_form(entry)),
    });
    whole["answer"] = json!({
        "headers": pairs(&rest.headers),
        "body": body(&rest.answer, false),
        "milliseconds": rest.took.map(milliseconds),
    });
    whole
}

/// Entries as an HTTP archive, in the order they are given.
pub fn archive<'a>(entries: impl Iterator<Item = &'a Entry>) -> Value {
    json!({ "log": {
        "version": "1.2",
        "creator": { "name": "tranship", "version": env!("CARGO_PKG_VERSION") },
        "entries": entries.map(archived).collect::<Vec<_>>(),
    }})
}

fn archived(entry: &Entry) -> Value {
    let rest = entry.rest();
    let (waited, took) = (
        rest.waited.unwrap_or_default(),
        rest.took.or(rest.waited).unwrap_or_default(),
    );
    json!({
        "startedDateTime": entry.sent.at,
        "time": milliseconds(took),
        "request": archived_request(entry, &rest),
        "response": archived_answer(entry, &rest),
        "cache": {},
        // How long sending took the receiver cannot tell from waiting.
        "timings": { "send": 0, "wait": milliseconds(waited), "receive": milliseconds(took.saturating_sub(waited)) },
        "_number": entry.number,
        "_client": rest.client,
        "_requestId": rest.request_id,
        "_faults": rest.faults,
    })
}

fn archived_request(entry: &Entry, rest: &Rest) -> Value {
    let sent = &entry.sent;
    let query = cut_pairs(&sent.query);
    let separator = if query.is_empty() { "" } else { "?" };
    let mut request = json!({
        "method": sent.method,
        "url": format!("{}{}{separator}{query}", sent.base, sent.path),
        "httpVersion": sent.version,
        // Secrets, like the header they come in.
        "cookies": [],
        "headers": pairs(&sent.headers),
        "queryString": named_pairs(&query),
        "headersSize": -1,
        "bodySize": rest.body.total,
    });
    if rest.body.total > 0 {
        let shown = cut_body(&rest.body.bytes, is_form(entry));
        let mut data = Map::new();
        data.insert("mimeType".to_owned(), header(&sent.headers, "content-type").into());
        match text(shown) {
            Ok(text) => {
                if is_form(entry) {
                    data.insert("params".to_owned(), named_pairs(&text));
                }
                data.insert("text".to_owned(), text.into());
            }
            Err(bytes) => {
                // The format has no word for this here, as it has for answers.
                data.insert("text".to_owned(), STANDARD.encode(bytes).into());
                data.insert("_encoding".to_owned(), "base64".into());
            }
        }
        comment_cut(&mut data, &rest.body);
        request["postData"] = data.into();
    }
    request
}

fn archived_answer(entry: &Entry, rest: &Rest) -> Value {
    let mut content = Map::new();
    content.insert("size".to_owned(), rest.answer.total.into());
    content.insert("mimeType".to_owned(), header(&rest.headers, "content-type").into());
    match text(cut_body(&rest.answer.bytes, false)) {
        Ok(text) => {
            content.insert("text".to_owned(), text.into());
        }
        Err(bytes) => {
            content.insert("text".to_owned(), STANDARD.encode(bytes).into());
            content.insert("encoding".to_owned(), "base64".into());
        }
    }
    comment_cut(&mut content, &rest.answer);
    json!({
        // What browsers write where no answer came.
        "status": rest.status.unwrap_or(0),
        "statusText": "",
        "httpVersion": entry.sent.version,
        "cookies": [],
        "headers": pairs(&rest.headers),
        "content": content,
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": rest.answer.total,
    })
}

fn comment_cut(data: &mut Map<String, Value>, body: &Body) {
    if body.is_cut() {
        let comment = format!("the first {} of {} bytes", body.bytes.len(), body.total);
        data.insert("comment".to_owned(), comment.into());
    }
}

/// A body: as text where it is, else in base64.
fn body(body: &Body, is_form: bool) -> Value {
    let shown = cut_body(&body.bytes, is_form);
    let (name, text) = match text(shown) {
        Ok(text) => ("text", text),
        Err(bytes) => ("base64", STANDARD.encode(bytes)),
    };
    json!({ "bytes": body.total, "truncated": body.is_cut(), name: text })
}

/// The text these bytes are, or the bytes. A character that was cut in the middle is left out.
fn text(bytes: Vec<u8>) -> Result<String, Vec<u8>> {
    String::from_utf8(bytes).or_else(|error| {
        let (whole, is_broken_off) = (
            error.utf8_error().valid_up_to(),
            error.utf8_error().error_len().is_none(),
        );
        let mut bytes = error.into_bytes();
        if is_broken_off {
            bytes.truncate(whole);
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
        Err(bytes)
    })
}

fn pairs(headers: &[(String, String)]) -> Value {
    let pair = |(name, value): &(String, String)| json!({ "name": name, "value": cut_header(name, value) });
    headers.iter().map(pair).collect()
}

fn named_pairs(pairs: &str) -> Value {
    let parsed = url::form_urlencoded::parse(pairs.as_bytes());
    parsed
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value)
}

/// Whether a request's body is a form: token requests are, whatever they say.
fn is_form(entry: &Entry) -> bool {
    header(&entry.sent.headers, "content-type").starts_with("application/x-www-form-urlencoded")
        || entry.sent.path.to_lowercase().contains("/oauth2/")
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
