//! Who works on what right now, by the leases that run.

use uuid::Uuid;

use super::pool::fetch_all;
use super::{Store, StoreError};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::time::Timestamp;

/// Most leases looked at, of messages and of runs each.
const LEASES_MAX: i64 = 200;

/// Something a worker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtWork {
    /// Host, process and port of who holds it.
    pub owner: String,
    /// The job.
    pub job: JobId,
    /// The message that is loaded; `None`: an export that runs.
    pub message: Option<MessageId>,
    /// Until when it is believed to be at it. In the past: it has not been heard of.
    pub lease_until: Option<Timestamp>,
}

impl Store {
    /// What workers hold, the oldest lease first.
    pub async fn at_work(&self) -> Result<Vec<AtWork>, StoreError> {
        type Row = (Option<String>, Uuid, Option<Uuid>, Option<i64>);
        let loads = "select owner, job, message, lease_until from queue \
            where status in ('PreProcessing', 'Processing') and attempt >= 0 limit $1";
        let mut rows: Vec<Row> = fetch_all!(self.reader(), Row, loads, LEASES_MAX)?;
        let runs = "select owner, job, message, lease_until from occurrences where state = 'running' limit $1";
        rows.extend::<Vec<Row>>(fetch_all!(self.reader(), Row, runs, LEASES_MAX)?);
        let mut held: Vec<AtWork> = rows
            .into_iter()
            .map(|(owner, job, message, lease_until)| AtWork {
                owner: owner.unwrap_or_default(),
                job: JobId(job),
                message: message.map(MessageId),
                lease_until: lease_until.map(Timestamp),
            })
            .collect();
        held.sort_by_key(|held| held.lease_until);
        Ok(held)
    }
}
