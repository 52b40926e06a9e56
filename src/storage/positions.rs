//! How far exports of changes have come (promise 7): written with the messages that carry the changes, undone when one of them
//! is never acknowledged.

use uuid::Uuid;

use super::dialect::sql;
use super::pool::{Tx, execute, fetch_all, fetch_optional};
use super::rows::corrupt;
use super::{Store, StoreError};
use crate::domain::audit::NewEntry;
use crate::domain::ids::{JobId, MessageId};
use crate::domain::position::Position;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;

/// What became of the changes up to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionState {
    /// Its messages are not all acknowledged, or its package is not fetched.
    Queued,
    /// All of them are.
    Delivered,
    /// One of them ended otherwise: the changes are to be exported again.
    Lost,
    /// They were.
    Recovered,
    /// There were none.
    Nothing,
    /// Somebody set the position.
    Rewound,
}

impl PositionState {
    const WORDS: [(&'static str, Self); 6] = [
        ("queued", Self::Queued),
        ("delivered", Self::Delivered),
        ("lost", Self::Lost),
        ("recovered", Self::Recovered),
        ("nothing", Self::Nothing),
        ("rewound", Self::Rewound),
    ];

    /// The word of the store and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let word = Self::WORDS.iter().find(|(_, state)| *state == self);
        word.map_or("", |(word, _)| word)
    }
}

/// A position that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPosition {
    /// Its number, counted by job and entity from 1.
    pub number: i64,
    /// The due time of the run that took it; none where somebody set it.
    pub due_at: Option<Timestamp>,
    /// Where its changes begin; none: everything was exported.
    pub from: Option<Position>,
    /// Where they end; none: the next run exports everything.
    pub to: Option<Position>,
    /// What became of them.
    pub state: PositionState,
    /// What was remarkable.
    pub note: Option<String>,
    /// When it was taken.
    pub taken_at: Timestamp,
}

/// From where the next run goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// The place; none: everything is exported.
    pub from: Option<Position>,
    /// The number of the newest position there is; 0: none.
    pub newest: i64,
    /// The largest mark among the positions; 0: none.
    pub mark: i64,
    /// Positions whose changes are exported once more, because a message that carried them ended unacknowledged.
    pub lost: Vec<i64>,
    /// Whether there is no position yet.
    pub is_first: bool,
}

/// A position about to be written with the messages of its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPosition {
    /// Technical name of the entity.
    pub entity: String,
    /// Where its changes begin.
    pub from: Option<Position>,
    /// Where they end.
    pub to: Position,
    /// The positions that were lost, whose changes are among these.
    pub recovers: Vec<i64>,
    /// The newest position when the run began: another run, or somebody who rewound, since then makes this one void.
    pub after: i64,
    /// What is remarkable.
    pub note: Option<String>,
}

pub(super) const COLUMNS: &str = "number, due_at, from_position, to_position, state, note, taken_at";

/// A row of `export_positions`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct PositionRow {
    number: i64,
    due_at: Option<i64>,
    from_position: Option<String>,
    to_position: Option<String>,
    state: String,
    note: Option<String>,
    taken_at: i64,
}

impl TryFrom<PositionRow> for ExportPosition {
    type Error = StoreError;

    fn try_from(row: PositionRow) -> Result<Self, StoreError> {
        let wrong = |column| corrupt("export_positions", column, &row.number, "not what was written");
        let state = PositionState::WORDS.iter().find(|(word, _)| *word == row.state);
        Ok(Self {
            number: row.number,
            due_at: row.due_at.map(Timestamp),
            from: read(row.from_position.as_deref()).map_err(|_| wrong("from_position"))?,
            to: read(row.to_position.as_deref()).map_err(|_| wrong("to_position"))?,
            state: state.ok_or_else(|| wrong("state"))?.1,
            note: row.note,
            taken_at: Timestamp(row.taken_at),
        })
    }
}

fn read(text: Option<&str>) -> Result<Option<Position>, serde_json::Error> {
    text.map(serde_json::from_str).transpose()
}

fn write(position: &Position) -> Result<String, StoreError> {
    serde_json::to_string(position)
        .map_err(|error| corrupt("export_positions", "to_position", &position.at, &error.to_string()))
}

impl Store {
    /// From where the next run of this job goes on with this entity: from the newest position, or from before the oldest
    /// changes that were lost since. Looks first how the messages of earlier runs ended.
    pub async fn export_start(&self, job: JobId, entity: &str, now: Timestamp) -> Result<Start, StoreError> {
        self.settle_positions(job, entity, now).await?;
        let positions = self.export_positions(job, entity, u32::MAX).await?;
        let Some(newest) = positions.first() else {
            return Ok(Start {
                is_first: true,
                ..Start::default()
            });
        };
        let lost: Vec<_> = positions
            .iter()
            .filter(|position| position.state == PositionState::Lost)
            .collect();
        let marks = positions.iter().filter_map(|position| position.to.as_ref());
        let candidates = lost
            .iter()
            .map(|position| position.from.clone())
            .chain([newest.to.clone()]);
        Ok(Start {
            from: candidates.reduce(earlier).flatten(),
            newest: newest.number,
            mark: marks.map(|position| position.mark).max().unwrap_or(0),
            lost: lost.iter().rev().map(|position| position.number).collect(),
            is_first: false,
        })
    }

    /// The positions of an entity, newest first.
    pub async fn export_positions(
        &self,
        job: JobId,
        entity: &str,
        limit: u32,
    ) -> Result<Vec<ExportPosition>, StoreError> {
        let text = format!(
            "select {COLUMNS} from export_positions where job = $1 and entity = $2 order by number desc limit $3"
        );
        let rows: Vec<PositionRow> =
            fetch_all!(self.reader(), PositionRow, sql(text), job.0, entity, i64::from(limit))?;
        rows.into_iter().map(ExportPosition::try_from).collect()
    }

    /// The messages of a run, in their order.
    pub async fn messages_of_run(&self, job: JobId, due_at: Timestamp) -> Result<Vec<MessageId>, StoreError> {
        let text = "select message from export_messages where job = $1 and due_at = $2 order by part";
        let rows: Vec<(Uuid,)> = fetch_all!(self.reader(), (Uuid,), text, job.0, due_at.micros())?;
        Ok(rows.into_iter().map(|(message,)| MessageId(message)).collect())
    }

    /// Sets the place from which the next run goes on: where an earlier position ended, or before everything. A run that is on its
    /// way is void. `None`: there is no such position.
    pub async fn rewind_export(
        &self,
        job: JobId,
        entity: &str,
        to_number: Option<i64>,
        note: &str,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        let (entity, note) = (entity.to_owned(), note.to_owned());
        let effect = |number: &Option<i64>, entry: &mut NewEntry| {
            entry.add("number", *number);
            number.is_some()
        };
        self.write_audited(effect, move |tx| {
            Box::pin(async move {
                let place: Option<(Option<String>,)> = match to_number {
                    None => Some((None,)),
                    Some(number) => {
                        let text =
                            "select to_position from export_positions where job = $1 and entity = $2 and number = $3";
                        fetch_optional!(tx.db(), (Option<String>,), text, job.0, entity.as_str(), number)?
                    }
                };
                let Some((place,)) = place else { return Ok(None) };
                let number = newest(tx, job, &entity).await? + 1;
                let text = "insert into export_positions (job, entity, number, to_position, state, note, taken_at) \
                    values ($1, $2, $3, $4, 'rewound', $5, $6)";
                execute!(
                    tx.db(),
                    text,
                    job.0,
                    entity.as_str(),
                    number,
                    place,
                    note.as_str(),
                    now.micros()
                )?;
                Ok(Some(number))
            })
        })
        .await
    }

    /// The earliest change that a kept position of these jobs may still want of an entity's table, in the history given; none
    /// when no position is of it.
    pub async fn oldest_change_wanted(
        &self,
        jobs: &[JobId],
        entity: &str,
        history: &str,
    ) -> Result<Option<i64>, StoreError> {
        let mut oldest = None;
        for job in jobs {
            for position in self.export_positions(*job, entity, u32::MAX).await? {
                let places = [position.from, position.to];
                let of_history = places.iter().flatten().filter(|place| place.history == history);
                oldest = of_history.map(|place| place.at).chain(oldest).min();
            }
        }
        Ok(oldest)
    }

    /// Forgets the positions of an entity but for the newest `kept` and those whose messages are not all acknowledged.
    pub async fn forget_positions(&self, job: JobId, entity: &str, kept: u32) -> Result<u64, StoreError> {
        let entity = entity.to_owned();
        self.write(move |tx| {
            Box::pin(async move {
                let text = "delete from export_positions where job = $1 and entity = $2 and state not in ('queued', 'lost') \
                    and number <= (select max(number) from export_positions where job = $1 and entity = $2) - $3";
                Ok(execute!(tx.db(), text, job.0, entity.as_str(), i64::from(kept))?)
            })
        })
        .await
    }

    /// Finds out what became of positions whose messages were not acknowledged when it was last looked.
    async fn settle_positions(&self, job: JobId, entity: &str, now: Timestamp) -> Result<(), StoreError> {
        let positions = self.export_positions(job, entity, u32::MAX).await?;
        for position in positions
            .iter()
            .filter(|position| position.state == PositionState::Queued)
        {
            let Some(due_at) = position.due_at else { continue };
            let Some(state) = self.end_of_run(job, due_at, now).await? else {
                continue;
            };
            let (entity, number) = (entity.to_owned(), position.number);
            self.write(move |tx| {
                Box::pin(async move {
                    let text = "update export_positions set state = $4 \
                        where job = $1 and entity = $2 and number = $3 and state = 'queued'";
                    execute!(tx.db(), text, job.0, entity.as_str(), number, state.as_str())?;
                    Ok(())
                })
            })
            .await?;
        }
        Ok(())
    }

    /// What became of a run's messages, or its package: nothing yet, all acknowledged, or one that ended otherwise or is not known any
    /// more.
    async fn end_of_run(
        &self,
        job: JobId,
        due_at: Timestamp,
        now: Timestamp,
    ) -> Result<Option<PositionState>, StoreError> {
        let ids = self.messages_of_run(job, due_at).await?;
        if ids.is_empty() {
            // It made a package, or nobody knows what became of what it queued.
            return self.end_of_package(job, due_at, now).await;
        }
        let mut is_open = false;
        for id in ids {
            match self.message(id).await?.map(|message| message.status) {
                Some(Status::Acked) => {}
                Some(status) if !status.is_final() => is_open = true,
                _ => return Ok(Some(PositionState::Lost)),
            }
        }
        Ok((!is_open).then_some(PositionState::Delivered))
    }
}

/// The earlier of two places; of two that cannot be compared, that before everything.
fn earlier(one: Option<Position>, other: Option<Position>) -> Option<Position> {
    let (one, other) = (one?, other?);
    if one.history != other.history {
        return None;
    }
    Some(if other.at < one.at { other } else { one })
}

async fn newest(tx: &mut Tx, job: JobId, entity: &str) -> Result<i64, StoreError> {
    let text = "select coalesce(max(number), 0) from export_positions where job = $1 and entity = $2";
    let row: Option<(i64,)> = fetch_optional!(tx.db(), (i64,), text, job.0, entity)?;
    Ok(row.map_or(0, |(number,)| number))
}

/// Writes the positions and messages of a run, in the transaction that queues them, or with `is_out` what carries the changes
/// otherwise. What was lost before is recovered.
///
/// # Errors
/// [`StoreError::Conflict`] when another position was taken or set since the run began.
pub(super) async fn insert(
    tx: &mut Tx,
    (job, due_at): (JobId, Timestamp),
    messages: &[MessageId],
    positions: &[NewPosition],
    is_out: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    for (part, message) in (0_i32..).zip(messages) {
        let text = "insert into export_messages (job, due_at, part, message) values ($1, $2, $3, $4)";
        execute!(tx.db(), text, job.0, due_at.micros(), part, message.0)?;
    }
    let state = if is_out {
        PositionState::Queued
    } else {
        PositionState::Nothing
    };
    for position in positions {
        let found = newest(tx, job, &position.entity).await?;
        if found != position.after {
            return Err(StoreError::Conflict {
                what: "position",
                id: format!("{} of job {job}", position.entity),
                state: format!("number {found}, not {}", position.after),
            });
        }
        let entity = position.entity.as_str();
        for number in &position.recovers {
            let text = "update export_positions set state = 'recovered' \
                where job = $1 and entity = $2 and number = $3 and state = 'lost'";
            execute!(tx.db(), text, job.0, entity, *number)?;
        }
        let from = position.from.as_ref().map(write).transpose()?;
        let text = format!(
            "insert into export_positions (job, entity, {COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        );
        execute!(
            tx.db(),
            sql(text),
            job.0,
            entity,
            found + 1,
            due_at.micros(),
            from,
            write(&position.to)?,
            state.as_str(),
            position.note.as_deref(),
            now.micros()
        )?;
    }
    Ok(())
}
