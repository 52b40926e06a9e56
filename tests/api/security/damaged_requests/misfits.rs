//! Requests that are right but for one thing: a part of the path, a parameter, a header or a member of the body is something that fits
//! nowhere. All of them, for every route.

use reqwest::Request;
use serde_json::{Map, Value, json};

use super::Seeds;
use crate::package_imports::action;
use crate::security::world::Target;

/// What no database, number, name or path is prepared for, if nobody thought of it.
fn texts() -> [String; 6] {
    ["\0", "a\0b", "-1", "18446744073709551616", "%uD800'\"<>\\;--"]
        .map(str::to_owned)
        .into_iter()
        .chain(["x".repeat(3000)])
        .collect::<Vec<_>>()
        .try_into()
        .expect("six")
}

fn values() -> Vec<Value> {
    let mut values = vec![
        json!(null),
        json!(true),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(-0.5),
        json!([]),
        json!({ "a": [null] }),
        json!([[["x"]]]),
        json!("x".repeat(70_000)),
    ];
    values.extend(texts().map(Value::from));
    values
}

/// Makes each of them. `described` is the description that the service gives of itself.
pub fn requests(seeds: &Seeds, described: &Value) -> Vec<Request> {
    let mut requests = Vec::new();
    for route in &seeds.routes {
        let own = seeds.world.own(route);
        let right = seeds.build(seeds.world.request(route, &own, "any"), 2);
        requests.extend(of_path(seeds, route, &own, &right));
        requests.extend(of_parameters(&right, &parameters(described, route)));
        requests.extend(of_body(&right));
    }
    requests.extend(of_actions(seeds));
    requests
}

fn of_path(seeds: &Seeds, route: &str, own: &Target, right: &Request) -> Vec<Request> {
    let fields: [fn(&mut Target) -> &mut String; 5] = [
        |target| &mut target.job,
        |target| &mut target.id,
        |target| &mut target.receipt,
        |target| &mut target.correlation,
        |target| &mut target.name,
    ];
    let mut requests = Vec::new();
    for field in fields {
        for text in texts() {
            let mut target = own.clone();
            *field(&mut target) = text;
            let request = seeds.build(seeds.world.request(route, &target, "any"), 2);
            if request.url() == right.url() && body(&request) == body(right) {
                // It stands nowhere here.
                break;
            }
            requests.push(request);
        }
    }
    requests
}

/// Names of a route's parameters, and whether they are headers.
fn parameters(described: &Value, route: &str) -> Vec<(String, bool)> {
    let (method, path) = route.split_once(' ').expect("a method and a path");
    let named = described["paths"][path][method.to_lowercase()]["parameters"].as_array();
    let resolved = named.into_iter().flatten().map(|parameter| {
        let reference = parameter["$ref"].as_str().and_then(|text| text.strip_prefix('#'));
        reference
            .and_then(|pointer| described.pointer(pointer))
            .unwrap_or(parameter)
    });
    resolved
        .filter(|parameter| parameter["in"] != "path")
        .map(|parameter| {
            let name = parameter["name"].as_str().expect("a name").to_owned();
            (name, parameter["in"] == "header")
        })
        .collect()
}

fn of_parameters(right: &Request, parameters: &[(String, bool)]) -> Vec<Request> {
    let mut requests = Vec::new();
    for (name, is_header) in parameters {
        for text in texts() {
            let mut request = right.try_clone().expect("a body in memory");
            if *is_header {
                let name: reqwest::header::HeaderName = name.parse().expect("a name");
                let Ok(value) = text.parse() else { continue };
                request.headers_mut().insert(name, value);
            } else {
                request.url_mut().query_pairs_mut().append_pair(name, &text);
            }
            requests.push(request);
        }
    }
    requests
}

fn of_body(right: &Request) -> Vec<Request> {
    let Ok(Value::Object(members)) = serde_json::from_slice(body(right)) else {
        return Vec::new();
    };
    let mut bodies: Vec<Value> = values();
    for name in members.keys() {
        for value in values() {
            let mut members = members.clone();
            members.insert(name.clone(), value);
            bodies.push(members.into());
        }
    }
    let with = |body: Value| {
        let mut request = right.try_clone().expect("a body in memory");
        *request.body_mut() = Some(body.to_string().into());
        request
    };
    bodies.into_iter().map(with).collect()
}

fn of_actions(seeds: &Seeds) -> Vec<Request> {
    let mut requests = Vec::new();
    for (name, parameters) in &seeds.actions {
        for wrong in parameters {
            for value in values() {
                let fitting = |name: &String| match name.as_str() {
                    _ if name == wrong => value.clone(),
                    "packageUrl" => json!(seeds.link),
                    "definitionGroupId" => json!("Stock out"),
                    "entityName" | "entityList" => json!("Stock"),
                    _ => json!("x"),
                };
                let body: Map<_, _> = parameters.iter().map(|name| (name.clone(), fitting(name))).collect();
                let request = action(&seeds.world.app, name, &body.into());
                requests.push(seeds.build(request, 0));
            }
        }
    }
    requests
}

fn body(request: &Request) -> &[u8] {
    request.body().and_then(|body| body.as_bytes()).unwrap_or_default()
}
