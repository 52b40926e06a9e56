//! Erasing a person's data: what messages, rejects, staging and the tables beside the targets hold of records with these values.
//!
//! A payload's digest and status are promises, so it is not rewritten: the payload of an ended message that holds such a record is
//! withdrawn whole. Messages that have not ended are named and left alone. Every step may be done again: what ended early is begun anew,
//! and finds what is left. First what record errors quote is blanked, then the payload goes: while that is there, a rerun finds the
//! message again.

mod report;

use std::sync::Arc;

use super::Context;
use super::carriers::{carries, holds, is_kept};
use super::rejects::Holds;
use super::source::SourceError;
use super::sweep::sweep_uploads;
use crate::business::BusinessError;
use crate::business::erase::{FieldValue, PersonRows};
use crate::definitions::Definitions;
use crate::domain::entity::Entity;
use crate::domain::ids::{JobId, MessageId};
use crate::domain::job::{Direction, Job};
use crate::domain::message::Message;
use crate::domain::time::Timestamp;
use crate::failpoint;
use crate::pipeline::payload::PayloadError;
use crate::storage::StoreError;
use crate::storage::erase::{WhichErrors, Withdrawn};
use crate::storage::lately::Lately;

pub use report::{NAMED_MAX, Named, Report, Told};

/// Messages read at a time.
const PAGE: u32 = 100;
/// Rounds of the sweep after the last message.
const SWEEPS_MAX: usize = 1000;

/// What is to be erased, and how.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a wish of its own")]
pub struct Wanted {
    /// The entity's technical name.
    pub entity: String,
    /// What its records have in these fields.
    pub values: Vec<FieldValue>,
    /// Only look.
    pub dry_run: bool,
    /// Also withdraw payloads that cannot be read to the end.
    pub unclear_too: bool,
    /// Also blank record errors whose payload is gone, so that nobody can say whose they are.
    pub unmatched_too: bool,
    /// Also delete the rows of the target.
    pub target_too: bool,
    /// Go on behind this message.
    pub after: Option<MessageId>,
    /// Who erases.
    pub by: String,
}

impl Wanted {
    /// What is looked for in sentences.
    fn texts(&self) -> Vec<String> {
        let texts = self.values.iter().filter_map(|(_, cell)| cell.text());
        texts.filter(|text| !text.is_empty()).collect()
    }
}

/// Why erasing broke off. What was erased until then is; another run does the rest.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The service store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A payload could not be fetched.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A business database failed.
    #[error(transparent)]
    Business(#[from] BusinessError),
    /// The blob store failed.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The entity is gone, or its database is.
    #[error("{0}")]
    Undefined(String),
}

/// One erasure on its way.
struct Erasure<'a> {
    context: &'a Context,
    definitions: &'a Arc<Definitions>,
    entity: &'a Entity,
    wanted: &'a Wanted,
    report: Report,
}

/// Erases. `tell` hears of every message that was looked at: where to go on from, should it break off.
///
/// # Errors
/// [`EraseError`]; what was erased until then is.
pub async fn erase(
    context: &Context,
    definitions: &Arc<Definitions>,
    wanted: &Wanted,
    tell: &mut (dyn FnMut(MessageId) + Send),
) -> Result<Report, EraseError> {
    let gone = || EraseError::Undefined(format!("there is no entity `{}`", wanted.entity));
    let entity = definitions.entity(&wanted.entity).ok_or_else(gone)?;
    let mut erasure = Erasure {
        context,
        definitions,
        entity,
        wanted,
        report: Report::default(),
    };
    erasure.go_through_messages(tell).await?;
    erasure.beside_the_targets().await?;
    erasure.blank_quotes().await?;
    erasure.name_the_rest().await?;
    if !wanted.dry_run {
        erasure.sweep().await?;
    }
    Ok(erasure.report)
}

impl Erasure<'_> {
    async fn go_through_messages(&mut self, tell: &mut (dyn FnMut(MessageId) + Send)) -> Result<(), EraseError> {
        let definitions = Arc::clone(self.definitions);
        let jobs = definitions.jobs.iter();
        let jobs: Vec<JobId> = jobs
            .filter(|job| carries(&definitions, job, &self.entity.name))
            .map(|job| job.id)
            .collect();
        let mut after = self.wanted.after;
        while !jobs.is_empty() {
            let look = Lately {
                jobs: jobs.clone(),
                after,
                oldest_first: true,
                limit: PAGE,
                ..Lately::default()
            };
            let ids = self.context.store.lately(&look).await?;
            let Some(last) = ids.last().copied() else { break };
            for message in self.context.store.messages_by_id(&ids).await? {
                if let Some(job) = definitions.job(message.job) {
                    self.look_at(&message, job).await?;
                }
                self.report.looked_at += 1;
                tell(message.id);
            }
            after = Some(last);
        }
        Ok(())
    }

    async fn look_at(&mut self, message: &Message, job: &Job) -> Result<(), EraseError> {
        if !is_kept(self.context, message).await? {
            return self.without_payload(message, job).await;
        }
        let looked_for = (self.entity, self.wanted.values.as_slice());
        match holds(self.context, self.definitions, message, job, looked_for).await? {
            Holds::No => Ok(()),
            Holds::Unclear(why) if !self.wanted.unclear_too => {
                self.report.unclear.add(message, job, Some(why));
                Ok(())
            }
            Holds::Yes | Holds::Unclear(_) => self.withdraw(message, job).await,
        }
    }

    /// The payload went before, with the record errors of it left behind.
    async fn without_payload(&mut self, message: &Message, job: &Job) -> Result<(), EraseError> {
        if message.counts.rejected == 0 || !message.status.is_final() {
            return Ok(());
        }
        let quoting = WhichErrors::Quoting(self.wanted.texts());
        let blanked = self.blank(message.id, &quoting).await?;
        self.report.record_errors += blanked;
        let mut left = self.context.store.quoting_errors(message.id, &WhichErrors::All).await?;
        if self.wanted.dry_run {
            left = left.saturating_sub(blanked);
        }
        if left > 0 && self.wanted.unmatched_too {
            self.report.record_errors += left;
            if !self.wanted.dry_run {
                self.blank(message.id, &WhichErrors::All).await?;
            }
        } else if left > 0 {
            let why = format!("{left} record errors, of records that are gone");
            self.report.unmatched.add(message, job, Some(why));
        }
        Ok(())
    }

    async fn blank(&self, id: MessageId, which: &WhichErrors) -> Result<u64, StoreError> {
        let store = &self.context.store;
        if self.wanted.dry_run {
            store.quoting_errors(id, which).await
        } else {
            store.blank_errors(id, which).await
        }
    }

    async fn withdraw(&mut self, message: &Message, job: &Job) -> Result<(), EraseError> {
        if !message.status.is_final() {
            self.report.waiting.add(message, job, None);
            return Ok(());
        }
        self.report.record_errors += self.blank(message.id, &WhichErrors::All).await?;
        if self.wanted.dry_run {
            self.report.withdrawn.add(message, job, None);
            return Ok(());
        }
        for database in self
            .context
            .databases
            .iter()
            .filter(|database| !database.is_yet_to_be_made())
        {
            database.blank_kept_rejects(message.id).await?;
        }
        failpoint::reached("erase.blanked");
        let (store, now) = (&self.context.store, self.context.clock.now());
        let texts = self.wanted.texts();
        match store.withdraw(message.id, &texts, &self.wanted.by, now).await? {
            Withdrawn::Done => self.report.withdrawn.add(message, job, None),
            Withdrawn::Live => self.report.waiting.add(message, job, None),
            Withdrawn::Unknown => {}
        }
        failpoint::reached("erase.withdrawn");
        Ok(())
    }

    /// Staging, last writes, and the target if that is wanted.
    async fn beside_the_targets(&mut self) -> Result<(), EraseError> {
        let (entity, values) = (self.entity, &self.wanted.values);
        let undefined = || EraseError::Undefined(format!("there is no database `{}`", entity.database));
        let database = self.context.databases.get(&entity.database).ok_or_else(undefined)?;
        if database.is_yet_to_be_made() {
            return Ok(());
        }
        for (id, rows) in database.staged_of(entity, values).await? {
            let ended = self.context.store.message(id).await?;
            // What has not ended was named when its payload was looked at, and needs its rows.
            if ended.is_some_and(|message| !message.status.is_final()) {
                continue;
            }
            self.report.staging_rows += if self.wanted.dry_run {
                rows
            } else {
                database.erase_staged(entity, values, id).await?
            };
        }
        let found = database.rows_of(entity, values).await?;
        let mut erased = PersonRows::default();
        if !self.wanted.dry_run {
            erased = database.erase_rows(entity, values, self.wanted.target_too).await?;
        }
        self.report.last_writes = if self.wanted.dry_run {
            found.last_writes
        } else {
            erased.last_writes
        };
        self.report.target_rows = if self.wanted.target_too && !self.wanted.dry_run {
            erased.target
        } else {
            found.target
        };
        self.report.tracked_changes = found.changes;
        Ok(())
    }

    /// What the service itself wrote down of the person, where it is told of runs and failures.
    async fn blank_quotes(&mut self) -> Result<(), EraseError> {
        let definitions = Arc::clone(self.definitions);
        let texts = self.wanted.texts();
        let jobs = definitions.jobs.iter();
        for job in jobs.filter(|job| carries(&definitions, job, &self.entity.name)) {
            let blanked = self.context.store.blank_quotes(job.id, &texts, self.wanted.dry_run);
            self.report.notes += blanked.await?;
        }
        Ok(())
    }

    /// What was not looked at.
    async fn name_the_rest(&mut self) -> Result<(), EraseError> {
        for id in self.context.store.jobs_with_messages().await? {
            match self.definitions.job(id) {
                None => self.report.unknown_jobs.push(id),
                Some(job) if job.direction == Direction::Relay => self.report.relay_jobs.push(job.name.clone()),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Deletes the blobs of what was withdrawn; a running service does the same.
    async fn sweep(&mut self) -> Result<(), EraseError> {
        for _ in 0..SWEEPS_MAX {
            if sweep_uploads(self.context).await? == 0 {
                break;
            }
        }
        let now = self.context.clock.now();
        let dead = self.context.store.dead_uploads(Timestamp(0), now, 1).await?;
        self.report.blobs_left = !dead.is_empty();
        Ok(())
    }
}
