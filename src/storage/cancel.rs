//! Cancel: a message that no worker has begun ends at once; of one that a worker has, or had, a worker is asked to end it, for
//! a part of it may have landed and must be counted.

use super::dialect::sql;
use super::groups::{Of, lock_groups_of, may_change, moved};
use super::live::{Ending, LIVE_COLUMNS, LiveRow, retire};
use super::pool::{Tx, execute, fetch_all};
use super::steps::{Standing, standing};
use super::{Store, StoreError};
use crate::domain::audit::NewEntry;
use crate::domain::ids::MessageId;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;

/// What a cancellation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// The message ended now.
    Now,
    /// A worker has it, or had it and will again; it ends with that one's next heartbeat, and says what had landed by then.
    Asked,
    /// It had ended before.
    Ended(Standing),
    /// There is no such message.
    Unknown,
}

/// Times a cancellation is tried whose message others move at the same moment.
const ATTEMPTS: u32 = 5;

/// No worker has begun with it. Only workers set `started_at`.
const UNTOUCHED: &str = "started_at is null";

impl Store {
    /// Cancels a message. `by`: who asked, for the history.
    pub async fn cancel(&self, id: MessageId, by: &str, now: Timestamp) -> Result<Cancelled, StoreError> {
        let mut attempts = ATTEMPTS;
        loop {
            attempts -= 1;
            match self.try_cancel(id, by, now).await {
                Err(error) if error.is_deadlock() && attempts > 0 => {}
                done => return done,
            }
        }
    }

    async fn try_cancel(&self, id: MessageId, by: &str, now: Timestamp) -> Result<Cancelled, StoreError> {
        let by = by.to_owned();
        let effect = |cancelled: &Cancelled, _: &mut NewEntry| matches!(cancelled, Cancelled::Now | Cancelled::Asked);
        self.write_audited(effect, move |tx| {
            Box::pin(async move {
                let locked = lock_groups_of(tx, Of::Queue, &[id]).await?;
                if !may_change(tx, id, &locked).await? {
                    return not_waiting(tx, id).await;
                }
                let text = format!("delete from queue where message = $1 and {UNTOUCHED} returning {LIVE_COLUMNS}");
                let rows: Vec<LiveRow> = fetch_all!(tx.db(), LiveRow, sql(text), id.0)?;
                if let Some(row) = rows.into_iter().next() {
                    let ending = Ending::failed(Status::Cancelled, "cancelled", format!("cancelled by {by}"));
                    retire(tx, &[(row, ending)], now).await?;
                    return Ok(Cancelled::Now);
                }
                let text = format!("update queue set cancel_asked = $2 where message = $1 and not ({UNTOUCHED})");
                if execute!(tx.db(), sql(text), id.0, by.as_str())? == 1 {
                    return Ok(Cancelled::Asked);
                }
                not_waiting(tx, id).await
            })
        })
        .await
    }
}

/// Where a message stands that is not in the queue.
async fn not_waiting(tx: &mut Tx, id: MessageId) -> Result<Cancelled, StoreError> {
    match standing(tx, id).await? {
        None => Ok(Cancelled::Unknown),
        Some(standing) if standing.status.is_final() => Ok(Cancelled::Ended(standing)),
        // Somebody tried it again just now.
        Some(_) => Err(moved(id)),
    }
}
