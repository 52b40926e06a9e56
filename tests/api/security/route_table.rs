//! All routes there are, as the sources register them.

use std::collections::BTreeSet;

use regex::Regex;

/// Where routes are registered.
const SOURCES: [&str; 7] = [
    include_str!("../../../src/http/mod.rs"),
    include_str!("../../../src/http/connector.rs"),
    include_str!("../../../src/http/discovery.rs"),
    include_str!("../../../src/http/odata/mod.rs"),
    include_str!("../../../src/http/clients.rs"),
    include_str!("../../../src/http/entities.rs"),
    include_str!("../../../src/http/sandbox/mod.rs"),
];
const CONSOLE: &str = include_str!("../../../src/console/mod.rs");

/// `METHOD /path` of every route but the console's pages; `ANY` where one handler takes every method.
pub fn routes() -> BTreeSet<String> {
    let mut found: BTreeSet<String> = SOURCES.into_iter().flat_map(of).collect();
    found.extend(of(CONSOLE).into_iter().filter(|route| !route.contains(" /console")));
    found
}

/// The same of the console.
pub fn console_routes() -> BTreeSet<String> {
    let all = of(CONSOLE).into_iter();
    all.filter(|route| route.contains(" /console")).collect()
}

fn of(source: &str) -> BTreeSet<String> {
    let method = Regex::new(r"(get|post|put|patch|delete)\((?:[a-z_:]+)?\)(?:\.to\()?").expect("a pattern");
    // A page's own form of registering, said in the common one.
    let source: String = source
        .split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let source = source.replace("on(ROOT,", "on(\"/api/v1/sandbox\",");
    let mut found = BTreeSet::new();
    for service in source.split(".service(").skip(1) {
        let path = service.split('"').nth(1).expect("a service has a path");
        assert!(path.starts_with('/'), "{path}");
        let rest = &service[service.find(path).expect("it is there") + path.len()..];
        let rest = rest.split("fn").next().unwrap_or_default();
        let mut methods = method.captures_iter(rest).peekable();
        if methods.peek().is_none() {
            found.insert(format!("ANY {path}"));
        }
        found.extend(methods.map(|named| format!("{} {path}", named[1].to_uppercase())));
    }
    found
}

#[test]
fn the_table_is_read_as_it_is_written() {
    let (routes, console) = (routes(), console_routes());
    // The first of the sources names the others, but for the sandbox's.
    let others = SOURCES[0].matches("::routes)").count();
    assert_eq!(others + 2, SOURCES.len(), "each file that registers routes is read");
    for known in [
        "GET /",
        "POST /{tenant}/oauth2/v2.0/token",
        "GET /common/userrealm/{user}",
        "POST /api/connector/ack/{activity}",
        "GET /data/datamanagementdefinitiongroups/{action}",
        "POST /data/datamanagementdefinitiongroups/{action}",
        "PATCH /data/{path:.*}",
        "GET /metadata/{path:.*}",
        "ANY /dmf/{name:.*}",
        "GET /api/v1/docs",
        "DELETE /api/v1/jobs/{job}",
        "POST /api/v1/clients/{name}/revoke",
        "GET /api/v1/entities/{name}",
        "DELETE /api/v1/sandbox/journal",
    ] {
        assert!(routes.contains(known), "{known} in {routes:#?}");
    }
    for known in [
        "GET /console",
        "POST /console/jobs/{job}/run",
        "POST /console/clients/revoke",
        "ANY /console/{rest:.*}",
    ] {
        assert!(console.contains(known), "{known} in {console:#?}");
    }
    assert!(
        routes.len() > 90 && console.len() > 45,
        "{} and {}",
        routes.len(),
        console.len()
    );
}
