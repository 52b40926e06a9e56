//! What a dequeuer does with a message it was handed: fetch it, acknowledge it, keep it longer, give it back, refuse it.
//!
//! Each is one guarded statement on the message and its lease's epoch; what a stale lease asks for changes nothing and is
//! answered with where the message stands (promise 3). Only the connector's acknowledgement is lenient (RI-20…24).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use uuid::Uuid;

use super::commit::Ask;
use super::dialect::{portions, sql};
use super::due::{NO_LEASE, dead_letter, release_sql};
use super::groups::{Group, Of, lock_groups_of, may_change, moved};
use super::live::{Ending, LIVE_COLUMNS, LiveRow, Return, put_back, retire};
use super::pool::{Tx, execute, fetch_all, fetch_optional, with_pool};
use super::rows::corrupt;
use super::transition::{guard, note_status, target};
use super::{Store, StoreError};
use crate::domain::ids::{CorrelationId, JobId, MessageId};
use crate::domain::message::Fence;
use crate::domain::status::{Event, Status};
use crate::domain::time::Timestamp;

/// What the holder of a lease asks for.
#[derive(Debug, Clone)]
pub enum Step {
    /// It is done with the message.
    Ack(Fence),
    /// It needs the message until then.
    Extend(Fence, Timestamp),
    /// It gives the message back, to be offered from then on; the delivery does not count.
    Release(Fence, Option<Timestamp>),
    /// It could not use the message.
    Reject(Reject),
    /// The file was fetched (RI-18).
    Download(MessageId),
    /// The connector's acknowledgement, within one queue.
    AckLeniently(JobId, AckBy),
}

impl Step {
    fn message(&self) -> MessageId {
        match self {
            Self::Ack(fence)
            | Self::Extend(fence, _)
            | Self::Release(fence, _)
            | Self::AckLeniently(_, AckBy::Receipt(fence)) => fence.message,
            Self::Reject(reject) => reject.fence.message,
            Self::Download(id) => *id,
            Self::AckLeniently(_, AckBy::Correlation(correlation)) => correlation.message(),
        }
    }
}

/// A failed delivery.
#[derive(Debug, Clone)]
pub struct Reject {
    /// The lease.
    pub fence: Fence,
    /// Why, for the history and the dead letter.
    pub reason: String,
    /// When it is offered again.
    pub not_before: Option<Timestamp>,
    /// Whether it is a dead letter at once.
    pub dead_letter: bool,
}

/// By what an acknowledgement names its message (RI-20…24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckBy {
    /// By a genuine receipt, of whichever lease.
    Receipt(Fence),
    /// By the correlation id, when no receipt came.
    Correlation(CorrelationId),
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stepped {
    /// It was done; the message is now in this status.
    Done(MessageId, Status),
    /// It had been done before, under this very lease.
    Before(MessageId, Status),
    /// The lease is over; this is where the message stands.
    Stale(Standing),
    /// There is no such message, or no lease of it that was ever given.
    Unknown,
}

/// Where a message stands, for who comes too late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which message.
    pub id: MessageId,
    /// Its status.
    pub status: Status,
    /// Its newest lease's number.
    pub epoch: i64,
}

/// What an acknowledgement of the connector's did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acked {
    /// The message ended now; its epoch was raised, so every other lease is void.
    Now(MessageId),
    /// It had been acknowledged before (RI-22).
    Before(MessageId),
    /// The job has no such message.
    Unknown,
    /// It ended otherwise (cancelled, expired, dead-lettered).
    Ended(MessageId),
}

impl Store {
    /// Carries out a step; shares its commit with whatever else is asked at the time.
    pub async fn step(&self, step: Step, now: Timestamp) -> Result<Stepped, StoreError> {
        self.lanes().step.ask((step, now), Ask::Step).await
    }

    /// Notes that the file was fetched; only a `Dequeued` message moves (RI-18).
    pub async fn mark_downloaded(&self, id: MessageId, now: Timestamp) -> Result<(), StoreError> {
        self.step(Step::Download(id), now).await.map(drop)
    }

    /// The connector's lenient acknowledgement (RI-20…24) within one queue.
    pub async fn ack_leniently(&self, job: JobId, by: AckBy, now: Timestamp) -> Result<Acked, StoreError> {
        Ok(match self.step(Step::AckLeniently(job, by), now).await? {
            Stepped::Done(id, _) => Acked::Now(id),
            Stepped::Before(id, _) => Acked::Before(id),
            Stepped::Stale(standing) => Acked::Ended(standing.id),
            Stepped::Unknown => Acked::Unknown,
        })
    }
}

/// Carries out a batch of steps: acknowledgements together, the rest one by one in their order.
pub(super) async fn carry_out(
    tx: &mut Tx,
    asked: &[&(Step, Timestamp)],
) -> Result<Vec<Result<Stepped, StoreError>>, StoreError> {
    let Some(now) = asked.iter().map(|(_, now)| *now).max() else {
        return Ok(Vec::new());
    };
    let ids: Vec<MessageId> = asked.iter().map(|(step, _)| step.message()).collect();
    let locked = lock_groups_of(tx, Of::Queue, &ids).await?;
    let acks: Vec<Fence> = asked
        .iter()
        .filter_map(|(step, _)| match step {
            Step::Ack(fence) => Some(*fence),
            _ => None,
        })
        .collect();
    let mut ended = ack_all(tx, &acks, now).await?;
    let mut done = Vec::with_capacity(asked.len());
    for (step, now) in asked {
        let stepped = match step {
            // Of two acknowledgements of one lease in a batch, the second repeats the first.
            Step::Ack(fence) if ended.remove(&(fence.message.0, fence.epoch)) => {
                Stepped::Done(fence.message, Status::Acked)
            }
            Step::Ack(fence) => late(tx, *fence, Status::Acked).await?,
            Step::Extend(fence, until) => extend(tx, *fence, *until).await?,
            Step::Release(fence, not_before) => release(tx, *fence, *not_before, *now).await?,
            Step::Reject(reject) => refuse(tx, reject, *now).await?,
            Step::Download(id) => download(tx, *id, *now).await?,
            Step::AckLeniently(job, by) => ack_leniently(tx, &locked, *job, *by, *now).await?,
        };
        done.push(Ok(stepped));
    }
    Ok(done)
}

/// Ends every message whose lease is still the one named; which, and under which epoch. Of two leases of one message that
/// are named in one batch, at most one is the current one.
async fn ack_all(tx: &mut Tx, fences: &[Fence], now: Timestamp) -> Result<HashSet<(Uuid, i64)>, StoreError> {
    // One statement for each epoch: mostly there is one. A list of pairs would be compared with every row of the queue.
    let mut by_epoch: BTreeMap<i64, BTreeSet<MessageId>> = BTreeMap::new();
    for fence in fences {
        by_epoch.entry(fence.epoch).or_default().insert(fence.message);
    }
    let mut ended = Vec::with_capacity(fences.len());
    for (epoch, ids) in by_epoch {
        let ids: Vec<MessageId> = ids.into_iter().collect();
        for portion in portions(tx.dialect(), &ids) {
            let text = format!(
                "delete from queue where epoch = $1 and message in ({}) and {HELD} returning {LIVE_COLUMNS}",
                portion.list_from(2)
            );
            let rows = with_pool!(tx.db(), db: Db => {
                let mut delete = sqlx::query_as::<Db, LiveRow>(sql(text)).bind(epoch);
                for (id, _) in portion.filled() {
                    delete = delete.bind(id.0);
                }
                delete.fetch_all(db).await
            })?;
            ended.extend(rows.into_iter().map(|row| (row, Ending::plain(Status::Acked))));
        }
    }
    if !ended.is_empty() {
        retire(tx, &ended, now).await?;
    }
    Ok(ended.into_iter().map(|(row, _)| (row.message, row.epoch)).collect())
}

/// A dequeuer's lease runs.
const HELD: &str = "status in ('Dequeued', 'Downloaded')";

async fn extend(tx: &mut Tx, fence: Fence, until: Timestamp) -> Result<Stepped, StoreError> {
    let text =
        format!("update queue set redeliver_at = $3 where message = $1 and epoch = $2 and {HELD} returning status");
    let (id, epoch) = (fence.message.0, fence.epoch);
    let extended: Option<(String,)> = fetch_optional!(tx.db(), (String,), sql(text), id, epoch, until.micros())?;
    tx.due_at(until);
    match extended {
        Some((status,)) => Ok(Stepped::Done(fence.message, parse(&fence.message, &status)?)),
        None => late(tx, fence, Status::Dequeued).await,
    }
}

async fn release(
    tx: &mut Tx,
    fence: Fence,
    not_before: Option<Timestamp>,
    now: Timestamp,
) -> Result<Stepped, StoreError> {
    let Some(row) = held(tx, fence).await? else {
        return late(tx, fence, Status::Enqueued).await;
    };
    let not_before = not_before.filter(|at| *at > now);
    offer_again(tx, std::slice::from_ref(&row), not_before, None).await?;
    // It never counted.
    let text = "update queue set attempt = attempt - 1 where message = $1";
    execute!(tx.db(), text, fence.message.0)?;
    let back = Return {
        not_before,
        note: "given back",
    };
    put_back(tx, &[row], &back, now).await?;
    Ok(Stepped::Done(fence.message, Status::Enqueued))
}

async fn refuse(tx: &mut Tx, reject: &Reject, now: Timestamp) -> Result<Stepped, StoreError> {
    let fence = reject.fence;
    let Some(row) = held(tx, fence).await? else {
        return late(tx, fence, Status::Enqueued).await;
    };
    if reject.dead_letter || exhausted(tx, fence.message).await? {
        let rows = super::live::take_out(tx, &[fence.message]).await?;
        let ended = rows.into_iter().map(|row| {
            let ending = if reject.dead_letter {
                Ending::failed(Status::DeadLettered, "rejected", reject.reason.clone())
            } else {
                dead_letter(&row, &reject.reason)
            };
            (with_error(row, &reject.reason), ending)
        });
        retire(tx, &ended.collect::<Vec<_>>(), now).await?;
        return Ok(Stepped::Done(fence.message, Status::DeadLettered));
    }
    let not_before = reject.not_before.filter(|at| *at > now);
    offer_again(tx, std::slice::from_ref(&row), not_before, Some(&reject.reason)).await?;
    let note = format!("rejected: {}", reject.reason);
    let back = Return {
        not_before,
        note: &note,
    };
    put_back(tx, &[row], &back, now).await?;
    Ok(Stepped::Done(fence.message, Status::Enqueued))
}

fn with_error(mut row: LiveRow, error: &str) -> LiveRow {
    row.first_error.get_or_insert_with(|| error.to_owned());
    row.last_error = Some(error.to_owned());
    row
}

/// The row under this lease, locked; `None` when the lease is over.
async fn held(tx: &mut Tx, fence: Fence) -> Result<Option<LiveRow>, StoreError> {
    let text = format!(
        "select {LIVE_COLUMNS} from queue where message = $1 and epoch = $2 and {HELD}{}",
        tx.dialect().lock_row()
    );
    Ok(fetch_optional!(
        tx.db(),
        LiveRow,
        sql(text),
        fence.message.0,
        fence.epoch
    )?)
}

async fn exhausted(tx: &mut Tx, id: MessageId) -> Result<bool, StoreError> {
    let text = "select 1 from queue where message = $1 and max_deliveries is not null and attempt >= max_deliveries";
    let found: Option<(i32,)> = fetch_optional!(tx.db(), (i32,), text, id.0)?;
    Ok(found.is_some())
}

/// Moves leased rows that the caller holds back to `Enqueued`.
pub(super) async fn offer_again(
    tx: &mut Tx,
    rows: &[LiveRow],
    not_before: Option<Timestamp>,
    error: Option<&str>,
) -> Result<(), StoreError> {
    let (target, guard) = release_sql();
    for portion in portions(tx.dialect(), rows) {
        let text = format!(
            "update queue set status = {target}, {NO_LEASE}, not_before = $1, \
             wait = case when $1 is null then 'ready' else 'delayed' end, \
             first_error = coalesce(first_error, $2), last_error = coalesce($2, last_error) \
             where message in ({}) and {guard}",
            portion.list_from(3)
        );
        with_pool!(tx.db(), db: Db => {
            let mut update = sqlx::query::<Db>(sql(text)).bind(not_before.map(Timestamp::micros)).bind(error);
            for (row, _) in portion.filled() {
                update = update.bind(row.message);
            }
            update.execute(db).await.map(|_| ())
        })?;
    }
    Ok(())
}

async fn download(tx: &mut Tx, id: MessageId, now: Timestamp) -> Result<Stepped, StoreError> {
    let text = format!(
        "update queue set status = {} where message = $1 and {} returning job",
        target(Event::Download),
        guard(Event::Download)
    );
    let moved: Option<(Uuid,)> = fetch_optional!(tx.db(), (Uuid,), sql(text), id.0)?;
    if let Some((job,)) = moved {
        tx.moved(JobId(job), id);
        note_status(tx, id, None, now).await?;
    }
    Ok(Stepped::Done(id, Status::Downloaded))
}

/// Any lease ever handed out may end the message: what its holder has, the next one need not fetch again (promise 3).
pub(super) async fn ack_leniently(
    tx: &mut Tx,
    locked: &BTreeSet<Group>,
    job: JobId,
    by: AckBy,
    now: Timestamp,
) -> Result<Stepped, StoreError> {
    let fence = match by {
        AckBy::Receipt(fence) => fence,
        AckBy::Correlation(correlation) => Fence {
            message: correlation.message(),
            epoch: 0,
        },
    };
    // An import's messages are worked on, not handed out: nobody outside can be done with one.
    let text = format!(
        "delete from queue where message = $1 and job = $2 and epoch >= $3 and {} and not exists \
         (select 1 from messages m where m.id = $1 and m.direction = 'import') returning {LIVE_COLUMNS}",
        guard(Event::Ack)
    );
    // It needs no lease, so the message may just be coming back into the queue.
    let is_open = may_change(tx, fence.message, locked).await?;
    let rows: Vec<LiveRow> = if is_open {
        fetch_all!(tx.db(), LiveRow, sql(text), fence.message.0, job.0, fence.epoch)?
    } else {
        Vec::new()
    };
    if let Some(mut row) = rows.into_iter().next() {
        row.epoch += 1;
        retire(tx, &[(row, Ending::plain(Status::Acked))], now).await?;
        return Ok(Stepped::Done(fence.message, Status::Acked));
    }
    let text = "select o.status, o.epoch from outcomes o join messages m on m.id = o.message \
        where o.message = $1 and o.job = $2 and m.direction <> 'import'";
    let found: Option<(String, i64)> = fetch_optional!(tx.db(), (String, i64), text, fence.message.0, job.0)?;
    // Still open under an older epoch than the receipt's: not a lease this store handed out.
    let Some((status, epoch)) = found else {
        let now = standing(tx, fence.message).await?;
        if !is_open && now.is_some_and(|now| !now.status.is_final()) {
            return Err(moved(fence.message));
        }
        return Ok(Stepped::Unknown);
    };
    let (id, status) = (fence.message, parse(&fence.message, &status)?);
    Ok(if status == Status::Acked {
        Stepped::Before(id, status)
    } else {
        Stepped::Stale(Standing { id, status, epoch })
    })
}

/// The answer to a step whose lease is over. `wanted` under this very lease already: the first answer was lost.
async fn late(tx: &mut Tx, fence: Fence, wanted: Status) -> Result<Stepped, StoreError> {
    let Some(standing) = standing(tx, fence.message).await? else {
        return Ok(Stepped::Unknown);
    };
    let repeated = wanted == Status::Acked && standing.status == wanted && standing.epoch == fence.epoch;
    Ok(if repeated {
        Stepped::Before(fence.message, wanted)
    } else {
        Stepped::Stale(standing)
    })
}

/// Where a message stands now.
pub(super) async fn standing(tx: &mut Tx, id: MessageId) -> Result<Option<Standing>, StoreError> {
    let text = "select status, epoch from queue where message = $1 \
        union all select status, epoch from outcomes where message = $1 limit 1";
    let found: Option<(String, i64)> = fetch_optional!(tx.db(), (String, i64), text, id.0)?;
    found
        .map(|(status, epoch)| {
            Ok(Standing {
                id,
                status: parse(&id, &status)?,
                epoch,
            })
        })
        .transpose()
}

fn parse(id: &MessageId, status: &str) -> Result<Status, StoreError> {
    Status::parse(status).ok_or_else(|| corrupt("queue", "status", id, status))
}
