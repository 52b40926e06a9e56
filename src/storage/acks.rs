//! How a delivery ends: the file was fetched, the client is done with it (RI-18, RI-20…24).

use super::dialect::sql;
use super::leases::{AckBy, Acked};
use super::pool::{Tx, execute, fetch_optional};
use super::rows::corrupt;
use super::transition::{guard, note_events, target};
use super::{Store, StoreError};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::Fence;
use crate::domain::status::{Event, Status};
use crate::domain::time::Timestamp;

impl Store {
    /// Notes that the file was fetched; only a `Dequeued` message moves (RI-18).
    pub async fn mark_downloaded(&self, id: MessageId, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |mut tx| async move {
            let text = format!(
                "update messages set status = {} where id = $1 and {}",
                target(Event::Download),
                guard(Event::Download)
            );
            if execute!(tx.db(), sql(text), id.0)? == 1 {
                note_events(&mut tx, &[id], None, now).await?;
            }
            tx.commit(()).await
        })
        .await
    }

    /// The connector's lenient acknowledgement (RI-20…24) within one queue.
    pub async fn ack_leniently(&self, job: JobId, by: AckBy, now: Timestamp) -> Result<Acked, StoreError> {
        self.write(move |mut tx| async move {
            let acked = ack(&mut tx, job, by, now).await?;
            tx.commit(acked).await
        })
        .await
    }
}

/// Any lease ever handed out may end the message: what its holder has, the next one need not fetch again (promise 3).
async fn ack(tx: &mut Tx, job: JobId, by: AckBy, now: Timestamp) -> Result<Acked, StoreError> {
    let (named, id, epoch) = match by {
        AckBy::Receipt(Fence { message, epoch }) => ("id", message.0, epoch),
        AckBy::Correlation(correlation) => ("correlation", correlation.0, 0),
    };
    // An import's messages are worked on, not handed out: nobody outside can be done with one.
    let text = format!(
        "update messages set status = {}, epoch = epoch + 1, finished_at = $1, redeliver_at = null, owner = null \
         where {named} = $2 and job = $3 and epoch >= $4 and direction <> 'import' and {} returning id",
        target(Event::Ack),
        guard(Event::Ack)
    );
    let ended: Option<(uuid::Uuid,)> =
        fetch_optional!(tx.db(), (uuid::Uuid,), sql(text), now.micros(), id, job.0, epoch)?;
    if let Some((id,)) = ended {
        note_events(tx, &[MessageId(id)], None, now).await?;
        return Ok(Acked::Now(MessageId(id)));
    }
    let text = format!("select id, status from messages where {named} = $1 and job = $2 and direction <> 'import'");
    let Some((id, status)) = fetch_optional!(tx.db(), (uuid::Uuid, String), sql(text), id, job.0)? else {
        return Ok(Acked::Unknown);
    };
    match Status::parse(&status).ok_or_else(|| corrupt("messages", "status", &id, &status))? {
        Status::Acked => Ok(Acked::Before(MessageId(id))),
        ended if ended.is_final() => Ok(Acked::Ended(MessageId(id))),
        // Still open under an older epoch than the receipt's: not a lease this store handed out.
        _ => Ok(Acked::Unknown),
    }
}
