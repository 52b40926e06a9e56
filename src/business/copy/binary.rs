//! COPY's binary form: each value as its type's `recv` function reads it, in network byte order.

use chrono::{NaiveDate, NaiveTime};
use uuid::Uuid;

use super::super::rows::StagedRow;
use super::super::session::int;
use super::super::staging::Load;
use crate::domain::cell::Cell;
use crate::domain::entity::FieldType;

/// Signature, no flags, no header extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Staging's own columns.
const OWN_COLUMNS: usize = 9;
/// A numeric's digits stand in groups of four.
const GROUP: usize = 4;
const NEGATIVE: u16 = 0x4000;

/// The rows; `None` where one holds a value that is not the canonical one of its type.
pub(super) fn encode(load: Load<'_>, kinds: &[&FieldType], rows: &[StagedRow<'_>]) -> Option<Vec<u8>> {
    let columns = i16::try_from(OWN_COLUMNS + kinds.len()).ok()?.to_be_bytes();
    let message = *load.fence.message.0.as_bytes();
    let mut out = Vec::with_capacity(HEADER.len() + rows.len() * 320);
    out.extend_from_slice(HEADER);
    for row in rows {
        let place = row.place;
        out.extend_from_slice(&columns);
        value(&mut out, &message)?;
        for number in [
            i64::from(load.entity_no),
            int(place.record),
            int(place.line),
            int(place.byte_start),
            int(place.byte_end),
        ] {
            value(&mut out, &number.to_be_bytes())?;
        }
        match row.origin {
            Some(origin) => value(&mut out, origin.to_string().as_bytes())?,
            None => nothing(&mut out),
        }
        match &row.document {
            Some(document) => value(&mut out, document.as_bytes())?,
            None => nothing(&mut out),
        }
        value(&mut out, &i16::try_from(row.state).ok()?.to_be_bytes())?;
        for (kind, cell) in kinds.iter().zip(row.cells) {
            write(&mut out, kind, cell)?;
        }
    }
    out.extend_from_slice(&(-1_i16).to_be_bytes());
    Some(out)
}

fn nothing(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i32).to_be_bytes());
}

fn value(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.extend_from_slice(&i32::try_from(bytes.len()).ok()?.to_be_bytes());
    out.extend_from_slice(bytes);
    Some(())
}

fn write(out: &mut Vec<u8>, kind: &FieldType, cell: &Cell) -> Option<()> {
    match (kind, cell) {
        (_, Cell::Null) => nothing(out),
        (FieldType::Int, Cell::Int(number)) => value(out, &number.to_be_bytes())?,
        (FieldType::Bool, Cell::Bool(flag)) => value(out, &[u8::from(*flag)])?,
        (FieldType::String | FieldType::Enum(_), Cell::Text(text)) => value(out, text.as_bytes())?,
        (FieldType::Decimal { .. }, Cell::Text(text)) => decimal(out, text)?,
        (FieldType::Date, Cell::Text(text)) => value(out, &days(date(text)?)?.to_be_bytes())?,
        (FieldType::Time, Cell::Text(text)) => value(out, &time(text)?.to_be_bytes())?,
        (FieldType::Datetime, Cell::Text(text)) => {
            let (day, moment) = text.split_at_checked(10)?;
            let moment = time(moment.strip_prefix(' ')?)?;
            let micros = i64::from(days(date(day)?)?) * 86_400_000_000 + moment;
            value(out, &micros.to_be_bytes())?;
        }
        (FieldType::Guid, Cell::Text(text)) => value(out, Uuid::try_parse(text).ok()?.as_bytes())?,
        _ => return None,
    }
    Some(())
}

/// `YYYY-MM-DD`.
fn date(text: &str) -> Option<NaiveDate> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *text.as_bytes() else {
        return None;
    };
    let year = number(&[y0, y1, y2, y3])?;
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, number(&[m0, m1])?, number(&[d0, d1])?)
}

/// Days since 2000-01-01.
fn days(date: NaiveDate) -> Option<i32> {
    let epoch = NaiveDate::from_ymd_opt(2000, 1, 1)?;
    i32::try_from(date.signed_duration_since(epoch).num_days()).ok()
}

/// `HH:MM:SS` and up to six digits of a fraction, as microseconds since midnight.
fn time(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let [h0, h1, b':', m0, m1, b':', s0, s1] = *whole.as_bytes() else {
        return None;
    };
    let (hours, minutes, seconds) = (number(&[h0, h1])?, number(&[m0, m1])?, number(&[s0, s1])?);
    NaiveTime::from_hms_opt(hours, minutes, seconds)?;
    let micros = match fraction.len() {
        0 if whole.len() < text.len() => return None,
        0 => 0,
        digits @ 1..=6 => number(fraction.as_bytes())? * 10_u32.pow(6 - u32::try_from(digits).ok()?),
        _ => return None,
    };
    Some((i64::from(hours) * 3600 + i64::from(minutes) * 60 + i64::from(seconds)) * 1_000_000 + i64::from(micros))
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0'))
    })
}

/// Number of groups, weight of the first one, sign, digits after the point, groups.
fn decimal(out: &mut Vec<u8>, text: &str) -> Option<()> {
    let (unsigned, sign) = match text.strip_prefix('-') {
        Some(rest) => (rest, NEGATIVE),
        None => (text, 0),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || (fraction.is_empty() && unsigned.contains('.'))
    {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let mut groups: Vec<i16> = Vec::with_capacity(whole.len() / GROUP + fraction.len() / GROUP + 2);
    let head = whole.len() % GROUP;
    if head > 0 {
        groups.push(i16::try_from(number(&whole.as_bytes()[..head])?).ok()?);
    }
    for group in whole.as_bytes()[head..].chunks(GROUP) {
        groups.push(i16::try_from(number(group)?).ok()?);
    }
    let mut weight = i16::try_from(groups.len()).ok()? - 1;
    for group in fraction.as_bytes().chunks(GROUP) {
        let missing = u32::try_from(GROUP - group.len()).ok()?;
        groups.push(i16::try_from(number(group)? * 10_u32.pow(missing)).ok()?);
    }
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeros);
    weight -= i16::try_from(zeros).ok()?;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let (weight, sign) = if groups.is_empty() { (0, 0) } else { (weight, sign) };
    let bytes = i32::try_from(8 + 2 * groups.len()).ok()?;
    out.extend_from_slice(&bytes.to_be_bytes());
    out.extend_from_slice(&i16::try_from(groups.len()).ok()?.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&i16::try_from(fraction.len()).ok()?.to_be_bytes());
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::{date, days, decimal, time};

    #[test]
    fn decimals_are_groups_of_four_digits() {
        let encoded = |text: &str| {
            let mut out = Vec::new();
            decimal(&mut out, text)?;
            let numbers: Vec<i16> = out[4..]
                .chunks(2)
                .map(|pair| i16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            assert_eq!(out[..4], i32::try_from(out.len() - 4).unwrap().to_be_bytes());
            Some(numbers)
        };
        assert_eq!(encoded("0"), Some(vec![0, 0, 0, 0]));
        assert_eq!(encoded("-0.00"), Some(vec![0, 0, 0, 2]));
        assert_eq!(encoded("12.50"), Some(vec![2, 0, 0, 2, 12, 5000]));
        assert_eq!(encoded("-12345678.9"), Some(vec![3, 1, 0x4000, 1, 1234, 5678, 9000]));
        assert_eq!(encoded("100000000"), Some(vec![1, 2, 0, 0, 1]));
        assert_eq!(encoded("0.00001"), Some(vec![1, -2, 0, 5, 1000]));
        assert_eq!(encoded("007"), Some(vec![1, 0, 0, 0, 7]));
        for text in ["", "-", ".5", "5.", "1e5", "NaN", "1,5", "+1"] {
            assert_eq!(encoded(text), None, "{text}");
        }
    }

    #[test]
    fn moments_are_counted_from_the_first_day_of_2000() {
        let day = |text| days(date(text)?);
        assert_eq!(day("2000-01-01"), Some(0));
        assert_eq!(day("1999-12-31"), Some(-1));
        assert_eq!(day("0001-01-01"), Some(-730_119));
        assert_eq!(day("9999-12-31"), Some(2_921_939));
        assert_eq!((day("2026-02-30"), day("12026-01-01")), (None, None));
        assert_eq!(time("13:05:00"), Some(47_100_000_000));
        assert_eq!(time("00:00:00.5"), Some(500_000));
        assert_eq!(time("23:59:59.000001"), Some(86_399_000_001));
        for text in ["24:00:00", "1:00:00", "00:00:00.", "00:00:00.1234567", "00:00"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
