//! One cell's bytes to a typed value.
//!
//! [`CellTyper`] holds what a field's definition resolves to, so that a million cells do not resolve it again; dates and numbers in
//! their plain forms take hand-written paths that allocate only the result.
//!
//! A cell of blanks only is an empty cell, for text too. Truth values are exactly true/false, yes/no and 1/0, in any case. A
//! decimal number is written in full: an exponent is refused, because files that went through a spreadsheet have lost digits
//! by then. Times keep microseconds; finer digits are dropped.

mod moment;
mod number;
mod spell;
#[cfg(test)]
mod tests;

use crate::domain::cell::Cell;
use crate::domain::entity::{Field, FieldType};
use crate::domain::ids::parse_guid;
use crate::domain::pattern::TextPattern;
use crate::domain::reject::RecordCode;

use super::excerpt::{is_business_text, quoted};
use moment::Moments;
use number::{Decimal, Misfit, Spelling};
pub(super) use spell::days_and_time;
pub use spell::{FileCell, Nature, Speller};

/// Why a cell was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellError {
    /// Stable code.
    pub code: RecordCode,
    /// What was found and what was expected.
    pub reason: String,
}

impl CellError {
    fn new(code: RecordCode, reason: String) -> Self {
        Self { code, reason }
    }
}

/// Types one cell: trims (text keeps inner space; only a string field keeps outer space), applies null tokens, checks
/// type, length, precision, range and required. The result is canonical (see [`Cell`]).
///
/// For one cell now and then; for many, keep a [`CellTyper`].
///
/// # Errors
/// [`CellError`] with the code and a sentence.
pub fn type_cell(field: &Field, text: &str) -> Result<Cell, CellError> {
    let typer = CellTyper::new(field);
    match typer.read(text)? {
        Cell::Null => typer.missing().map_or(Ok(Cell::Null), Err),
        cell => Ok(cell),
    }
}

/// Types a value of our own making: in canonical form, whatever files spell the field's values like.
///
/// # Errors
/// [`CellError`] with the code and a sentence.
pub fn type_canonical(field: &Field, text: &str) -> Result<Cell, CellError> {
    CellTyper::canonical(field).read(text)
}

/// A field's definition, resolved for typing many cells.
#[derive(Debug)]
pub struct CellTyper {
    kind: Kind,
    required: bool,
    max_length: Option<u32>,
    min: Option<String>,
    max: Option<String>,
    null_tokens: Vec<String>,
    trim: bool,
    pattern: Option<TextPattern>,
    numbers: Spelling,
    time_zone: Option<chrono_tz::Tz>,
}

#[derive(Debug)]
enum Kind {
    String,
    Int,
    Decimal { precision: u32, scale: Option<u32> },
    Bool,
    Date(Moments),
    Datetime(Moments),
    Time(Moments),
    Guid,
    Enum(Vec<EnumValue>),
}

#[derive(Debug)]
struct EnumValue {
    lower: String,
    declared: String,
}

impl CellTyper {
    /// Resolves a field.
    #[must_use]
    pub fn new(field: &Field) -> Self {
        let kind = match &field.kind {
            FieldType::String => Kind::String,
            FieldType::Int => Kind::Int,
            &FieldType::Decimal { precision, scale } => Kind::Decimal { precision, scale },
            FieldType::Bool => Kind::Bool,
            FieldType::Date => Kind::Date(Moments::new(&field.formats)),
            FieldType::Datetime => Kind::Datetime(Moments::new(&field.formats)),
            FieldType::Time => Kind::Time(Moments::new(&field.formats)),
            FieldType::Guid => Kind::Guid,
            FieldType::Enum(values) => Kind::Enum(
                values
                    .iter()
                    .map(|declared| EnumValue {
                        lower: declared.to_lowercase(),
                        declared: declared.clone(),
                    })
                    .collect(),
            ),
        };
        Self {
            kind,
            required: field.required,
            max_length: field.max_length,
            min: field.min.clone(),
            max: field.max.clone(),
            null_tokens: field.null_tokens.clone(),
            trim: field.trim,
            pattern: field.pattern.clone(),
            numbers: Spelling {
                comma: field.decimal_comma,
                group: field.group_separator,
            },
            time_zone: field.time_zone,
        }
    }

    /// Resolves a field for values in canonical form (see [`Cell`]): its spelling does not count, its limits do.
    #[must_use]
    pub fn canonical(field: &Field) -> Self {
        Self::new(&Field {
            formats: Vec::new(),
            null_tokens: Vec::new(),
            decimal_comma: false,
            group_separator: None,
            time_zone: None,
            ..field.clone()
        })
    }

    /// Resolves a field for values of a format with types of its own: how text files spell them does not count; what is no
    /// value, the zone of date-times without an offset, and the limits do.
    #[must_use]
    pub fn unspelt(field: &Field) -> Self {
        Self::new(&Field {
            formats: Vec::new(),
            decimal_comma: false,
            group_separator: None,
            ..field.clone()
        })
    }

    /// Types one cell, whether or not the field is required: the caller may have a value for an empty one.
    ///
    /// # Errors
    /// [`CellError`] for text that is no value of the field.
    pub fn read(&self, text: &str) -> Result<Cell, CellError> {
        let trimmed = text.trim();
        if trimmed.is_empty() || self.null_tokens.iter().any(|token| token == trimmed) {
            return Ok(Cell::Null);
        }
        match &self.kind {
            Kind::String => self.string(if self.trim { trimmed } else { text }),
            Kind::Int => self.int(trimmed),
            Kind::Decimal { precision, scale } => self.decimal(trimmed, *precision, *scale),
            Kind::Bool => bool(trimmed),
            Kind::Date(moments) => moments.date(trimmed).map(Cell::Text).ok_or_else(|| {
                let expected = moments.expected("a date", "write YYYY-MM-DD, e.g. 2026-01-31");
                refused(RecordCode::InvalidDate, trimmed, &expected)
            }),
            Kind::Datetime(moments) => moments
                .datetime(trimmed, self.time_zone)
                .map(Cell::Text)
                .ok_or_else(|| {
                    let expected = moments.expected(
                        "a date and time",
                        "write YYYY-MM-DD HH:MM:SS, e.g. 2026-01-31 13:05:00 or 2026-01-31T13:05:00Z",
                    );
                    refused(RecordCode::InvalidDatetime, trimmed, &expected)
                }),
            Kind::Time(moments) => moments.time(trimmed).map(Cell::Text).ok_or_else(|| {
                let expected = moments.expected("a time of day", "write HH:MM:SS, e.g. 13:05:00");
                refused(RecordCode::InvalidTime, trimmed, &expected)
            }),
            Kind::Guid => guid(trimmed),
            Kind::Enum(values) => enum_value(trimmed, values),
        }
    }

    /// What is wrong with an empty cell, if anything is.
    #[must_use]
    pub fn missing(&self) -> Option<CellError> {
        self.required.then(|| {
            CellError::new(
                RecordCode::RequiredMissing,
                "the cell is empty, but the field is required: give it a value".to_owned(),
            )
        })
    }

    fn string(&self, text: &str) -> Result<Cell, CellError> {
        if let Some((at, c)) = text.chars().enumerate().find(|&(_, c)| !is_business_text(c)) {
            let code_point = u32::from(c);
            return Err(CellError::new(
                RecordCode::InvalidCharacter,
                format!(
                    "{} holds the control character U+{code_point:04X} at position {}: remove it",
                    quoted(text),
                    at + 1
                ),
            ));
        }
        if let Some(max) = self.max_length
            && text.len() > max as usize
        {
            let found = text.chars().count();
            if found > max as usize {
                return Err(CellError::new(
                    RecordCode::TooLong,
                    format!("{} has {found} characters, at most {max} are allowed", quoted(text)),
                ));
            }
        }
        if let Some(pattern) = &self.pattern
            && !pattern.0.is_match(text)
        {
            // As it was written: without what makes it count for the whole text.
            let written = pattern.0.as_str();
            let written = written.strip_prefix("^(?:").and_then(|rest| rest.strip_suffix(")$"));
            let reason = format!(
                "{} does not match the pattern {}",
                quoted(text),
                quoted(written.unwrap_or_default())
            );
            return Err(CellError::new(RecordCode::PatternMismatch, reason));
        }
        Ok(Cell::Text(text.to_owned()))
    }

    fn int(&self, written: &str) -> Result<Cell, CellError> {
        let plain = self.numbers.plain(written);
        let text = plain.as_deref().unwrap_or(written);
        let Ok(value) = text.parse::<i64>() else {
            let is_number = Decimal::parse(text).is_some_and(|number| number.is_whole());
            let expected = if is_number && !text.contains('.') {
                format!("beyond 64 bits: write a number from {} to {}", i64::MIN, i64::MAX)
            } else {
                "not a whole number: write digits only, e.g. 12 or -12".to_owned()
            };
            return Err(refused(RecordCode::InvalidInt, text, &expected));
        };
        self.check_range(text)?;
        Ok(Cell::Int(value))
    }

    fn decimal(&self, written: &str, precision: u32, scale: Option<u32>) -> Result<Cell, CellError> {
        let plain = self.numbers.plain(written);
        let Some(number) = plain.as_deref().and_then(Decimal::parse) else {
            let expected = if self.numbers.comma {
                "not a decimal number: write digits with a comma, e.g. 12,50"
            } else {
                "not a decimal number: write digits with a point, e.g. 12.50"
            };
            return Err(refused(RecordCode::InvalidDecimal, written, expected));
        };
        let canonical = number.fit(precision, scale).map_err(|misfit| {
            let allowed = match (misfit, scale) {
                (Misfit::Fraction(found), Some(scale)) => {
                    format!("has {found} digits after the point, at most {scale} are allowed")
                }
                (Misfit::Whole(found), Some(scale)) => format!(
                    "has {found} digits before the point, at most {} are allowed",
                    precision.saturating_sub(scale)
                ),
                (Misfit::Fraction(found) | Misfit::Whole(found), None) => {
                    format!("has {found} digits, at most {precision} are allowed")
                }
            };
            CellError::new(RecordCode::DecimalOverflow, format!("{} {allowed}", quoted(written)))
        })?;
        self.check_range(&canonical)?;
        Ok(Cell::Text(canonical))
    }

    /// Compares exactly: a limit such as 0.1 has no binary floating-point form.
    fn check_range(&self, text: &str) -> Result<(), CellError> {
        let checks = [(&self.min, "below the smallest"), (&self.max, "above the largest")];
        for (at, (limit, side)) in checks.into_iter().enumerate() {
            let Some(limit) = limit else { continue };
            let order = match (Decimal::parse(text), Decimal::parse(limit.trim())) {
                (Some(value), Some(limit)) => value.compare(&limit),
                // Not silently without a limit: the definition is wrong, and every record says so.
                _ => {
                    return Err(CellError::new(
                        RecordCode::OutOfRange,
                        format!(
                            "the definition's limit {} is not a number: correct the entity",
                            quoted(limit)
                        ),
                    ));
                }
            };
            let outside = if at == 0 { order.is_lt() } else { order.is_gt() };
            if outside {
                return Err(CellError::new(
                    RecordCode::OutOfRange,
                    format!("{} is {side} value allowed, {limit}", quoted(text)),
                ));
            }
        }
        Ok(())
    }
}

fn refused(code: RecordCode, text: &str, expected: &str) -> CellError {
    CellError::new(code, format!("{} is {expected}", quoted(text)))
}

fn bool(text: &str) -> Result<Cell, CellError> {
    let is = |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(["1", "true", "yes"]) {
        Ok(Cell::Bool(true))
    } else if is(["0", "false", "no"]) {
        Ok(Cell::Bool(false))
    } else {
        let expected = "not a truth value: write true or false, yes or no, 1 or 0";
        Err(refused(RecordCode::InvalidBool, text, expected))
    }
}

fn guid(text: &str) -> Result<Cell, CellError> {
    let id = parse_guid(text).map_err(|_| {
        let expected = "not a GUID: write e.g. 6d31e09f-0249-459f-94f0-aad9c2c47b64, with or without braces";
        refused(RecordCode::InvalidGuid, text, expected)
    })?;
    Ok(Cell::Text(id.hyphenated().to_string()))
}

fn enum_value(text: &str, values: &[EnumValue]) -> Result<Cell, CellError> {
    if let Some(value) = values.iter().find(|value| value.declared == text) {
        return Ok(Cell::Text(value.declared.clone()));
    }
    let lower = text.to_lowercase();
    if let Some(value) = values.iter().find(|value| value.lower == lower) {
        return Ok(Cell::Text(value.declared.clone()));
    }
    let declared: Vec<_> = values.iter().take(20).map(|value| value.declared.as_str()).collect();
    let more = if values.len() > declared.len() { ", ..." } else { "" };
    let expected = format!("not one of the values allowed: {}{more}", declared.join(", "));
    Err(refused(RecordCode::InvalidEnum, text, &expected))
}
