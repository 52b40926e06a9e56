//! `GET /api/v1/docs`: the OpenAPI document as a page. It reads without scripts; with them every call can be tried.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use maud::{Markup, PreEscaped, html};
use serde_json::Value;

use super::answer::page;
use super::assets::{API_SCRIPT, API_STYLE};
use super::frame::bare;
use crate::http::openapi::document;

const PATH: &str = "/api/v1/docs";
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Sends the page; for anybody, like the document.
pub(super) async fn show() -> HttpResponse {
    static PAGE: LazyLock<String> = LazyLock::new(|| whole().into_string());
    page(StatusCode::OK, PreEscaped(PAGE.clone()))
}

fn whole() -> Markup {
    let tags: Vec<&Value> = items(&document()["tags"]).collect();
    let header = html! {
        nav aria-label="Groups" {
            ul { @for tag in &tags { li { a href={ (PATH) "#" (text(&tag["name"])) } { (text(&tag["name"])) } } } }
        }
    };
    let body = html! {
        link rel="stylesheet" href=(API_STYLE.path);
        main #main tabindex="-1" {
            h1 { "The API of Tranship " (text(&document()["info"]["version"])) }
            @for paragraph in text(&document()["info"]["description"]).split("\n\n") { p { (prose(paragraph)) } }
            p { "The same for programs: " a href="/api/v1/openapi.json" { "openapi.json" } " (OpenAPI 3.1)." }
            (sign_in())
            @for tag in &tags { (group(tag)) }
            section #schemas {
                h2 { "Schemas" }
                @for (name, schema) in members(&document()["components"]["schemas"]) {
                    details.schema id={ "schema-" (name) } { summary { code { (name) } } (schema_body(schema)) }
                }
            }
        }
        script src=(API_SCRIPT.path) defer {}
    };
    bare(None, "API", &header, &body)
}

/// For whoever tries calls; the script shows it.
fn sign_in() -> Markup {
    html! {
        section.try hidden #sign-in {
            h2 { "Try calls" }
            p.faint { "Ask for a token with a client's name and secret. Token and secret stay in this page and are gone when it is." }
            form.filter {
                div { label for="client" { "Client" } input #client name="client" autocomplete="username" required; }
                div { label for="secret" { "Secret" } input #secret name="secret" type="password" autocomplete="current-password" required; }
                div.submit { button.main { "Get a token" } }
                output aria-live="polite" {}
            }
        }
    }
}

fn group(tag: &Value) -> Markup {
    let name = text(&tag["name"]);
    let of_tag = members(&document()["paths"]).flat_map(|(path, item)| {
        let methods = METHODS
            .into_iter()
            .filter_map(move |method| Some((method, item.get(method)?)));
        let methods = methods.filter(|(_, operation)| operation["tags"][0] == tag["name"]);
        methods.map(move |(method, operation)| (path, method, item, operation))
    });
    html! {
        section id=(name) {
            h2 { (name) }
            p.faint { (prose(text(&tag["description"]))) }
            @for (path, method, item, told) in of_tag { (operation(path, method, item, told)) }
        }
    }
}

fn operation(path: &str, method: &str, item: &'static Value, operation: &'static Value) -> Markup {
    let id = text(&operation["operationId"]);
    let parameters: Vec<&Value> = items(&item["parameters"])
        .chain(items(&operation["parameters"]))
        .map(resolved)
        .collect();
    let body = operation["requestBody"]["content"]
        .as_object()
        .and_then(|content| content.iter().next());
    html! {
        details.operation id=(id) data-method=(method.to_uppercase()) data-path=(path) {
            summary {
                span class={ "method " (method) } { (method.to_uppercase()) } " " code { (path) } " "
                span.faint { (prose(text(&operation["summary"]))) }
            }
            @if let Some(description) = operation["description"].as_str() { p { (prose(description)) } }
            @if operation["security"].as_array().is_some_and(Vec::is_empty) { p.faint { "Needs no token." } }
            @if !parameters.is_empty() { (parameter_table(id, &parameters)) }
            @if let Some((media_type, content)) = body { (request_body(id, media_type, content)) }
            h3 { "Answers" }
            dl.answers { @for (status, answer) in members(&operation["responses"]) { (response(status, answer)) } }
            form.try hidden { button.main { "Send" } output aria-live="polite" {} }
        }
    }
}

fn parameter_table(id: &str, parameters: &[&Value]) -> Markup {
    html! {
        h3 { "Parameters" }
        div.scroll { table {
            thead { tr { th { "Name" } th { "In" } th { "Type" } th { "Meaning" } th.try hidden { "Value" } } }
            tbody { @for told in parameters {
                @let (name, place) = (text(&told["name"]), text(&told["in"]));
                @let field = format!("{id}-{place}-{name}");
                tr {
                    td { code { (name) } @if told["required"] == true { " (needed)" } }
                    td { (place) }
                    td.text { (kind(&told["schema"])) }
                    td.text { (prose(text(&told["description"]))) }
                    td.try hidden {
                        label.away for=(field) { (name) }
                        input id=(field) data-in=(place) data-name=(name) placeholder=[told["example"].as_str()];
                    }
                }
            }}
        }}
    }
}

fn request_body(id: &str, media_type: &str, content: &Value) -> Markup {
    let example = match &content["example"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => format!("{other:#}"),
    };
    html! {
        h3 { "Body " code { (media_type) } }
        (schema_body(&content["schema"]))
        @if !example.is_empty() { pre.example { code { (example) } } }
        p.try hidden {
            label for={ (id) "-body" } { "Body to send" }
            textarea id={ (id) "-body" } data-type=(media_type) rows="6" spellcheck="false" { (example) }
        }
    }
}

fn response(status: &str, answer: &Value) -> Markup {
    html! {
        dt { code { (status) } }
        dd {
            @for line in text(&answer["description"]).split("\n\n") { p { (prose(line)) } }
            @for (media_type, content) in members(&answer["content"]) {
                @if media_type != "application/problem+json" {
                    p.faint { code { (media_type) } " " (kind(&content["schema"])) }
                    @if let (true, false) = (content.get("example").is_some(), content["example"].is_string()) {
                        details { summary { "Example" } pre.example { code { (format!("{:#}", content["example"])) } } }
                    }
                }
            }
        }
    }
}

/// An object's members as a table; of anything else its type.
fn schema_body(schema: &Value) -> Markup {
    let required: Vec<&str> = items(&schema["required"]).filter_map(Value::as_str).collect();
    html! {
        @if let Some(description) = schema["description"].as_str() { p { (prose(description)) } }
        @if schema["properties"].is_object() {
            div.scroll { table {
                thead { tr { th { "Member" } th { "Type" } th { "Meaning" } } }
                tbody { @for (name, member) in members(&schema["properties"]) {
                    tr {
                        td { code { (name) } @if !required.contains(&name) { " (may be absent)" } }
                        td.text { (kind(member)) }
                        td.text { (prose(text(&member["description"]))) }
                    }
                }}
            }}
        } @else { p { (kind(schema)) } }
    }
}

/// A type in few words.
fn kind(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|reference| reference.rsplit('/').next())
    {
        return html! { a href={ (PATH) "#schema-" (name) } { (name) } };
    }
    for several in ["anyOf", "oneOf"] {
        if schema[several].is_array() {
            let codes = items(&schema[several]).filter_map(|one| one["const"].as_str()).count();
            if codes > 3 {
                return html! { "one of " (codes) " codes" };
            }
            return html! { @for (at, one) in items(&schema[several]).enumerate() { @if at > 0 { " or " } (kind(one)) } };
        }
    }
    if schema["enum"].is_array() {
        return html! { @for (at, one) in items(&schema["enum"]).enumerate() { @if at > 0 { ", " } code { (bare_text(one)) } } };
    }
    if let Some(one) = schema.get("const") {
        return html! { code { (bare_text(one)) } };
    }
    if schema["type"] == "array" {
        return html! { "list of " (kind(&schema["items"])) };
    }
    if schema["properties"].is_object() {
        let names = members(&schema["properties"]).map(|(name, _)| name);
        return html! { "object: " @for (at, name) in names.enumerate() { @if at > 0 { ", " } code { (name) } } };
    }
    let name = match &schema["type"] {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        Value::String(name) => name.clone(),
        _ => "anything".to_owned(),
    };
    let format = schema["format"].as_str();
    let bounds = [
        ("minimum", "from"),
        ("maximum", "to"),
        ("maxLength", "length at most"),
        ("default", "default"),
    ];
    html! {
        (name) @if let Some(format) = format { " (" (format) ")" }
        @for (member, word) in bounds { @if let Some(value) = schema.get(member).filter(|value| **value != 0) { ", " (word) " " (value) } }
    }
}

fn bare_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What stands between backticks is code.
fn prose(text: &str) -> Markup {
    html! { @for (at, part) in text.split('`').enumerate() { @if at % 2 == 1 { code { (part) } } @else { (part) } } }
}

fn resolved(value: &'static Value) -> &'static Value {
    let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| document().pointer(pointer)).unwrap_or(value)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, member)| (name.as_str(), member))
}
