//! A row of `queue`, and the two ways out of a status: back into the queue, or out of it for good.
//!
//! Everything that ends a message goes through [`retire`], everything that offers one again through [`put_back`]: they keep
//! history and groups as they must be.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::StoreError;
use super::dialect::{portions, sql};
use super::groups::{self, Group};
use super::memory::Ended as EndedMessage;
use super::pool::{Tx, execute, with_pool};
use super::rows::stored;
use super::webhooks::{Ended, note_outcomes};
use crate::domain::counts::Counts;
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::Failure;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;

/// The columns of [`LiveRow`].
pub(super) const LIVE_COLUMNS: &str = "message, job, seq, rank, lane, grp, status, epoch, attempt, block_on_dead_letter, \
    owner, expires_at, dequeued_at, previous_dequeued_at, started_at, execution, first_error, last_error";

/// A row of `queue`, as far as what is done to it must know.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct LiveRow {
    pub(super) message: Uuid,
    pub(super) job: Uuid,
    pub(super) seq: i64,
    pub(super) rank: i64,
    pub(super) lane: String,
    pub(super) grp: Option<String>,
    pub(super) status: String,
    pub(super) epoch: i64,
    pub(super) attempt: i32,
    pub(super) block_on_dead_letter: bool,
    pub(super) owner: Option<String>,
    pub(super) expires_at: Option<i64>,
    pub(super) dequeued_at: Option<i64>,
    pub(super) previous_dequeued_at: Option<i64>,
    pub(super) started_at: Option<i64>,
    pub(super) execution: Option<String>,
    pub(super) first_error: Option<String>,
    pub(super) last_error: Option<String>,
}

impl LiveRow {
    pub(super) fn id(&self) -> MessageId {
        MessageId(self.message)
    }

    pub(super) fn group(&self) -> Option<Group> {
        self.grp.as_ref().map(|grp| Group {
            job: self.job,
            grp: grp.clone(),
        })
    }
}

/// How a message ended.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub(super) status: Status,
    pub(super) failure: Option<Failure>,
    pub(super) counts: Counts,
}

impl Ending {
    pub(super) fn plain(status: Status) -> Self {
        Self {
            status,
            failure: None,
            counts: Counts::default(),
        }
    }

    pub(super) fn failed(status: Status, code: &str, detail: String) -> Self {
        Self {
            failure: Some(Failure {
                code: code.to_owned(),
                detail,
            }),
            ..Self::plain(status)
        }
    }
}

const OUTCOME_COLUMNS: &str = "message, job, status, seq, grp, epoch, attempt, dequeued_at, previous_dequeued_at, started_at, \
    finished_at, execution, failure_code, failure_detail, first_error, last_error, records_read, inserted, updated, unchanged, \
    deleted, rejected, skipped, owner";
const OUTCOME_COLUMN_COUNT: usize = 24;

/// Writes how messages ended whose rows were just deleted from `queue`, and lets their groups go on.
pub(super) async fn retire(tx: &mut Tx, ended: &[(LiveRow, Ending)], now: Timestamp) -> Result<(), StoreError> {
    for (row, ending) in ended {
        tx.ended(EndedMessage {
            job: job_of(row),
            status: ending.status,
            counts: ending.counts,
            at: now,
        });
        tx.moved(job_of(row), row.id());
        let waited = row.status == Status::Enqueued.as_str();
        tx.counted(job_of(row), -i64::from(waited), -i64::from(!waited));
    }
    for portion in portions(tx.dialect(), ended) {
        let text = format!(
            "insert into outcomes ({OUTCOME_COLUMNS}) {}",
            portion.inserted(OUTCOME_COLUMN_COUNT)
        );
        with_pool!(tx.db(), db: Db => {
            let mut insert = sqlx::query::<Db>(sql(text));
            for ((row, Ending { status, failure, counts }), _) in portion.filled() {
                insert = insert
                    .bind(row.message)
                    .bind(row.job)
                    .bind(status.as_str())
                    .bind(row.seq)
                    .bind(row.grp.as_deref())
                    .bind(row.epoch)
                    .bind(row.attempt)
                    .bind(row.dequeued_at)
                    .bind(row.previous_dequeued_at)
                    .bind(row.started_at)
                    .bind(now.micros())
                    .bind(row.execution.as_deref())
                    .bind(failure.as_ref().map(|f| f.code.as_str()))
                    .bind(failure.as_ref().map(|f| f.detail.as_str()))
                    .bind(row.first_error.as_deref())
                    .bind(row.last_error.as_deref())
                    .bind(stored(counts.read))
                    .bind(stored(counts.inserted))
                    .bind(stored(counts.updated))
                    .bind(stored(counts.unchanged))
                    .bind(stored(counts.deleted))
                    .bind(stored(counts.rejected))
                    .bind(stored(counts.skipped))
                    .bind(row.owner.as_deref().filter(|_| row.started_at.is_none()));
            }
            insert.bind(portion.count()).execute(db).await.map(|_| ())
        })?;
    }
    let lines = ended.iter().filter(|(row, ending)| {
        // What the outcome alone tells: a plain delivery that was acknowledged.
        ending.status != Status::Acked || row.attempt > 1
    });
    let lines: Vec<EventLine> = lines
        .map(|(row, ending)| EventLine {
            message: row.id(),
            at: now,
            status: ending.status,
            epoch: row.epoch,
            note: ending.failure.as_ref().map(|failure| failure.code.clone()),
        })
        .collect();
    note(tx, &lines).await?;
    close_executions(tx, ended, now).await?;
    block_groups(tx, ended, now).await?;
    tell(tx, ended, now).await?;
    groups::settle(tx, groups_of(ended.iter().map(|(row, _)| row)), now).await
}

/// Of a message that ends without a worker the execution ends with it: one that was asked for may never have begun.
async fn close_executions(tx: &mut Tx, ended: &[(LiveRow, Ending)], now: Timestamp) -> Result<(), StoreError> {
    let without_worker = [Status::Cancelled, Status::Expired, Status::DeadLettered];
    for (row, _) in ended
        .iter()
        .filter(|(_, ending)| without_worker.contains(&ending.status))
    {
        if let Some(execution) = &row.execution {
            let text = "update executions set finished_at = $2 where id = $1 and finished_at is null";
            execute!(tx.db(), text, execution.as_str(), now.micros())?;
        }
    }
    Ok(())
}

/// Whoever is to be told of these ends is, by a delivery in the same transaction.
async fn tell(tx: &mut Tx, ended: &[(LiveRow, Ending)], now: Timestamp) -> Result<(), StoreError> {
    let rules = tx.memory().webhooks().get();
    let ended: Vec<Ended> = ended
        .iter()
        .map(|(row, ending)| Ended {
            job: job_of(row),
            message: row.id(),
            status: ending.status,
        })
        .collect();
    note_outcomes(tx, &rules, &ended, now).await
}

/// A dead letter stops its group where the job says so.
async fn block_groups(tx: &mut Tx, ended: &[(LiveRow, Ending)], now: Timestamp) -> Result<(), StoreError> {
    for (row, ending) in ended {
        if let Some(grp) = &row.grp
            && row.block_on_dead_letter
            && ending.status == Status::DeadLettered
        {
            let text = "insert into blocked_groups (job, grp, message, blocked_at) values ($1, $2, $3, $4) \
                on conflict (job, grp) do nothing";
            execute!(tx.db(), text, row.job, grp.as_str(), row.message, now.micros())?;
        }
    }
    Ok(())
}

/// Why messages go back into the queue, and from when on they are offered.
#[derive(Debug, Clone)]
pub(super) struct Return<'a> {
    pub(super) not_before: Option<Timestamp>,
    pub(super) note: &'a str,
}

/// What happened to messages whose rows were just moved back to `Enqueued` by the caller's statement: `rows` as they were
/// *before* it. Writes history (the lease that ended, and why) and settles groups.
pub(super) async fn put_back(
    tx: &mut Tx,
    rows: &[LiveRow],
    back: &Return<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut lines = Vec::with_capacity(rows.len() * 2);
    for row in rows {
        tx.moved(job_of(row), row.id());
        tx.counted(job_of(row), 1, -1);
        for deadline in row.expires_at.map(Timestamp).into_iter().chain(back.not_before) {
            tx.due_at(deadline);
        }
        if back.not_before.is_none_or(|at| at <= now) {
            tx.offered(job_of(row), &row.lane, row.rank);
        }
        if let Some(at) = row.dequeued_at.filter(|_| row.started_at.is_none()) {
            lines.push(EventLine {
                message: row.id(),
                at: Timestamp(at),
                status: Status::Dequeued,
                epoch: row.epoch,
                note: row.owner.as_ref().map(|owner| format!("to {owner}")),
            });
        }
        lines.push(EventLine {
            message: row.id(),
            at: now,
            status: Status::Enqueued,
            epoch: row.epoch,
            note: Some(back.note.to_owned()),
        });
    }
    note(tx, &lines).await?;
    groups::settle(tx, groups_of(rows), now).await
}

/// The groups of these rows, with the highest number of each.
fn groups_of<'r>(rows: impl IntoIterator<Item = &'r LiveRow>) -> BTreeMap<Group, i64> {
    let mut groups = BTreeMap::new();
    for row in rows {
        if let Some(group) = row.group() {
            let highest = groups.entry(group).or_insert(row.seq);
            *highest = row.seq.max(*highest);
        }
    }
    groups
}

/// One line of history.
#[derive(Debug, Clone)]
pub(super) struct EventLine {
    pub(super) message: MessageId,
    pub(super) at: Timestamp,
    pub(super) status: Status,
    pub(super) epoch: i64,
    pub(super) note: Option<String>,
}

/// Writes lines of history.
pub(super) async fn note(tx: &mut Tx, lines: &[EventLine]) -> Result<(), StoreError> {
    for portion in portions(tx.dialect(), lines) {
        let text = format!(
            "insert into message_events (message, at, status, epoch, note) {}",
            portion.inserted(5)
        );
        with_pool!(tx.db(), db: Db => {
            let mut insert = sqlx::query::<Db>(sql(text));
            for (line, _) in portion.filled() {
                insert = insert
                    .bind(line.message.0)
                    .bind(line.at.micros())
                    .bind(line.status.as_str())
                    .bind(line.epoch)
                    .bind(line.note.as_deref());
            }
            insert.bind(portion.count()).execute(db).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Deletes the given rows of `queue`, whatever they are, and returns what was deleted. Only for rows the caller has locked.
pub(super) async fn take_out(tx: &mut Tx, ids: &[MessageId]) -> Result<Vec<LiveRow>, StoreError> {
    let mut out = Vec::with_capacity(ids.len());
    for portion in portions(tx.dialect(), ids) {
        let text = format!(
            "delete from queue where message in ({}) returning {LIVE_COLUMNS}",
            portion.list()
        );
        let rows = with_pool!(tx.db(), db: Db => {
            let mut delete = sqlx::query_as::<Db, LiveRow>(sql(text));
            for (id, _) in portion.filled() {
                delete = delete.bind(id.0);
            }
            delete.fetch_all(db).await
        })?;
        out.extend(rows);
    }
    Ok(out)
}

/// The queue a row is in.
pub(super) fn job_of(row: &LiveRow) -> JobId {
    JobId(row.job)
}
