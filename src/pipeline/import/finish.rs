//! The end: what could not land is given up, rejects and the markers' counts are copied into the store.

use super::order::Ran;
use super::part::Part;
use super::promote::skipped_chunks;
use super::stage::with_column;
use super::{Session, counted, parts};
use crate::business::promote::LoadCounts;
use crate::domain::counts::Counts;
use crate::domain::message::{Claimed, Failure, Fence};
use crate::domain::status::Event;
use crate::failpoint;
use crate::format::mapping::Mapping;
use crate::pipeline::Context;
use crate::pipeline::stop::Stop;
use crate::pipeline::telling::Done;
use crate::storage::StoreError;
use crate::storage::executions::{EntityRun, ImportOutcome, StoredError};

/// The failure code of a message that somebody cancelled.
pub(super) const CANCELLED: &str = "cancelled";
/// Rejects copied into the store in one statement.
const REJECTS_PER_COPY: u32 = 500;

/// Ends a message that failed, wherever it had come to: what landed stays and is counted, rejects are kept, the rest is skipped.
pub(super) async fn close(session: &Session<'_>, failure: Failure) -> Result<(), Stop> {
    let parts = parts::known(session).await?;
    let mut phases = Vec::with_capacity(parts.len());
    for part in &parts {
        part.database.raise_fence(session.fence).await?;
        phases.push(give_up_part(part, &failure).await?);
    }
    if phases.iter().all(|phase| *phase == Phase::NotRun) {
        tracing::info!(message.id = %session.message.id, code = %failure.code, "import failed: {}", failure.detail);
        let entities = not_begun(&parts, &failure);
        return Ok(finish_with_nothing(session.context, session.fence, failure, entities).await?);
    }
    let totals = Totals::of(parts.iter().zip(phases)).await?;
    finish(session, &parts, totals, failed(&failure), Some(failure)).await
}

/// What is told of entities that wait for nothing any more: of a single one the failure is its own.
fn not_begun(parts: &[Part<'_>], failure: &Failure) -> Vec<EntityRun> {
    let is_its_own = parts.len() == 1 && failure.code != CANCELLED;
    let phase = if is_its_own { Phase::Failed } else { Phase::NotRun };
    let known = parts.iter().filter(|part| part.known.is_some());
    known.map(|part| run(part, &LoadCounts::default(), phase)).collect()
}

/// Ends a message on whose records nobody ever began.
pub(super) async fn nothing_landed(context: &Context, claimed: &Claimed, failure: Failure) -> Result<(), StoreError> {
    tracing::info!(message.id = %claimed.message.id, code = %failure.code, "import failed: {}", failure.detail);
    finish_with_nothing(context, claimed.fence(), failure, Vec::new()).await
}

async fn finish_with_nothing(
    context: &Context,
    fence: Fence,
    failure: Failure,
    entities: Vec<EntityRun>,
) -> Result<(), StoreError> {
    let outcome = ImportOutcome {
        event: failed(&failure),
        counts: Counts::default(),
        entities,
        failure: Some(failure),
        repaired: Vec::new(),
    };
    context.store.finish_import(fence, outcome, context.clock.now()).await
}

/// Ends a message all of whose parts came to an end.
pub(super) async fn end(session: &Session<'_>, parts: &[Part<'_>], ran: &[Ran<'_, '_>]) -> Result<(), Stop> {
    let totals = Totals::of(ran.iter().map(|ran| (ran.part, ran.phase))).await?;
    let failure = overall(ran);
    let event = match &failure {
        // As far as it was asked for.
        _ if ran.iter().any(|ran| ran.phase == Phase::Staged) => Event::Stage,
        // What of several parts landed, landed.
        Some(_) if parts.len() > 1 && totals.counts.applied() > 0 => Event::FinishWithErrors,
        Some(_) => Event::Fail,
        None if totals.counts.rejected > 0 => Event::FinishWithErrors,
        None => Event::Finish,
    };
    finish(session, parts, totals, event, failure).await
}

/// The failure of the message: that of its part, or of its parts by their names.
fn overall(ran: &[Ran<'_, '_>]) -> Option<Failure> {
    let failed = || ran.iter().filter_map(|ran| Some((ran.part, ran.failure.as_ref()?)));
    let (_, first) = failed().next()?;
    // One file that cannot be read at all says so to each of its parts.
    if ran.iter().all(|ran| ran.failure.as_ref() == Some(first)) {
        return Some(first.clone());
    }
    let of = |(part, failure): (&Part<'_>, &Failure)| format!("{}: {}", part.entity.label, failure.detail);
    Some(Failure {
        code: first.code.clone(),
        detail: failed().map(of).collect::<Vec<_>>().join("; "),
    })
}

/// What the markers of all parts say.
struct Totals {
    counts: Counts,
    runs: Vec<EntityRun>,
    repaired: Vec<crate::domain::reject::RejectId>,
}

impl Totals {
    async fn of<'p, 'a: 'p>(parts: impl Iterator<Item = (&'p Part<'a>, Phase)>) -> Result<Self, Stop> {
        let mut totals = Self {
            counts: Counts::default(),
            runs: Vec::new(),
            repaired: Vec::new(),
        };
        for (part, phase) in parts {
            if !part.database.load_begun(part.load()).await? {
                // It failed before its first record, or nobody came to it.
                totals.runs.push(run(part, &LoadCounts::default(), phase));
                continue;
            }
            let loaded = part.database.load_counts(part.load()).await?;
            totals.counts = totals.counts.plus(loaded.counts);
            let mut ended = run(part, &loaded, phase);
            ended.warnings.extend(rules_told(part).await?);
            ended.warnings.extend(skipped_chunks(part).await?);
            totals.runs.push(ended);
            totals.repaired.extend(part.database.repaired(part.load()).await?);
            part.database.clear_staging(part.load()).await?;
            failpoint::reached("import.staging_cleared");
        }
        Ok(totals)
    }
}

/// The rules that some records fail and land all the same.
async fn rules_told(part: &Part<'_>) -> Result<Vec<String>, Stop> {
    let failed = part.database.rule_warnings(part.load()).await?;
    let told = failed.into_iter().map(|(name, records)| {
        let rule = part.entity.rules.iter().find(|rule| rule.name == name);
        let message = rule.map_or("", |rule| rule.message.as_str());
        let records = if records == 1 {
            "1 record".to_owned()
        } else {
            format!("{records} records")
        };
        format!("rule `{name}`: {message} ({records})")
    });
    Ok(told.collect())
}

/// Tells the store how a part ended, ahead of the message's end.
pub(super) async fn tell(part: &Part<'_>, phase: Phase) -> Result<(), Stop> {
    let loaded = if part.database.load_begun(part.load()).await? {
        part.database.load_counts(part.load()).await?
    } else {
        LoadCounts::default()
    };
    part.save(&run(part, &loaded, phase)).await
}

/// Gives up a part wherever it is: what of it landed stays, what was rejected is kept, the rest is skipped.
pub(super) async fn give_up_part(part: &Part<'_>, failure: &Failure) -> Result<Phase, Stop> {
    if !part.database.load_begun(part.load()).await? {
        return Ok(Phase::NotRun);
    }
    let chunks = part.database.chunks(part.load()).await?;
    let is_through = !chunks.is_empty() && chunks.iter().all(|chunk| chunk.done);
    stop_load(part, failure).await?;
    copy_rejects(part, None).await?;
    let counts = part.database.load_counts(part.load()).await?.counts;
    Ok(if is_through && counts.skipped == 0 {
        Phase::Ended
    } else {
        Phase::Failed
    })
}

/// Gives up what of a part is not promoted. The reason carries the code, so that a rerun after a crash ends with the same failure.
pub(super) async fn stop_load(part: &Part<'_>, failure: &Failure) -> Result<(), Stop> {
    if !part.database.load_begun(part.load()).await? {
        return Ok(());
    }
    let reason = format!("{}: {}", failure.code, failure.detail);
    part.database.stop_load(part.load(), &reason).await?;
    failpoint::reached("import.load_stopped");
    Ok(())
}

fn failed(failure: &Failure) -> Event {
    if failure.code == CANCELLED {
        Event::Cancel
    } else {
        Event::Fail
    }
}

/// Copies the part's rejects into the store.
pub(super) async fn copy_rejects(part: &Part<'_>, mapping: Option<&Mapping>) -> Result<(), Stop> {
    let mut after = None;
    loop {
        let page = part.database.kept_rejects(part.load(), after, REJECTS_PER_COPY).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.reject.record, last.ordinal));
        let errors: Vec<StoredError> = page
            .into_iter()
            .map(|kept| StoredError {
                reject: kept.reject,
                ordinal: kept.ordinal,
                origin: kept.origin,
                by_target: kept.by_target,
                error: match mapping {
                    Some(mapping) => with_column(mapping, kept.error),
                    None => kept.error,
                },
            })
            .collect();
        let session = part.session;
        session.context.store.save_record_errors(session.fence, &errors).await?;
    }
}

async fn finish(
    session: &Session<'_>,
    parts: &[Part<'_>],
    totals: Totals,
    event: Event,
    failure: Option<Failure>,
) -> Result<(), Stop> {
    let counts = totals.counts;
    // A message is cancelled wherever it is, and may be in processing already by the attempt that was broken off.
    if counts.applied() > 0 && event != Event::Cancel {
        // Something landed, in this attempt or an earlier one: that is no end before processing.
        session.begin_processing().await?;
    }
    let Counts {
        read,
        rejected,
        skipped,
        ..
    } = counts;
    let applied = counts.applied();
    if !counts.conserved() {
        // A bug of ours, and never a silent one: the message fails and says the numbers.
        let detail = format!(
            "the markers do not add up: read {read}, applied {applied}, rejected {rejected}, skipped {skipped}; please report this"
        );
        tracing::error!(message.id = %session.message.id, "{detail}");
        let failure = Failure {
            code: "counts_mismatch".to_owned(),
            detail,
        };
        return Ok(finish_with_nothing(session.context, session.fence, failure, Vec::new()).await?);
    }
    let began = session.context.clock.now();
    let outcome = ImportOutcome {
        event,
        counts,
        entities: totals.runs,
        failure,
        repaired: totals.repaired,
    };
    failpoint::reached("import.counted");
    session
        .context
        .store
        .finish_import(session.fence, outcome, session.context.clock.now())
        .await?;
    failpoint::reached("import.finished");
    session
        .context
        .tell_phase(session.message, Done::well("finish", began), || {
            counted(counts, session.message.entity.as_deref().unwrap_or_default())
        });
    tracing::info!(message.id = %session.message.id, job.name = %session.job.name, read, applied, rejected, skipped, "import ended");
    forget(session, parts, read == 0).await;
    failpoint::reached("import.rejects_forgotten");
    Ok(())
}

/// The store has the rejects; what stays behind costs space, not truth. A message of which nothing was read may be tried again, and a load
/// that stays stopped costs that one try more.
async fn forget(session: &Session<'_>, parts: &[Part<'_>], may_be_retried: bool) {
    let mut done: Vec<&str> = Vec::new();
    for database in parts.iter().map(|part| part.database) {
        if done.contains(&database.name()) {
            continue;
        }
        done.push(database.name());
        let forgotten = async {
            if may_be_retried {
                database.forget_stopped(session.fence).await?;
            }
            database.forget_rejects(session.fence).await
        };
        if let Err(error) = forgotten.await {
            tracing::warn!(message.id = %session.message.id, %error, "rejects of a finished message stay in the business database");
        }
    }
}

/// What is told of a file without records: a table is emptied for one only where the job says so.
fn empty(part: &Part<'_>) -> &'static str {
    if part.policy.truncate.is_none() {
        "the file has no records"
    } else if part.wanted.truncate_on_empty {
        "the file has no records, and the rows it replaces were deleted"
    } else {
        "the file has no records; the rows it was to replace are kept, because the job does not say `truncate_on_empty = true`"
    }
}

/// How far a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Promoting,
    Ended,
    /// It ended before its target, which was not asked for.
    Staged,
    Failed,
    /// Nobody came to it.
    NotRun,
}

pub(super) fn run(part: &Part<'_>, totals: &LoadCounts, phase: Phase) -> EntityRun {
    let mut run = part.run();
    let staging = match phase {
        Phase::NotRun => "NotRun",
        Phase::Failed if totals.counts.applied() == 0 && totals.target_errors == 0 => "Error",
        _ if totals.staging_errors > 0 => "Error",
        _ => "Finished",
    };
    staging.clone_into(&mut run.staging_status);
    run.staging_records = totals.counts.read;
    run.staging_errors = totals.staging_errors;
    run.target_errors = totals.target_errors;
    run.counts = totals.counts;
    run.truncated = totals.truncated;
    let target = match phase {
        Phase::Promoting => "Executing",
        Phase::Ended if totals.target_errors > 0 => "Error",
        Phase::Failed if totals.counts.applied() > 0 || totals.target_errors > 0 => "Error",
        Phase::Failed | Phase::NotRun | Phase::Staged => "NotRun",
        Phase::Ended => "Finished",
    };
    target.clone_into(&mut run.target_status);
    let empty = empty(part);
    if phase == Phase::Ended && totals.counts.read == 0 && !run.warnings.iter().any(|told| told == empty) {
        run.warnings.push(empty.to_owned());
    }
    let now = || part.session.context.clock.now();
    run.finished_at = (phase != Phase::Promoting).then(|| *part.ended_at.get_or_init(now));
    run
}
