//! Text between its form in a file and what it says: references and line ends one way, escapes the other.

use memchr::{memchr, memchr2};

use super::input::is_blank;

/// The character of a reference: a predefined entity's name, or `#` and a number.
///
/// Numbers of control characters resolve too: that business text may not hold them is told when the cell is typed.
pub(super) fn resolve(name: &[u8]) -> Option<char> {
    match name {
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"amp" => Some('&'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        [b'#', b'x', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        _ => None,
    }
}

fn number(digits: &[u8], radix: u32) -> Option<char> {
    // `from_str_radix` would take a sign.
    digits.first().filter(|first| first.is_ascii_alphanumeric())?;
    let digits = std::str::from_utf8(digits).ok()?;
    char::from_u32(u32::from_str_radix(digits, radix).ok()?)
}

/// Appends text with its line ends as LF.
pub(super) fn push_text(out: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(at) = memchr(b'\r', text) {
        out.extend_from_slice(&text[..at]);
        out.push(b'\n');
        text = &text[at + 1..];
        text = text.strip_prefix(b"\n").unwrap_or(text);
    }
    out.extend_from_slice(text);
}

/// Appends a character.
pub(super) fn push_char(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// A reference that says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unknown<'a> {
    /// Where its `&` stands.
    pub at: usize,
    /// What stands between `&` and `;`, or nothing when there is no `;`.
    pub name: Option<&'a [u8]>,
}

/// What an attribute's value says: references resolved, white space as blanks.
pub(super) fn attribute_value(raw: &[u8]) -> Result<Vec<u8>, Unknown<'_>> {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(found) = memchr(b'&', &raw[at..]) {
        push_blanked(&mut out, &raw[at..at + found]);
        at += found;
        let rest = &raw[at + 1..];
        let name = match memchr2(b';', b'&', rest) {
            Some(end) if rest[end] == b';' => &rest[..end],
            _ => return Err(Unknown { at, name: None }),
        };
        let Some(c) = resolve(name) else {
            return Err(Unknown { at, name: Some(name) });
        };
        push_char(&mut out, c);
        at += name.len() + 2;
    }
    push_blanked(&mut out, &raw[at..]);
    Ok(out)
}

fn push_blanked(out: &mut Vec<u8>, text: &[u8]) {
    let from = out.len();
    push_text(out, text);
    for byte in &mut out[from..] {
        if is_blank(*byte) {
            *byte = b' ';
        }
    }
}

/// Whether XML may hold this character at all.
pub(super) fn is_xml_char(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => true,
        '\u{FFFE}' | '\u{FFFF}' => false,
        c => c >= ' ',
    }
}

/// Where escaped text is to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    Element,
    /// Between double quotes; line breaks and tabs would become blanks there.
    Attribute,
}

/// Appends text so that it reads back the same, except for what XML cannot hold: that becomes U+FFFD.
pub(super) fn escape(out: &mut Vec<u8>, text: &str, within: Within) {
    for c in text.chars() {
        match c {
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            // A line end written as such would read back as LF.
            '\r' => out.extend_from_slice(b"&#13;"),
            '"' if within == Within::Attribute => out.extend_from_slice(b"&quot;"),
            '\n' if within == Within::Attribute => out.extend_from_slice(b"&#10;"),
            '\t' if within == Within::Attribute => out.extend_from_slice(b"&#9;"),
            c if is_xml_char(c) => push_char(out, c),
            _ => push_char(out, char::REPLACEMENT_CHARACTER),
        }
    }
}
