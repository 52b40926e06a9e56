//! The OpenAPI 3.1 document of the native API, at `/api/v1/openapi.json`.
//!
//! It is written by hand, in OpenAPI's own words: one JSON file for each group of operations, with their schemas, so that it reads
//! as the document it becomes. [`base.json`](base.json) has what all share. Two things are filled in here, because they would be said
//! a hundred times over: the answers with a problem, from the codes an operation lists under `x-problems`, and those that any
//! operation with a token may give. `problems.json` has every code with its status and meaning.
//!
//! The tests beside this file compare the document with the route table, and its problem codes with `docs/api.md`;
//! `docs/openapi.json` is a copy of it. `tests/api` holds every answer that its tests get against the schemas.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use serde::Deserialize;
use serde_json::{Map, Value, json};

const BASE: &str = include_str!("base.json");
const PROBLEMS: &str = include_str!("problems.json");
/// A file for each group of operations.
const GROUPS: [&str; 7] = [
    include_str!("messages.json"),
    include_str!("leases.json"),
    include_str!("jobs.json"),
    include_str!("deliveries.json"),
    include_str!("operators.json"),
    include_str!("service.json"),
    include_str!("sandbox.json"),
];

/// What any operation that needs a token may answer.
const ALWAYS: [&str; 5] = ["unauthorized", "forbidden", "rate_limited", "unavailable", "internal"];
/// Where an operation lists its problem codes; not part of the document.
const CODES: &str = "x-problems";

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    paths: Map<String, Value>,
    schemas: Map<String, Value>,
}

/// A problem code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    status: u16,
    meaning: String,
}

/// The document.
///
/// # Panics
/// When one of the files compiled in is not what it has to be; the tests would say so first.
#[must_use]
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(assemble);
    &DOCUMENT
}

/// The document as it is sent.
#[must_use]
pub fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));
    &TEXT
}

/// `GET /api/v1/openapi.json`: for anybody; it says nothing of what is kept here.
pub async fn show() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(text())
}

/// The methods that a path has, as `Allow` lists them; `None` for one that is not described.
#[must_use]
pub fn methods(path: &str) -> Option<String> {
    let item = document()["paths"].get(path)?.as_object()?;
    let methods = item.keys().filter(|member| *member != "parameters");
    Some(
        methods
            .map(|method| method.to_uppercase())
            .collect::<Vec<_>>()
            .join(", "),
    )
}

fn assemble() -> Value {
    let mut document: Value = serde_json::from_str(BASE).expect("base.json is JSON");
    let codes: BTreeMap<String, Code> = serde_json::from_str(PROBLEMS).expect("problems.json has codes");
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document["components"]["schemas"]["Problem"]["properties"]["code"] = any_code(&codes);
    let mut paths = Map::new();
    for text in GROUPS {
        let group: Group = serde_json::from_str(text).expect("a group has paths and schemas");
        let schemas = document["components"]["schemas"].as_object_mut();
        schemas.expect("base.json has schemas").extend(group.schemas);
        for (path, mut item) in group.paths {
            for (member, operation) in item.as_object_mut().expect("a path has operations") {
                if member != "parameters" {
                    add_problems(operation, &codes);
                }
            }
            let before = paths.insert(path, item);
            assert!(before.is_none(), "a path stands in one file, once");
        }
    }
    document["paths"] = paths.into();
    document
}

/// Every code there is, for the schema of a problem.
fn any_code(codes: &BTreeMap<String, Code>) -> Value {
    let each = codes.iter().map(|(code, Code { status, meaning })| {
        json!({ "const": code, "description": format!("{status}: {meaning}"), "x-status": status })
    });
    json!({ "description": "Stable, for programs", "oneOf": each.collect::<Vec<_>>() })
}

/// Adds an answer for each status that the operation's problem codes go with.
fn add_problems(operation: &mut Value, codes: &BTreeMap<String, Code>) {
    let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
    let listed = operation.as_object_mut().and_then(|members| members.remove(CODES));
    let listed: Vec<String> = listed.map_or_else(Vec::new, |list| serde_json::from_value(list).expect("codes"));
    let always = ALWAYS.into_iter().filter(|_| !is_open).map(str::to_owned);
    let mut by_status: BTreeMap<u16, BTreeMap<&str, &str>> = BTreeMap::new();
    for code in always.chain(listed) {
        let (code, known) = codes.get_key_value(&code).expect("problems.json has every code");
        by_status
            .entry(known.status)
            .or_default()
            .insert(code.as_str(), known.meaning.as_str());
    }
    for (status, codes) in by_status {
        operation["responses"][status.to_string()] = answer(status, &codes);
    }
}

fn answer(status: u16, codes: &BTreeMap<&str, &str>) -> Value {
    let said: Vec<String> = codes
        .iter()
        .map(|(code, meaning)| format!("`{code}`: {meaning}"))
        .collect();
    let names: Vec<&str> = codes.keys().copied().collect();
    let mut answer = json!({
        "description": said.join("\n\n"),
        "content": { "application/problem+json": { "schema": { "allOf": [
            { "$ref": "#/components/schemas/Problem" },
            { "properties": { "status": { "const": status }, "code": { "enum": names } } },
        ]}}},
    });
    let header = match status {
        401 => Some(("WWW-Authenticate", "`Bearer`, and what is wrong with the token")),
        429 | 503 => Some(("Retry-After", "Seconds after which to come back")),
        _ => None,
    };
    if let Some((name, description)) = header {
        answer["headers"] = json!({ name: { "description": description, "schema": { "type": "string" } } });
    }
    answer
}
