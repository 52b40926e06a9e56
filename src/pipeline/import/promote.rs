//! Staging to target: promote chunk by chunk, or the file at once, as long as no more records are rejected than allowed.

use super::finish::{Phase, run, stop_load};
use super::part::Part;
use super::stage::{PROGRESS_EVERY_SECONDS, Staged};
use crate::business::promote::LoadCounts;
use crate::domain::job::Atomicity;
use crate::domain::message::Failure;
use crate::domain::time::Timestamp;
use crate::failpoint;
use crate::pipeline::stop::Stop;

/// Chunks listed before it is said how many more there are.
const LISTED_MAX: usize = 10;

/// Promotes a staged load. With why it was given up, if it was.
pub(super) async fn promote_all(part: &Part<'_>, staged: &Staged) -> Result<Option<Failure>, Stop> {
    part.session.begin_processing().await?;
    if let Some(reason) = &staged.state.stopped {
        return Ok(Some(stopped_before(reason)));
    }
    let before = part.database.load_counts(part.load()).await?;
    part.save(&run(part, &before, Phase::Promoting)).await?;
    match promote(part, staged).await {
        Ok(None) => Ok(None),
        Ok(Some(failure)) | Err(Stop::Fail(failure)) => {
            stop_load(part, &failure).await?;
            Ok(Some(failure))
        }
        Err(other) => Err(other),
    }
}

/// Ends a staged load before its target, which was not asked for (PKG-11b): what could have landed is skipped, unless more was
/// rejected than allowed.
pub(super) async fn leave_staged(part: &Part<'_>) -> Result<Option<Failure>, Stop> {
    let failure = judge(part).await?;
    let left = || Failure {
        code: "not_executed".to_owned(),
        detail: "the import was asked for with execute = false: its records were checked, and none was to land"
            .to_owned(),
    };
    stop_load(part, &failure.clone().unwrap_or_else(left)).await?;
    Ok(failure)
}

/// Promotes until the end, or until more records are rejected than allowed (design section 3): judged before the first chunk,
/// when nothing is applied yet, and after each one, because the target's own rejections count too.
async fn promote(part: &Part<'_>, staged: &Staged) -> Result<Option<Failure>, Stop> {
    if let Some(failure) = judge(part).await? {
        return Ok(Some(failure));
    }
    let chunks = part.database.chunks(part.load()).await?;
    if chunks.is_empty() && part.wanted.truncate_on_empty {
        part.database.truncate(part.load()).await?;
    }
    if part.policy.atomicity == Atomicity::File {
        promote_file(part, staged).await?;
        return judge(part).await;
    }
    let mut told = part.session.context.clock.now();
    for chunk in chunks.into_iter().filter(|chunk| !chunk.done) {
        part.session.pause_chunk().await;
        part.session.checkpoint()?;
        part.database
            .promote_chunk(part.load(), &staged.state.fields, chunk)
            .await?;
        failpoint::reached("import.chunk_promoted");
        part.session.note_progress().await?;
        told = tell(part, told).await?;
        if let Some(failure) = judge(part).await? {
            return Ok(Some(failure));
        }
    }
    Ok(None)
}

/// Tells pollers how many records have landed, but not more often than they could notice; when it last did.
async fn tell(part: &Part<'_>, told: Timestamp) -> Result<Timestamp, Stop> {
    let now = part.session.context.clock.now();
    if now.seconds_since(told) < PROGRESS_EVERY_SECONDS {
        return Ok(told);
    }
    let so_far = part.database.load_counts(part.load()).await?;
    part.save(&run(part, &so_far, Phase::Promoting)).await?;
    Ok(now)
}

/// All chunks in one transaction, which a service that stops does not wait for: it is rolled back, and begun again later.
async fn promote_file(part: &Part<'_>, staged: &Staged) -> Result<(), Stop> {
    let allowed = part.session.spec.allowed_errors();
    part.session.pause_chunk().await;
    tokio::select! {
        biased;
        () = part.session.stopping.cancelled() => return Err(Stop::Stopped),
        done = part.database.promote_file(part.load(), &staged.state.fields, allowed) => done?,
    }
    failpoint::reached("import.file_promoted");
    part.session.note_progress().await
}

/// Whether more records are rejected by now than allowed.
async fn judge(part: &Part<'_>) -> Result<Option<Failure>, Stop> {
    let spec = part.session.spec;
    let Some(allowed) = spec.allowed_errors() else {
        return Ok(None);
    };
    let LoadCounts { counts, .. } = part.database.load_counts(part.load()).await?;
    let (rejected, read, applied) = (counts.rejected, counts.read, counts.applied());
    if !allowed.exceeded(rejected, read) {
        return Ok(None);
    }
    let (code, why) = match spec.max_errors {
        Some(_) => ("too_many_errors", "more than `max_errors` allows"),
        None => ("file_rejected", "and with `atomicity = \"file\"` all land or none"),
    };
    let landed = match (applied, read - rejected - applied) {
        (0, _) => "nothing was applied".to_owned(),
        (_, 0) => format!("{applied} were applied"),
        (_, left) => format!("{applied} were applied before, {left} are skipped"),
    };
    Ok(Some(Failure {
        code: code.to_owned(),
        detail: format!("{rejected} of {read} records were rejected, {why}; {landed}"),
    }))
}

fn stopped_before(reason: &str) -> Failure {
    let (code, detail) = reason.split_once(": ").unwrap_or(("stopped", reason));
    Failure {
        code: code.to_owned(),
        detail: detail.to_owned(),
    }
}

/// What is told of records that were skipped because of others of their chunk.
pub(super) async fn skipped_chunks(part: &Part<'_>) -> Result<Option<String>, Stop> {
    if part.policy.atomicity != Atomicity::Chunk {
        return Ok(None);
    }
    let chunks = part.database.chunks(part.load()).await?;
    let skipped: Vec<_> = chunks.into_iter().filter(|chunk| chunk.skipped > 0).collect();
    if skipped.is_empty() {
        return Ok(None);
    }
    let listed: Vec<_> = skipped
        .iter()
        .take(LISTED_MAX)
        .map(|chunk| format!("{} to {}", chunk.first_record, chunk.last_record))
        .collect();
    let more = match skipped.len().saturating_sub(LISTED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Ok(Some(format!(
        "a rejected record keeps its chunk from landing; records skipped for it are among {}{more}",
        listed.join(", ")
    )))
}
