//! Import: a claimed message → verify, parse, type, stage → validate as a set → promote in marked chunks → outcome.
//!
//! A message is one data file for one entity, or a composite file or a package for several: what is for one entity is a part, and
//! parts are loaded in the order of execution unit, level and sequence (DMF-5, `order`), side by side where that allows it. Every
//! step reads back what an earlier attempt left and goes on from there. The business database's markers are the truth about what
//! landed; the store's counts are copied from them at the end (promise 2).

mod asked;
mod direct;
mod drift;
mod finish;
mod message_order;
mod order;
mod origins;
mod part;
mod parts;
mod promote;
mod skipped;
mod stage;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

pub(super) use self::part::entity_of;
pub(super) use self::parts::map_by_manifest;

use self::asked::Asked;
use self::finish::Phase;
use self::message_order::MessageOrder;
use self::part::Part;
use super::composite::Composed;
use super::stop::{RunEnd, Stop};
use super::telling::Done;
use super::{Context, new_execution_id};
use crate::business::Database;
use crate::definitions::Definitions;
use crate::domain::counts::Counts;
use crate::domain::job::{ImportSpec, Job};
use crate::domain::message::{Claimed, Failure, Fence, Message};
use crate::failpoint;
use crate::sandbox::fault::About;
use crate::storage::StoreError;
use crate::storage::executions::Execution;

/// One message being loaded: everything its parts share.
struct Session<'a> {
    context: &'a Context,
    definitions: &'a Definitions,
    message: &'a Message,
    fence: Fence,
    job: &'a Job,
    spec: &'a ImportSpec,
    asked: Asked,
    execution: Execution,
    /// Where the message stands among all that write, if any of its entities is kept in order.
    order: Option<MessageOrder>,
    stopping: &'a CancellationToken,
    /// Whether this attempt has told the store that it got somewhere.
    progressed: AtomicBool,
    /// Whether this attempt has begun to promote.
    processing: AtomicBool,
}

impl Session<'_> {
    /// Called after every durable step; the first one of an attempt is written down.
    async fn note_progress(&self) -> Result<(), Stop> {
        if !self.progressed.swap(true, Ordering::Relaxed) {
            self.context.store.note_progress(self.fence).await?;
        }
        Ok(())
    }

    /// `PreProcessing` → `Processing`, once per attempt.
    async fn begin_processing(&self) -> Result<(), Stop> {
        if !self.processing.swap(true, Ordering::Relaxed) {
            self.context
                .store
                .begin_processing(self.fence, self.context.clock.now())
                .await?;
            failpoint::reached("import.processing");
        }
        Ok(())
    }

    /// Before a chunk: the sandbox may want it slow.
    async fn pause_chunk(&self) {
        if let Some(sandbox) = &self.context.sandbox {
            let about = About {
                job: &self.job.name,
                job_id: self.job.id,
                client: None,
            };
            sandbox.faults.pause_chunk(about, self.stopping).await;
        }
    }

    /// Between two transactions: may we go on?
    fn checkpoint(&self) -> Result<(), Stop> {
        if self.stopping.is_cancelled() {
            Err(Stop::Stopped)
        } else {
            Ok(())
        }
    }
}

/// Loads a claimed message to its end, or as far as it may.
pub async fn import(
    context: &Context,
    definitions: &Definitions,
    claimed: &Claimed,
    stopping: &CancellationToken,
) -> RunEnd {
    let session = match open(context, definitions, claimed, stopping).await {
        Ok(session) => session,
        Err(stop) => return not_opened(context, claimed, stop).await,
    };
    let worked = match work(&session).await {
        Err(Stop::Fail(failure)) => finish::close(&session, failure).await,
        other => other,
    };
    worked.map_or_else(RunEnd::from, |()| RunEnd::Ended)
}

/// Ends a message that was tried too often. What landed before is counted, the rest is skipped, with the reason.
pub async fn give_up(context: &Context, definitions: &Definitions, claimed: &Claimed, reason: &str) -> RunEnd {
    let failure = Failure {
        code: "attempts_exhausted".to_owned(),
        detail: reason.to_owned(),
    };
    break_off(context, definitions, claimed, failure).await
}

/// Ends a message that somebody cancelled while it was worked on: what landed stays and is counted, the rest is skipped.
pub async fn cancel(context: &Context, definitions: &Definitions, claimed: &Claimed, by: &str) -> RunEnd {
    let failure = Failure {
        code: finish::CANCELLED.to_owned(),
        detail: format!("cancelled by {by}"),
    };
    break_off(context, definitions, claimed, failure).await
}

async fn break_off(context: &Context, definitions: &Definitions, claimed: &Claimed, failure: Failure) -> RunEnd {
    let never = CancellationToken::new();
    match open(context, definitions, claimed, &never).await {
        Ok(session) => match finish::close(&session, failure.clone()).await {
            Ok(()) => RunEnd::Ended,
            // The definitions have changed so that nobody can say what landed; it must end all the same.
            Err(Stop::Fail(_)) => RunEnd::written(finish::nothing_landed(context, claimed, failure).await),
            Err(stop) => stop.into(),
        },
        Err(Stop::Fail(_)) => RunEnd::written(finish::nothing_landed(context, claimed, failure).await),
        Err(stop) => stop.into(),
    }
}

/// A message whose job or entity is not defined (any more) fails at once if nobody ever began on it. Otherwise something may
/// have landed, and only the definition says where to look: it gets its attempts to come back.
async fn not_opened(context: &Context, claimed: &Claimed, stop: Stop) -> RunEnd {
    match stop {
        Stop::Fail(failure) => match was_begun(context, &claimed.message).await {
            Ok(false) => RunEnd::written(finish::nothing_landed(context, claimed, failure).await),
            Ok(true) => Stop::Fail(failure).into(),
            Err(error) => Stop::from(error).into(),
        },
        stop => stop.into(),
    }
}

/// Whether anybody ever began on a message's records: an execution may be there from its submit on.
async fn was_begun(context: &Context, message: &Message) -> Result<bool, StoreError> {
    let Some(id) = &message.execution else {
        return Ok(false);
    };
    let execution = context.store.execution(id).await?;
    let asked_for = context.store.package_request(id).await?.is_some();
    Ok(!asked_for || execution.is_some_and(|execution| !execution.entities.is_empty()))
}

/// Finds what the message is for and creates its execution; touches no business table.
async fn open<'a>(
    context: &'a Context,
    definitions: &'a Definitions,
    claimed: &'a Claimed,
    stopping: &'a CancellationToken,
) -> Result<Session<'a>, Stop> {
    let message = &claimed.message;
    let (job, spec) = job_of(definitions, message)?;
    if let Some(label) = &message.entity
        && Composed::called(definitions, spec, label).is_none()
    {
        part::entity_of(definitions, job, spec, label)?;
    }
    let asked = Asked::of(context, message).await?;
    let now = context.clock.now();
    let id = message
        .execution
        .clone()
        .unwrap_or_else(|| new_execution_id(&job.name, now));
    let execution = context.store.begin_execution(claimed.fence(), id, now).await?;
    failpoint::reached("import.execution_begun");
    let order = MessageOrder::of(context, definitions, (job, spec), message).await?;
    Ok(Session {
        context,
        definitions,
        message,
        fence: claimed.fence(),
        job,
        spec,
        asked,
        execution,
        order,
        stopping,
        progressed: AtomicBool::new(false),
        processing: AtomicBool::new(false),
    })
}

async fn work(session: &Session<'_>) -> Result<(), Stop> {
    let parts = parts::of_payload(session).await?;
    // Before anything is written, and wherever counts are looked for at the end.
    let databases: BTreeMap<&str, &Database> = parts.iter().map(|part| (part.database.name(), part.database)).collect();
    for database in databases.values() {
        database.raise_fence(session.fence).await?;
    }
    failpoint::reached("import.fence_raised");
    let ran = order::load_all(session, &parts).await?;
    finish::end(session, &parts, &ran).await
}

/// Loads one part to its end; with what it failed, as a whole, once its records were staged. Its chunks land one by one, or as
/// one: the job's `atomicity`. Where the target was not asked for, it ends before that.
async fn load(part: &Part<'_>) -> Result<(Phase, Option<Failure>), Stop> {
    let parents = part.parents()?;
    for needed in parents.iter().copied().chain([part.entity]) {
        part.database.ensure_entity(needed).await?;
    }
    if part.load().order.is_some() {
        part.database.ensure_last_writes(part.entity).await?;
    }
    let staged = phase(part, "stage", stage::stage(part, &parents)).await?;
    let (phase, failure) = if part.session.asked.executes {
        let failure = phase(part, "land", promote::promote_all(part, &staged)).await?;
        (Phase::Ended, failure)
    } else {
        (Phase::Staged, promote::leave_staged(part).await?)
    };
    finish::copy_rejects(part, Some(&staged.mapping)).await?;
    failpoint::reached("import.rejects_copied");
    let phase = if failure.is_some() { Phase::Failed } else { phase };
    Ok((phase, failure))
}

/// Runs a phase of a part, and tells how it went.
async fn phase<T>(part: &Part<'_>, name: &'static str, work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let (context, message) = (part.session.context, part.session.message);
    let began = context.clock.now();
    let worked = Box::pin(work).await;
    let done = Done {
        name,
        began,
        failed: worked.as_ref().err().map(Stop::reason),
    };
    let counts = if context.traces.is_on() && worked.is_ok() {
        part.database.load_counts(part.load()).await?.counts
    } else {
        Counts::default()
    };
    context.tell_phase(message, done, || counted(counts, &part.entity.label));
    worked
}

/// Counts as attributes of a span.
fn counted(counts: Counts, entity: &str) -> Vec<(&'static str, opentelemetry::Value)> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX).into();
    vec![
        ("entity", entity.to_owned().into()),
        ("records.read", number(counts.read)),
        ("records.applied", number(counts.applied())),
        ("records.rejected", number(counts.rejected)),
        ("records.skipped", number(counts.skipped)),
    ]
}

fn job_of<'a>(definitions: &'a Definitions, message: &Message) -> Result<(&'a Job, &'a ImportSpec), Stop> {
    let job = definitions.job(message.job);
    job.and_then(|j| j.import.as_ref().map(|spec| (j, spec)))
        .ok_or_else(|| {
            Stop::fail(
                "job_unknown",
                format!(
                    "there is no import job {} any more; restore its file in the jobs folder and retry",
                    message.job
                ),
            )
        })
}
