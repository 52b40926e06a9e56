//! Every answer of the native API that a test reads is held against the OpenAPI document: its status must be described, its JSON must
//! fit the schema, and have no member the schema does not name.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};
use tranship::http::openapi::document;

/// The document, with every object closed to members it does not name. That is for tests only: clients must expect new members.
static CLOSED: LazyLock<Value> = LazyLock::new(|| {
    let mut document = document().clone();
    close(&mut document);
    document
});

fn close(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                // Its parts describe one object together.
                if name != "allOf" {
                    close(member);
                }
            }
            if members.get("properties").is_some_and(Value::is_object) && !members.contains_key("additionalProperties")
            {
                members.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Fails where an answer is not one the document describes for its path. Paths of other surfaces are left alone.
pub fn check(path: &str, status: StatusCode, headers: &HeaderMap, body: &Value) {
    let is_described = path.starts_with("/api/v1/") || path.starts_with("/health/");
    // Known paths with another method, and what the sandbox was told to answer.
    if !is_described || status == StatusCode::METHOD_NOT_ALLOWED || body["code"] == "sandbox_fault" {
        return;
    }
    let Some(template) = template(path) else {
        assert_eq!(status, StatusCode::NOT_FOUND, "{path} is not described");
        return;
    };
    let operations = CLOSED["paths"][template].as_object().expect("operations");
    let responses: Vec<(&String, &Value)> = operations
        .iter()
        .filter(|(member, _)| *member != "parameters")
        .filter_map(|(method, operation)| Some((method, operation["responses"].get(status.as_str())?)))
        .collect();
    assert!(
        !responses.is_empty(),
        "no operation of {template} describes a {status}: {body}"
    );
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    let contents: Vec<(&String, Option<&Value>)> = responses
        .iter()
        .map(|(method, response)| (*method, response.get("content").and_then(|content| content.get(kind))))
        .filter(|(_, content)| content.is_some() || kind.is_empty())
        .collect();
    assert!(
        !contents.is_empty(),
        "{template} answers {status} with `{kind}`, which is not described"
    );
    if !kind.ends_with("json") {
        return;
    }
    let mut mistakes = Vec::new();
    for (method, content) in contents {
        let Some(schema) = content.map(|content| &content["schema"]) else {
            return;
        };
        let validator = validator(&format!("{method} {template} {status} {kind}"), schema);
        let errors: Vec<String> = validator
            .iter_errors(body)
            .map(|error| format!("{method} at {}: {error}", error.instance_path()))
            .collect();
        if errors.is_empty() {
            return;
        }
        mistakes.extend(errors);
    }
    panic!("{template} answered {status} with what is not described: {mistakes:#?}\n{body:#}");
}

/// The path as the document writes it; a word goes before a name.
fn template(path: &str) -> Option<&'static str> {
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |template: &&String| {
        let parts: Vec<&str> = template.split('/').collect();
        let is_like = |(part, segment): (&&str, &&str)| part.starts_with('{') || part.eq_ignore_ascii_case(segment);
        parts.len() == segments.len() && parts.iter().zip(&segments).all(is_like)
    };
    let paths = CLOSED["paths"].as_object().expect("paths").keys();
    paths
        .filter(fits)
        .min_by_key(|template| template.matches('{').count())
        .map(String::as_str)
}

fn validator(key: &str, schema: &Value) -> Arc<Validator> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap();
    let validator = known.entry(key.to_owned()).or_insert_with(|| {
        let whole = json!({ "allOf": [schema], "components": CLOSED["components"] });
        let built = jsonschema::options().should_validate_formats(true).build(&whole);
        Arc::new(built.unwrap_or_else(|error| panic!("{key} has no schema: {error}")))
    });
    Arc::clone(validator)
}

/// The check itself finds what is wrong.
#[test]
fn what_is_not_described_is_found() {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
    let caught = |path: &'static str, status, body: Value| {
        let headers = headers.clone();
        std::panic::catch_unwind(move || check(path, status, &headers, &body)).is_err()
    };
    assert!(!caught("/health/live", StatusCode::OK, json!({ "status": "live" })));
    assert!(caught("/health/live", StatusCode::OK, json!({ "status": "dead" })));
    assert!(caught(
        "/health/live",
        StatusCode::OK,
        json!({ "status": "live", "more": 1 })
    ));
    assert!(caught("/health/live", StatusCode::OK, json!({})));
    assert!(caught("/health/live", StatusCode::CREATED, json!({ "status": "live" })));
    assert!(caught("/api/v1/unheard-of", StatusCode::OK, json!({})));
    let events = json!({ "events": [{ "at": "yesterday", "status": "Enqueued", "epoch": 0, "note": null }] });
    assert!(caught("/api/v1/messages/1/history", StatusCode::OK, events));
}

/// What the document shows as an example fits the schema it stands beside.
#[test]
fn examples_fit_their_schemas() {
    fn collect<'a>(value: &'a Value, path: &str, found: &mut Vec<(String, &'a Value, &'a Value)>) {
        match value {
            Value::Object(members) => {
                if let (Some(schema), Some(example)) = (members.get("schema"), members.get("example")) {
                    found.push((path.to_owned(), schema, example));
                }
                for (name, member) in members {
                    collect(member, &format!("{path}/{name}"), found);
                }
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .for_each(|(at, item)| collect(item, &format!("{path}/{at}"), found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&CLOSED["paths"], "", &mut found);
    collect(&CLOSED["components"]["parameters"], "parameters", &mut found);
    assert!(found.len() > 40, "{}", found.len());
    for (path, schema, example) in found {
        let errors: Vec<String> = validator(&path, schema)
            .iter_errors(example)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{path}: {errors:?}");
    }
}
