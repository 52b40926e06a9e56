//! Source to staging: batches of typed records, each one transaction under the fence, with a marker that says how far
//! the source was read, so that a rerun goes on after the last staged record.

use super::control::LoadKey;
use super::dialect::quote;
use super::policy::Policy;
use super::rejects::{self, Rejected};
use super::rows::PreparedRows;
use super::session::{Fault, Session, Value};
use super::{BusinessError, Database};
use crate::domain::cell::Cell;
use crate::domain::entity::Entity;
use crate::domain::job::ImportMode;
use crate::domain::message::Fence;
use crate::domain::reject::{RecordError, RecordPlace, RejectId};

/// One entity's load: which message, which entity of it, and the fields its file brings.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    /// Under which lease.
    pub fence: Fence,
    /// Position of the entity within the message, from 0.
    pub entity_no: i32,
    /// The entity.
    pub entity: &'a Entity,
    /// What becomes of its records.
    pub mode: ImportMode,
    /// Fields the file brings, but only new rows take: rows that are there keep their own.
    pub only_new: &'a [String],
    /// Fields whose missing values are numbers of their sequence. A row that is there keeps its number.
    pub numbered: &'a [String],
    /// Whether the entity's rules are checked.
    pub checks_rules: bool,
    /// How its writes stand to those of other messages, where that is kept.
    pub order: Option<WriteOrder<'a>>,
    /// Which of them stand or fall together, and what they replace.
    pub policy: &'a Policy,
}

/// Which of two writes of a key is the older one: messages of one store are numbered in the order they came.
#[derive(Debug, Clone, Copy)]
pub struct WriteOrder<'a> {
    /// The store that numbers the messages: numbers of another one say nothing.
    pub store: &'a str,
    /// The message's number; a correction has that of the message it goes back to.
    pub sequence: i64,
    /// Whether records older than what last wrote their key are rejected (promise 5).
    pub refuses_older: bool,
}

impl<'a> Load<'a> {
    /// A load that takes the file as it is.
    #[must_use]
    pub fn new(fence: Fence, entity_no: i32, entity: &'a Entity, mode: ImportMode) -> Self {
        Self {
            fence,
            entity_no,
            entity,
            mode,
            only_new: &[],
            numbered: &[],
            checks_rules: true,
            order: None,
            policy: Policy::record(),
        }
    }
}

/// How far reading the source has come: the place after the last staged or rejected record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourcePosition {
    /// Records read so far.
    pub records: u64,
    /// Physical line the next record starts on.
    pub line: u64,
    /// Byte the next record starts at.
    pub byte: u64,
}

/// A typed record on its way into staging.
#[derive(Debug, Clone)]
pub struct StagedRecord {
    /// Where it stands in the source.
    pub place: RecordPlace,
    /// The reject it corrects, when it came from a rejects file.
    pub origin: Option<RejectId>,
    /// One cell per field of [`LoadState::fields`], in that order.
    pub cells: Vec<Cell>,
    /// Whether its chunk has landed, so that it only stands in staging for others to be compared with.
    pub landed: bool,
}

impl StagedRecord {
    /// What staging says of it: 0 to be promoted, 1 rejected, 2 landed before.
    pub(super) fn state(&self) -> i64 {
        if self.landed { 2 } else { 0 }
    }
}

/// A record that did not pass parsing or typing. Never empty.
#[derive(Debug, Clone)]
pub struct RejectedRecord {
    /// The reject it corrects, when it came from a rejects file.
    pub origin: Option<RejectId>,
    /// What is wrong, first error first.
    pub errors: Vec<RecordError>,
    /// The values of the policy's document key, as far as they are known: all of them, or none.
    pub document_key: Vec<Cell>,
}

/// What one staging transaction writes.
#[derive(Debug, Clone, Default)]
pub struct StagingBatch {
    /// Good records.
    pub records: Vec<StagedRecord>,
    /// Bad ones.
    pub rejected: Vec<RejectedRecord>,
    /// Where the next record starts.
    pub after: SourcePosition,
}

/// What a load has come to, read back on a rerun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadState {
    /// Names of the entity's fields the file brings, in staging order (as given to `begin_load`).
    pub fields: Vec<String>,
    /// How its records come to the target (as given to `begin_load`).
    pub policy: Policy,
    /// The staging table its records are in.
    pub staging: String,
    /// How far the source was read.
    pub position: SourcePosition,
    /// Whether staging is complete and the chunk ranges are fixed.
    pub staged: bool,
    /// Whether promotion was given up for all records not yet promoted, and why (error threshold).
    pub stopped: Option<String>,
    /// First and last record of chunks that have landed, in order; only where records are still to be staged.
    pub landed: Vec<(u64, u64)>,
    /// Rows of the target deleted before its first record landed, if that has happened.
    pub truncated: Option<u64>,
}

/// A fixed range of records promoted in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Position, from 0.
    pub chunk_no: i64,
    /// First record number in it.
    pub first_record: u64,
    /// Last record number in it.
    pub last_record: u64,
    /// Whether its marker is there.
    pub done: bool,
    /// Records of it that were not attempted, once its marker is there.
    pub skipped: u64,
}

/// The rows of one load with record numbers from `$3` to `$4`.
pub(super) const IN_RANGE: &str =
    "tranship_message = $1 and tranship_entity_no = $2 and tranship_record between $3 and $4";

/// The good rows `s` of one load with record numbers from `$3` to `$4`.
pub(super) const GOOD_IN_RANGE: &str = "s.tranship_message = $1 and s.tranship_entity_no = $2 \
     and s.tranship_record between $3 and $4 and s.tranship_state = 0";

/// Records cleared from staging in one transaction.
const CLEAR_RECORDS: u64 = 20_000;

impl Database {
    /// Raises the message's fence to this epoch; everything of an older epoch is refused from here on.
    ///
    /// # Errors
    /// [`BusinessError::Fenced`] when a newer epoch is there already.
    pub async fn raise_fence(&self, fence: Fence) -> Result<(), BusinessError> {
        self.ensure_control_tables().await?;
        self.write(move |session| {
            Box::pin(async move {
                let sql = "insert into tranship_fence (message, epoch) values ($1, $2) \
                     on conflict (message) do update set epoch = excluded.epoch where tranship_fence.epoch <= excluded.epoch";
                let raised = session.execute(sql, vec![Value::Id(fence.message.0), Value::Int(fence.epoch)]).await?;
                if raised == 0 {
                    return Err(BusinessError::Fenced(fence.message).into());
                }
                Ok(())
            })
        })
        .await
    }

    /// Begins a load or returns what an earlier attempt left. `fields` and the entity's definition stay those of the call after
    /// which the first record was read, the policy that of the first call; a load that lost its staging may begin under another
    /// definition only if nothing of it has landed.
    ///
    /// # Errors
    /// [`BusinessError::Definition`] when `fields` names something that is no field, or lacks a key field;
    /// [`BusinessError::DefinitionChanged`] when records were read under another definition of the entity.
    pub async fn begin_load(&self, load: Load<'_>, fields: &[String]) -> Result<LoadState, BusinessError> {
        check_fields(load, fields)?;
        let key = LoadKey::new(load);
        let unwritable = |error: serde_json::Error| self.corrupt(error.to_string());
        let stored = serde_json::to_string(fields).map_err(unwritable)?;
        let policy = serde_json::to_string(load.policy).map_err(unwritable)?;
        let (entity, staging) = (load.entity.name.clone(), load.entity.staging_table());
        let definition = [
            entity.clone(),
            load.entity.table.clone(),
            staging.clone(),
            stored,
            policy,
        ];
        let values = key.with(definition.map(Value::Text));
        let database = self.clone();
        self.fenced(load.fence, move |session| {
            Box::pin(async move {
                // A load whose staging was lost is back at its beginning, but what of it has landed came from its definition.
                let sql = "insert into tranship_loads as l \
                       (message, entity_no, entity, target, staging, fields, policy, records, line, byte, staged_rows, staged, stopped, \
                        truncated) \
                     values ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, 0, false, null, null) on conflict (message, entity_no) do update \
                     set entity = excluded.entity, target = excluded.target, staging = excluded.staging, fields = excluded.fields \
                     where l.records = 0 and not l.staged and not exists (select 1 from tranship_chunks c \
                       where c.message = l.message and c.entity_no = l.entity_no and c.done)";
                session.execute(sql, values).await?;
                let mut state = database.load_state(session, &key).await?;
                if state.staging != staging {
                    let problem = format!(
                        "the definition of `{entity}` changed while this message was being loaded; enqueue it again"
                    );
                    return Err(BusinessError::DefinitionChanged(problem).into());
                }
                if !state.staged {
                    state.landed = landed(session, &key).await?;
                }
                Ok(state)
            })
        })
        .await
    }

    /// Stages a batch: rows, rejects and the new source position in one transaction.
    pub async fn stage(&self, load: Load<'_>, fields: &[String], batch: &StagingBatch) -> Result<(), BusinessError> {
        if let Some(record) = batch.records.iter().find(|record| record.cells.len() != fields.len()) {
            let (found, wanted) = (record.cells.len(), fields.len());
            let record = record.place.record;
            return Err(BusinessError::Definition(format!(
                "record {record} has {found} values for {wanted} fields"
            )));
        }
        let key = LoadKey::new(load);
        let (rows, staged) = PreparedRows::new(self.dialect(), load, fields, batch);
        let rejected: Vec<_> = batch.rejected.iter().map(Rejected::from).collect();
        let after = batch.after;
        // A batch that brings records must come from further on: the same one again would stage its records twice.
        let nothing = batch.records.is_empty() && batch.rejected.is_empty();
        let before = if nothing { "records <= $3" } else { "records < $3" };
        let database = self.clone();
        self.fenced(load.fence, move |session| {
            Box::pin(async move {
                // First the position: a load that is complete, or further on, takes nothing more.
                let sql = format!(
                    "update tranship_loads set records = $3, line = $4, byte = $5, staged_rows = staged_rows + $6 \
                     where message = $1 and entity_no = $2 and not staged and {before}"
                );
                let position = [after.records, after.line, after.byte, staged].map(Value::from);
                if session.execute(sql, key.with(position)).await? == 0 {
                    let problem = "a batch arrived for a load that has not begun, is complete, or is further on";
                    return Err(database.corrupt(problem).into());
                }
                rows.write(session).await?;
                rejects::insert(session, &key, &rejected).await?;
                Ok(())
            })
        })
        .await
    }

    /// Whether an attempt, this one or an earlier one, has begun the load.
    pub async fn load_begun(&self, load: Load<'_>) -> Result<bool, BusinessError> {
        let key = LoadKey::new(load);
        self.fenced_read(load.fence, move |session| {
            Box::pin(async move {
                let sql = "select entity_no from tranship_loads where message = $1 and entity_no = $2";
                Ok(session.row(sql, key.with([])).await?.is_some())
            })
        })
        .await
    }

    /// Gives up all chunks not yet promoted: their good records count as skipped, with this reason. A load that is still
    /// being staged is closed where it stands. The first reason stays.
    pub async fn stop_load(&self, load: Load<'_>, reason: &str) -> Result<(), BusinessError> {
        let key = LoadKey::new(load);
        let reason = Value::Text(reason.to_owned());
        let database = self.clone();
        self.fenced(load.fence, move |session| {
            Box::pin(async move {
                // First of all, because it waits for a batch that is under way, and no other one is taken after it.
                let sql = "update tranship_loads set stopped = coalesce(stopped, $3) where message = $1 and entity_no = $2";
                session.execute(sql, key.with([reason])).await?;
                let state = database.load_state(session, &key).await?;
                if !state.staged {
                    fix_chunks(session, &key, state.position.records, state.position.records.max(1)).await?;
                }
                // A load that went back to its source has read fewer records than it knows to be there.
                let sql = "update tranship_loads set \
                       records = coalesce((select max(last_record) from tranship_chunks where message = $1 and entity_no = $2), records) \
                     where message = $1 and entity_no = $2";
                session.execute(sql, key.with([])).await?;
                let sql = "update tranship_chunks set done = true, skipped = last_record - first_record + 1 - staging_errors \
                     where message = $1 and entity_no = $2 and not done";
                session.execute(sql, key.with([])).await?;
                Ok(())
            })
        })
        .await
    }

    /// Forgets the loads of a finished message that were stopped before their first record: a message of which nothing was read may be
    /// tried again, and begins anew then.
    pub async fn forget_stopped(&self, fence: Fence) -> Result<(), BusinessError> {
        let sql = "delete from tranship_loads where message = $1 and stopped is not null and records = 0 and truncated is null \
             and not exists (select 1 from tranship_chunks c \
               where c.message = tranship_loads.message and c.entity_no = tranship_loads.entity_no)";
        self.fenced(fence, move |session| {
            Box::pin(async move {
                if session.execute(sql, vec![Value::Id(fence.message.0)]).await? == 0 {
                    session.discard();
                }
                Ok(())
            })
        })
        .await
    }

    /// Deletes the load's staging rows, in bounded steps. Markers and rejects stay. The table is gone, and they with it, where the entity's
    /// definition changed twice since all of them were promoted.
    pub async fn clear_staging(&self, load: Load<'_>) -> Result<(), BusinessError> {
        let key = LoadKey::new(load);
        let mut first = 1;
        loop {
            let (key, database) = (key.clone(), self.clone());
            let last = first + CLEAR_RECORDS - 1;
            let records = self.fenced(load.fence, move |session| {
                Box::pin(async move {
                    // Where they are, not where the entity's records go now.
                    let state = database.load_state(session, &key).await?;
                    let known = "select name from tranship_stagings where name = $1";
                    if session
                        .row(known, vec![Value::Text(state.staging.clone())])
                        .await?
                        .is_none()
                    {
                        return Ok(0);
                    }
                    let sql = format!("delete from {} where {IN_RANGE}", quote(&state.staging));
                    session.execute(sql, key.with([first.into(), last.into()])).await?;
                    Ok(state.position.records)
                })
            });
            if last >= records.await? {
                return Ok(());
            }
            first = last + 1;
        }
    }

    /// What the load has come to, as written.
    pub(super) async fn load_state(&self, session: &mut Session, key: &LoadKey) -> Result<LoadState, Fault> {
        let sql = "select fields, records, line, byte, staged, stopped, staging, policy, truncated from tranship_loads \
             where message = $1 and entity_no = $2";
        let row = session
            .row(sql, key.with([]))
            .await?
            .ok_or_else(|| self.corrupt("the load has not begun"))?;
        Ok(LoadState {
            fields: serde_json::from_str(&row.text(0)?).map_err(|error| self.corrupt(format!("fields: {error}")))?,
            policy: serde_json::from_str(&row.text(7)?).map_err(|error| self.corrupt(format!("policy: {error}")))?,
            position: SourcePosition {
                records: row.count(1)?,
                line: row.count(2)?,
                byte: row.count(3)?,
            },
            staged: row.flag(4)?,
            stopped: row.opt_text(5)?,
            staging: row.text(6)?,
            landed: Vec::new(),
            truncated: row.opt_int(8)?.and_then(|rows| u64::try_from(rows).ok()),
        })
    }
}

impl From<&RejectedRecord> for Rejected {
    fn from(record: &RejectedRecord) -> Self {
        Self {
            origin: record.origin.map(|origin| origin.to_string()),
            by_target: false,
            errors: record.errors.clone(),
        }
    }
}

/// First and last record of the chunks that have landed, in order.
async fn landed(session: &mut Session, key: &LoadKey) -> Result<Vec<(u64, u64)>, Fault> {
    let sql = "select first_record, last_record from tranship_chunks \
         where message = $1 and entity_no = $2 and done order by chunk_no";
    let rows = session.rows(sql, key.with([])).await?;
    rows.iter().map(|row| Ok((row.count(0)?, row.count(1)?))).collect()
}

fn check_fields(load: Load<'_>, fields: &[String]) -> Result<(), BusinessError> {
    let entity = load.entity;
    let wrong = |detail: String| Err(BusinessError::Definition(format!("entity `{}`: {detail}", entity.name)));
    if let Some(unknown) = fields.iter().find(|name| entity.field(name).is_none()) {
        return wrong(format!("`{unknown}` is not one of its fields"));
    }
    let mut needed = entity.key.iter().chain(&load.policy.document_key);
    match needed.find(|name| !fields.contains(name)) {
        Some(missing) => wrong(format!("the file does not bring the key field `{missing}`")),
        None => Ok(()),
    }
}

/// How a chunk begins: nothing of it is done.
pub(super) const NEW_CHUNK: &str = "insert into tranship_chunks (message, entity_no, chunk_no, first_record, last_record, done, \
    staging_errors, inserted, updated, unchanged, target_errors, skipped, deleted)";

/// Fixes the chunk ranges over the records read, `size` of them each, unless they are fixed already, and marks staging complete
/// (promise 2: never recomputed).
pub(super) async fn fix_chunks(session: &mut Session, key: &LoadKey, records: u64, size: u64) -> Result<(), Fault> {
    let sql = format!(
        "{NEW_CHUNK} \
         with recursive starts(chunk_no, first_record) as ( \
           select cast(0 as bigint), cast(1 as bigint) where $3 > 0 and not exists ( \
             select 1 from tranship_chunks c where c.message = $1 and c.entity_no = $2) \
           union all select chunk_no + 1, first_record + $4 from starts where first_record + $4 <= $3) \
         select $1, $2, chunk_no, first_record, \
           case when first_record + $4 - 1 < $3 then first_record + $4 - 1 else $3 end, false, 0, 0, 0, 0, 0, 0, 0 from starts"
    );
    session
        .execute(sql, key.with([records.into(), size.max(1).into()]))
        .await?;
    mark_staged(session, key).await
}

/// The same with chunks that begin at these records; the first begins at record 1 whatever is said.
pub(super) async fn fix_chunks_at(
    session: &mut Session,
    key: &LoadKey,
    records: u64,
    starts: &[u64],
) -> Result<(), Fault> {
    let fixed = "select 1 from tranship_chunks where message = $1 and entity_no = $2 limit 1";
    if session.row(fixed, key.with([])).await?.is_some() {
        return mark_staged(session, key).await;
    }
    let sql = format!("{NEW_CHUNK} select $1, $2, $3, $4, $5, false, 0, 0, 0, 0, 0, 0, 0");
    let later = starts.iter().skip(1).copied();
    let firsts = std::iter::once(1).chain(later.clone());
    let lasts = later.map(|start| start - 1).chain([records]);
    for ((first, last), chunk_no) in firsts.zip(lasts).zip(0..).filter(|_| records > 0) {
        let range = [Value::Int(chunk_no), first.into(), last.into()];
        session.execute(sql.clone(), key.with(range)).await?;
    }
    mark_staged(session, key).await
}

pub(super) async fn mark_staged(session: &mut Session, key: &LoadKey) -> Result<(), Fault> {
    // The load first, as everywhere.
    let sql = "update tranship_loads set staged = true where message = $1 and entity_no = $2";
    session.execute(sql, key.with([])).await?;
    let sql = "update tranship_chunks set staging_errors = ( \
           select count(distinct r.record) from tranship_rejects r where r.message = $1 and r.entity_no = $2 \
             and r.record between tranship_chunks.first_record and tranship_chunks.last_record) \
         where message = $1 and entity_no = $2 and not done";
    session.execute(sql, key.with([])).await?;
    Ok(())
}
