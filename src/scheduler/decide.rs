//! What becomes of due times, by the schedule's policies: pure, so that every case is a value in a test.

use crate::domain::ids::JobId;
use crate::domain::schedule::{Missed, Overlap, Schedule, SkipReason};
use crate::domain::time::Timestamp;
use crate::storage::occurrences::{DueDecision, MissedRange, Skip};
use crate::storage::pauses::Pause;

/// An occurrence found later than this was missed, not merely late.
const MISSED_AFTER_SECONDS: i64 = 60;
/// More due times in a row than this that do not run, for one reason, are counted instead of a row each.
const ROWS_MAX: usize = 100;

/// What an evaluation found due, and what it knows.
pub(super) struct Found<'a> {
    pub job: JobId,
    pub schedule: &'a Schedule,
    /// Oldest first; not empty.
    pub due: &'a [Timestamp],
    /// Those that are not excluded and follow with the next evaluation; more than `missed_max` need not be found.
    pub following: &'a [Timestamp],
    pub now: Timestamp,
    /// The job's pause: the one it is in, or the last one.
    pub pause: Option<&'a Pause>,
    /// Occurrences of the job that are due or running.
    pub open: u32,
}

/// What was decided.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub decisions: Vec<DueDecision>,
    /// What did not run and is only counted.
    pub missed: Vec<MissedRange>,
    /// Whether runs that are not over are to make way.
    pub cancels_previous: bool,
}

impl Decided {
    /// How many are to run.
    pub fn running(&self) -> usize {
        self.decisions.iter().filter(|decision| decision.skip.is_none()).count()
    }
}

/// Decides on all that was found.
pub(super) fn decide(found: &Found<'_>) -> Decided {
    let mut later = Later {
        due: found.following.len(),
        made_up: found.following.iter().filter(|due| found.was_missed(**due)).count(),
    };
    let mut decisions = Vec::with_capacity(found.due.len());
    let is_missed = |due_at: &Timestamp| found.was_missed(*due_at) && found.schedule.excluded(*due_at).is_none();
    let first_missed = found.due.iter().copied().find(is_missed);
    for &due_at in found.due.iter().rev() {
        let makes_up = first_missed.is_some_and(|first| first < due_at);
        let skip = found.skipped(due_at, later, makes_up);
        let is_excluded = skip.as_ref().is_some_and(|skip| skip.reason == SkipReason::Calendar);
        later.due += usize::from(!is_excluded);
        later.made_up += usize::from(skip.is_none() && found.was_missed(due_at));
        let mut begins_at = found.schedule.begins_at(found.job, due_at);
        if found.was_missed(due_at) {
            // It waits since it was found, and not since it was due.
            begins_at = begins_at.max(found.now);
        }
        decisions.push(DueDecision {
            due_at,
            not_before: Some(begins_at).filter(|at| *at > due_at),
            skip,
        });
    }
    decisions.reverse();
    let cancels_previous = found.make_way(&mut decisions);
    let (decisions, missed) = counted(&decisions, found.now);
    Decided {
        decisions,
        missed,
        cancels_previous,
    }
}

/// What is due after a due time.
#[derive(Clone, Copy)]
struct Later {
    /// All of it that is not excluded.
    due: usize,
    /// What of it was missed and runs: the rest is in time, and not what `missed_max` bounds.
    made_up: usize,
}

impl Found<'_> {
    /// The pause in which it was due.
    fn pause_at(&self, due_at: Timestamp) -> Option<&Pause> {
        let resumed = |pause: &Pause| pause.resumed_at.is_some_and(|resumed| due_at <= resumed);
        self.pause.filter(|pause| pause.at < due_at && resumed(pause))
    }

    fn was_missed(&self, due_at: Timestamp) -> bool {
        self.pause_at(due_at).is_some() || self.now.seconds_since(due_at) > MISSED_AFTER_SECONDS
    }

    /// Why this one does not run, apart from other runs. `later` is due after it; with `makes_up`, some before it were
    /// missed: then one run for all is one run for what is merely late, too.
    fn skipped(&self, due_at: Timestamp, later: Later, makes_up: bool) -> Option<Skip> {
        if let Some(calendar) = self.schedule.excluded(due_at) {
            let note = match calendar.name() {
                Some(name) => format!("the calendar `{name}` excludes the day"),
                None => "the schedule excludes the day (except)".to_owned(),
            };
            return skip(SkipReason::Calendar, note);
        }
        let pause = self.pause_at(due_at);
        let policy = pause.and_then(|pause| pause.missed).unwrap_or(self.schedule.missed);
        if !(self.was_missed(due_at) || (makes_up && policy == Missed::Once)) {
            return None;
        }
        let age = self.now.seconds_since(due_at);
        let why = match (policy, self.schedule.missed_window_seconds) {
            (_, Some(window)) if age > i64::from(window) => "older than missed_window",
            (Missed::Skip, _) => "missed = skip",
            (Missed::Once, _) if later.due > 0 => "a later one runs for it: missed = once",
            (Missed::All, _) if later.made_up >= self.schedule.missed_max as usize => "more than missed_max",
            (Missed::Once | Missed::All, _) => return None,
        };
        match pause {
            Some(pause) => {
                let said = pause.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
                skip(SkipReason::Paused, format!("paused by {}{said} ({why})", pause.by))
            }
            None => skip(SkipReason::Missed, format!("missed while nothing was running ({why})")),
        }
    }

    /// Applies the overlap policy to what is to run; whether runs that are not over are to make way.
    fn make_way(&self, decisions: &mut [DueDecision]) -> bool {
        let running = decisions.iter_mut().filter(|decision| decision.skip.is_none());
        match self.schedule.overlap {
            Overlap::Skip if self.open > 0 => {
                for decision in running {
                    let note = "the previous run was still going (overlap = skip)".to_owned();
                    decision.skip = skip(SkipReason::Overlap, note);
                }
            }
            Overlap::Skip => {}
            Overlap::Queue => {
                // What was missed is bounded by its own policy.
                let on_time = running.filter(|it| self.now.seconds_since(it.due_at) <= MISSED_AFTER_SECONDS);
                let room = self.schedule.queue_max.saturating_sub(self.open) as usize;
                for decision in on_time.skip(room) {
                    let note = format!("{} runs were waiting already (queue_max)", self.schedule.queue_max);
                    decision.skip = skip(SkipReason::Overlap, note);
                }
            }
            Overlap::CancelPrevious => {
                for decision in running.rev().skip(1) {
                    let note = "a later one was due already (overlap = cancel_previous)".to_owned();
                    decision.skip = skip(SkipReason::Overlap, note);
                }
                return self.open > 0 && decisions.iter().any(|decision| decision.skip.is_none());
            }
        }
        false
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every caller wants it so")]
fn skip(reason: SkipReason, note: String) -> Option<Skip> {
    Some(Skip { reason, note })
}

/// Takes long stretches that do not run, for one and the same reason, out of the decisions, and counts them.
fn counted(decisions: &[DueDecision], now: Timestamp) -> (Vec<DueDecision>, Vec<MissedRange>) {
    let (mut kept, mut missed) = (Vec::with_capacity(decisions.len()), Vec::new());
    for stretch in decisions.chunk_by(|one, other| one.skip.is_some() && one.skip == other.skip) {
        match (stretch, &stretch[0].skip) {
            ([first, .., last], Some(skip)) if stretch.len() > ROWS_MAX => missed.push(MissedRange {
                first_due: first.due_at,
                last_due: last.due_at,
                occurrences: stretch.len() as u64,
                reason: skip.reason.as_str().to_owned(),
                note: skip.note.clone(),
                recorded_at: now,
            }),
            _ => kept.extend_from_slice(stretch),
        }
    }
    (kept, missed)
}

#[cfg(test)]
mod tests;
