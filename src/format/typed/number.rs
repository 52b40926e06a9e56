//! Decimal numbers as text: exact, without a binary detour.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A decimal number's digits, borrowed from its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal<'a> {
    negative: bool,
    /// Without leading zeros; empty for zero.
    whole: &'a str,
    /// As written.
    fraction: &'a str,
}

/// Which side of the point has too many digits, and how many it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    Whole(usize),
    Fraction(usize),
}

/// How numbers are spelt in a file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spelling {
    /// A comma stands before the fraction.
    pub comma: bool,
    /// What may stand between groups of three digits.
    pub group: Option<char>,
}

impl Spelling {
    /// The number with a point and without group separators; `None` where one of them stands where it may not.
    pub fn plain(self, text: &str) -> Option<Cow<'_, str>> {
        if !self.comma && self.group.is_none() {
            return Some(Cow::Borrowed(text));
        }
        let decimal = if self.comma { ',' } else { '.' };
        let (whole, fraction) = match text.split_once(decimal) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let whole = match self.group {
            Some(group) if whole.contains(group) => ungrouped(whole, group)?,
            _ => whole.to_owned(),
        };
        // A point is no digit: where a comma is asked for, `1.5` must not pass for a number of another size.
        let strange = |part: &str| self.comma && part.contains('.');
        match fraction {
            _ if strange(&whole) || fraction.is_some_and(strange) => None,
            Some(fraction) => Some(Cow::Owned(format!("{whole}.{fraction}"))),
            None => Some(Cow::Owned(whole)),
        }
    }
}

/// The digits without separators, which stand before every three of them.
fn ungrouped(whole: &str, group: char) -> Option<String> {
    let digits = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let mut groups = digits.split(group);
    let first = groups.next()?;
    let fits = (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    fits.then(|| whole.replace(group, ""))
}

impl<'a> Decimal<'a> {
    /// An optional sign, digits, an optional point with digits; at least one digit. No separators, no exponent.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let number = Self {
            negative,
            whole: whole.trim_start_matches('0'),
            fraction,
        };
        Some(Self {
            negative: negative && !number.is_zero(),
            ..number
        })
    }

    fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.is_whole()
    }

    /// Whether nothing but zeros stands after the point.
    pub fn is_whole(&self) -> bool {
        self.fraction.bytes().all(|b| b == b'0')
    }

    /// The canonical text with this precision and scale: padded, zeros past the scale dropped. Without a scale the digits
    /// after the point stay as written.
    pub fn fit(&self, precision: u32, scale: Option<u32>) -> Result<String, Misfit> {
        let (precision, scale) = (precision as usize, scale.map(|scale| scale as usize));
        let kept = scale.map_or(self.fraction, |scale| &self.fraction[..scale.min(self.fraction.len())]);
        if self.fraction[kept.len()..].bytes().any(|b| b != b'0') {
            return Err(Misfit::Fraction(self.fraction.trim_end_matches('0').len()));
        }
        match scale {
            Some(scale) if self.whole.len() > precision.saturating_sub(scale) => {
                return Err(Misfit::Whole(self.whole.len()));
            }
            None if self.whole.len() + kept.len() > precision => {
                return Err(Misfit::Fraction(self.whole.len() + kept.len()));
            }
            _ => {}
        }
        let places = scale.unwrap_or(kept.len());
        let mut out = String::with_capacity(self.whole.len() + places + 3);
        if self.negative {
            out.push('-');
        }
        out.push_str(if self.whole.is_empty() { "0" } else { self.whole });
        if places > 0 {
            out.push('.');
            out.push_str(kept);
            out.extend(std::iter::repeat_n('0', places - kept.len()));
        }
        Ok(out)
    }

    /// Order by value: `1.50` equals `1.5`.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.compare_size(other),
            (true, true) => other.compare_size(self),
        }
    }

    fn compare_size(&self, other: &Self) -> Ordering {
        // Digits of equal length order as text; behind the point any do, once trailing zeros are gone.
        let fraction = self.fraction.trim_end_matches('0');
        (self.whole.len().cmp(&other.whole.len()))
            .then_with(|| self.whole.cmp(other.whole))
            .then_with(|| fraction.cmp(other.fraction.trim_end_matches('0')))
    }
}
