//! What type a column's cells have. Where two types fit, the one that loses nothing is chosen: text.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use crate::domain::entity::{Field, FieldType};
use crate::domain::ids::parse_guid;

/// Texts that often stand for "no value".
const NULL_TOKENS: [&str; 6] = ["NULL", "null", "\\N", "NA", "N/A", "n/a"];
/// Lengths people choose for texts.
const LENGTHS: [usize; 9] = [10, 20, 40, 60, 100, 250, 500, 1000, 4000];
/// Length of a text column in which nothing was seen.
const LENGTH_UNSEEN: u32 = 250;
/// Longest text a definition may declare.
const LENGTH_MOST: usize = 1_000_000;

/// A guessed type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    pub kind: FieldType,
    pub max_length: Option<u32>,
    pub formats: Vec<String>,
    pub null_tokens: Vec<String>,
}

impl Guess {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Field {
        Field {
            name: name.to_owned(),
            kind: self.kind.clone(),
            max_length: self.max_length,
            formats: self.formats.clone(),
            null_tokens: self.null_tokens.clone(),
            ..Field::default()
        }
    }

    fn of(kind: FieldType) -> Self {
        Self {
            kind,
            max_length: None,
            formats: Vec::new(),
            null_tokens: Vec::new(),
        }
    }
}

/// Guesses from all cells seen; empty ones say nothing.
pub fn guess<'a>(cells: impl Iterator<Item = &'a str>) -> Guess {
    let cells = cells.filter(|cell| !cell.trim().is_empty()).collect::<Vec<_>>();
    let (tokens, values): (Vec<&str>, Vec<&str>) = cells
        .iter()
        .map(|cell| cell.trim())
        .partition(|cell| NULL_TOKENS.contains(cell));
    if !values.is_empty()
        && let Some(mut guess) = typed(&values)
    {
        guess.null_tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
        guess.null_tokens.sort();
        guess.null_tokens.dedup();
        return guess;
    }
    let longest = cells.iter().map(|cell| cell.chars().count()).max();
    Guess {
        max_length: Some(longest.map_or(LENGTH_UNSEEN, head_room)),
        ..Guess::of(FieldType::String)
    }
}

/// A usual length with room for twice what was seen.
fn head_room(seen: usize) -> u32 {
    let wanted = seen.saturating_mul(2);
    let usual = LENGTHS.into_iter().find(|length| *length >= wanted);
    let length = usual.unwrap_or_else(|| wanted.next_multiple_of(1000).min(LENGTH_MOST.max(seen)));
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The type all values have, other than text.
fn typed(values: &[&str]) -> Option<Guess> {
    let all = |test: &dyn Fn(&str) -> bool| values.iter().all(|value| test(value));
    if all(&is_int) {
        return Some(Guess::of(FieldType::Int));
    }
    if all(&|value| ["true", "false", "yes", "no"].contains(&value.to_lowercase().as_str())) {
        return Some(Guess::of(FieldType::Bool));
    }
    if all(&|value| parse_guid(value).is_ok()) {
        return Some(Guess::of(FieldType::Guid));
    }
    decimal(values).or_else(|| moments(values))
}

/// Digits without leading zeros: `007` is a code, not a number.
fn is_int(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    is_whole(digits) && digits.len() <= 18 && value != "-0"
}

fn is_whole(digits: &str) -> bool {
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}

/// A decimal with room for larger numbers, and at least the two places money has.
fn decimal(values: &[&str]) -> Option<Guess> {
    let (mut whole_digits, mut scale) = (0, 2);
    for value in values {
        let digits = value.strip_prefix('-').unwrap_or(value);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        if !is_whole(whole) || fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        whole_digits = whole_digits.max(whole.len());
        scale = scale.max(fraction.len());
    }
    let precision = (whole_digits + scale + 2).clamp(18, 38);
    if whole_digits + scale > precision {
        return None;
    }
    let (precision, scale) = (u32::try_from(precision).ok()?, u32::try_from(scale).ok()?);
    Some(Guess::of(FieldType::Decimal {
        precision,
        scale: Some(scale),
    }))
}

const DATES: [&str; 5] = ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y"];
const DATETIMES: [&str; 4] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
];
const TIMES: [&str; 2] = ["%H:%M:%S%.f", "%H:%M"];

/// Dates, times, or dates with times. A format must fit alone: `01/02/2026` in every record says neither day nor month.
fn moments(values: &[&str]) -> Option<Guess> {
    let all = |parses: &dyn Fn(&str) -> bool| values.iter().all(|value| parses(value));
    let dates = DATES
        .iter()
        .filter(|format| all(&|value| is_date(value, format)))
        .collect::<Vec<_>>();
    match dates[..] {
        [] => {}
        [format] => {
            return Some(Guess {
                formats: vec![(*format).to_owned()],
                ..Guess::of(FieldType::Date)
            });
        }
        _ => return None,
    }
    for format in DATETIMES {
        // Midnight is often left out.
        let date = format
            .split([' ', 'T'])
            .next()
            .filter(|_| !format.contains("dT"))
            .unwrap_or("%Y-%m-%d");
        if all(&|value| NaiveDateTime::parse_from_str(value, format).is_ok() || is_date(value, date)) {
            let mixed = values.iter().any(|value| is_date(value, date));
            let formats = std::iter::once(format)
                .chain(mixed.then_some(date))
                .map(str::to_owned)
                .collect();
            return Some(Guess {
                formats,
                ..Guess::of(FieldType::Datetime)
            });
        }
    }
    if all(&|value| chrono::DateTime::parse_from_rfc3339(value).is_ok()) {
        return Some(Guess::of(FieldType::Datetime));
    }
    let time = TIMES
        .iter()
        .find(|format| all(&|value| NaiveTime::parse_from_str(value, format).is_ok()))?;
    Some(Guess {
        formats: vec![(*time).to_owned()],
        ..Guess::of(FieldType::Time)
    })
}

/// chrono reads years of any length; a date has four digits of them.
fn is_date(value: &str, format: &str) -> bool {
    value.len() <= 10
        && NaiveDate::parse_from_str(value, format).is_ok()
        && value.split(|c: char| !c.is_ascii_digit()).any(|part| part.len() == 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(cells: &[&str]) -> FieldType {
        guess(cells.iter().copied()).kind
    }

    #[test]
    fn types_are_what_every_cell_allows() {
        let decimal = |precision, scale| FieldType::Decimal {
            precision,
            scale: Some(scale),
        };
        assert_eq!(kind(&["1", "-20", "", " 3 "]), FieldType::Int);
        assert_eq!(kind(&["007", "8"]), FieldType::String, "leading zeros belong to codes");
        assert_eq!(kind(&["9999999999999999999"]), decimal(23, 2), "past 64 bits");
        assert_eq!(kind(&["18", "9.8", "-0.125"]), decimal(18, 3));
        assert_eq!(kind(&["1,5"]), FieldType::String);
        assert_eq!(kind(&["Yes", "no"]), FieldType::Bool);
        assert_eq!(kind(&["{6D31E09F-0249-459F-94F0-AAD9C2C47B64}"]), FieldType::Guid);
        assert_eq!(kind(&["2026-01-31", "1996-02-29"]), FieldType::Date);
        assert_eq!(kind(&["2026-02-30"]), FieldType::String);
        assert_eq!(kind(&["13:05", "09:00"]), FieldType::Time);
        assert_eq!(
            kind(&["2026-01-31T10:00:00Z", "2026-01-31T10:00:00.5+01:00"]),
            FieldType::Datetime
        );
        assert_eq!(kind(&["NaN"]), FieldType::String);
        assert_eq!(kind(&[]), FieldType::String);
    }

    #[test]
    fn formats_are_only_guessed_where_one_reading_is_possible() {
        let formats = |cells: &[&str]| guess(cells.iter().copied()).formats;
        assert_eq!(formats(&["31.01.2026", "01.02.2026"]), ["%d.%m.%Y"]);
        assert_eq!(formats(&["31/01/2026", "01/02/2026"]), ["%d/%m/%Y"]);
        assert_eq!(formats(&["01/31/2026"]), ["%m/%d/%Y"]);
        assert_eq!(kind(&["01/02/2026"]), FieldType::String);
        assert_eq!(formats(&["1996-07-04 00:00:00.000", ""]), ["%Y-%m-%d %H:%M:%S%.f"]);
        assert_eq!(
            formats(&["1996-07-04 10:00:00", "1996-07-05"]),
            ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d"]
        );
    }

    #[test]
    fn null_tokens_are_told_from_values_and_texts_get_room() {
        let guessed = guess(["1", "NULL", "2", "NULL", "N/A"].into_iter());
        assert_eq!(
            (guessed.kind, guessed.null_tokens),
            (FieldType::Int, vec!["N/A".to_owned(), "NULL".to_owned()])
        );
        assert_eq!(kind(&["NULL"]), FieldType::String);
        let length = |cell: &str| guess([cell].into_iter()).max_length;
        assert_eq!(length("ALFKI"), Some(10));
        assert_eq!(length("ééééééééééé"), Some(40), "characters, not bytes");
        assert_eq!(length(&"x".repeat(3000)), Some(6000));
        assert_eq!(length(""), Some(250));
    }
}
