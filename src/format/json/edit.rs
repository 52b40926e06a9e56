//! Members of a JSON record written anew, every other byte of it as it stands.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use super::members;
use super::writer::push_text;

/// A record with more members is not looked through: their places are held in memory.
const MEMBERS_MAX: usize = 50_000;

/// The record with other texts in some members, called as a reader calls them: nested ones by dotted names. A member that it has
/// not is added. A number or truth value stays one where the text is one. `None` when the record is no object.
#[must_use]
pub fn with_members(record: &[u8], edits: &[(&str, &str)]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(record).ok()?;
    let mut wanted: BTreeMap<String, &str> = edits.iter().map(|(name, text)| (key(name), *text)).collect();
    let mut found = Vec::new();
    let is_bare = find(text, text, "", &mut wanted, &mut found)?;
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for (place, value) in found {
        out.extend_from_slice(&record[at..place.start]);
        out.extend_from_slice(&value);
        at = place.end;
    }
    let end = text.rfind('}')?;
    out.extend_from_slice(&record[at..end]);
    let mut comma = !is_bare;
    for (name, text) in edits.iter().filter(|(name, _)| wanted.contains_key(&key(name))) {
        if std::mem::replace(&mut comma, true) {
            out.push(b',');
        }
        push_text(&mut out, name);
        out.push(b':');
        push_text(&mut out, text);
    }
    out.extend_from_slice(&record[end..]);
    Some(out)
}

/// Looks for the members in one object of `whole`, and takes those found from the wanted. Whether the object has none at all.
fn find(
    whole: &str,
    object: &str,
    prefix: &str,
    wanted: &mut BTreeMap<String, &str>,
    found: &mut Vec<(Range<usize>, Vec<u8>)>,
) -> Option<bool> {
    let entries = members::entries(object, MEMBERS_MAX).ok().filter(|all| !all.more)?;
    let is_bare = entries.list.is_empty();
    for (name, value) in entries.list {
        let name = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}.{name}")
        };
        let value = value.get();
        if value.starts_with('{') {
            find(whole, value, &name, wanted, found)?;
        } else if let Some(text) = wanted.remove(&key(&name)) {
            // A value's text is a part of the whole.
            let start = value.as_ptr() as usize - whole.as_ptr() as usize;
            found.push((start..start + value.len(), written(value, text)));
        }
    }
    Some(is_bare)
}

/// A text as a value like the one that stood there.
fn written(before: &str, text: &str) -> Vec<u8> {
    let is_like = |value: &Value| match before.as_bytes() {
        [b'"', ..] | b"null" => false,
        [b'[', ..] => value.is_array(),
        _ => value.is_number() || value.is_boolean(),
    };
    let mut out = Vec::new();
    if serde_json::from_str::<Value>(text).is_ok_and(|value| is_like(&value)) {
        // Line breaks stand only between values there, and a line must stay one.
        out.extend(
            text.trim()
                .bytes()
                .map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }),
        );
    } else if text.is_empty() && !before.starts_with('"') {
        out.extend_from_slice(b"null");
    } else {
        push_text(&mut out, text);
    }
    out
}

/// Names are the same in any case, as a reader takes them.
fn key(name: &str) -> String {
    name.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(record: &str, edits: &[(&str, &str)]) -> String {
        String::from_utf8(with_members(record.as_bytes(), edits).expect("an object")).unwrap()
    }

    #[test]
    fn only_the_members_that_change_are_written() {
        let record = "{ \"A\" : 1.50, \"b\": \"x\\u00e9\", \"at\": {\"City\": \"K\u{f6}ln\", \"zip\": null},\n \"list\": [1, 2], \"on\": true }";
        assert_eq!(edit(record, &[]), record);
        assert_eq!(
            edit(record, &[("a", "2.50"), ("AT.city", "say \"hi\"\n"), ("on", "false")]),
            record
                .replace("1.50", "2.50")
                .replace("\"K\u{f6}ln\"", "\"say \\\"hi\\\"\\n\"")
                .replace("true", "false")
        );
        assert_eq!(edit(record, &[("A", "a lot")]), record.replace("1.50", "\"a lot\""));
        assert_eq!(edit(record, &[("A", "")]), record.replace("1.50", "null"));
        assert_eq!(edit(record, &[("b", "")]), record.replace("\"x\\u00e9\"", "\"\""));
        assert_eq!(edit(record, &[("b", "7")]), record.replace("\"x\\u00e9\"", "\"7\""));
        assert_eq!(edit(record, &[("list", "[3,\n4]")]), record.replace("[1, 2]", "[3, 4]"));
        assert_eq!(
            edit(record, &[("at.zip", "50667")]),
            record.replace("null", "\"50667\"")
        );
    }

    #[test]
    fn members_that_are_not_there_are_added() {
        assert_eq!(
            edit("{\"a\":1}\n", &[("b", "two"), ("c.d", "3")]),
            "{\"a\":1,\"b\":\"two\",\"c.d\":\"3\"}\n"
        );
        assert_eq!(edit("{}", &[("b", "two")]), "{\"b\":\"two\"}");
        assert_eq!(with_members(b"[1]", &[("b", "two")]), None);
    }
}
