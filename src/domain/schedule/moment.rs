//! A moment as people write it: a date, a wall-clock time, or an instant with its offset.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime};
use chrono_tz::Tz;

use super::pattern::first_instant;
use crate::domain::time::Timestamp;

/// How wall-clock times may be written.
const WALL_FORMATS: [&str; 4] = [
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
];

/// What a text of a moment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A whole day of whoever's calendar it is.
    Date(NaiveDate),
    /// A time on a wall clock, in whichever zone that hangs.
    Wall(NaiveDateTime),
    /// The same instant everywhere.
    Instant(Timestamp),
}

impl Moment {
    /// Reads `2026-03-29`, `2026-03-29T02:30`, `2026-03-29 02:30:00` or RFC 3339; years 1970 to 4999.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
            return Some(Self::Instant(instant.to_utc().into())).filter(|_| is_near(instant.date_naive()));
        }
        if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Some(Self::Date(date)).filter(|_| is_near(date));
        }
        let walls = WALL_FORMATS.iter();
        let mut walls = walls.filter_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
        walls.next().filter(|wall| is_near(wall.date())).map(Self::Wall)
    }

    /// Its first instant in the zone. A wall-clock time that is skipped there is the first one after it.
    #[must_use]
    pub fn first(self, zone: Tz) -> Timestamp {
        match self {
            Self::Date(date) => first_instant(date.and_time(NaiveTime::MIN), zone).into(),
            Self::Wall(wall) => first_instant(wall, zone).into(),
            Self::Instant(at) => at,
        }
    }

    /// Its last microsecond in the zone: a date lasts the whole day.
    #[must_use]
    pub fn last(self, zone: Tz) -> Timestamp {
        match self {
            Self::Date(date) => Timestamp(first_instant_after(date, zone).0 - 1),
            moment => moment.first(zone),
        }
    }
}

/// The first instant of the day after this one.
pub(super) fn first_instant_after(date: NaiveDate, zone: Tz) -> Timestamp {
    let next = date.checked_add_days(Days::new(1)).unwrap_or(date);
    Moment::Date(next).first(zone)
}

fn is_near(date: NaiveDate) -> bool {
    use chrono::Datelike as _;
    (1970..5000).contains(&date.year())
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Berlin;

    use super::*;

    fn span(text: &str) -> Option<(String, String)> {
        let moment = Moment::parse(text)?;
        Some((moment.first(Berlin).to_string(), moment.last(Berlin).to_string()))
    }

    #[test]
    fn a_date_is_a_day_of_the_zone_and_a_time_is_an_instant() {
        let both = |first: &str, last: &str| Some((first.to_owned(), last.to_owned()));
        assert_eq!(
            span("2026-03-29"),
            both("2026-03-28T23:00:00Z", "2026-03-29T21:59:59.999999Z"),
            "a day of 23 hours"
        );
        for text in [
            "2026-01-05T08:30",
            " 2026-01-05 08:30:00 ",
            "2026-01-05T07:30:00Z",
            "2026-01-05T09:30:00+02:00",
        ] {
            assert_eq!(
                span(text),
                both("2026-01-05T07:30:00Z", "2026-01-05T07:30:00Z"),
                "{text}"
            );
        }
        assert_eq!(
            span("2026-03-29T02:30"),
            both("2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"),
            "the clock never shows it"
        );
        for text in [
            "",
            "today",
            "2026-02-30",
            "29.03.2026",
            "2026-3",
            "1969-12-31",
            "5000-01-01",
            "2026-01-05T25:00",
        ] {
            assert_eq!(span(text), None, "{text}");
        }
    }
}
