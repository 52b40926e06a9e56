//! What a schedule will do: its next due times, which of them run, and why a time is another than one would expect.

use super::pattern::{CALENDAR_END, ClockChange};
use super::{Recurrence, STRETCHES_MAX, Schedule};
use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;

/// A due time to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upcoming {
    /// When it is due.
    pub due_at: Timestamp,
    /// When its run begins (jitter); `None`: it does not run.
    pub begins_at: Option<Timestamp>,
    /// What is special about it.
    pub reason: Option<Reason>,
}

/// What is special about a due time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its wall-clock time is skipped or doubled (promise 6).
    ClockChange(ClockChange),
    /// Its day is excluded by the calendar of this name, or by the job's own list.
    Excluded(Option<String>),
}

impl Reason {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ClockChange(ClockChange::Skipped(_)) => "clock_forward",
            Self::ClockChange(ClockChange::Doubled(_)) => "clock_back",
            Self::Excluded(_) => "calendar",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ClockChange(ClockChange::Skipped(wall)) => write!(
                f,
                "the clock skips {}: it runs at the first valid instant after it",
                wall.format("%H:%M:%S")
            ),
            Self::ClockChange(ClockChange::Doubled(wall)) => {
                write!(
                    f,
                    "the clock shows {} twice: it runs at the first",
                    wall.format("%H:%M:%S")
                )
            }
            Self::Excluded(Some(name)) => write!(f, "the calendar `{name}` excludes the day"),
            Self::Excluded(None) => f.write_str("the schedule excludes the day (`except`)"),
        }
    }
}

impl Schedule {
    /// The next due times after `after` up to the `n`-th that runs. Of excluded days in a row, the first due time stands for
    /// all.
    #[must_use]
    pub fn preview(&self, job: JobId, after: Timestamp, n: usize) -> Vec<Upcoming> {
        let mut upcoming = Vec::new();
        let (mut after, mut running) = (after, 0);
        // As many stretches as are worth a look; a calendar of every day has no end.
        while running < n && upcoming.len() < n + STRETCHES_MAX.min(4 * n) {
            let Some(&due_at) = self.due_between(after, CALENDAR_END, 1).first() else {
                break;
            };
            let excluded = self.excluded(due_at);
            upcoming.push(Upcoming {
                due_at,
                begins_at: excluded.is_none().then(|| self.begins_at(job, due_at)),
                reason: match excluded {
                    Some(calendar) => Some(Reason::Excluded(calendar.name().map(str::to_owned))),
                    None => self.clock_change_at(due_at).map(Reason::ClockChange),
                },
            });
            if excluded.is_some() {
                after = self.end_of_exclusion(due_at);
            } else {
                (after, running) = (due_at, running + 1);
            }
        }
        upcoming
    }

    fn clock_change_at(&self, due: Timestamp) -> Option<ClockChange> {
        match &self.recurrence {
            Recurrence::Cron(pattern) => pattern.clock_change_at(due, self.time_zone),
            Recurrence::Every(_) => None,
        }
    }
}
