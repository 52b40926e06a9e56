//! Dates and times: a workbook keeps them as days since its epoch.

use std::fmt::Write as _;

use chrono::{Datelike, Days, NaiveDate};

use super::styles::Look;

const DAY_MILLIS: u64 = 86_400_000;
/// Days from 1900-01-01 to 1904-01-01 as a workbook counts them, with a day that never was.
const DAYS_1904: u64 = 1462;

/// The text of a number of days that is shown as a date or time; `None` when no date has it: it is a plain number then.
///
/// A date with no time of day is `YYYY-MM-DD` if its format shows no time either, otherwise a time follows: `YYYY-MM-DD HH:MM:SS`
/// with the milliseconds, if any. Less than a day under a format of a time is that time. Milliseconds are as exact as a
/// workbook is.
///
/// Days count from 1900, in which a workbook has a 29 February as Lotus 1-2-3 had; or from 1904. That day and the
/// day before 1 January 1900 are written as Excel shows them, `1900-02-29` and `1900-01-00`: no calendar has them, so typing
/// refuses them.
pub(super) fn text(days: f64, look: Look, date1904: bool) -> Option<String> {
    let millis = (days * 86_400_000.0).round();
    // Behind the year 9999, and below zero, there are no dates.
    if look == Look::Number || !(0.0..=3e14).contains(&millis) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and within 0 and 3e14"
    )]
    let millis = millis as u64;
    let (day, time) = (millis / DAY_MILLIS, millis % DAY_MILLIS);
    if look == Look::Time && day == 0 {
        return Some(time_text(time));
    }
    let mut out = date_text(if date1904 { day + DAYS_1904 } else { day })?;
    if time > 0 || look != Look::Date {
        out.push(' ');
        out.push_str(&time_text(time));
    }
    Some(out)
}

/// The date of a day of the 1900 system.
fn date_text(day: u64) -> Option<String> {
    let since_epoch = match day {
        0 => return Some("1900-01-00".to_owned()),
        60 => return Some("1900-02-29".to_owned()),
        1..60 => day - 1,
        _ => day - 2,
    };
    let date = NaiveDate::from_ymd_opt(1900, 1, 1)?.checked_add_days(Days::new(since_epoch))?;
    (date.year() <= 9999).then(|| date.to_string())
}

fn time_text(millis: u64) -> String {
    let seconds = millis / 1000;
    let mut out = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if !millis.is_multiple_of(1000) {
        // Writing to a string does not fail.
        let _ = write!(out, ".{:03}", millis % 1000);
        out.truncate(out.trim_end_matches('0').len());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates_of_their_system() {
        let cases = [
            (1.0, Look::Date, "1900-01-01"),
            (59.0, Look::Date, "1900-02-28"),
            (60.0, Look::Date, "1900-02-29"),
            (61.0, Look::Date, "1900-03-01"),
            (0.0, Look::Date, "1900-01-00"),
            (46053.0, Look::Date, "2026-01-31"),
            (46053.0, Look::DateTime, "2026-01-31 00:00:00"),
            (46053.75, Look::Date, "2026-01-31 18:00:00"),
            (46_053.520_833_333_33, Look::DateTime, "2026-01-31 12:30:00"),
            (46_053.500_005_787, Look::DateTime, "2026-01-31 12:00:00.5"),
            (46_053.999_999_999_9, Look::DateTime, "2026-02-01 00:00:00"),
            (2_958_465.0, Look::Date, "9999-12-31"),
            (0.5, Look::Time, "12:00:00"),
            (0.0, Look::Time, "00:00:00"),
            (0.000_011_574_074, Look::Time, "00:00:01"),
            (1.5, Look::Time, "1900-01-01 12:00:00"),
        ];
        for (days, look, expected) in cases {
            assert_eq!(text(days, look, false).as_deref(), Some(expected), "{days}");
        }
        assert_eq!(text(0.0, Look::Date, true).as_deref(), Some("1904-01-01"));
        assert_eq!(text(44591.0, Look::Date, true).as_deref(), Some("2026-01-31"));
    }

    #[test]
    fn what_is_no_date_stays_a_number() {
        for days in [-1.0, 2_958_466.0, 1e300, -1e300, f64::MAX] {
            assert_eq!(text(days, Look::Date, false), None, "{days}");
            assert_eq!(text(days, Look::Time, true), None, "{days}");
        }
        assert_eq!(text(1.0, Look::Number, false), None);
    }
}
