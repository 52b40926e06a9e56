//! Which way imports point: `main -> app -> console -> http, worker, scheduler, webhook, destination -> outgoing -> pipeline -> storage, business, blob, format ->
//! domain`. Arrows may skip a house but never turn back.

use std::collections::BTreeSet;

use crate::{files, repository};

/// Each module of the crate and those it may name. One that is not here does not pass: say where it belongs.
const MAY_NAME: [(&str, &[&str]); 28] = [
    ("domain", &[]),
    ("hints", &[]),
    ("failpoint", &[]),
    ("disk", &[]),
    ("folders", &[]),
    ("clock", &["domain"]),
    ("config", &["domain", "hints"]),
    ("telemetry", &["domain"]),
    (
        "storage",
        &["clock", "disk", "domain", "failpoint", "folders", "telemetry"],
    ),
    ("business", &["disk", "domain", "failpoint", "folders"]),
    ("blob", &["disk", "domain"]),
    ("format", &["disk", "domain"]),
    ("definitions", &["domain", "format", "hints"]),
    ("auth", &["clock", "domain", "storage"]),
    ("backup", &["blob", "disk", "domain", "folders", "storage"]),
    // Asked where its faults strike.
    ("sandbox", &["clock", "domain"]),
    (
        "pipeline",
        &[
            "auth",
            "blob",
            "business",
            "clock",
            "config",
            "definitions",
            "disk",
            "domain",
            "failpoint",
            "format",
            "sandbox",
            "storage",
            "telemetry",
        ],
    ),
    (
        "worker",
        &[
            "blob",
            "business",
            "clock",
            "config",
            "definitions",
            "domain",
            "failpoint",
            "pipeline",
            "sandbox",
            "storage",
            "telemetry",
        ],
    ),
    (
        "scheduler",
        &[
            "clock",
            "config",
            "definitions",
            "domain",
            "pipeline",
            "storage",
            "telemetry",
        ],
    ),
    (
        "http",
        &[
            "auth",
            "blob",
            "clock",
            "config",
            "definitions",
            "disk",
            "domain",
            "failpoint",
            "format",
            "outgoing",
            "pipeline",
            "sandbox",
            "storage",
            "telemetry",
        ],
    ),
    (
        "console",
        &[
            "auth",
            "clock",
            "definitions",
            "domain",
            "format",
            "http",
            "pipeline",
            "storage",
        ],
    ),
    (
        "outgoing",
        &[
            "clock",
            "config",
            "domain",
            "pipeline",
            "sandbox",
            "storage",
            "telemetry",
        ],
    ),
    (
        "webhook",
        &[
            "clock",
            "config",
            "definitions",
            "domain",
            "failpoint",
            "outgoing",
            "pipeline",
            "storage",
        ],
    ),
    (
        "destination",
        &[
            "blob",
            "clock",
            "config",
            "definitions",
            "domain",
            "failpoint",
            "outgoing",
            "pipeline",
            "storage",
        ],
    ),
    (
        "agent",
        &[
            "clock",
            "definitions",
            "domain",
            "failpoint",
            "folders",
            "format",
            "hints",
            "outgoing",
        ],
    ),
    ("app", EVERY_HOUSE),
    ("cli", EVERY_HOUSE),
    // The crate's two roots.
    ("main", EVERY_HOUSE),
];

/// What the wiring may name: everything but `main`.
const EVERY_HOUSE: &[&str] = &[
    "agent",
    "app",
    "auth",
    "backup",
    "blob",
    "business",
    "cli",
    "clock",
    "config",
    "console",
    "definitions",
    "destination",
    "disk",
    "domain",
    "failpoint",
    "folders",
    "format",
    "hints",
    "http",
    "outgoing",
    "pipeline",
    "sandbox",
    "scheduler",
    "storage",
    "telemetry",
    "webhook",
    "worker",
];

/// Crates that only some modules may name.
const HOMES: [(&str, &[&str]); 5] = [
    ("sqlx", &["storage", "business"]),
    ("actix_web", &["console", "http", "app"]),
    ("maud", &["console"]),
    ("object_store", &["blob"]),
    ("tokio_cron_scheduler", &["scheduler"]),
];

#[test]
fn imports_never_turn_back() {
    let mut turned = Vec::new();
    for (module, line, code) in lines_of_code() {
        if module == "lib" {
            continue;
        }
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == module) else {
            turned.push(format!("{line}: src/{module} has no place in MAY_NAME"));
            continue;
        };
        for named in modules_named(&code) {
            if named != module && !allowed.contains(&named.as_str()) {
                turned.push(format!("{line}: {module} names {named}"));
            }
        }
    }
    assert!(turned.is_empty(), "{}", turned.join("\n"));
}

#[test]
fn a_crate_is_named_only_where_it_lives() {
    let mut strays = Vec::new();
    for (module, line, code) in lines_of_code() {
        for (name, homes) in HOMES {
            if code.contains(&format!("{name}::")) && !homes.contains(&module.as_str()) {
                strays.push(format!("{line}: {module} names {name}"));
            }
        }
    }
    assert!(strays.is_empty(), "{}", strays.join("\n"));
}

#[test]
fn names_are_found_in_every_form_of_use() {
    let cases: [(&str, &[&str]); 4] = [
        ("use crate::storage::{Store, StoreError};", &["storage"]),
        (
            "use crate::{clock::Clock, config::{Config, Queue}};",
            &["clock", "config"],
        ),
        (
            "let at = crate::domain::time::Timestamp::new(crate::clock::x());",
            &["clock", "domain"],
        ),
        ("pub(crate) fn f() {}", &[]),
    ];
    for (code, expected) in cases {
        let expected: BTreeSet<String> = expected.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(modules_named(code), expected, "{code}");
    }
}

/// Module, place and text of every line that is not a comment.
fn lines_of_code() -> Vec<(String, String, String)> {
    let root = repository("src");
    let mut lines = Vec::new();
    for file in files(&root, ".rs") {
        if file.ends_with("tests.rs") {
            // A module's tests may call whoever they compare it with.
            continue;
        }
        let inside = file.strip_prefix(&root).expect("it is inside");
        let first = inside
            .components()
            .next()
            .expect("a name")
            .as_os_str()
            .to_string_lossy();
        let module = first.trim_end_matches(".rs").to_owned();
        let text = std::fs::read_to_string(&file).expect("it reads");
        for (index, line) in text.lines().enumerate() {
            if !line.trim_start().starts_with("//") {
                let place = format!("src/{}:{}", inside.display(), index + 1);
                lines.push((module.clone(), place, line.to_owned()));
            }
        }
    }
    assert!(!lines.is_empty());
    lines
}

/// The modules of this crate that a line names after `crate::`.
fn modules_named(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            named.extend(members(group));
        } else {
            named.insert(word(rest));
        }
    }
    // A macro or a re-exported type at the root is no module.
    named.retain(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
    named
}

/// First words of the members of a `{a::B, c::{D, E}}` group whose opening brace is gone.
fn members(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut begins = true;
    let mut found = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                found.push(word(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    found
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
