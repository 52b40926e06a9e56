//! How cells show their numbers: what tells a date from a number in a workbook.

use std::collections::HashMap;
use std::io::Read;

use super::refusal::PartError;
use super::xml::{Token, XmlReader};

/// Most cell formats, and most number formats. Excel allows 65,490 of the first.
const FORMATS_MAX: usize = 1 << 16;

/// What a number is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Look {
    /// A number.
    #[default]
    Number,
    /// A date.
    Date,
    /// A date with a time.
    DateTime,
    /// A time of day.
    Time,
}

/// The looks of the workbook's cell formats.
#[derive(Debug, Default)]
pub(super) struct Styles {
    looks: Vec<Look>,
}

impl Styles {
    /// Reads `styles.xml`.
    ///
    /// # Errors
    /// When it is broken or has too many formats.
    pub fn read<R: Read>(xml: &mut XmlReader<R>) -> Result<Self, PartError> {
        let mut own = HashMap::new();
        let mut looks = Vec::new();
        // The element at depth 2 that is open: differential formats have the same children.
        let mut section = Vec::new();
        loop {
            match xml.next()? {
                Token::Start => {}
                Token::End | Token::Text => continue,
                Token::Eof => return Ok(Self { looks }),
            }
            if xml.depth() == 2 {
                section = xml.name().to_vec();
            }
            if xml.depth() != 3 {
                continue;
            }
            match (section.as_slice(), xml.name()) {
                (b"numFmts", b"numFmt") => {
                    let code = xml.attribute_text(b"formatCode")?.unwrap_or_default();
                    own.insert(format_id(xml), look(&code));
                }
                // Number formats come first in the part.
                (b"cellXfs", b"xf") => {
                    let id = format_id(xml);
                    looks.push(own.get(&id).copied().unwrap_or_else(|| built_in(id)));
                }
                _ => {}
            }
            if looks.len().max(own.len()) > FORMATS_MAX {
                return Err(PartError::broken(format!("it has more than {FORMATS_MAX} formats")));
            }
        }
    }

    /// The look of the cell format with this number, from 0.
    pub fn look(&self, format: usize) -> Look {
        self.looks.get(format).copied().unwrap_or_default()
    }
}

fn format_id<R: Read>(xml: &XmlReader<R>) -> u32 {
    let id = xml.attribute(b"numFmtId").and_then(|id| std::str::from_utf8(id).ok());
    id.and_then(|id| id.trim().parse().ok()).unwrap_or(0)
}

/// The formats every spreadsheet program knows by number (ECMA-376, part 1, 18.8.30). Those of 27 to 36 and 50 to 58 differ
/// between the languages of East Asia; they are dates in all, save for two times of day.
fn built_in(id: u32) -> Look {
    match id {
        14..=17 | 27..=31 | 34..=36 | 50..=58 => Look::Date,
        22 => Look::DateTime,
        18..=21 | 32..=33 | 45..=47 => Look::Time,
        _ => Look::Number,
    }
}

/// What a format code shows: letters of a date outside quotes, brackets and escapes make it one.
fn look(code: &str) -> Look {
    let (mut date, mut month, mut time, mut elapsed) = (false, false, false, false);
    let mut characters = code.chars();
    while let Some(character) = characters.next() {
        match character.to_ascii_lowercase() {
            '"' => while characters.next().is_some_and(|quoted| quoted != '"') {},
            '[' => {
                let bracketed: String = characters.by_ref().take_while(|&bracketed| bracketed != ']').collect();
                elapsed |= matches!(
                    bracketed.to_ascii_lowercase().as_str(),
                    "h" | "hh" | "m" | "mm" | "s" | "ss"
                );
            }
            // What follows is shown as it is, left out, or repeated.
            '\\' | '_' | '*' => _ = characters.next(),
            'y' | 'd' => date = true,
            'h' | 's' => time = true,
            'm' => month = true,
            _ => {}
        }
    }
    match (date, time) {
        (true, true) => Look::DateTime,
        (true, false) => Look::Date,
        (false, true) => Look::Time,
        // Alone it is a month, not minutes; `[h]:mm` is hours and minutes.
        (false, false) if month && elapsed => Look::Time,
        (false, false) if month => Look::Date,
        (false, false) => Look::Number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_a_date_count_outside_quotes_brackets_and_escapes() {
        let cases = [
            ("General", Look::Number),
            ("0.00", Look::Number),
            ("#,##0 \"days\"", Look::Number),
            ("[Red]#,##0_d;\\d0*s", Look::Number),
            ("[$-409]0.0", Look::Number),
            ("\"unclosed yyyy", Look::Number),
            ("[unclosed yyyy", Look::Number),
            ("yyyy-mm-dd", Look::Date),
            ("DD/MM/YY;@", Look::Date),
            ("[$-407]d. mmmm yyyy", Look::Date),
            ("mmm", Look::Date),
            ("yyyy\"-\"mm\"-\"dd\\ hh:mm", Look::DateTime),
            ("d.m h", Look::DateTime),
            ("hh:mm:ss.000", Look::Time),
            ("[h]:mm", Look::Time),
            ("[h]:mm:ss", Look::Time),
            ("h AM/PM", Look::Time),
        ];
        for (code, expected) in cases {
            assert_eq!(look(code), expected, "{code}");
        }
    }
}
