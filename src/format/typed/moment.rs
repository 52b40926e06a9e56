//! Dates, times and both: ISO by hand, everything else through the definition's formats, canonical text out.

use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
use chrono_tz::Tz;

use crate::domain::schedule::first_instant;

/// A field's formats. Without any, the ISO forms.
#[derive(Debug)]
pub(super) struct Moments {
    patterns: Vec<Pattern>,
}

impl Moments {
    /// Resolves the formats. One that is no format matches nothing.
    pub fn new(formats: &[String]) -> Self {
        Self {
            patterns: formats.iter().map(|format| Pattern::new(format)).collect(),
        }
    }

    /// `is not ..` for an error.
    pub fn expected(&self, what: &str, cure: &str) -> String {
        if self.patterns.is_empty() {
            return format!("not {what}: {cure}");
        }
        let formats: Vec<_> = self.patterns.iter().map(|p| format!("`{}`", p.format)).collect();
        format!("not {what} in the form {}", formats.join(" or "))
    }

    /// `YYYY-MM-DD`. Without formats a time is accepted behind the date when it is midnight, as exports write it (FMT-13).
    pub fn date(&self, text: &str) -> Option<String> {
        let date = if self.patterns.is_empty() {
            iso_date(text.as_bytes()).or_else(|| {
                let (at, _) = iso_datetime(text)?;
                (at.time() == NaiveTime::MIN).then(|| at.date())
            })?
        } else {
            self.patterns.iter().find_map(|pattern| pattern.date(text))?
        };
        let mut out = String::with_capacity(10);
        push_date(&mut out, date)?;
        Some(out)
    }

    /// `YYYY-MM-DD HH:MM:SS` with the fraction's digits, if any; in UTC where the text names an offset or the field a zone.
    pub fn datetime(&self, text: &str, zone: Option<Tz>) -> Option<String> {
        let (at, is_utc) = if self.patterns.is_empty() {
            iso_datetime(text)?
        } else {
            self.patterns.iter().find_map(|pattern| pattern.datetime(text))?
        };
        let at = match zone {
            Some(zone) if !is_utc => first_instant(at, zone).naive_utc(),
            _ => at,
        };
        let mut out = String::with_capacity(26);
        push_date(&mut out, at.date())?;
        out.push(' ');
        push_time(&mut out, at.time())?;
        Some(out)
    }

    /// `HH:MM:SS` with the fraction's digits, if any.
    pub fn time(&self, text: &str) -> Option<String> {
        let time = if self.patterns.is_empty() {
            iso_time(text.as_bytes())?
        } else {
            self.patterns.iter().find_map(|pattern| pattern.time(text))?
        };
        let mut out = String::with_capacity(15);
        push_time(&mut out, time)?;
        Some(out)
    }
}

/// One `strftime` format.
#[derive(Debug)]
struct Pattern {
    format: String,
    items: Vec<Item<'static>>,
    plain: Option<Plain>,
}

/// Formats that spell an ISO form: read by hand first, since the general parser takes several times as long.
#[derive(Debug, Clone, Copy)]
struct Plain {
    /// What stands between date and time; none: a date only.
    separator: Option<u8>,
    fraction: bool,
}

impl Pattern {
    fn new(format: &str) -> Self {
        Self {
            format: format.to_owned(),
            // A broken format must match nothing; without items it would match the empty text, which no cell is here.
            items: StrftimeItems::new(format).parse_to_owned().unwrap_or_default(),
            plain: Plain::of(format),
        }
    }

    fn parse(&self, text: &str) -> Option<Parsed> {
        let mut parsed = Parsed::new();
        parse(&mut parsed, text, self.items.iter()).ok()?;
        Some(parsed)
    }

    fn date(&self, text: &str) -> Option<NaiveDate> {
        if let Some(at) = self.plain.and_then(|plain| plain.read(text)) {
            return Some(at.date());
        }
        self.parse(text)?.to_naive_date().ok()
    }

    fn time(&self, text: &str) -> Option<NaiveTime> {
        self.parse(text)?.to_naive_time().ok()
    }

    /// With it, whether it is in UTC because the text names an offset.
    fn datetime(&self, text: &str) -> Option<(NaiveDateTime, bool)> {
        if let Some(at) = self.plain.and_then(|plain| plain.read(text)) {
            return Some((at, false));
        }
        let parsed = self.parse(text)?;
        if parsed.offset().is_some() {
            return Some((parsed.to_datetime().ok()?.naive_utc(), true));
        }
        if let Ok(at) = parsed.to_naive_datetime_with_offset(0) {
            return Some((at, false));
        }
        let has_time = parsed.hour_div_12().is_some() || parsed.hour_mod_12().is_some();
        (!has_time).then_some((parsed.to_naive_date().ok()?.and_time(NaiveTime::MIN), false))
    }
}

impl Plain {
    fn of(format: &str) -> Option<Self> {
        let rest = format.strip_prefix("%Y-%m-%d").or_else(|| format.strip_prefix("%F"))?;
        let Some(&separator) = rest.as_bytes().first() else {
            return Some(Self {
                separator: None,
                fraction: false,
            });
        };
        let time = rest.get(1..)?;
        let time = time.strip_prefix("%H:%M:%S").or_else(|| time.strip_prefix("%T"))?;
        let fraction = match time {
            "" => false,
            "%.f" => true,
            _ => return None,
        };
        matches!(separator, b' ' | b'T').then_some(Self {
            separator: Some(separator),
            fraction,
        })
    }

    fn read(self, text: &str) -> Option<NaiveDateTime> {
        let bytes = text.as_bytes();
        let date = iso_date(bytes.get(..10)?)?;
        let Some(separator) = self.separator else {
            return (bytes.len() == 10).then(|| date.and_time(NaiveTime::MIN));
        };
        let time = bytes.get(11..)?;
        if bytes[10] != separator || time.len() < 8 || (time.len() > 8 && !self.fraction) {
            return None;
        }
        Some(date.and_time(iso_time(time)?))
    }
}

/// `YYYY-MM-DD`, nothing else.
pub(super) fn iso_date(bytes: &[u8]) -> Option<NaiveDate> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = bytes else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    NaiveDate::from_ymd_opt(year.try_into().ok()?, two(m1, m2)?, two(d1, d2)?)
}

/// `HH:MM`, `HH:MM:SS`, `HH:MM:SS.f` with one to nine digits.
pub(super) fn iso_time(bytes: &[u8]) -> Option<NaiveTime> {
    let (&[h1, h2, b':', m1, m2], rest) = bytes.split_first_chunk::<5>()? else {
        return None;
    };
    let (seconds, nanos) = match rest {
        [] => (0, 0),
        &[b':', s1, s2] => (two(s1, s2)?, 0),
        [b':', s1, s2, b'.', fraction @ ..] => (two(*s1, *s2)?, nanos(fraction)?),
        _ => return None,
    };
    NaiveTime::from_hms_nano_opt(two(h1, h2)?, two(m1, m2)?, seconds, nanos)
}

/// A date, alone or with a time behind `T` or a blank, that with an offset, which is turned into UTC.
pub(super) fn iso_datetime(text: &str) -> Option<(NaiveDateTime, bool)> {
    let bytes = text.as_bytes();
    let date = iso_date(bytes.get(..10)?)?;
    let Some((separator, rest)) = bytes[10..].split_first() else {
        return Some((date.and_time(NaiveTime::MIN), false));
    };
    if !matches!(separator, b' ' | b'T' | b't') {
        return None;
    }
    let offset_at = rest.iter().position(|b| matches!(b, b'Z' | b'z' | b'+' | b'-'));
    let (time, offset) = rest.split_at(offset_at.unwrap_or(rest.len()));
    let local = date.and_time(iso_time(time.trim_ascii_end())?);
    Some((local.checked_sub_signed(offset_minutes(offset)?)?, !offset.is_empty()))
}

/// Nothing, `Z`, `+HH`, `+HHMM` or `+HH:MM`, either sign.
fn offset_minutes(bytes: &[u8]) -> Option<TimeDelta> {
    let (hours, minutes) = match *bytes {
        [] | [b'Z' | b'z'] => return Some(TimeDelta::zero()),
        [_, h1, h2] => (two(h1, h2)?, 0),
        [_, h1, h2, m1, m2] | [_, h1, h2, b':', m1, m2] => (two(h1, h2)?, two(m1, m2)?),
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let east = TimeDelta::minutes(i64::from(hours * 60 + minutes));
    Some(if bytes[0] == b'-' { -east } else { east })
}

fn two(tens: u8, ones: u8) -> Option<u32> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
}

fn nanos(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let padded = digits.iter().chain(std::iter::repeat(&b'0')).take(9);
    Some(padded.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
}

/// `None` outside the years both databases and every client can hold.
fn push_date(out: &mut String, date: NaiveDate) -> Option<()> {
    let year = u32::try_from(date.year())
        .ok()
        .filter(|year| (1..=9999).contains(year))?;
    push_two(out, year / 100);
    push_two(out, year % 100);
    out.push('-');
    push_two(out, date.month());
    out.push('-');
    push_two(out, date.day());
    Some(())
}

/// `None` for a leap second, which neither database keeps.
fn push_time(out: &mut String, time: NaiveTime) -> Option<()> {
    push_two(out, time.hour());
    out.push(':');
    push_two(out, time.minute());
    out.push(':');
    push_two(out, time.second());
    let micros = time.nanosecond() / 1000;
    if micros >= 1_000_000 {
        return None;
    }
    if micros > 0 {
        out.push('.');
        for pair in [micros / 10_000, micros / 100 % 100, micros % 100] {
            push_two(out, pair);
        }
        out.truncate(out.trim_end_matches('0').len());
    }
    Some(())
}

fn push_two(out: &mut String, number: u32) {
    for digit in [number / 10, number % 10] {
        out.push(char::from_digit(digit, 10).expect("a digit"));
    }
}
