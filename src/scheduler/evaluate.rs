//! One evaluation: which schedules are due, what their policies say, and recording it; a portion of schedules at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use metrics::counter;

use super::decide::{Decided, Found, decide};
use super::upcoming::{Look, Scheduled, Upcoming};
use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;
use crate::pipeline::Context;
use crate::storage::StoreError;
use crate::storage::pauses::Pause;
use crate::storage::schedules::{Evaluated, Mark};

/// Schedules evaluated together: their statements hold this many rows, their transaction as many marks.
const PORTION: usize = 256;
/// Most due times of one schedule in one evaluation, and of all schedules of a portion; the rest follows with the next look.
const DUE_MAX: usize = 10_000;

/// A schedule that another process has changed is left alone for this long.
const STOOD_BACK_SECONDS: i64 = 60;

/// A schedule with what is due of it.
struct Search {
    scheduled: Arc<Scheduled>,
    mark: Mark,
    /// Up to when it was searched.
    to: Timestamp,
    due: Vec<Timestamp>,
    /// How many of those that follow may run; they are found by the next evaluation.
    following: Vec<Timestamp>,
}

/// Evaluates what is to be looked at by now. How many occurrences were recorded to run.
///
/// # Errors
/// [`StoreError`]; what was not evaluated is looked at again.
pub(super) async fn evaluate(context: &Context, upcoming: &mut Upcoming) -> Result<usize, StoreError> {
    let now = context.clock.now();
    let mut recorded = 0;
    for portion in upcoming.due(now).chunks(PORTION) {
        let done = evaluate_portion(context, portion, now).await?;
        recorded += done.run;
        for (job, at) in done.looks {
            upcoming.put_off(job, at);
        }
    }
    Ok(recorded)
}

/// What became of a portion.
struct Done {
    /// Occurrences recorded to run.
    run: usize,
    /// When each schedule is to be looked at next.
    looks: Vec<(JobId, Timestamp)>,
}

async fn evaluate_portion(context: &Context, portion: &[Look], now: Timestamp) -> Result<Done, StoreError> {
    let marks = current_marks(context, portion, now).await?;
    let mut looks = Vec::with_capacity(portion.len());
    let mut due = Vec::new();
    let mut room = DUE_MAX;
    for Look { scheduled, .. } in portion {
        let Some(mark) = marks
            .get(&scheduled.job)
            .filter(|mark| mark.pattern == scheduled.pattern)
        else {
            tracing::warn!(job.name = %scheduled.name, "another process has another schedule for this job, from files it read \
                later; this one leaves the schedule to it. Have every process read the same files (SIGHUP)");
            looks.push((scheduled.job, now.plus_seconds(STOOD_BACK_SECONDS)));
            continue;
        };
        match find(scheduled, mark, now, &mut room) {
            Some(found) if found.due.is_empty() => looks.push((scheduled.job, next_look(&found))),
            Some(found) => due.push(found),
            None => looks.push((scheduled.job, now)),
        }
    }
    let run = record(context, due, now, &mut looks).await?;
    Ok(Done { run, looks })
}

/// The marks of these schedules; those of new and of changed ones are set to `now`. Only when a schedule is looked at for the
/// first time, so that the process that read its files last decides, and not two of them in turn.
async fn current_marks(
    context: &Context,
    portion: &[Look],
    now: Timestamp,
) -> Result<HashMap<JobId, Mark>, StoreError> {
    let jobs: Vec<JobId> = portion.iter().map(|look| look.scheduled.job).collect();
    let mut marks = context.store.marks(&jobs).await?;
    let is_new = |look: &&Look| {
        let mark = marks.get(&look.scheduled.job);
        mark.is_none_or(|mark| look.is_first && mark.pattern != look.scheduled.pattern)
    };
    let new: Vec<(JobId, String)> = portion
        .iter()
        .filter(is_new)
        .map(|look| (look.scheduled.job, look.scheduled.pattern.clone()))
        .collect();
    if !new.is_empty() {
        context.store.begin_schedules(&new, now).await?;
        let jobs: Vec<JobId> = new.iter().map(|(job, _)| *job).collect();
        marks.extend(context.store.marks(&jobs).await?);
    }
    Ok(marks)
}

/// What is due of a schedule; `None` when the portion has no more room for it.
fn find(scheduled: &Arc<Scheduled>, mark: &Mark, now: Timestamp, room: &mut usize) -> Option<Search> {
    if *room == 0 {
        return None;
    }
    // A paused job's time stands still: what is due meanwhile is judged when it goes on.
    let paused = mark.pause.as_ref().filter(|pause| pause.is_on());
    let to = paused.map_or(now, |pause| pause.at.min(now));
    let schedule = &scheduled.schedule;
    let due = schedule.due_between(mark.evaluated_to, to, DUE_MAX);
    *room = room.saturating_sub(due.len());
    let (mut searched, mut following) = (to, Vec::new());
    if let Some(&last) = due.last().filter(|_| due.len() == DUE_MAX) {
        following = schedule.next(last, schedule.missed_max as usize);
        following.retain(|due| *due <= to);
        searched = last;
    }
    Some(Search {
        scheduled: Arc::clone(scheduled),
        mark: mark.clone(),
        to: searched,
        due,
        following,
    })
}

/// When a schedule that was searched is to be looked at next: when it is due next, were that in the past.
fn next_look(found: &Search) -> Timestamp {
    let searched = found.mark.evaluated_to.max(found.to);
    let next = found.scheduled.schedule.due_between(searched, Timestamp(i64::MAX), 1);
    // A schedule that is over is looked at again when the definitions change.
    next.first().copied().unwrap_or(Timestamp(i64::MAX))
}

/// Decides on what is due and records it; how many are to run.
async fn record(
    context: &Context,
    due: Vec<Search>,
    now: Timestamp,
    looks: &mut Vec<(JobId, Timestamp)>,
) -> Result<usize, StoreError> {
    if due.is_empty() {
        return Ok(0);
    }
    let jobs: Vec<JobId> = due.iter().map(|found| found.scheduled.job).collect();
    let open = context.store.open_occurrences(&jobs).await?;
    let decided: Vec<(Search, Decided)> = due
        .into_iter()
        .map(|found| {
            let decided = found.decide(open.get(&found.scheduled.job).copied().unwrap_or(0), now);
            (found, decided)
        })
        .collect();
    let evaluated = decided.iter().map(|(found, decided)| found.evaluated(decided));
    let recorded = context.store.record_due(evaluated.collect(), now).await?;
    Ok(tell(&decided, &recorded, now, looks))
}

impl Search {
    fn decide(&self, open: u32, now: Timestamp) -> Decided {
        decide(&Found {
            job: self.scheduled.job,
            schedule: &self.scheduled.schedule,
            due: &self.due,
            following: &self.following,
            now,
            pause: self.mark.pause.as_ref(),
            open,
        })
    }

    fn evaluated(&self, decided: &Decided) -> Evaluated {
        Evaluated {
            job: self.scheduled.job,
            pattern: self.scheduled.pattern.clone(),
            from: self.mark.evaluated_to,
            to: self.to,
            paused: self.mark.pause.as_ref().is_some_and(Pause::is_on),
            decisions: decided.decisions.clone(),
            missed: decided.missed.clone(),
            cancels_previous: decided.cancels_previous,
        }
    }
}

/// Counts what was recorded.
fn count(job: &str, decided: &Decided) {
    let counter =
        |outcome: String| counter!("tranship_occurrences_total", "job" => job.to_owned(), "outcome" => outcome);
    for decision in &decided.decisions {
        let outcome = decision.skip.as_ref().map_or("run", |skip| skip.reason.as_str());
        counter(outcome.to_owned()).increment(1);
    }
    for range in &decided.missed {
        counter(range.reason.clone()).increment(range.occurrences);
    }
}

/// Logs what was recorded, and notes when to look next; how many are to run.
fn tell(
    decided: &[(Search, Decided)],
    recorded: &HashSet<JobId>,
    now: Timestamp,
    looks: &mut Vec<(JobId, Timestamp)>,
) -> usize {
    let mut run = 0;
    for (found, decided) in decided {
        let job = found.scheduled.job;
        // Where another process was first, its mark tells more.
        looks.push((job, if recorded.contains(&job) { next_look(found) } else { now }));
        if recorded.contains(&job) {
            let (due, running) = (found.due.len(), decided.running());
            tracing::info!(job.name = %found.scheduled.name, due, run = running, "schedule evaluated");
            count(&found.scheduled.name, decided);
            run += running;
        }
    }
    run
}
