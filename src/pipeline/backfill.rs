//! Backfill: occurrences for due times of the past that have none, oldest first.

use super::Context;
use crate::domain::ids::JobId;
use crate::domain::schedule::Schedule;
use crate::domain::time::Timestamp;
use crate::storage::StoreError;
use crate::storage::asked_runs::{Asked, Known};

/// Due times looked up together.
const PAGE: usize = 500;
/// Most due times looked at for one request: a schedule of every second has a year of thirty million.
const LOOKED_AT_MAX: usize = 100_000;

/// What is to be made up for.
#[derive(Debug)]
pub struct Range<'a> {
    /// The job.
    pub job: JobId,
    /// Its schedule.
    pub schedule: &'a Schedule,
    /// First instant.
    pub from: Timestamp,
    /// Last instant.
    pub to: Timestamp,
    /// Also due times that were recorded as skipped, other than by a calendar.
    pub skipped: bool,
    /// Most occurrences.
    pub limit: usize,
}

/// What there is to be made up for, or was.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Backfill {
    /// The due times, oldest first.
    pub due: Vec<Timestamp>,
    /// Due times on the way that have an occurrence.
    pub recorded: usize,
    /// Those of them that were recorded as skipped and left so.
    pub skipped: usize,
    /// Due times on the way whose day a calendar excludes.
    pub excluded: usize,
    /// Where to go on; `None`: the range is through.
    pub next_from: Option<Timestamp>,
}

/// What a backfill of the range would make.
///
/// # Errors
/// [`StoreError`] when the store does not answer.
pub async fn plan(context: &Context, range: &Range<'_>) -> Result<Backfill, StoreError> {
    let mut plan = Backfill::default();
    let (mut after, mut looked_at) = (Timestamp(range.from.0 - 1), 0);
    loop {
        let page = range.schedule.due_between(after, range.to, PAGE);
        let known = context.store.known_occurrences(range.job, &page).await?;
        for &due in &page {
            if plan.due.len() == range.limit {
                plan.next_from = Some(due);
                return Ok(plan);
            }
            match known.get(&due) {
                _ if range.schedule.excluded(due).is_some() => plan.excluded += 1,
                None => plan.due.push(due),
                Some(Known::Skipped) if range.skipped => plan.due.push(due),
                Some(known) => {
                    plan.recorded += 1;
                    plan.skipped += usize::from(*known == Known::Skipped);
                }
            }
        }
        looked_at += page.len();
        let Some(&last) = page.last().filter(|_| page.len() == PAGE) else {
            return Ok(plan);
        };
        after = last;
        if looked_at >= LOOKED_AT_MAX {
            plan.next_from = Some(Timestamp(last.0 + 1));
            return Ok(plan);
        }
    }
}

/// Records what a plan comes to. What somebody else has recorded meanwhile is left to them.
///
/// # Errors
/// [`StoreError`]; nothing was recorded.
pub async fn backfill(context: &Context, range: &Range<'_>, asked: &Asked) -> Result<Backfill, StoreError> {
    let mut plan = plan(context, range).await?;
    let store = &context.store;
    let now = context.clock.now();
    let made = store.backfill(range.job, &plan.due, range.skipped, asked, now).await?;
    plan.recorded += plan.due.len() - made.len();
    plan.due = made;
    Ok(plan)
}
