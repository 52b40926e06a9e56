//! What ended badly lately beside messages: runs, and deliveries that were given up; and runs that try again.

use uuid::Uuid;

use super::dialect::sql;
use super::occurrences::{OCCURRENCE_COLUMNS, Occurrence, OccurrenceRow};
use super::pool::fetch_all;
use super::{Store, StoreError};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::time::Timestamp;

/// A delivery that was given up, until somebody replays it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// Of this job.
    pub job: JobId,
    /// What it brings or tells of; a ping tells of none.
    pub message: Option<MessageId>,
    /// Where to: a destination's name, or a webhook's host and port.
    pub to: String,
    /// When.
    pub at: Timestamp,
    /// HTTP status of the last answer; none: none came.
    pub status: Option<i32>,
    /// The beginning of that answer, or why there was none.
    pub detail: Option<String>,
}

/// Job, message, destination, time, status and text of the last answer.
type Row = (Uuid, Option<Uuid>, String, i64, Option<i32>, Option<String>);

impl Store {
    /// Runs that failed at this time or later, the latest first.
    pub async fn failed_runs(&self, since: Timestamp, limit: u32) -> Result<Vec<Occurrence>, StoreError> {
        let text = format!(
            "select {OCCURRENCE_COLUMNS} from occurrences where state = 'failed' and finished_at >= $1 \
             order by finished_at desc limit $2"
        );
        let rows: Vec<OccurrenceRow> = fetch_all!(
            self.reader(),
            OccurrenceRow,
            sql(text),
            since.micros(),
            i64::from(limit)
        )?;
        rows.into_iter().map(Occurrence::try_from).collect()
    }

    /// Runs that were begun, did not end well, and try again, the one that is due longest first.
    pub async fn runs_that_try_again(&self, limit: u32) -> Result<Vec<Occurrence>, StoreError> {
        let text = format!(
            "select {OCCURRENCE_COLUMNS} from occurrences where state = 'due' and attempt > 0 order by due_at, job limit $1"
        );
        let rows: Vec<OccurrenceRow> = fetch_all!(self.reader(), OccurrenceRow, sql(text), i64::from(limit))?;
        rows.into_iter().map(Occurrence::try_from).collect()
    }

    /// Deliveries to destinations and to webhooks that were given up at this time or later, the latest first.
    pub async fn given_up(&self, since: Timestamp, limit: u32) -> Result<Vec<GivenUp>, StoreError> {
        let to_destinations = "select job, message, destination, finished_at, last_status, last_detail from export_deliveries \
            where state = 'failed' and finished_at >= $1 order by finished_at desc limit $2";
        let to_webhooks = "select job, message, destination, finished_at, last_status, last_detail from webhook_deliveries \
            where state = 'dead' and finished_at >= $1 order by finished_at desc limit $2";
        let limit_of_each = i64::from(limit);
        let mut rows: Vec<Row> = fetch_all!(self.reader(), Row, to_destinations, since.micros(), limit_of_each)?;
        let told: Vec<Row> = fetch_all!(self.reader(), Row, to_webhooks, since.micros(), limit_of_each)?;
        rows.extend(told);
        rows.sort_by_key(|(_, _, _, at, _, _)| std::cmp::Reverse(*at));
        rows.truncate(limit as usize);
        let read = |(job, message, to, at, status, detail): Row| GivenUp {
            job: JobId(job),
            message: message.map(MessageId),
            to,
            at: Timestamp(at),
            status,
            detail,
        };
        Ok(rows.into_iter().map(read).collect())
    }
}
