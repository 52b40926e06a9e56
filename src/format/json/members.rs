//! An object's text to the members of a record.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::JsonOptions;
use crate::domain::reject::RecordCode;
use crate::format::excerpt;

/// Objects within objects, the record itself not counted.
pub(super) const NESTING_MAX: usize = 32;
/// The names of nested members may come to this many times the record's own length, which short records may exceed by
/// [`NAMES_SLACK`]: each repeats the names around it, and a few kilobytes must not turn into gigabytes.
const NAMES_FACTOR: usize = 16;
const NAMES_SLACK: usize = 4096;
/// A rejects file that comes back has two members of ours beside the sender's.
const OWN_MEMBERS: usize = 2;

/// Names and texts, in order.
pub(super) type Members = Vec<(String, Vec<u8>)>;

/// Why a text is no record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// This is wrong, at this byte of the text if it can be told.
    Damage {
        code: RecordCode,
        reason: String,
        at: Option<usize>,
    },
    /// More members than a file may have columns.
    TooManyMembers,
}

/// Reads the members of an object.
pub(super) fn read(text: &[u8], options: &JsonOptions) -> Result<Members, Refusal> {
    let text = std::str::from_utf8(text).map_err(|error| Refusal::Damage {
        code: RecordCode::InvalidUtf8,
        reason: "the record holds bytes that are not UTF-8: save the file as UTF-8".to_owned(),
        at: Some(error.valid_up_to()),
    })?;
    if !text.trim_start().starts_with('{') {
        return Err(invalid(not_an_object(text)));
    }
    let mut flat = Flat {
        out: Vec::new(),
        members_max: options.max_columns.saturating_add(OWN_MEMBERS),
        names_room: text.len().saturating_mul(NAMES_FACTOR).saturating_add(NAMES_SLACK),
    };
    let entries = entries(text, flat.members_max).map_err(|error| malformed(text, &error))?;
    flat.add(entries, "", 0)?;
    Ok(flat.out)
}

/// An object's members, each value as it is written.
#[derive(Debug)]
pub(super) struct Entries<'a> {
    pub list: Vec<(String, &'a RawValue)>,
    /// There are more than were asked for.
    pub more: bool,
}

/// The first `max` members of an object; the rest is read, but not kept.
pub(super) fn entries(text: &str, max: usize) -> Result<Entries<'_>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let entries = deserializer.deserialize_map(EntriesVisitor { max })?;
    deserializer.end()?;
    Ok(entries)
}

struct EntriesVisitor {
    max: usize,
}

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while list.len() < self.max {
            match map.next_entry()? {
                Some(entry) => list.push(entry),
                None => return Ok(Entries { list, more: false }),
            }
        }
        let mut more = false;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            more = true;
        }
        Ok(Entries { list, more })
    }
}

/// Members being collected, nested ones under their dotted names.
struct Flat {
    out: Members,
    members_max: usize,
    /// Bytes that names may still take.
    names_room: usize,
}

impl Flat {
    fn add(&mut self, entries: Entries<'_>, prefix: &str, nesting: usize) -> Result<(), Refusal> {
        if entries.more {
            return Err(Refusal::TooManyMembers);
        }
        for (name, value) in entries.list {
            let name = self.name(prefix, name)?;
            if value.get().starts_with('{') {
                self.nested(value.get(), &name, nesting + 1)?;
            } else {
                if self.out.len() == self.members_max {
                    return Err(Refusal::TooManyMembers);
                }
                let text = text_of(value.get()).map_err(|error| in_member(&name, &error))?;
                self.out.push((name, text));
            }
        }
        Ok(())
    }

    fn nested(&mut self, text: &str, name: &str, nesting: usize) -> Result<(), Refusal> {
        if nesting > NESTING_MAX {
            let name = excerpt::quoted(name);
            return Err(invalid(format!(
                "{name} is nested deeper than {NESTING_MAX} objects: write its members further out"
            )));
        }
        let entries = entries(text, self.members_max).map_err(|error| in_member(name, &error))?;
        self.add(entries, name, nesting)
    }

    fn name(&mut self, prefix: &str, name: String) -> Result<String, Refusal> {
        let name = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}.{name}")
        };
        let Some(room) = self.names_room.checked_sub(name.len()) else {
            return Err(Refusal::Damage {
                code: RecordCode::RecordTooLarge,
                reason:
                    "the dotted names of the nested members are far longer than the record itself: shorten the names, \
                         or write the members further out"
                        .to_owned(),
                at: None,
            });
        };
        self.names_room = room;
        Ok(name)
    }
}

/// The text that a value other than an object stands for.
fn text_of(value: &str) -> Result<Vec<u8>, serde_json::Error> {
    match value.as_bytes() {
        [b'"', ..] => serde_json::from_str::<String>(value).map(String::into_bytes),
        b"null" => Ok(Vec::new()),
        as_written => Ok(as_written.to_vec()),
    }
}

fn invalid(reason: String) -> Refusal {
    Refusal::Damage {
        code: RecordCode::InvalidJson,
        reason,
        at: None,
    }
}

fn malformed(text: &str, error: &serde_json::Error) -> Refusal {
    Refusal::Damage {
        code: RecordCode::InvalidJson,
        reason: match error.classify() {
            Category::Eof => {
                "the record ends inside its object: write each record whole, on one line if each has a line".into()
            }
            _ => format!("the record is not well-formed JSON: {}", message(error)),
        },
        at: Some(offset(text, error)),
    }
}

/// For what shows only when a text is read: half a surrogate pair, say.
fn in_member(name: &str, error: &serde_json::Error) -> Refusal {
    invalid(format!(
        "the member {} is not well-formed JSON: {}",
        excerpt::quoted(name),
        message(error)
    ))
}

/// What the parser found, without its own account of where.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// The byte that the parser stopped at. It counts lines by LF alone, and columns from 1.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let breaks_before = error.line().saturating_sub(1);
    let line_start = match breaks_before.checked_sub(1) {
        None => 0,
        Some(nth) => memchr::memchr_iter(b'\n', text.as_bytes())
            .nth(nth)
            .map_or(0, |at| at + 1),
    };
    (line_start + error.column().saturating_sub(1)).min(text.len())
}

fn not_an_object(text: &str) -> String {
    let text = text.trim();
    let kind = match text.as_bytes().first() {
        _ if serde_json::from_str::<IgnoredAny>(text).is_err() => "not JSON",
        Some(b'[') => "an array",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a truth value",
        Some(b'n') => "null",
        _ => "a number",
    };
    format!(
        "the record {} is {kind}: write an object, its members' names and values in braces",
        excerpt::quoted(text)
    )
}
