//! Cron patterns: what a text matches on a wall clock, and which instants that means in a zone.
//!
//! croner finds the wall-clock times a pattern matches; it is only ever asked about a wall clock without zone, because in a
//! zone with clock changes it treats lists (`0 2,14 * * *`) as intervals, loses the second pass of a doubled hour when its
//! search starts inside it, and tries to find the end of a gap second by second. The step from wall clock to instants is ours:
//!
//! * a *fixed* pattern (seconds, minutes and hours are numbers, lists or ranges) fires once per matching wall-clock time: in
//!   the doubled hour at the first pass, in the skipped hour at the first valid instant after it;
//! * an *interval* pattern (a `*` or a step in one of those three fields) fires whenever the wall clock shows a match: in
//!   both passes of the doubled hour, never in the skipped one.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, MappedLocalTime, NaiveDateTime, TimeZone, Timelike, Utc};
use chrono_tz::{GapInfo, Tz};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::domain::time::Timestamp;

/// The names that stand for a whole pattern.
const NICKNAMES: [&str; 6] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@hourly"];

/// 5000-01-01, as far as croner looks.
pub(super) const CALENDAR_END: Timestamp = Timestamp(95_617_584_000_000_000);

/// The six fields: what each is called and what it may hold.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0-59"),
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of month", "1-31, L, 15W"),
    ("month", "1-12, JAN-DEC"),
    ("weekday", "0-7, SUN-SAT, 5#2, 5L"),
];

/// A cron text that parsed and fires at least once.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    text: String,
    cron: Cron,
    kind: Kind,
}

/// How a pattern meets clock changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fixed,
    Interval,
}

/// A wall-clock time that a change of the clock skips or doubles (promise 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockChange {
    /// The clock never shows this time on that day: it runs at the first valid instant after it.
    Skipped(NaiveDateTime),
    /// The clock shows it twice: it runs at the first.
    Doubled(NaiveDateTime),
}

/// The text is no cron pattern, or one that never fires.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{cron}` is not a schedule: {reason}")]
pub struct InvalidCron {
    /// The text, cut to 80 characters.
    pub cron: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Pattern {
    /// Reads five fields (minute, hour, day of month, month, day of week), six (seconds first) or a name such as `@daily`.
    /// Where both day fields are given, either may match, as in every cron.
    ///
    /// # Errors
    /// [`InvalidCron`] when it does not parse or can never fire (`0 0 30 2 *`).
    pub fn parse(text: &str) -> Result<Self, InvalidCron> {
        let invalid = |reason: String| InvalidCron {
            cron: text.chars().take(80).collect(),
            reason,
        };
        let trimmed = text.trim();
        let fields = trimmed.split_whitespace().count();
        if trimmed.starts_with('@') {
            if !NICKNAMES.contains(&trimmed.to_lowercase().as_str()) {
                return Err(invalid(format!("the names are {}", NICKNAMES.join(", "))));
            }
        } else if !(5..=6).contains(&fields) {
            return Err(invalid(format!(
                "it has {fields} fields, expected five (minute hour day month weekday) or six (second first)"
            )));
        }
        let cron = parser()
            .parse(trimmed)
            .map_err(|error| invalid(field_at_fault(trimmed).unwrap_or_else(|| error.to_string())))?;
        let pattern = Self {
            text: trimmed.to_owned(),
            kind: kind_of(&cron),
            cron,
        };
        match pattern.after(DateTime::UNIX_EPOCH.naive_utc()) {
            Some(_) => Ok(pattern),
            None => Err(invalid("no date ever matches it".to_owned())),
        }
    }

    /// The text it was read from, without outer spaces.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The due times in `(from, to]`, oldest first, at most `limit`. Splitting an interval anywhere gives the same times.
    pub(super) fn due_between(&self, zone: Tz, from: Timestamp, to: Timestamp, limit: usize) -> Vec<Timestamp> {
        // No schedule is older than the epoch, and croner's calendar ends with the year 5000.
        let (from, to) = (from.max(Timestamp(0)), to.min(CALENDAR_END));
        let mut due = Vec::new();
        if from >= to {
            return due;
        }
        let mut found = BTreeSet::new();
        let mut wall = Some(search_start(from.to_utc(), zone));
        while due.len() < limit {
            wall = wall.and_then(|wall| self.after(wall));
            // Whatever comes later is not before `floor`, so what was found before it is final.
            let floor = wall.map_or(Timestamp(i64::MAX), |wall| first_instant(wall, zone).into());
            while due.len() < limit
                && let Some(&first) = found.first()
                && first < floor
            {
                found.pop_first();
                if from < first && first <= to {
                    due.push(first);
                }
            }
            match wall {
                Some(wall) if floor <= to => found.extend(instants(wall, zone, self.kind)),
                _ => break,
            }
        }
        due
    }

    /// What a change of the clock has to do with this due time, where anything.
    pub(super) fn clock_change_at(&self, due: Timestamp, zone: Tz) -> Option<ClockChange> {
        if self.kind == Kind::Interval {
            return None;
        }
        let wall = due.to_utc().with_timezone(&zone).naive_local();
        if matches!(zone.from_local_datetime(&wall), MappedLocalTime::Ambiguous(..)) {
            return Some(ClockChange::Doubled(wall));
        }
        let before = (due.to_utc() - Duration::seconds(1)).with_timezone(&zone);
        let meant = self.after(before.naive_local())?;
        (meant < wall).then_some(ClockChange::Skipped(meant))
    }

    /// The next wall-clock time that matches, after this one.
    fn after(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        self.cron
            .find_next_occurrence(&wall.and_utc(), false)
            .ok()
            .map(|at| at.naive_utc())
    }
}

fn parser() -> CronParser {
    CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build()
}

/// The first field that is wrong on its own: croner does not say which.
fn field_at_fault(cron: &str) -> Option<String> {
    let fields = cron.split_whitespace().collect::<Vec<_>>();
    let first = FIELDS.len().checked_sub(fields.len())?;
    fields.iter().enumerate().find_map(|(at, field)| {
        let mut alone = [&"*"; FIELDS.len()];
        alone[first + at] = field;
        let alone = alone.map(|field| *field).join(" ");
        let (name, range) = FIELDS[first + at];
        let bad = parser().parse(&alone).is_err();
        bad.then(|| format!("`{field}` is no {name}; it may be {range}, with * , - /"))
    })
}

/// A star, a step or a range over everything makes an interval.
fn kind_of(cron: &Cron) -> Kind {
    let pattern = &cron.pattern;
    let recurring = [&pattern.seconds, &pattern.minutes, &pattern.hours]
        .iter()
        .any(|field| field.from_wildcard || field.step > 1 || field.is_all_set());
    if recurring { Kind::Interval } else { Kind::Fixed }
}

/// A wall-clock time, exclusive, from which searching forward finds every occurrence after `from`.
fn search_start(from: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    let wall = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local();
    let here = wall(from);
    // Before a clock is set back, the second pass shows times that lie behind `here`: begin as far back as it will go.
    let ahead = wall(from + Duration::days(1)) - Duration::days(1);
    let start = here.min(ahead);
    start.with_nanosecond(0).unwrap_or(start)
}

/// The first instant at which the wall clock shows this time or, in a gap, a later one.
#[must_use]
pub fn first_instant(wall: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => at.to_utc(),
        MappedLocalTime::None => GapInfo::new(&wall, &zone)
            .and_then(|gap| gap.end)
            .map_or_else(|| wall.and_utc(), |end| end.to_utc()),
    }
}

/// The instants a matching wall-clock time stands for.
fn instants(wall: NaiveDateTime, zone: Tz, kind: Kind) -> impl Iterator<Item = Timestamp> {
    let both = match (kind, zone.from_local_datetime(&wall)) {
        (Kind::Fixed, _) => [Some(first_instant(wall, zone)), None],
        (Kind::Interval, MappedLocalTime::Single(at)) => [Some(at.to_utc()), None],
        (Kind::Interval, MappedLocalTime::Ambiguous(first, second)) => [Some(first.to_utc()), Some(second.to_utc())],
        (Kind::Interval, MappedLocalTime::None) => [None, None],
    };
    both.into_iter().flatten().map(Timestamp::from)
}
