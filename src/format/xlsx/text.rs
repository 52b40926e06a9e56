//! Text of cells: rich text put together, escapes undone.

use std::borrow::Cow;
use std::io::Read;

use memchr::memmem;

use super::refusal::PartError;
use super::xml::{Token, XmlReader};

/// Collects the text of the `si` or `is` that began last, and passes its end: the plain text, or that of all its runs. Phonetic
/// runs say how the text is read aloud, not what it says. Of text longer than `max` bytes a piece remains that is longer, too.
pub(super) fn rich_text<R: Read>(xml: &mut XmlReader<R>, out: &mut Vec<u8>, max: usize) -> Result<(), PartError> {
    let outside = xml.depth() - 1;
    loop {
        match xml.next()? {
            Token::Start if xml.name() == b"t" => plain_text(xml, out, max)?,
            Token::Start if xml.name() == b"rPh" => xml.skip_element()?,
            Token::End if xml.depth() == outside => return Ok(()),
            _ => {}
        }
    }
}

/// Collects the text that stands directly in the element that began last, and passes its end.
pub(super) fn plain_text<R: Read>(xml: &mut XmlReader<R>, out: &mut Vec<u8>, max: usize) -> Result<(), PartError> {
    loop {
        match xml.next()? {
            Token::Text => {
                let room = max.saturating_add(1).saturating_sub(out.len());
                let text = xml.text();
                out.extend_from_slice(&text[..text.len().min(room)]);
            }
            Token::Start => xml.skip_element()?,
            Token::End | Token::Eof => return Ok(()),
        }
    }
}

/// The text with `_x000D_` and the like turned into the characters they stand for: how a workbook writes those that XML cannot
/// hold. `_x005F_` stands for the underscore of text that only looks like one of these.
pub(super) fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memmem::find(text, b"_x") else {
        return Cow::Borrowed(text);
    };
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut next = Some(first);
    while let Some(at) = next {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let (character, length) = escape(rest).unwrap_or(('_', 1));
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[length..];
        next = memmem::find(rest, b"_x");
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// The character that the escape at the start stands for, and the escape's length; a pair of surrogates is one character.
fn escape(text: &[u8]) -> Option<(char, usize)> {
    const LENGTH: usize = "_xHHHH_".len();
    let unit = unit(text)?;
    if let Some(character) = char::from_u32(u32::from(unit)) {
        return Some((character, LENGTH));
    }
    let low = self::unit(&text[LENGTH..])?;
    let character = char::decode_utf16([unit, low]).next()?.ok()?;
    Some((character, 2 * LENGTH))
}

fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"_x")?.get(..5)?.strip_suffix(b"_")?;
    let digits = std::str::from_utf8(digits).ok()?;
    // `from_str_radix` would take a sign.
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    all_digits.then(|| u16::from_str_radix(digits, 16).ok())?
}
