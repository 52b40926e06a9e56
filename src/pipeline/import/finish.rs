//! Staging to target and the end: judge the threshold, promote chunk by chunk, copy the markers' counts into the store.

use super::Session;
use super::stage::{Staged, with_column};
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

/// Promotes a staged load and ends its message.
pub(super) async fn promote_and_finish(session: &Session<'_>, staged: &Staged) -> Result<(), Stop> {
    session.begin_processing().await?;
    let mut failure = judge(session, staged).await?;
    let before = session.database.load_counts(session.load()).await?;
    let run = run(session, &before, Phase::Promoting);
    session
        .context
        .store
        .save_entity_run(session.fence, &session.execution.id, &run)
        .await?;
    if failure.is_none() {
        failure = match promote(session, staged).await {
            Ok(()) => None,
            Err(Stop::Fail(failure)) => {
                stop_load(session, &failure).await?;
                Some(failure)
            }
            Err(other) => return Err(other),
        };
    }
    end(session, Some(&staged.mapping), failure).await
}

/// Ends a message that failed, wherever it had come to: what landed stays and is counted, rejects are kept, the rest is skipped.
pub(super) async fn close(session: &Session<'_>, failure: Failure) -> Result<(), Stop> {
    session.database.raise_fence(session.fence).await?;
    if !session.database.load_begun(session.load()).await? {
        tracing::info!(message.id = %session.message.id, code = %failure.code, "import failed: {}", failure.detail);
        return Ok(finish_with_nothing(session.context, session.fence, failure).await?);
    }
    stop_load(session, &failure).await?;
    if session.database.load_counts(session.load()).await?.counts.applied() > 0 {
        // Something landed: that is no failure before processing.
        session.begin_processing().await?;
    }
    end(session, None, Some(failure)).await
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

/// Copies what the markers say into the store and ends the message.
async fn end(session: &Session<'_>, mapping: Option<&Mapping>, failure: Option<Failure>) -> Result<(), Stop> {
    copy_rejects(session, mapping).await?;
    let totals = session.database.load_counts(session.load()).await?;
    let repaired = session.database.repaired(session.load()).await?;
    session.database.clear_staging(session.load()).await?;
    let phase = if failure.is_some() { Phase::Failed } else { Phase::Ended };
    let outcome = ImportOutcome {
        event: event(&totals.counts, failure.as_ref()),
        counts: totals.counts,
        entities: vec![run(session, &totals, phase)],
        failure,
        repaired,
    };
    finish(session, outcome).await?;
    if let Err(error) = session.database.forget_rejects(session.fence).await {
        // The store has them; what stays behind costs space, not truth.
        tracing::warn!(message.id = %session.message.id, %error, "rejects of a finished message stay in the business database");
    }
    Ok(())
}

/// Gives up what is not promoted. The reason carries the code, so that a rerun after a crash ends with the same failure.
async fn stop_load(session: &Session<'_>, failure: &Failure) -> Result<(), Stop> {
    let reason = format!("{}: {}", failure.code, failure.detail);
    Ok(session.database.stop_load(session.load(), &reason).await?)
}

fn stopped_before(reason: &str) -> Failure {
    let (code, detail) = reason.split_once(": ").unwrap_or(("stopped", reason));
    Failure {
        code: code.to_owned(),
        detail: detail.to_owned(),
    }
}

async fn promote(session: &Session<'_>, staged: &Staged) -> Result<(), Stop> {
    for chunk in session.database.chunks(session.load()).await? {
        session.checkpoint()?;
        if !chunk.done {
            session
                .database
                .promote_chunk(session.load(), &staged.state.fields, chunk)
                .await?;
            session.note_progress().await?;
        }
    }
    Ok(())
}

/// Judges the error threshold once staging is complete (design section 3): past it nothing is applied.
async fn judge(session: &Session<'_>, staged: &Staged) -> Result<Option<Failure>, Stop> {
    if let Some(reason) = &staged.state.stopped {
        return Ok(Some(stopped_before(reason)));
    }
    let Some(threshold) = session.spec.max_errors else {
        return Ok(None);
    };
    let LoadCounts {
        counts, staging_errors, ..
    } = session.database.load_counts(session.load()).await?;
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
    stop_load(session, &failure).await?;
    Ok(Some(failure))
}

fn event(counts: &Counts, failure: Option<&Failure>) -> Event {
    if let Some(failure) = failure {
        failed(failure)
    } else if counts.rejected > 0 {
        Event::FinishWithErrors
    } else {
        Event::Finish
    }
}

fn failed(failure: &Failure) -> Event {
    if failure.code == CANCELLED {
        Event::Cancel
    } else {
        Event::Fail
    }
}

async fn copy_rejects(session: &Session<'_>, mapping: Option<&Mapping>) -> Result<(), Stop> {
    let mut after = None;
    loop {
        let page = session
            .database
            .kept_rejects(session.load(), after, REJECTS_PER_COPY)
            .await?;
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
        session.context.store.save_record_errors(session.fence, &errors).await?;
    }
}

async fn finish(session: &Session<'_>, outcome: ImportOutcome) -> Result<(), Stop> {
    let Counts {
        read,
        rejected,
        skipped,
        ..
    } = outcome.counts;
    let applied = outcome.counts.applied();
    if !outcome.counts.conserved() {
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
    session
        .context
        .store
        .finish_import(session.fence, outcome, session.context.clock.now())
        .await?;
    tracing::info!(message.id = %session.message.id, entity = %session.entity.label, read, applied, rejected, skipped, "import ended");
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Promoting,
    Ended,
    Failed,
}

fn run(session: &Session<'_>, totals: &LoadCounts, phase: Phase) -> EntityRun {
    let mut run = session.run();
    let staging = if totals.staging_errors > 0 || phase == Phase::Failed && totals.counts.applied() == 0 {
        "Error"
    } else {
        "Finished"
    };
    staging.clone_into(&mut run.staging_status);
    run.staging_records = totals.counts.read;
    run.staging_errors = totals.staging_errors;
    run.target_errors = totals.target_errors;
    run.counts = totals.counts;
    let target = match phase {
        Phase::Promoting => "Executing",
        Phase::Ended if totals.target_errors > 0 => "Error",
        Phase::Failed if totals.counts.applied() == 0 => "NotRun",
        Phase::Failed => "Error",
        Phase::Ended => "Finished",
    };
    target.clone_into(&mut run.target_status);
    if phase != Phase::Promoting {
        run.finished_at = Some(session.context.clock.now());
    }
    run
}
