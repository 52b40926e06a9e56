//! Staging to target and the end: judge the threshold, promote chunk by chunk, copy the markers' counts into the store.

use super::part::Part;
use super::stage::{Staged, with_column};
use super::{Session, parts};
use crate::business::promote::LoadCounts;
use crate::domain::counts::Counts;
use crate::domain::message::{Claimed, Failure, Fence};
use crate::domain::status::Event;
use crate::format::mapping::Mapping;
use crate::pipeline::Context;
use crate::pipeline::stop::Stop;
use crate::storage::StoreError;
use crate::storage::executions::{EntityRun, ImportOutcome, StoredError};

/// The failure code of a message that somebody cancelled.
pub(super) const CANCELLED: &str = "cancelled";
/// Rejects copied into the store in one statement.
const REJECTS_PER_COPY: u32 = 500;

/// A part that failed as a whole, and why.
pub(super) type Failed<'p, 'a> = (&'p Part<'a>, Failure);

/// Promotes a staged load. With why it was given up, if it was.
pub(super) async fn promote_all(part: &Part<'_>, staged: &Staged) -> Result<Option<Failure>, Stop> {
    part.session.begin_processing().await?;
    if let Some(failure) = judge(part, staged).await? {
        return Ok(Some(failure));
    }
    let before = part.database.load_counts(part.load()).await?;
    part.save(&run(part, &before, Phase::Promoting)).await?;
    match promote(part, staged).await {
        Ok(()) => Ok(None),
        Err(Stop::Fail(failure)) => {
            stop_load(part, &failure).await?;
            Ok(Some(failure))
        }
        Err(other) => Err(other),
    }
}

/// Ends a message that failed, wherever it had come to: what landed stays and is counted, rejects are kept, the rest is skipped.
pub(super) async fn close(session: &Session<'_>, failure: Failure) -> Result<(), Stop> {
    let parts = parts::known(session).await?;
    let mut phases = Vec::with_capacity(parts.len());
    let mut has_begun = false;
    for part in &parts {
        part.database.raise_fence(session.fence).await?;
        if !part.database.load_begun(part.load()).await? {
            phases.push(Phase::NotRun);
            continue;
        }
        has_begun = true;
        let chunks = part.database.chunks(part.load()).await?;
        let is_through = !chunks.is_empty() && chunks.iter().all(|chunk| chunk.done);
        give_up_part(part, &failure).await?;
        let counts = part.database.load_counts(part.load()).await?.counts;
        phases.push(if is_through && counts.skipped == 0 {
            Phase::Ended
        } else {
            Phase::Failed
        });
    }
    if !has_begun {
        tracing::info!(message.id = %session.message.id, code = %failure.code, "import failed: {}", failure.detail);
        return Ok(finish_with_nothing(session.context, session.fence, failure).await?);
    }
    let totals = Totals::of(&parts, &phases).await?;
    finish(session, &parts, totals, failed(&failure), Some(failure)).await
}

/// Ends a message on whose records nobody ever began.
pub(super) async fn nothing_landed(context: &Context, claimed: &Claimed, failure: Failure) -> Result<(), StoreError> {
    tracing::info!(message.id = %claimed.message.id, code = %failure.code, "import failed: {}", failure.detail);
    finish_with_nothing(context, claimed.fence(), failure).await
}

async fn finish_with_nothing(context: &Context, fence: Fence, failure: Failure) -> Result<(), StoreError> {
    let outcome = ImportOutcome {
        event: failed(&failure),
        counts: Counts::default(),
        entities: Vec::new(),
        failure: Some(failure),
        repaired: Vec::new(),
    };
    context.store.finish_import(fence, outcome, context.clock.now()).await
}

/// Ends a message all of whose parts came to an end.
pub(super) async fn end(session: &Session<'_>, parts: &[Part<'_>], failed: &[Failed<'_, '_>]) -> Result<(), Stop> {
    let has_failed = |part: &Part<'_>| failed.iter().any(|(other, _)| other.entity_no == part.entity_no);
    let phase = |part| if has_failed(part) { Phase::Failed } else { Phase::Ended };
    let totals = Totals::of(parts, &parts.iter().map(phase).collect::<Vec<_>>()).await?;
    let failure = overall(parts, failed);
    let event = match &failure {
        // What of a package landed, landed.
        Some(_) if parts.len() > 1 && totals.counts.applied() > 0 => Event::FinishWithErrors,
        Some(_) => Event::Fail,
        None if totals.counts.rejected > 0 => Event::FinishWithErrors,
        None => Event::Finish,
    };
    finish(session, parts, totals, event, failure).await
}

/// The failure of the message: that of its part, or of its parts by their names.
fn overall(parts: &[Part<'_>], failed: &[Failed<'_, '_>]) -> Option<Failure> {
    let (first, rest) = failed.split_first()?;
    if parts.len() == 1 {
        return Some(first.1.clone());
    }
    let of = |(part, failure): &Failed<'_, '_>| format!("{}: {}", part.entity.label, failure.detail);
    let details: Vec<String> = std::iter::once(first).chain(rest).map(of).collect();
    Some(Failure {
        code: first.1.code.clone(),
        detail: details.join("; "),
    })
}

/// What the markers of all parts say.
struct Totals {
    counts: Counts,
    runs: Vec<EntityRun>,
    repaired: Vec<crate::domain::reject::RejectId>,
}

impl Totals {
    async fn of(parts: &[Part<'_>], phases: &[Phase]) -> Result<Self, Stop> {
        let mut totals = Self {
            counts: Counts::default(),
            runs: Vec::with_capacity(parts.len()),
            repaired: Vec::new(),
        };
        for (part, &phase) in parts.iter().zip(phases) {
            if !part.database.load_begun(part.load()).await? {
                // It failed before its first record, or nobody came to it.
                totals.runs.push(run(part, &LoadCounts::default(), phase));
                continue;
            }
            let loaded = part.database.load_counts(part.load()).await?;
            totals.counts = totals.counts.plus(loaded.counts);
            let mut run = run(part, &loaded, phase);
            run.warnings.extend(rules_told(part).await?);
            totals.runs.push(run);
            totals.repaired.extend(part.database.repaired(part.load()).await?);
            part.database.clear_staging(part.load()).await?;
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

/// Gives up a part that failed on the way: what of it landed stays, what was rejected is kept.
pub(super) async fn give_up_part(part: &Part<'_>, failure: &Failure) -> Result<(), Stop> {
    stop_load(part, failure).await?;
    if part.database.load_begun(part.load()).await? {
        copy_rejects(part, None).await?;
    }
    Ok(())
}

/// Gives up what of a part is not promoted. The reason carries the code, so that a rerun after a crash ends with the same failure.
async fn stop_load(part: &Part<'_>, failure: &Failure) -> Result<(), Stop> {
    if !part.database.load_begun(part.load()).await? {
        return Ok(());
    }
    let reason = format!("{}: {}", failure.code, failure.detail);
    Ok(part.database.stop_load(part.load(), &reason).await?)
}

fn stopped_before(reason: &str) -> Failure {
    let (code, detail) = reason.split_once(": ").unwrap_or(("stopped", reason));
    Failure {
        code: code.to_owned(),
        detail: detail.to_owned(),
    }
}

async fn promote(part: &Part<'_>, staged: &Staged) -> Result<(), Stop> {
    for chunk in part.database.chunks(part.load()).await? {
        part.session.checkpoint()?;
        if !chunk.done {
            part.database
                .promote_chunk(part.load(), &staged.state.fields, chunk)
                .await?;
            part.session.note_progress().await?;
        }
    }
    Ok(())
}

/// Judges the error threshold once staging is complete (design section 3): past it nothing is applied.
async fn judge(part: &Part<'_>, staged: &Staged) -> Result<Option<Failure>, Stop> {
    if let Some(reason) = &staged.state.stopped {
        return Ok(Some(stopped_before(reason)));
    }
    let Some(threshold) = part.session.spec.max_errors else {
        return Ok(None);
    };
    let LoadCounts {
        counts, staging_errors, ..
    } = part.database.load_counts(part.load()).await?;
    if !threshold.exceeded(staging_errors, counts.read) {
        return Ok(None);
    }
    let reason = format!(
        "{staging_errors} of {} records were rejected, more than `max_errors` allows; nothing was applied",
        counts.read
    );
    let failure = Failure {
        code: "too_many_errors".to_owned(),
        detail: reason,
    };
    stop_load(part, &failure).await?;
    Ok(Some(failure))
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
    if counts.applied() > 0 {
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
        return Ok(finish_with_nothing(session.context, session.fence, failure).await?);
    }
    let outcome = ImportOutcome {
        event,
        counts,
        entities: totals.runs,
        failure,
        repaired: totals.repaired,
    };
    session
        .context
        .store
        .finish_import(session.fence, outcome, session.context.clock.now())
        .await?;
    tracing::info!(message.id = %session.message.id, job.name = %session.job.name, read, applied, rejected, skipped, "import ended");
    forget_rejects(session, parts).await;
    Ok(())
}

/// The store has them; what stays behind costs space, not truth.
async fn forget_rejects(session: &Session<'_>, parts: &[Part<'_>]) {
    let mut done: Vec<&str> = Vec::new();
    for database in parts.iter().map(|part| part.database) {
        if done.contains(&database.name()) {
            continue;
        }
        done.push(database.name());
        if let Err(error) = database.forget_rejects(session.fence).await {
            tracing::warn!(message.id = %session.message.id, %error, "rejects of a finished message stay in the business database");
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Promoting,
    Ended,
    Failed,
    /// Nobody came to it.
    NotRun,
}

fn run(part: &Part<'_>, totals: &LoadCounts, phase: Phase) -> EntityRun {
    let mut run = part.run();
    let staging = match phase {
        Phase::NotRun => "NotRun",
        Phase::Failed if totals.counts.applied() == 0 => "Error",
        _ if totals.staging_errors > 0 => "Error",
        _ => "Finished",
    };
    staging.clone_into(&mut run.staging_status);
    run.staging_records = totals.counts.read;
    run.staging_errors = totals.staging_errors;
    run.target_errors = totals.target_errors;
    run.counts = totals.counts;
    let target = match phase {
        Phase::Promoting => "Executing",
        Phase::Ended if totals.target_errors > 0 => "Error",
        Phase::Failed if totals.counts.applied() > 0 => "Error",
        Phase::Failed | Phase::NotRun => "NotRun",
        Phase::Ended => "Finished",
    };
    target.clone_into(&mut run.target_status);
    if phase == Phase::Ended && totals.counts.read == 0 {
        run.warnings.push("the file has no records".to_owned());
    }
    if phase != Phase::Promoting {
        run.finished_at = Some(part.session.context.clock.now());
    }
    run
}
