//! The document says neither more nor less than the code does.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::*;

/// Where routes of the native API are registered.
const ROUTES: [&str; 5] = [
    include_str!("../mod.rs"),
    include_str!("../clients.rs"),
    include_str!("../entities.rs"),
    include_str!("../sandbox/mod.rs"),
    include_str!("../../console/mod.rs"),
];

fn operations() -> BTreeMap<(String, String), &'static Value> {
    let paths = document()["paths"].as_object().expect("paths");
    let all = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("operations").iter();
        let methods = methods.filter(|(member, _)| *member != "parameters");
        methods.map(move |(method, operation)| ((path.clone(), method.clone()), operation))
    });
    all.collect()
}

/// Path and method of every route that is described, as the sources register it.
fn routes() -> BTreeSet<(String, String)> {
    let method = Regex::new(r"(?:web::)?(get|post|put|patch|delete)\(\)\.to\(").expect("a pattern");
    let is_described = |path: &str| {
        let is_token = path.contains("/oauth2/") && path.ends_with("/token");
        path == "/"
            || path == "/metrics"
            || is_token
            || ["/api/v1/", "/health/"].iter().any(|root| path.starts_with(root))
    };
    let mut found = BTreeSet::new();
    for source in ROUTES {
        let source: String = source.split_whitespace().collect();
        let source = source.replace("on(ROOT,", "on(\"/api/v1/sandbox\",");
        for service in source.split(".service(").skip(1) {
            let Some(path) = service.split('"').nth(1).filter(|path| is_described(path)) else {
                continue;
            };
            for named in method.captures_iter(service) {
                found.insert((path.to_owned(), named[1].to_owned()));
            }
        }
    }
    found
}

#[test]
fn there_is_an_operation_for_each_route_and_no_other() {
    let (routes, described) = (routes(), operations().into_keys().collect::<BTreeSet<_>>());
    let missing: Vec<_> = routes.difference(&described).collect();
    let strange: Vec<_> = described.difference(&routes).collect();
    assert!(
        missing.is_empty(),
        "src/http/openapi/*.json lacks {missing:?}: CONTRIBUTING.md says how to add an operation"
    );
    assert!(strange.is_empty(), "described, but no route: {strange:?}");
    assert!(
        routes.len() > 50,
        "routes are registered in another way now: {routes:?}"
    );
}

#[test]
fn every_operation_has_a_name_of_its_own_a_tag_and_the_parameters_of_its_path() {
    let parameter = Regex::new(r"\{([a-z]+)\}").expect("a pattern");
    let known: Vec<&str> = document()["tags"]
        .as_array()
        .expect("tags")
        .iter()
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    let mut names = BTreeSet::new();
    for ((path, method), operation) in operations() {
        let name = operation["operationId"].as_str().expect("an operationId");
        assert!(names.insert(name), "{name} twice");
        assert!(operation["summary"].is_string(), "{method} {path}");
        let tag = operation["tags"][0].as_str().unwrap_or_default();
        assert!(known.contains(&tag), "{method} {path} has the tag `{tag}`");
        let parameters = document()["paths"][&path]["parameters"].as_array();
        let given: BTreeSet<String> = parameters
            .into_iter()
            .flatten()
            .map(|given| found(given)["name"].to_string())
            .collect();
        let wanted: BTreeSet<String> = parameter
            .captures_iter(&path)
            .map(|name| format!("\"{}\"", &name[1]))
            .collect();
        assert_eq!(given, wanted, "{path}");
    }
}

/// What a reference leads to, or the thing itself.
fn found(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        None => value,
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("a reference within the document");
            document()
                .pointer(pointer)
                .unwrap_or_else(|| panic!("nothing at {reference}"))
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    fn collect(value: &'static Value, references: &mut BTreeSet<&'static str>) {
        match value {
            Value::Object(members) => {
                references.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| collect(member, references));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
            _ => {}
        }
    }
    let mut references = BTreeSet::new();
    collect(document(), &mut references);
    for reference in &references {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        assert!(document().pointer(pointer).is_some(), "nothing at {reference}");
    }
    for kind in ["schemas", "parameters"] {
        for name in document()["components"][kind].as_object().expect("components").keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(references.contains(reference.as_str()), "nothing refers to {reference}");
        }
    }
}

/// The table of `docs/api.md` and `problems.json` are one; the document names each code with its status.
#[test]
fn problem_codes_are_those_of_the_documentation() {
    let page = include_str!("../../../docs/api.md");
    let table = page.split("## Problem codes").nth(1).expect("a table of problem codes");
    let mut documented = BTreeMap::new();
    for line in table.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [codes, status, meaning] = cells.as_slice() else {
            continue;
        };
        let Ok(status) = status.parse::<u16>() else { continue };
        for code in codes.split(',') {
            documented.insert(
                code.trim().trim_matches('`').to_owned(),
                (status, (*meaning).to_owned()),
            );
        }
    }
    let codes: BTreeMap<String, Code> = serde_json::from_str(PROBLEMS).expect("codes");
    let known: BTreeMap<_, _> = codes
        .into_iter()
        .map(|(code, Code { status, meaning })| (code, (status, meaning)))
        .collect();
    assert_eq!(known, documented, "problems.json and the table in docs/api.md");
    let shown = document()["components"]["schemas"]["Problem"]["properties"]["code"]["oneOf"].as_array();
    let shown: BTreeMap<_, _> = shown
        .expect("codes")
        .iter()
        .map(|code| {
            (
                code["const"].as_str().expect("a code").to_owned(),
                code["x-status"].as_u64(),
            )
        })
        .collect();
    assert_eq!(shown.len(), documented.len());
    for (code, (status, _)) in documented {
        assert_eq!(shown[&code], Some(status.into()), "{code}");
    }
}

/// `UPDATE_OPENAPI=1` writes it again.
#[test]
#[allow(clippy::disallowed_methods, reason = "tests read the environment")]
fn the_copy_in_the_documentation_is_this_document() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    if std::env::var("UPDATE_OPENAPI").is_ok() {
        std::fs::write(&file, text()).expect("docs/openapi.json can be written");
    }
    let copy = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        copy == text(),
        "docs/openapi.json is not the document that is served: look at what changed, then run \
         `UPDATE_OPENAPI=1 cargo test --lib openapi` and commit it"
    );
}
