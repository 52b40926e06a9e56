//! A leased message offered once more before its lease is over: what the sandbox does to a client that must be able to bear it.

use uuid::Uuid;

use super::due::end_delivery;
use super::groups::{Of, lock_groups_of};
use super::pool::fetch_optional;
use super::transition::WALKED;
use super::{Store, StoreError};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::time::Timestamp;
use crate::storage::dialect::sql;

impl Store {
    /// Offers the message of this job whose lease ends last as if that had lapsed: whoever holds it holds a stale one from here on.
    /// `None`: no message is leased to a dequeuer, or it was its last delivery.
    pub async fn deliver_again(&self, job: JobId, now: Timestamp) -> Result<Option<MessageId>, StoreError> {
        let text = format!(
            "select message from queue where job = $1 and redeliver_at is not null and {WALKED} \
             and status in ('Dequeued', 'Downloaded') order by redeliver_at desc limit 1"
        );
        let leased: Option<(Uuid,)> = fetch_optional!(self.reader(), (Uuid,), sql(text), job.0)?;
        let Some((message,)) = leased else { return Ok(None) };
        let id = MessageId(message);
        self.write(move |tx| {
            Box::pin(async move {
                lock_groups_of(tx, Of::Queue, &[id]).await?;
                let offered = end_delivery(tx, message, "offered again by a fault of the sandbox", now).await?;
                Ok(offered.then_some(id))
            })
        })
        .await
    }
}
