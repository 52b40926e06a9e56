//! Redrive: messages that ended without success go back into their own queue, with the number they had.
//!
//! The outcome makes way for a row of `queue`; what it said stays in the history. Leases go on counting, so no receipt of
//! before is good again.

use uuid::Uuid;

use super::dialect::{Retries, lock_retries, sql};
use super::groups::{Group, Of, lock_groups_of, settle};
use super::live::{EventLine, note};
use super::pool::{Tx, execute, fetch_optional};
use super::{Store, StoreError};
use crate::domain::audit::NewEntry;
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::{Placement, Wait};
use crate::domain::status::Status;
use crate::domain::time::Timestamp;

/// Statuses from which a message can be tried again.
pub const REDRIVABLE: [Status; 5] = [
    Status::DeadLettered,
    Status::Expired,
    Status::Cancelled,
    Status::PreProcessingError,
    Status::PostProcessingFailed,
];

/// A message to be tried again, and where it is to stand. Its group and its number are those it had.
#[derive(Debug, Clone)]
pub struct Again {
    /// Which.
    pub id: MessageId,
    /// The rest of its place.
    pub placement: Placement,
    /// When it was first enqueued: what its rank is reckoned from.
    pub enqueued_at: Timestamp,
}

impl Store {
    /// Puts ended messages back into their queues; those that are not to be had any more are passed over. Returns the ids
    /// of those put back.
    pub async fn redrive(&self, mut again: Vec<Again>, by: &str, now: Timestamp) -> Result<Vec<MessageId>, StoreError> {
        let by = by.to_owned();
        // The youngest first, as a message that ends locks its ancestors.
        again.sort_by_key(|again| std::cmp::Reverse(again.id));
        let effect = |back: &Vec<MessageId>, _: &mut NewEntry| !back.is_empty();
        self.write_audited(effect, move |tx| {
            Box::pin(async move {
                let ids: Vec<MessageId> = again.iter().map(|again| again.id).collect();
                lock_retries(tx, Retries::Allow).await?;
                // Outcomes before groups before rows of the queue, as everybody does.
                let ids = lock_outcomes(tx, &ids).await?;
                lock_groups_of(tx, Of::Outcomes, &ids).await?;
                let mut back = Vec::with_capacity(again.len());
                // One that ends from here on is left to the next time: its outcome would be locked after its group.
                for again in again.iter().rev().filter(|again| ids.contains(&again.id)) {
                    if put_back(tx, again, &by, now).await? {
                        back.push(again.id);
                    }
                }
                Ok(back)
            })
        })
        .await
    }
}

#[derive(sqlx::FromRow)]
struct Outcome {
    job: Uuid,
    seq: i64,
    grp: Option<String>,
    epoch: i64,
    first_error: Option<String>,
    last_error: Option<String>,
}

/// Locks these outcomes, and says which there are: housekeeping passes over them from here on.
async fn lock_outcomes(tx: &mut Tx, ids: &[MessageId]) -> Result<Vec<MessageId>, StoreError> {
    let text = format!("select 1 from outcomes where message = $1{}", tx.dialect().lock_row());
    let mut locked = Vec::with_capacity(ids.len());
    for id in ids {
        let found: Option<(i32,)> = fetch_optional!(tx.db(), (i32,), sql(text.clone()), id.0)?;
        locked.extend(found.map(|_| *id));
    }
    Ok(locked)
}

/// A message that is tried again needs its payload: where housekeeping took it just before, housekeeping wins. `false`: it
/// is gone. The caller has locked the outcome.
async fn keep_payload(tx: &mut Tx, id: MessageId) -> Result<bool, StoreError> {
    let text = "select blob_key from messages where id = $1";
    let message: Option<(Option<String>,)> = fetch_optional!(tx.db(), (Option<String>,), text, id.0)?;
    match message {
        None => Ok(false),
        Some((Some(key),)) => {
            let text = "update uploads set message = $2 where key = $1 and state = 'used'";
            Ok(execute!(tx.db(), text, key.as_str(), id.0)? == 1)
        }
        Some((None,)) => {
            let text = "select 1 from payloads where message = $1";
            let kept: Option<(i32,)> = fetch_optional!(tx.db(), (i32,), text, id.0)?;
            Ok(kept.is_some())
        }
    }
}

async fn put_back(tx: &mut Tx, again: &Again, by: &str, now: Timestamp) -> Result<bool, StoreError> {
    let statuses = REDRIVABLE.map(|status| format!("'{status}'")).join(", ");
    let text = format!(
        "delete from outcomes where message = $1 and status in ({statuses}) and records_read = 0 \
         returning job, seq, grp, epoch, first_error, last_error"
    );
    if !keep_payload(tx, again.id).await? {
        return Ok(false);
    }
    let outcome: Option<Outcome> = fetch_optional!(tx.db(), Outcome, sql(text), again.id.0)?;
    let Some(outcome) = outcome else { return Ok(false) };
    let placement = &again.placement;
    let wait = match outcome.grp {
        // Where it stands is settled below.
        Some(_) => Wait::Behind,
        None => placement.first_wait(now),
    };
    let rank = placement.rank(again.enqueued_at);
    let text = "insert into queue (message, job, seq, rank, lane, grp, status, wait, epoch, max_deliveries, \
        block_on_dead_letter, not_before, expires_at, first_error, last_error, returned) \
        values ($1, $2, $3, $4, $5, $6, 'Enqueued', $7, $8, $9, $10, $11, $12, $13, $14, true)";
    execute!(
        tx.db(),
        text,
        again.id.0,
        outcome.job,
        outcome.seq,
        rank,
        placement.lane.as_str(),
        outcome.grp.as_deref(),
        wait.as_str(),
        outcome.epoch,
        placement.max_deliveries,
        placement.block_on_dead_letter,
        placement.not_before.map(Timestamp::micros),
        placement.expires_at.map(Timestamp::micros),
        outcome.first_error,
        outcome.last_error
    )?;
    let job = JobId(outcome.job);
    tx.moved(job, again.id);
    tx.counted(job, 1, 0);
    if wait == Wait::Ready {
        tx.offered(job, &placement.lane, rank);
    }
    let line = EventLine {
        message: again.id,
        at: now,
        status: Status::Enqueued,
        epoch: outcome.epoch,
        note: Some(format!("tried again by {by}")),
    };
    note(tx, &[line]).await?;
    if let Some(grp) = outcome.grp {
        let text = "delete from blocked_groups where job = $1 and grp = $2 and message = $3";
        execute!(tx.db(), text, outcome.job, grp.as_str(), again.id.0)?;
        let group = Group { job: outcome.job, grp };
        settle(tx, [(group, i64::MIN)].into(), now).await?;
    }
    Ok(true)
}
