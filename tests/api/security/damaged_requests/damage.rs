//! Damage to requests, at random: to their paths, queries, headers and bodies.

use reqwest::Request;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::support::chance::Chance;
use crate::support::damage::damaged;

/// Parameters of queries, on one surface or another.
const NAMES: [&str; 50] = [
    "after",
    "limit",
    "state",
    "status",
    "job",
    "key",
    "entity",
    "code",
    "phase",
    "from",
    "to",
    "since",
    "target",
    "range",
    "before",
    "before_entry",
    "actor",
    "action",
    "company",
    "priority",
    "delay_seconds",
    "not_before",
    "expires_at",
    "expires_in_seconds",
    "wait_seconds",
    "external_id",
    "path",
    "method",
    "count",
    "file",
    "jobId",
    "correlation-id",
    "enqueued_from",
    "ended_before",
    "force",
    "comp",
    "blockid",
    "blocklisttype",
    "$filter",
    "$select",
    "$orderby",
    "$top",
    "$skip",
    "$skiptoken",
    "$count",
    "$expand",
    "$format",
    "cross-company",
    "client",
    "tree",
];
const HEADERS: [&str; 22] = [
    "range",
    "x-ms-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "content-digest",
    "content-md5",
    "content-type",
    "content-encoding",
    "idempotency-key",
    "prefer",
    "traceparent",
    "accept",
    "accept-language",
    "last-event-id",
    "x-ms-blob-type",
    "x-ms-version",
    "x-ms-tags",
    "x-ms-dyn-externalidentifier",
    "x-forwarded-for",
    "authorization",
];
/// What stands in them, before it is damaged.
pub const VALUES: [&str; 34] = [
    "",
    "0",
    "1",
    "-1",
    "10",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e308",
    "true",
    "null",
    "bytes=0-1",
    "bytes=1-",
    "bytes=-1",
    "bytes=5-2",
    "bytes=0-18446744073709551615",
    "1.1.1",
    "0.0.0",
    "2026-01-05T08:00:00Z",
    "9999-12-31T23:59:59+14:00",
    "-262143-01-01T00:00:00Z",
    "Customers",
    "CustomerID eq 'AAAAA'",
    "EntityName ne null and not (JobId gt 'a')",
    "EntityName desc,JobId",
    "blocklist",
    "block",
    "QUFBQQ==",
    "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "W/\"0x8D4BCC2E4835CD0\", *",
    "application/json; charset=utf-16",
    "odata.maxpagesize=0",
    "%00%uD800'\"<>\\",
];

fn any_value(chance: &mut Chance) -> Vec<u8> {
    let value = VALUES[chance.below(VALUES.len())].as_bytes();
    match chance.below(3) {
        0 => damaged(value, chance),
        _ => value.to_vec(),
    }
}

/// As a URL can carry it.
fn escaped(bytes: &[u8], kept: &[u8]) -> String {
    let written = bytes.iter().map(|&byte| {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    written.collect::<Vec<_>>().concat()
}

/// Does some damage to a request, which can be sent all the same.
pub fn damage(request: &mut Request, chance: &mut Chance) {
    for _ in 0..=chance.below(2) {
        match chance.below(6) {
            0 => damage_path(request, chance),
            1 | 2 => damage_query(request, chance),
            3 => damage_headers(request, chance),
            _ => damage_body(request, chance),
        }
    }
}

fn damage_path(request: &mut Request, chance: &mut Chance) {
    let path = request.url().path().to_owned();
    let path = if chance.one_in(2) {
        // One part of it is something else.
        let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        let at = chance.below(parts.len());
        parts[at] = escaped(&any_value(chance), b"-_.~$'(),%");
        parts.join("/")
    } else {
        escaped(&damaged(path.as_bytes(), chance), b"/-_.~$'(),%{}")
    };
    let path = format!("/{}", path.trim_start_matches('/'));
    request.url_mut().set_path(&path);
}

fn damage_query(request: &mut Request, chance: &mut Chance) {
    let query = request.url().query().unwrap_or_default().to_owned();
    let query = if chance.one_in(3) && !query.is_empty() {
        escaped(&damaged(query.as_bytes(), chance), b"&=-_.~$'(),%+")
    } else {
        let name = NAMES[chance.below(NAMES.len())];
        // Nobody waits for minutes here.
        let value = match name {
            "wait_seconds" => b"0".to_vec(),
            _ => any_value(chance),
        };
        let more = format!("{name}={}", escaped(&value, b"-_.~$'(),%+"));
        [query, more].join("&")
    };
    request.url_mut().set_query(Some(&query));
}

fn damage_headers(request: &mut Request, chance: &mut Chance) {
    let name = HeaderName::from_static(HEADERS[chance.below(HEADERS.len())]);
    let value = match request.headers().get(&name) {
        Some(value) if chance.one_in(2) => damaged(value.as_bytes(), chance),
        _ => any_value(chance),
    };
    // Others no client could send.
    if let Ok(value) = HeaderValue::from_bytes(&value) {
        request.headers_mut().insert(name, value);
    }
}

fn damage_body(request: &mut Request, chance: &mut Chance) {
    let body = request
        .body()
        .and_then(|body| body.as_bytes())
        .unwrap_or(b"{}")
        .to_vec();
    let is_form = request
        .headers()
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().ends_with(b"-urlencoded"));
    let body = match serde_json::from_slice::<Value>(&body) {
        _ if is_form && !chance.one_in(3) => damaged_form(&body, chance),
        Ok(mut value) if !chance.one_in(3) => {
            misfit(&mut value, chance);
            value.to_string().into_bytes()
        }
        _ => damaged(&body, chance),
    };
    *request.body_mut() = Some(body.into());
}

/// A field more, or one with another value; the token of the session stays.
fn damaged_form(body: &[u8], chance: &mut Chance) -> Vec<u8> {
    let text = String::from_utf8_lossy(body).into_owned();
    let mut fields: Vec<String> = text.split('&').map(str::to_owned).collect();
    let at = chance.below(fields.len() + 1);
    let name = match fields.get(at).and_then(|field| field.split_once('=')) {
        Some((name, _)) => name.to_owned(),
        None => NAMES[chance.below(NAMES.len())].to_owned(),
    };
    let field = format!("{name}={}", escaped(&any_value(chance), b"-_.~%+"));
    match fields.get_mut(at) {
        Some(known) if name != "form_token" => *known = field,
        _ => fields.push(field),
    }
    fields.join("&").into_bytes()
}

/// Somewhere in it stands something of another kind.
fn misfit(value: &mut Value, chance: &mut Chance) {
    match value {
        Value::Object(members) if !members.is_empty() && !chance.one_in(8) => {
            let at = chance.below(members.len());
            let (_, member) = members.iter_mut().nth(at).expect("one of them");
            misfit(member, chance);
        }
        Value::Array(items) if !items.is_empty() && !chance.one_in(8) => {
            let at = chance.below(items.len());
            misfit(&mut items[at], chance);
        }
        other => {
            let text = String::from_utf8_lossy(&any_value(chance)).into_owned();
            *other = match chance.below(9) {
                0 => Value::Null,
                1 => json!(i64::MIN),
                2 => json!(u64::MAX),
                3 => json!(-0.5),
                4 => json!({ "a": [] }),
                5 => json!(vec![other.clone(); 3]),
                6 => json!("x".repeat(70_000)),
                _ => json!(text),
            };
        }
    }
}
