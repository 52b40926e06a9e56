//! Pieces of foreign text on their way into messages: cut short and made legible.
//!
//! What a sender wrote ends up in reasons, rejects and logs. A NUL or an escape sequence must not travel with it: neither
//! database column nor terminal is a place for them.

use crate::domain::reject::RecordError;

/// Longest piece quoted inside a sentence, in characters.
const QUOTED_CHARS_MAX: usize = 60;

/// Whether business text may hold this character (FMT-13): everything but control characters, tab and line breaks aside.
pub(super) fn is_business_text(c: char) -> bool {
    !c.is_control() || matches!(c, '\t' | '\r' | '\n')
}

/// A value for storage beside an error: cut, control characters written as `\u{0}`.
#[must_use]
pub fn stored(text: &str) -> String {
    escape(text, RecordError::VALUE_CHARS_MAX, is_business_text)
}

/// A value inside a sentence: cut shorter, in backquotes, line breaks escaped too.
#[must_use]
pub fn quoted(text: &str) -> String {
    let shown = escape(text, QUOTED_CHARS_MAX, |c| !c.is_control());
    let more = if text.chars().nth(QUOTED_CHARS_MAX).is_some() {
        "..."
    } else {
        ""
    };
    format!("`{shown}{more}`")
}

/// The valid UTF-8 at the start of `bytes`.
pub(super) fn utf8_prefix(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("valid up to there"),
    }
}

/// The first `chars_max` characters of the result, so that escaping cannot make it longer than allowed.
fn escape(text: &str, chars_max: usize, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len().min(chars_max));
    let mut room = chars_max;
    for c in text.chars() {
        if keep(c) {
            if room == 0 {
                break;
            }
            out.push(c);
            room -= 1;
        } else {
            let escaped = c.escape_default();
            if room < escaped.len() {
                break;
            }
            room -= escaped.len();
            out.extend(escaped);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelt_out_and_length_is_bounded() {
        assert_eq!(stored("a\0b\tc"), "a\\u{0}b\tc");
        assert_eq!(quoted("a\nb"), "`a\\nb`");
        assert_eq!(stored(&"\0".repeat(1000)).chars().count(), 200);
        assert_eq!(stored(&"é".repeat(1000)).chars().count(), 200);
        assert_eq!(quoted(&"x".repeat(61)), format!("`{}...`", "x".repeat(60)));
    }
}
