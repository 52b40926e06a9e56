//! Sentences that are told to programs and people alike, as people read them: `names` as code, points in time as times.
//!
//! API, command line and console say the same sentences. What stands between back-ticks in them is quoted, often from a file.

use maud::{Markup, html};

use super::parts::{exact, none, relative};
use crate::domain::time::Timestamp;

/// A sentence about what somebody wrote: what it quotes as code, all else as it is.
pub(super) fn prose(text: &str) -> Markup {
    of(text, |plain| html! { (plain) })
}

/// The same of a sentence there may not be.
pub(super) fn maybe_prose(text: Option<&str>) -> Markup {
    text.map_or_else(none, prose)
}

/// A sentence of our own about what happens when: its points in time as times, too.
pub(super) fn story(text: &str, now: Timestamp) -> Markup {
    of(text, |plain| {
        html! { @for word in plain.split_inclusive(' ') { (instant(word, now)) } }
    })
}

/// The same of one there may not be.
pub(super) fn maybe_story(text: Option<&str>, now: Timestamp) -> Markup {
    text.map_or_else(none, |text| story(text, now))
}

fn of(text: &str, plain: impl Fn(&str) -> Markup) -> Markup {
    html! {
        @for piece in pieces(text) {
            @match piece { Piece::Plain(text) => (plain(text)), Piece::Quoted(text) => code { (text) } }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Plain(&'a str),
    Quoted(&'a str),
}

/// Back-ticks quote in pairs; one that is left over, or quotes nothing, is a back-tick.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut found, mut rest, mut from) = (Vec::new(), text, 0);
    while let Some(open) = rest[from..].find('`').map(|at| from + at) {
        let Some(length) = rest[open + 1..].find('`') else {
            break;
        };
        if length == 0 {
            from = open + 2;
            continue;
        }
        found.push(Piece::Plain(&rest[..open]));
        found.push(Piece::Quoted(&rest[open + 1..open + 1 + length]));
        (rest, from) = (&rest[open + length + 2..], 0);
    }
    found.push(Piece::Plain(rest));
    found.retain(|piece| *piece != Piece::Plain(""));
    found
}

/// A word that is a point in time, whatever stands around it; any other word as it is.
fn instant(word: &str, now: Timestamp) -> Markup {
    let from = word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len());
    let (before, rest) = word.split_at(from);
    let (text, after) = rest.find('Z').map_or((rest, ""), |end| rest.split_at(end + 1));
    let Ok(at) = chrono::DateTime::parse_from_rfc3339(text) else {
        return html! { (word) };
    };
    let at = Timestamp(at.timestamp_micros());
    let shown = at.to_utc().format("%Y-%m-%d %H:%M:%S UTC");
    html! { (before) time datetime=(at) title=(exact(at)) { (shown) } " (" (relative(at, now)) ")" (after) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_code_and_stays_text() {
        let said = |text: &str| prose(text).into_string();
        assert_eq!(
            said("`a<b>` is no `date`."),
            "<code>a&lt;b&gt;</code> is no <code>date</code>."
        );
        assert_eq!(said("<i>plain</i>"), "&lt;i&gt;plain&lt;/i&gt;");
        assert_eq!(said("one ` alone"), "one ` alone");
        assert_eq!(said("``none`` of `it`"), "``none`` of <code>it</code>");
        assert_eq!(said("`ä`ö"), "<code>ä</code>ö");
        assert_eq!(said(""), "");
    }

    #[test]
    fn points_in_time_are_told_as_times_but_not_in_what_is_quoted() {
        let now = Timestamp(1_767_600_000_000_000);
        let text = format!("due at {}. `{now}` is quoted, 5Z is not", now.plus_seconds(7200));
        assert_eq!(
            story(&text, now).into_string(),
            "due at <time datetime=\"2026-01-05T10:00:00Z\" title=\"2026-01-05 10:00:00 UTC\">2026-01-05 10:00:00 UTC</time> (in 2 h). \
             <code>2026-01-05T08:00:00Z</code> is quoted, 5Z is not"
        );
    }
}
