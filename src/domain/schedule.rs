//! Schedules: which instants are due, and by which policies what is due runs (promise 6).
//!
//! Owns: recurrences (cron patterns, fixed intervals), start and end, calendars of exceptions, jitter, previews. Pure
//! arithmetic on values that are passed in. Refuses: clocks, storage, deciding whether anything is late.

pub mod calendar;
pub mod elapsed;
pub mod moment;
pub mod pattern;
pub mod preview;

use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;
use sha2::{Digest as _, Sha256};

use super::ids::JobId;
use super::time::Timestamp;
use calendar::Calendar;
use elapsed::Elapsed;
use pattern::{CALENDAR_END, Pattern};

pub use pattern::first_instant;

/// Most excluded stretches a search for the next due time passes over: a calendar of every day must not hold it up for ever.
const STRETCHES_MAX: usize = 1000;

/// When a job runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// What recurs.
    pub recurrence: Recurrence,
    /// IANA zone of wall-clock times and days.
    pub time_zone: Tz,
    /// Nothing is due before; a fixed interval counts from here.
    pub start: Option<Timestamp>,
    /// Nothing is due after.
    pub end: Option<Timestamp>,
    /// On days of these calendars, in the zone, nothing runs.
    pub except: Vec<Arc<Calendar>>,
    /// What happens to occurrences missed while nothing ran.
    pub missed: Missed,
    /// Missed occurrences older than this do not run, whatever the policy; seconds.
    pub missed_window_seconds: Option<u32>,
    /// Most missed occurrences that [`Missed::All`] runs: the latest.
    pub missed_max: u32,
    /// What happens when the previous run is still going.
    pub overlap: Overlap,
    /// Most occurrences that wait behind each other with [`Overlap::Queue`].
    pub queue_max: u32,
    /// A run begins up to this much later than it is due; seconds.
    pub jitter_seconds: u32,
}

/// What recurs.
#[derive(Debug, Clone, PartialEq)]
pub enum Recurrence {
    /// Times a wall clock shows.
    Cron(Box<Pattern>),
    /// Instants at equal distances: from the schedule's start, else from 1970-01-01T00:00:00Z.
    Every(Elapsed),
}

/// Policy for missed occurrences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// Record them as skipped.
    Skip,
    /// Run once for all of them.
    Once,
    /// Run each.
    All,
}

impl Missed {
    /// The words in definitions, columns and JSON.
    pub const WORDS: [(&'static str, Self); 3] = [("skip", Self::Skip), ("once", Self::Once), ("all", Self::All)];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Once => "once",
            Self::All => "all",
        }
    }

    /// The policy with this word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let found = Self::WORDS.iter().find(|(word, _)| *word == text);
        found.map(|(_, missed)| *missed)
    }
}

/// Policy for an occurrence that is due while the previous one still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// Record it as skipped.
    Skip,
    /// Run it afterwards.
    Queue,
    /// Stop the previous one and run it then.
    CancelPrevious,
}

impl Overlap {
    /// The words in definitions and JSON.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("skip", Self::Skip),
        ("queue", Self::Queue),
        ("cancel_previous", Self::CancelPrevious),
    ];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::CancelPrevious => "cancel_previous",
        }
    }
}

/// Why a due time does not run, or its run was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Nothing was running when it was due.
    Missed,
    /// The job was paused when it was due.
    Paused,
    /// Another run of the job was in its way.
    Overlap,
    /// A calendar excludes its day.
    Calendar,
}

impl SkipReason {
    /// The word in columns and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Paused => "paused",
            Self::Overlap => "overlap",
            Self::Calendar => "calendar",
        }
    }
}

impl Schedule {
    /// A schedule of this recurrence, all else at its default.
    #[must_use]
    pub fn new(recurrence: Recurrence, time_zone: Tz) -> Self {
        Self {
            recurrence,
            time_zone,
            start: None,
            end: None,
            except: Vec::new(),
            missed: Missed::Once,
            missed_window_seconds: None,
            missed_max: 100,
            overlap: Overlap::Skip,
            queue_max: 10,
            jitter_seconds: 0,
        }
    }

    /// What makes it another schedule, one without a past, when it changes: everything that says which instants are due.
    /// Calendars and policies do not: what they say counts for what is due from then on.
    #[must_use]
    pub fn identity(&self) -> String {
        let recurrence = match &self.recurrence {
            Recurrence::Cron(pattern) => pattern.text().to_owned(),
            Recurrence::Every(every) => format!("@every {}s", every.seconds()),
        };
        let bound = |word: &str, at: Option<Timestamp>| at.map_or_else(String::new, |at| format!(" {word} {at}"));
        format!(
            "{recurrence} {}{}{}",
            self.time_zone.name(),
            bound("from", self.start),
            bound("to", self.end)
        )
    }

    /// The due times in `(from, to]`, oldest first, at most `limit`, excluded days too ([`Schedule::excluded`] tells).
    /// Splitting an interval anywhere gives the same times.
    #[must_use]
    pub fn due_between(&self, from: Timestamp, to: Timestamp, limit: usize) -> Vec<Timestamp> {
        // The interval is open at its start, and what is due at `start` itself counts.
        let start = self.start.map_or(Timestamp(i64::MIN), |start| Timestamp(start.0 - 1));
        let end = self.end.unwrap_or(CALENDAR_END).min(CALENDAR_END);
        let (from, to) = (from.max(start).max(Timestamp(-1)), to.min(end));
        match &self.recurrence {
            Recurrence::Cron(pattern) => pattern.due_between(self.time_zone, from, to, limit),
            Recurrence::Every(every) => every.due_between(self.start.unwrap_or(Timestamp(0)), from, to, limit),
        }
    }

    /// The next `n` due times after `after` that are not excluded.
    #[must_use]
    pub fn next(&self, after: Timestamp, n: usize) -> Vec<Timestamp> {
        let mut next = Vec::new();
        let mut after = after;
        for _ in 0..STRETCHES_MAX {
            let found = self.due_between(after, CALENDAR_END, n - next.len());
            let excluded = found.iter().position(|due| self.excluded(*due).is_some());
            let Some(at) = excluded else {
                next.extend(found);
                break;
            };
            next.extend_from_slice(&found[..at]);
            after = self.end_of_exclusion(found[at]);
        }
        next
    }

    /// The calendar that excludes the day of this due time.
    #[must_use]
    pub fn excluded(&self, due: Timestamp) -> Option<&Calendar> {
        self.exclusion(due).map(|(calendar, _)| calendar)
    }

    /// The last microsecond of the excluded days that begin with the day of this due time.
    fn end_of_exclusion(&self, due: Timestamp) -> Timestamp {
        let until = self.exclusion(due).map(|(_, until)| until);
        until.map_or(due, |day| moment::Moment::Date(day).last(self.time_zone).max(due))
    }

    fn exclusion(&self, due: Timestamp) -> Option<(&Calendar, NaiveDate)> {
        if self.except.is_empty() {
            return None;
        }
        let day = due.to_utc().with_timezone(&self.time_zone).date_naive();
        let held = |calendar: &'_ Arc<Calendar>| calendar.until(day);
        self.except
            .iter()
            .find_map(|calendar| held(calendar).map(|until| (calendar.as_ref(), until)))
    }

    /// When the job's run of this due time begins: up to the jitter later. Every process gives the same answer.
    #[must_use]
    pub fn begins_at(&self, job: JobId, due: Timestamp) -> Timestamp {
        if self.jitter_seconds == 0 {
            return due;
        }
        let hash = Sha256::new()
            .chain_update(job.0.as_bytes())
            .chain_update(due.0.to_be_bytes())
            .finalize();
        let mut head = [0; 8];
        head.copy_from_slice(&hash[..8]);
        // A share of the jitter with a millisecond's grain.
        let millis = u64::from_be_bytes(head) % (u64::from(self.jitter_seconds) * 1000);
        Timestamp(due.0.saturating_add(i64::try_from(millis).unwrap_or(0) * 1000))
    }
}

#[cfg(test)]
mod tests;
