//! Damage to files: what breaks on the way, and what somebody would try.

use std::fmt::Write as _;

use super::chance::Chance;

/// Pieces that mean something to one reader or another.
const TOKENS: [&[u8]; 40] = [
    b"\"",
    b"\"\"",
    b"'",
    b",",
    b";",
    b"\t",
    b"|",
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"\\",
    b"\\u",
    b"\\ud800",
    b"null",
    b"-1e999",
    b"<",
    b">",
    b"</",
    b"/>",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"<?",
    b"<!DOCTYPE x [",
    b"&",
    b"&amp;",
    b"&#x0;",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xff",
    b"PK\x03\x04",
    b"\x1f\x8b",
];

/// The file with some damage done to it.
pub fn damaged(file: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut file = file.to_vec();
    for _ in 0..=chance.below(4) {
        damage(&mut file, chance);
    }
    file
}

fn damage(file: &mut Vec<u8>, chance: &mut Chance) {
    let at = chance.below(file.len() + 1);
    let end = (at + 1 + chance.below(40)).min(file.len());
    match chance.below(8) {
        0 if at < file.len() => file[at] ^= 1 << chance.below(8),
        1 if at < file.len() => file[at] = u8::try_from(chance.below(256)).expect("a byte"),
        2 => drop(file.drain(at.min(end)..end)),
        3 => file.truncate(at),
        4 => {
            let piece = file[at.min(end)..end].to_vec();
            let to = chance.below(file.len() + 1);
            file.splice(to..to, piece);
        }
        5 => {
            let piece = TOKENS[chance.below(TOKENS.len())].repeat(1 + chance.below(200));
            file.splice(at..at, piece);
        }
        _ => {
            let token = TOKENS[chance.below(TOKENS.len())];
            file.splice(at..at, token.iter().copied());
        }
    }
}

/// A document type with an entity `l9` that expands to a billion others.
pub fn laughing_doctype() -> String {
    let mut text = "<!DOCTYPE D [<!ENTITY l0 \"lol\">".to_owned();
    for level in 1..10 {
        let lower = format!("&l{};", level - 1).repeat(10);
        write!(text, "<!ENTITY l{level} \"{lower}\">").expect("it goes into memory");
    }
    text + "]>"
}
