//! Calendars of exceptions: days on which a schedule does not run.

use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::{Datelike as _, NaiveDate};

/// Days on which nothing runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calendar {
    name: Option<String>,
    /// First and last day of each range: in order, apart from each other.
    ranges: Vec<(NaiveDate, NaiveDate)>,
    /// Month and day.
    yearly: BTreeSet<(u32, u32)>,
}

/// One entry of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExceptDays {
    /// From one day to another, both of them too.
    Range(NaiveDate, NaiveDate),
    /// Month and day, every year.
    Yearly(u32, u32),
}

/// The text is no day, no range of days.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {reason}")]
pub struct InvalidDays {
    text: String,
    reason: &'static str,
}

impl FromStr for ExceptDays {
    type Err = InvalidDays;

    /// Reads `2026-12-25`, `2026-12-24..2027-01-01`, or `12-25` for every year.
    fn from_str(text: &str) -> Result<Self, InvalidDays> {
        let invalid = |reason| InvalidDays {
            text: text.chars().take(80).collect(),
            reason,
        };
        let date = |text: &str| {
            let date = NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok();
            date.filter(|date| (1970..5000).contains(&date.year()))
        };
        let no_day = "is no day; write 2026-12-25, 2026-12-24..2027-01-01, or 12-25 for every year";
        if let Some((from, to)) = text.split_once("..") {
            let (Some(from), Some(to)) = (date(from), date(to)) else {
                return Err(invalid(no_day));
            };
            return if from <= to {
                Ok(Self::Range(from, to))
            } else {
                Err(invalid("ends before it begins"))
            };
        }
        if let Some(day) = date(text) {
            return Ok(Self::Range(day, day));
        }
        // The 29th of February is a day of some years.
        date(&format!("2000-{}", text.trim()))
            .map(|day| Self::Yearly(day.month(), day.day()))
            .ok_or_else(|| invalid(no_day))
    }
}

impl Calendar {
    /// The calendar of this name, or a job's own without one.
    #[must_use]
    pub fn new(name: Option<String>, days: impl IntoIterator<Item = ExceptDays>) -> Self {
        let mut calendar = Self {
            name,
            ..Self::default()
        };
        let mut ranges = Vec::new();
        for days in days {
            match days {
                ExceptDays::Range(from, to) => ranges.push((from, to)),
                ExceptDays::Yearly(month, day) => {
                    calendar.yearly.insert((month, day));
                }
            }
        }
        ranges.sort_unstable();
        for (from, to) in ranges {
            match calendar.ranges.last_mut() {
                Some((_, last)) if from <= *last => *last = to.max(*last),
                _ => calendar.ranges.push((from, to)),
            }
        }
        calendar
    }

    /// Its name; none: the job's own list.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether it holds this day; if so, the last day of the range it is in.
    #[must_use]
    pub fn until(&self, day: NaiveDate) -> Option<NaiveDate> {
        let after = self.ranges.partition_point(|(from, _)| *from <= day);
        let range = after.checked_sub(1).and_then(|at| self.ranges.get(at));
        let ranged = range.map(|(_, to)| *to).filter(|to| day <= *to);
        let yearly = self.yearly.contains(&(day.month(), day.day())).then_some(day);
        ranged.or(yearly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date in the test")
    }

    fn calendar(texts: &[&str]) -> Calendar {
        Calendar::new(None, texts.iter().map(|text| text.parse().expect(text)))
    }

    #[test]
    fn days_and_ranges_and_every_year_are_held_and_nothing_else() {
        let calendar = calendar(&[
            "2026-12-28..2027-01-02",
            "2026-05-01",
            "2026-12-24..2026-12-29",
            "12-25",
            "02-29",
        ]);
        for (asked, until) in [
            ("2026-05-01", Some("2026-05-01")),
            ("2026-04-30", None),
            ("2026-05-02", None),
            ("2026-12-23", None),
            ("2026-12-24", Some("2027-01-02")),
            ("2026-12-29", Some("2027-01-02")),
            ("2027-01-02", Some("2027-01-02")),
            ("2027-01-03", None),
            ("2031-12-25", Some("2031-12-25")),
            ("2028-02-29", Some("2028-02-29")),
            ("2027-02-28", None),
        ] {
            assert_eq!(calendar.until(day(asked)), until.map(day), "{asked}");
        }
        assert_eq!(Calendar::default().until(day("2026-05-01")), None);
    }

    #[test]
    fn what_is_no_day_is_refused_with_what_to_write() {
        for (text, part) in [
            ("christmas", "is no day; write 2026-12-25"),
            ("2026-13-01", "is no day"),
            ("2026-02-29", "is no day"),
            ("02-30", "is no day"),
            ("2026-12-25..", "is no day"),
            ("2026-12-25..12-26", "is no day"),
            ("2026-12-25..2026-12-24", "ends before it begins"),
            ("1900-01-01", "is no day"),
        ] {
            let error = text.parse::<ExceptDays>().expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
