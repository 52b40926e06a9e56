//! Rejected records as JSON, ready to be corrected and sent back.
//!
//! `_reject_id` and `_error` are put first and the record's own text follows as it stood, byte for byte. Members of these names
//! that it has already, in any case, are cut out with the comma before them: the payload may itself be a rejects file that came
//! back. Only the record's own members count, not those of objects inside it. A record that is no well-formed object, or that
//! came cut, stands as text in a member `_raw` beside the two, so that the file stays well-formed: correct it there, write its
//! members out and remove `_raw`.

use super::members;
use super::writer::{JsonShape, push_text};
use crate::format::mapping::{ERROR_COLUMN, RAW_MEMBER, REJECT_ID_COLUMN};

/// Stands at the end of a text that was cut.
const CUT: &str = "...";
/// A record with more members is taken over as text: their places are held in memory.
const MEMBERS_MAX: usize = 50_000;

impl JsonShape {
    /// A rejected record: `raw` is its text from the payload, or the beginning of it if it was `cut`.
    pub fn reject(self, out: &mut Vec<u8>, raw: &[u8], id: &str, error: &str, first: bool, cut: bool) {
        self.before_record(out, first);
        let raw = raw.trim_ascii();
        out.push(b'{');
        member(out, REJECT_ID_COLUMN, id);
        out.push(b',');
        member(out, ERROR_COLUMN, error);
        let spliced = if cut || self.breaks_lines(raw) {
            None
        } else {
            others(raw)
        };
        if let Some(others) = spliced {
            out.extend_from_slice(others.concat().as_bytes());
        } else {
            out.push(b',');
            let more = if cut { CUT } else { "" };
            member(out, RAW_MEMBER, &(String::from_utf8_lossy(raw) + more));
            out.push(b'}');
        }
        self.behind_record(out);
    }

    /// Whether a record must not stand like this, for it would not be on one line.
    fn breaks_lines(self, raw: &[u8]) -> bool {
        self == Self::Lines && memchr::memchr2(b'\r', b'\n', raw).is_some()
    }
}

fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    push_text(out, name);
    out.push(b':');
    push_text(out, value);
}

/// The object's text behind its opening brace and our two members, in pieces; `None` when it is no object.
fn others(raw: &[u8]) -> Option<Vec<&str>> {
    let raw = std::str::from_utf8(raw).ok()?;
    let entries = members::entries(raw, MEMBERS_MAX)
        .ok()
        .filter(|entries| !entries.more)?;
    let mut pieces = Vec::new();
    let mut at = 1;
    for (position, (name, value)) in entries.list.iter().enumerate() {
        // A value's text is a part of `raw`.
        let end = value.get().as_ptr() as usize - raw.as_ptr() as usize + value.get().len();
        if !is_own(name) {
            // The first member has no comma of its own before it; the others bring theirs.
            pieces.extend((position == 0).then_some(","));
            pieces.push(&raw[at..end]);
        }
        at = end;
    }
    pieces.push(&raw[at..]);
    Some(pieces)
}

fn is_own(name: &str) -> bool {
    let name = name.trim();
    name.eq_ignore_ascii_case(REJECT_ID_COLUMN) || name.eq_ignore_ascii_case(ERROR_COLUMN)
}
