//! As much YAML as `docker-compose.yml` uses: mappings and lists by indentation, and scalars. Lists in brackets and texts in
//! double quotes are JSON. Anything else is refused, so that nothing is read wrongly.

use serde_json::{Map, Value};

/// Reads a document.
pub fn read(text: &str) -> Value {
    let lines: Vec<(usize, &str)> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|line| (line.len() - line.trim_start().len(), line.trim()))
        .collect();
    let mut rest = lines.as_slice();
    let value = block(&mut rest, 0);
    assert!(rest.is_empty(), "not understood: {:?}", rest[0]);
    value
}

/// The mapping or list whose lines are indented by `indent`.
fn block(lines: &mut &[(usize, &str)], indent: usize) -> Value {
    match lines.first() {
        Some((at, line)) if *at == indent && line.starts_with("- ") => list(lines, indent),
        Some((at, _)) if *at == indent => mapping(lines, indent),
        _ => Value::Null,
    }
}

fn list(lines: &mut &[(usize, &str)], indent: usize) -> Value {
    let mut items = Vec::new();
    while let Some((at, line)) = lines.first()
        && *at == indent
        && let Some(item) = line.strip_prefix("- ")
    {
        *lines = &lines[1..];
        items.push(match key_and_value(item) {
            // A mapping that begins on the line of its dash: its other keys stand two columns further in.
            Some((key, value)) => {
                let Value::Object(mut members) = block(lines, indent + 2) else {
                    panic!("{item} is alone");
                };
                members.insert(key.to_owned(), scalar(value));
                Value::Object(members)
            }
            None => scalar(item),
        });
    }
    Value::Array(items)
}

fn mapping(lines: &mut &[(usize, &str)], indent: usize) -> Value {
    let mut members = Map::new();
    while let Some((at, line)) = lines.first()
        && *at == indent
    {
        let (key, value) = key_and_value(line).unwrap_or_else(|| panic!("no key in {line}"));
        *lines = &lines[1..];
        let value = match (value, lines.first()) {
            ("", Some((at, _))) if *at > indent => block(lines, *at),
            ("", _) => Value::Null,
            (value, _) => scalar(value),
        };
        assert!(members.insert(key.to_owned(), value).is_none(), "{key} stands twice");
    }
    Value::Object(members)
}

/// A key is bare and followed by a colon and a space, or by a colon at the end of the line.
fn key_and_value(line: &str) -> Option<(&str, &str)> {
    if line.starts_with(['"', '[']) {
        return None;
    }
    let (key, value) = line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, "")))?;
    Some((key, value.trim()))
}

fn scalar(text: &str) -> Value {
    if text.starts_with(['"', '[']) {
        return serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    assert!(
        !text.starts_with(['{', '&', '*', '|', '>', '\'', '!']) && !text.contains(" #"),
        "not understood: {text}"
    );
    text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from)
}

#[test]
fn reads_what_compose_files_hold() {
    let text = "# about\na:\n  b: [\"x\", \"y\"]\n  c:\n    - \"p: q\"\n    - source: s\n      target: t\n  d: 2\ne:\n";
    let expected = serde_json::json!({
        "a": {"b": ["x", "y"], "c": ["p: q", {"source": "s", "target": "t"}], "d": 2},
        "e": null,
    });
    assert_eq!(read(text), expected);
}
