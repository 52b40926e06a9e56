//! Number sequences: `SO-{:06}` and the numbers that follow each other.

use std::fmt;

/// Most digits a number is filled up to.
const WIDTH_MAX: u8 = 18;

/// A field whose records get the next number of their entity's sequence when they bring none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoNumber {
    /// How a number is written.
    pub format: NumberFormat,
    /// The first number.
    pub start: i64,
}

/// Text around a number, and how many digits it has at least: `SO-{:06}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberFormat {
    /// In front of it.
    pub before: String,
    /// Zeros fill it up to this many digits.
    pub width: u8,
    /// Behind it.
    pub after: String,
}

impl NumberFormat {
    /// The number as text.
    #[must_use]
    pub fn text(&self, number: i64) -> String {
        let Self { before, width, after } = self;
        format!("{before}{number:0width$}{after}", width = usize::from(*width))
    }

    /// Whether it is the bare number.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl std::str::FromStr for NumberFormat {
    type Err = InvalidNumberFormat;

    /// Reads a text with one `{}` or `{:06}` in it.
    fn from_str(written: &str) -> Result<Self, InvalidNumberFormat> {
        let (before, rest) = written.split_once('{').ok_or(InvalidNumberFormat)?;
        let (spec, after) = rest.split_once('}').ok_or(InvalidNumberFormat)?;
        if before.contains('}') || after.contains(['{', '}']) {
            return Err(InvalidNumberFormat);
        }
        let width = match spec.strip_prefix(":0") {
            None if spec.is_empty() => 0,
            None => return Err(InvalidNumberFormat),
            Some(digits) => digits.parse().map_err(|_| InvalidNumberFormat)?,
        };
        if width > WIDTH_MAX {
            return Err(InvalidNumberFormat);
        }
        Ok(Self {
            before: before.to_owned(),
            width,
            after: after.to_owned(),
        })
    }
}

impl fmt::Display for NumberFormat {
    /// As it is written in definitions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, width, after } = self;
        match width {
            0 => write!(f, "{before}{{}}{after}"),
            _ => write!(f, "{before}{{:0{width}}}{after}"),
        }
    }
}

/// The text has no place for a number, or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidNumberFormat;

impl fmt::Display for InvalidNumberFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "needs one `{{}}` for the number, or such as `{{:06}}` to fill it up with zeros to 6 digits, at most {WIDTH_MAX}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_the_format_says() {
        for (written, text) in [
            ("SO-{:06}", "SO-000042"),
            ("{}", "42"),
            ("{:01}/x", "42/x"),
            ("é{}", "é42"),
        ] {
            let format: NumberFormat = written.parse().unwrap_or_else(|error| panic!("{written}: {error}"));
            assert_eq!(format.text(42), text, "{written}");
            assert_eq!(format.to_string().parse(), Ok(format), "{written}");
        }
        assert!("{}".parse::<NumberFormat>().is_ok_and(|format| format.is_plain()));
    }

    #[test]
    fn what_has_no_one_place_for_the_number_is_refused() {
        for written in ["SO-", "{}{}", "{:6}", "{:0}", "{:019}", "}{", "{a}", "{:06"] {
            assert_eq!(written.parse::<NumberFormat>(), Err(InvalidNumberFormat), "{written}");
        }
    }
}
