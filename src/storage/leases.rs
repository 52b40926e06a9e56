//! Workers' leases: extend, promote, release, lapse. Each is one guarded statement on `(message, epoch)` or a short
//! transaction around one; never select-then-update. How a lease begins is in `claims`; what dequeuers do is in `steps`.
//!
//! A worker's lease ends at `lease_until`, which heartbeats move and no index names; a dequeuer's at `redeliver_at`.

use super::dialect::sql;
use super::due::{self, NO_LEASE};
use super::groups::{Of, lock_groups_of};
use super::live::{LIVE_COLUMNS, LiveRow, Return, put_back};
use super::pool::{Tx, execute, fetch_optional};
use super::transition::{WORKED, message_conflict, must_touch, note_status, plain_step};
use super::{Store, StoreError};
use crate::domain::ids::JobId;
use crate::domain::message::Fence;
use crate::domain::status::Event;
use crate::domain::time::Timestamp;

/// A worker's claim on import messages.
#[derive(Debug, Clone)]
pub struct ClaimImport<'a> {
    /// Jobs whose messages may be taken now (not paused, not waiting for an occurrence).
    pub jobs: &'a [JobId],
    /// Which of their lanes.
    pub lanes: Lanes,
    /// Who claims, for the operator's eyes: host, process, worker.
    pub owner: &'a str,
    /// Seconds the lease lasts without an extension.
    pub lease_seconds: i64,
    /// Most messages to take.
    pub limit: u32,
}

/// What marks the lanes of large messages, beside which small ones must get their turn.
pub const LARGE_LANE: &str = "large:";

/// Which lanes a worker takes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lanes {
    /// All of them.
    All,
    /// Those of small messages: the place it has left is kept free of large ones.
    Small,
}

impl Lanes {
    pub(super) fn include(self, lane: &str) -> bool {
        self == Self::All || !lane.starts_with(LARGE_LANE)
    }
}

/// What a heartbeat found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heartbeat {
    /// The lease is the worker's.
    Held,
    /// It is, and somebody (who is named) asked for the message to be cancelled.
    CancelAsked(String),
    /// It is no longer its own: it must stop.
    Lost,
}

impl Store {
    /// A worker's heartbeat: keeps its lease, and tells it what it must know.
    pub async fn extend_lease(&self, fence: Fence, until: Timestamp) -> Result<Heartbeat, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let text = format!(
                    "update queue set lease_until = $3 where message = $1 and epoch = $2 and {WORKED} returning cancel_asked"
                );
                let held: Option<(Option<String>,)> = fetch_optional!(
                    tx.db(),
                    (Option<String>,),
                    sql(text),
                    fence.message.0,
                    fence.epoch,
                    until.micros()
                )?;
                Ok(match held {
                    None => Heartbeat::Lost,
                    Some((None,)) => Heartbeat::Held,
                    Some((Some(by),)) => Heartbeat::CancelAsked(by),
                })
            })
        })
        .await
    }

    /// Something durable was done under this lease: the message is not a hopeless one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn note_progress(&self, fence: Fence) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let text = format!("update queue set stalled = 0 where message = $1 and epoch = $2 and {WORKED}");
                let rows = execute!(tx.db(), sql(text), fence.message.0, fence.epoch)?;
                must_touch(tx, rows, fence.message).await
            })
        })
        .await
    }

    /// Staging is complete: `PreProcessing` → `Processing`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn begin_processing(&self, fence: Fence, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                plain_step(tx, fence, Event::Promote).await?;
                note_status(tx, fence.message, None, now).await
            })
        })
        .await
    }

    /// Hands a claimed message back, to be offered from `not_before` on. `progressed` takes this attempt out of the count.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch.
    pub async fn release_message(
        &self,
        fence: Fence,
        not_before: Option<Timestamp>,
        progressed: bool,
        note: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let note = note.to_owned();
        let not_before = not_before.filter(|at| *at > now);
        self.write(move |tx| Box::pin(hand_back(tx, fence, not_before, progressed, note, now)))
            .await
    }

    /// Brings up what the clock brought about by `now`: lapsed leases return to their queue (status `Enqueued`; the epoch
    /// stays until the next claim raises it), delays end, messages expire. Returns how many messages moved.
    pub async fn release_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut moved = 0;
        loop {
            let (portion, brought) = self.bring_up_portion(now).await?;
            moved += brought;
            // What others have in hand stays due, and must not keep us here.
            if !portion || brought == 0 {
                break;
            }
        }
        loop {
            let due = due::find_lapsed_work(self.reader(), now).await?;
            if due.is_empty() {
                return Ok(moved);
            }
            let (portion, brought) = (due.is_portion(), self.bring_up(due, now).await?);
            moved += brought;
            if !portion || brought == 0 {
                return Ok(moved);
            }
        }
    }

    /// Returns every *worker's* lease (imports, occurrences) at once. Only for a store that one process owns, right after
    /// it took the lock: whoever held them is dead.
    pub async fn release_worker_leases(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut released = 0;
        loop {
            let due = due::find_lapsed_work(self.reader(), Timestamp(i64::MAX)).await?;
            if due.is_empty() {
                break;
            }
            released += self
                .write(move |tx| Box::pin(async move { due::end_work(tx, &due, "its worker ended", now).await }))
                .await?;
        }
        released += self
            .write(move |tx| {
                Box::pin(async move {
                    let text =
                        "update occurrences set state = 'due', owner = null, lease_until = null where state = 'running'";
                    Ok(execute!(tx.db(), text)?)
                })
            })
            .await?;
        Ok(released)
    }

    /// Brings up one portion of what is due; whether there may be more, and how many moved.
    pub(super) async fn bring_up_portion(&self, now: Timestamp) -> Result<(bool, u64), StoreError> {
        let look = self.memory().begin_due(now);
        let due = due::find(self.reader(), look).await?;
        self.memory().due_found(look);
        let portion = due.is_portion();
        let moved = if due.is_empty() {
            0
        } else {
            self.bring_up(due, now).await?
        };
        if !portion {
            self.memory().due_done(look);
        }
        Ok((portion, moved))
    }

    async fn bring_up(&self, due: due::Due, now: Timestamp) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { due::bring_up(tx, &due, now).await }))
            .await
    }
}

async fn hand_back(
    tx: &mut Tx,
    fence: Fence,
    not_before: Option<Timestamp>,
    progressed: bool,
    note: String,
    now: Timestamp,
) -> Result<(), StoreError> {
    lock_groups_of(tx, Of::Queue, &[fence.message]).await?;
    let text = format!(
        "select {LIVE_COLUMNS} from queue where message = $1 and epoch = $2 and {WORKED}{}",
        tx.dialect().lock_row()
    );
    let row: Option<LiveRow> = fetch_optional!(tx.db(), LiveRow, sql(text), fence.message.0, fence.epoch)?;
    let Some(row) = row else {
        return Err(message_conflict(tx, fence.message).await?);
    };
    let (target, guard) = due::release_sql();
    let text = format!(
        "update queue set status = {target}, {NO_LEASE}, not_before = $2, attempt = attempt - $3, \
         wait = case when $2 is null then 'ready' else 'delayed' end, \
         stalled = case when $3 = 1 then 0 else stalled end where message = $1 and {guard}"
    );
    let (until, uncounted) = (not_before.map(Timestamp::micros), i32::from(progressed));
    execute!(tx.db(), sql(text), fence.message.0, until, uncounted)?;
    let back = Return {
        not_before,
        note: &note,
    };
    put_back(tx, &[row], &back, now).await
}
