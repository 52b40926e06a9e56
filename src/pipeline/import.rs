//! Import: a claimed message → verify, parse, type, stage → validate as a set → promote in marked chunks → outcome.
//!
//! Every step reads back what an earlier attempt left and goes on from there. The business database's markers are the truth
//! about what landed; the store's counts are copied from them at the end (promise 2).

mod finish;
mod origins;
mod stage;

use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use super::stop::{RunEnd, Stop};
use super::{Context, new_execution_id};
use crate::business::Database;
use crate::business::staging::Load;
use crate::definitions::Definitions;
use crate::domain::counts::Counts;
use crate::domain::entity::Entity;
use crate::domain::job::{ImportEntity, ImportSpec, Job};
use crate::domain::message::{Claimed, Failure, Fence, Message};
use crate::storage::executions::{EntityRun, Execution};

/// One message being loaded: everything its steps share.
struct Session<'a> {
    context: &'a Context,
    message: &'a Message,
    fence: Fence,
    spec: &'a ImportSpec,
    wanted: &'a ImportEntity,
    entity: &'a Entity,
    database: &'a Database,
    execution: Execution,
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
        }
        Ok(())
    }

    fn load(&self) -> Load<'_> {
        Load {
            fence: self.fence,
            entity_no: 0,
            entity: self.entity,
            mode: self.wanted.mode,
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

    fn run(&self) -> EntityRun {
        self.execution
            .entities
            .iter()
            .find(|r| r.entity_no == 0)
            .cloned()
            .unwrap_or_else(|| EntityRun {
                entity_no: 0,
                label: self.entity.label.clone(),
                company: self.message.company.clone(),
                staging_status: "Executing".to_owned(),
                staging_records: 0,
                staging_errors: 0,
                target_status: "NotStarted".to_owned(),
                counts: Counts::default(),
                target_errors: 0,
                started_at: Some(self.execution.started_at),
                finished_at: None,
            })
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
    let worked = match work(&session, definitions).await {
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
        Ok(session) => finish::close(&session, failure)
            .await
            .map_or_else(RunEnd::from, |()| RunEnd::Ended),
        Err(Stop::Fail(_)) => RunEnd::written(finish::nothing_landed(context, claimed, failure).await),
        Err(stop) => stop.into(),
    }
}

/// A message whose job or entity is not defined (any more) fails at once if nobody ever began on it. Otherwise something may
/// have landed, and only the definition says where to look: it gets its attempts to come back.
async fn not_opened(context: &Context, claimed: &Claimed, stop: Stop) -> RunEnd {
    match stop {
        Stop::Fail(failure) if claimed.message.execution.is_none() => {
            RunEnd::written(finish::nothing_landed(context, claimed, failure).await)
        }
        stop => stop.into(),
    }
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
    let (wanted, entity) = entity_of(definitions, job, spec, message)?;
    let database = context.databases.get(&entity.database).ok_or_else(|| {
        Stop::fail(
            "definition_mismatch",
            format!("no database `{}` is configured", entity.database),
        )
    })?;
    let now = context.clock.now();
    let id = message
        .execution
        .clone()
        .unwrap_or_else(|| new_execution_id(&job.name, now));
    let execution = context.store.begin_execution(claimed.fence(), id, now).await?;
    Ok(Session {
        context,
        message,
        fence: claimed.fence(),
        spec,
        wanted,
        entity,
        database,
        execution,
        stopping,
        progressed: AtomicBool::new(false),
        processing: AtomicBool::new(false),
    })
}

async fn work(session: &Session<'_>, definitions: &Definitions) -> Result<(), Stop> {
    session.database.raise_fence(session.fence).await?;
    let parents = parents_of(definitions, session.entity)?;
    for needed in parents.iter().copied().chain([session.entity]) {
        session.database.ensure_entity(needed).await?;
    }
    let staged = stage::stage(session, &parents).await?;
    finish::promote_and_finish(session, &staged).await
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

fn entity_of<'a>(
    definitions: &'a Definitions,
    job: &Job,
    spec: &'a ImportSpec,
    message: &Message,
) -> Result<(&'a ImportEntity, &'a Entity), Stop> {
    let label = message.entity.as_deref().unwrap_or_default();
    spec.entities
        .iter()
        .filter_map(|wanted| definitions.entity(&wanted.entity).map(|entity| (wanted, entity)))
        .find(|(_, entity)| entity.label.to_lowercase() == label.to_lowercase())
        .ok_or_else(|| {
            Stop::fail(
                "entity_unknown",
                format!("the job `{}` does not load the entity `{label}` any more", job.name),
            )
        })
}

/// The entities whose tables this one refers to.
fn parents_of<'a>(definitions: &'a Definitions, entity: &Entity) -> Result<Vec<&'a Entity>, Stop> {
    let named = entity.fields.iter().filter_map(|f| f.references.as_ref());
    let mut parents: Vec<&Entity> = Vec::new();
    for reference in named {
        let parent = definitions.entity(&reference.entity).ok_or_else(|| {
            Stop::fail(
                "definition_mismatch",
                format!("`{}` refers to the unknown entity `{}`", entity.name, reference.entity),
            )
        })?;
        if !parents.iter().any(|p| p.name == parent.name) {
            parents.push(parent);
        }
    }
    Ok(parents)
}
