//! A record's values as the texts that typing takes.

use std::io::Write as _;
use std::ops::Range;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta};
use uuid::Uuid;

use super::kind::{Kind, Unit};
use crate::domain::reject::RecordCode;
use crate::format::excerpt;

/// The day 1970-01-01, as Julian days count.
const EPOCH_JULIAN: i64 = 2_440_588;
/// Most bytes gathered for an excerpt: enough for its characters.
const EXCERPT_BYTES_MAX: usize = 1000;
/// Longest decimal read, in bytes; no program has longer ones than 76 digits.
const DECIMAL_BYTES_MAX: usize = 32;
const SECONDS_A_DAY: i64 = 86_400;

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowFault {
    pub code: RecordCode,
    /// Column at fault, from 1.
    pub column: Option<u32>,
    pub reason: String,
}

/// A record being read; its memory is used again for the next.
#[derive(Debug, Default)]
pub(super) struct Row {
    text: Vec<u8>,
    cells: Vec<Range<usize>>,
    pub fault: Option<RowFault>,
    /// Longest value, and longest record.
    field_max: usize,
    record_max: usize,
}

impl Row {
    pub fn new(field_max: usize, record_max: usize) -> Self {
        Self {
            field_max,
            record_max,
            ..Self::default()
        }
    }

    pub fn begin(&mut self) {
        self.text.clear();
        self.cells.clear();
        self.fault = None;
    }

    /// Adds the next column's value.
    pub fn put(&mut self, kind: Kind, value: Option<&[u8]>) {
        let start = self.text.len();
        if let Some(value) = value {
            let most = self.field_max.min(self.record_max.saturating_sub(start));
            if kind == Kind::Text && value.len() > most {
                self.blame_size(value.len());
            } else if write(kind, value, &mut self.text).is_none() {
                self.text.truncate(start);
                self.blame(RecordCode::InvalidParquet, "holds bytes that are no value of its type");
            } else if self.text.len() - start > most {
                let length = self.text.len() - start;
                self.text.truncate(start);
                self.blame_size(length);
            }
        }
        self.cells.push(start..self.text.len());
    }

    fn blame_size(&mut self, length: usize) {
        let (field_max, record_max) = (self.field_max, self.record_max);
        let reason = if length > field_max {
            format!("holds {length} bytes, at most {field_max} are allowed: shorten it")
        } else {
            format!("takes the record past the {record_max} bytes it may have: shorten its texts")
        };
        self.blame(RecordCode::RecordTooLarge, &reason);
    }

    /// The first fault is the one that is told.
    fn blame(&mut self, code: RecordCode, reason: &str) {
        let column = self.cells.len() + 1;
        self.fault.get_or_insert(RowFault {
            code,
            column: u32::try_from(column).ok(),
            reason: format!("column {column} {reason}"),
        });
    }

    /// Bytes of its texts.
    pub fn bytes(&self) -> u64 {
        self.text.len() as u64
    }

    /// Its cells' texts.
    pub fn cells(&self) -> impl Iterator<Item = &[u8]> {
        self.cells.iter().map(|range| &self.text[range.clone()])
    }

    /// The first cells, for a person to recognise the record by.
    pub fn excerpt(&self) -> String {
        let mut text = String::new();
        for (at, cell) in self.cells().enumerate() {
            if at > 0 {
                text.push('\t');
            }
            text.push_str(excerpt::utf8_prefix(&cell[..cell.len().min(EXCERPT_BYTES_MAX)]));
            if text.len() > EXCERPT_BYTES_MAX {
                break;
            }
        }
        excerpt::stored(&text)
    }
}

/// Appends the text of a value; `None`: its bytes are no value of its kind. A moment out of the calendar is told as its number,
/// for typing to refuse.
fn write(kind: Kind, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match kind {
        Kind::Text => out.extend_from_slice(value),
        Kind::Bool => out.extend_from_slice(if value.first()? & 1 == 1 { b"true" } else { b"false" }),
        Kind::Int => push(out, signed(value)?),
        Kind::Unsigned => push(out, unsigned(value)?),
        Kind::Float16 => push(out, half(u16::from_le_bytes(value.try_into().ok()?))),
        Kind::Float32 => push(out, f32::from_le_bytes(value.try_into().ok()?)),
        Kind::Float64 => push(out, f64::from_le_bytes(value.try_into().ok()?)),
        Kind::Decimal { scale, is_big_endian } => decimal(value, scale, is_big_endian, out)?,
        Kind::Date => date(signed(value)?, out),
        Kind::Time(unit) => time(signed(value)?, unit, out),
        Kind::Timestamp { unit, is_utc } => timestamp(signed(value)?, unit, is_utc, out),
        Kind::Int96 => int96(value, out)?,
        Kind::Uuid => push(out, Uuid::from_slice(value).ok()?.hyphenated()),
    }
    Some(())
}

fn push(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Memory takes all that is written to it.
    let _ = write!(out, "{value}");
}

fn signed(value: &[u8]) -> Option<i64> {
    match value.len() {
        4 => Some(i64::from(i32::from_le_bytes(value.try_into().ok()?))),
        _ => Some(i64::from_le_bytes(value.try_into().ok()?)),
    }
}

fn unsigned(value: &[u8]) -> Option<u64> {
    match value.len() {
        4 => Some(u64::from(u32::from_le_bytes(value.try_into().ok()?))),
        _ => Some(u64::from_le_bytes(value.try_into().ok()?)),
    }
}

/// A floating-point number of 16 bits.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f32::from(bits & 0x3ff);
    match i32::from(bits >> 10 & 0x1f) {
        0 => sign * fraction * 2_f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        exponent => sign * (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    }
}

/// Digits in all, put around the point.
fn decimal(value: &[u8], scale: u32, is_big_endian: bool, out: &mut Vec<u8>) -> Option<()> {
    let mut bytes = value.to_vec();
    if !is_big_endian {
        bytes.reverse();
    }
    if bytes.is_empty() || bytes.len() > DECIMAL_BYTES_MAX {
        return None;
    }
    let is_negative = bytes[0] & 0x80 != 0;
    if is_negative {
        negate(&mut bytes);
        out.push(b'-');
    }
    let mut digits = digits(bytes);
    let scale = scale as usize;
    while digits.len() <= scale {
        digits.insert(0, b'0');
    }
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    out.extend_from_slice(whole);
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
    Some(())
}

/// The number with the other sign, in two's complement.
fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes.iter_mut().rev() {
        (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
    }
}

/// Decimal digits of a number of any length, its highest byte first.
fn digits(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut digits = Vec::new();
    while bytes.iter().any(|byte| *byte != 0) {
        let mut rest = 0_u32;
        for byte in &mut bytes {
            let part = rest << 8 | u32::from(*byte);
            // A rest is below 10, so the quotient fits a byte.
            *byte = u8::try_from(part / 10).unwrap_or_default();
            rest = part % 10;
        }
        digits.push(b'0' + u8::try_from(rest).unwrap_or_default());
    }
    digits.reverse();
    digits
}

fn date(days: i64, out: &mut Vec<u8>) {
    let epoch = NaiveDate::default();
    let date = TimeDelta::try_days(days).and_then(|days| epoch.checked_add_signed(days));
    match date {
        Some(date) => push(out, date),
        None => push(out, days),
    }
}

/// Whole seconds and nanoseconds.
fn seconds(count: i64, unit: Unit) -> (i64, u32) {
    let (per_second, nanos) = match unit {
        Unit::Millis => (1_000, 1_000_000),
        Unit::Micros => (1_000_000, 1_000),
        Unit::Nanos => (1_000_000_000, 1),
    };
    let rest = count.rem_euclid(per_second) * nanos;
    (count.div_euclid(per_second), u32::try_from(rest).unwrap_or_default())
}

fn time(count: i64, unit: Unit, out: &mut Vec<u8>) {
    let (seconds, nanos) = seconds(count, unit);
    let time = u32::try_from(seconds)
        .ok()
        .and_then(|seconds| NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos));
    match time {
        Some(time) => push(out, time),
        None => push(out, count),
    }
}

fn timestamp(count: i64, unit: Unit, is_utc: bool, out: &mut Vec<u8>) {
    let (seconds, nanos) = seconds(count, unit);
    moment(seconds, nanos, is_utc, count, out);
}

fn moment(seconds: i64, nanos: u32, is_utc: bool, number: i64, out: &mut Vec<u8>) {
    match DateTime::from_timestamp(seconds, nanos) {
        Some(at) => {
            push(out, at.naive_utc());
            if is_utc {
                out.push(b'Z');
            }
        }
        None => push(out, number),
    }
}

/// Nanoseconds of the day, then the Julian day.
fn int96(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (nanos, day) = value.split_first_chunk::<8>()?;
    let nanos = i64::from_le_bytes(*nanos);
    let day = i64::from(u32::from_le_bytes(day.try_into().ok()?)) - EPOCH_JULIAN;
    let (seconds, nanos) = seconds(nanos, Unit::Nanos);
    // A day has 32 bits, so neither product nor sum gets near the end of 64.
    moment(day * SECONDS_A_DAY + seconds, nanos, true, day, out);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: Kind, value: &[u8]) -> String {
        let mut out = Vec::new();
        write(kind, value, &mut out).expect("a value");
        String::from_utf8(out).expect("text")
    }

    fn big(scale: u32) -> Kind {
        Kind::Decimal {
            scale,
            is_big_endian: true,
        }
    }

    #[test]
    fn decimals_keep_every_digit() {
        assert_eq!(text(big(2), &[0x04, 0xe2]), "12.50");
        assert_eq!(text(big(2), &[0xff]), "-0.01");
        assert_eq!(text(big(3), &[0]), "0.000");
        assert_eq!(text(big(0), &[0x80]), "-128");
        let mut most = [0xff; 32];
        most[0] = 0x7f;
        assert_eq!(
            text(big(0), &most),
            "57896044618658097711785492504343953926634992332820282019728792003956564819967"
        );
        let little = Kind::Decimal {
            scale: 4,
            is_big_endian: false,
        };
        assert_eq!(text(little, &(-5_i32).to_le_bytes()), "-0.0005");
        assert_eq!(text(little, &i64::MIN.to_le_bytes()), "-922337203685477.5808");
        assert_eq!(write(big(0), &[], &mut Vec::new()), None);
        assert_eq!(write(big(0), &[0; 33], &mut Vec::new()), None);
    }

    #[test]
    fn floating_point_numbers_have_no_exponent() {
        for (number, shown) in [
            (0.1, "0.1"),
            (1e21, "1000000000000000000000"),
            (3.0, "3"),
            (-2.5e-7, "-0.00000025"),
        ] {
            assert_eq!(text(Kind::Float64, &f64::to_le_bytes(number)), shown);
        }
        assert_eq!(text(Kind::Float32, &0.1_f32.to_le_bytes()), "0.1");
        for (bits, shown) in [
            (0x3c00_u16, "1"),
            (0xc100, "-2.5"),
            (0x0001, "0.000000059604645"),
            (0x7c00, "inf"),
            (0x7e00, "NaN"),
        ] {
            assert_eq!(text(Kind::Float16, &bits.to_le_bytes()), shown);
        }
    }

    #[test]
    fn moments_are_told_in_iso_form() {
        assert_eq!(text(Kind::Date, &(-43_767_i32).to_le_bytes()), "1850-03-04");
        assert_eq!(
            text(Kind::Date, &i32::MAX.to_le_bytes()),
            "2147483647",
            "out of the calendar"
        );
        let at = |unit, is_utc, count: i64| text(Kind::Timestamp { unit, is_utc }, &count.to_le_bytes());
        assert_eq!(at(Unit::Millis, true, 1_769_864_700_250), "2026-01-31 13:05:00.250Z");
        assert_eq!(at(Unit::Micros, false, -1), "1969-12-31 23:59:59.999999");
        assert_eq!(at(Unit::Nanos, false, i64::MIN), "1677-09-21 00:12:43.145224192");
        assert_eq!(
            at(Unit::Millis, false, i64::MAX),
            i64::MAX.to_string(),
            "out of the calendar"
        );
        assert_eq!(
            text(Kind::Time(Unit::Millis), &86_399_500_i32.to_le_bytes()),
            "23:59:59.500"
        );
        assert_eq!(
            text(Kind::Time(Unit::Micros), &(-1_i64).to_le_bytes()),
            "-1",
            "no time of day"
        );
        let mut int96 = 3_600_000_000_000_i64.to_le_bytes().to_vec();
        int96.extend(2_440_589_u32.to_le_bytes());
        assert_eq!(text(Kind::Int96, &int96), "1970-01-02 01:00:00Z");
        let far = [[0xff; 8].as_slice(), &[0xff; 4]].concat();
        assert!(!text(Kind::Int96, &far).is_empty());
    }

    #[test]
    fn other_values_are_told_as_typing_takes_them() {
        assert_eq!(text(Kind::Bool, &[1]), "true");
        assert_eq!(text(Kind::Unsigned, &(-1_i32).to_le_bytes()), "4294967295");
        assert_eq!(text(Kind::Int, &(-1_i32).to_le_bytes()), "-1");
        assert_eq!(text(Kind::Uuid, &[0x6d; 16]), "6d6d6d6d-6d6d-6d6d-6d6d-6d6d6d6d6d6d");
        assert_eq!(write(Kind::Uuid, &[1], &mut Vec::new()), None);
    }
}
