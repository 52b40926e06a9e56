//! Messages and their payloads: find, list, history. How they get in is in `enqueue`.

use uuid::Uuid;

use super::dialect::sql;
use super::pool::{fetch_all, fetch_optional, with_pool};
use super::rows::{MessageRow, corrupt, messages};
use super::{Store, StoreError};
use crate::domain::ids::{CorrelationId, ExecutionId, JobId, MessageId};
use crate::domain::job::Direction;
use crate::domain::message::Message;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;

/// Which messages to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Of these jobs only; empty: of every job.
    pub jobs: Vec<JobId>,
    /// In this status only.
    pub status: Option<Status>,
    /// Enqueued before this one (keyset paging by the id, which is in the order of time).
    pub before: Option<MessageId>,
    /// At most this many.
    pub limit: u32,
}

/// One line of a message's history.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MessageEvent {
    /// When.
    pub at: Timestamp,
    /// The status it got.
    pub status: Status,
    /// Under which lease.
    pub epoch: i64,
    /// What else is worth knowing.
    pub note: Option<String>,
}

impl Store {
    /// The message of this id; read together with what others ask for at the time.
    pub async fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.shared.polls.message(id).await
    }

    /// The queue this message is or was in.
    pub async fn job_of(&self, id: MessageId) -> Result<Option<JobId>, StoreError> {
        let text = "select job from messages where id = $1";
        let job: Option<(Uuid,)> = fetch_optional!(self.reader(), (Uuid,), text, id.0)?;
        Ok(job.map(|(job,)| JobId(job)))
    }

    /// The message of this job with this correlation id.
    pub async fn message_by_correlation(
        &self,
        job: JobId,
        correlation: CorrelationId,
    ) -> Result<Option<Message>, StoreError> {
        let messages = messages(self.dialect());
        let text = format!("{messages} where m.id = $1 and m.job = $2");
        fetch_optional!(self.reader(), MessageRow, sql(text), correlation.message().0, job.0)?
            .map(Message::try_from)
            .transpose()
    }

    /// The message that this execution loads or made.
    pub async fn message_by_execution(&self, execution: &ExecutionId) -> Result<Option<Message>, StoreError> {
        if execution.0.contains('\0') {
            // PostgreSQL has no such text.
            return Ok(None);
        }
        let messages = messages(self.dialect());
        let text = format!("{messages} where m.id = (select message from executions where id = $1)");
        fetch_optional!(self.reader(), MessageRow, sql(text), execution.0.as_str())?
            .map(Message::try_from)
            .transpose()
    }

    /// Messages, newest first.
    pub async fn messages(&self, filter: &MessageFilter) -> Result<Vec<Message>, StoreError> {
        let mut wanted = vec!["1 = 1".to_owned()];
        if !filter.jobs.is_empty() {
            // As the index for lists says. The jobs are written out, and the plan is made for them: a job that has nothing in
            // days of which another one has everything must not be looked for in all of them.
            let jobs: Vec<String> = filter.jobs.iter().map(|job| self.dialect().id_literal(job.0)).collect();
            wanted.push(format!("m.bytes >= 0 and m.job in ({})", jobs.join(", ")));
        }
        if filter.status.is_some() {
            wanted.push("coalesce(q.status, o.status) = $2".to_owned());
        }
        if filter.before.is_some() {
            wanted.push("m.id < $3".to_owned());
        }
        let messages = messages(self.dialect());
        let text = format!("{messages} where {} order by m.id desc limit $1", wanted.join(" and "));
        let rows = with_pool!(self.reader(), db: Db => {
            sqlx::query_as::<Db, MessageRow>(sql(text))
                .persistent(false)
                .bind(i64::from(filter.limit))
                .bind(filter.status.map(Status::as_str))
                .bind(filter.before.map(|id| id.0))
                .fetch_all(db)
                .await
        })?;
        rows.into_iter().map(Message::try_from).collect()
    }

    /// The number a message stands in its queue by. A correction has that of the oldest message it goes back to that is still
    /// kept: what it brings is as old.
    pub async fn original_sequence(&self, id: MessageId) -> Result<i64, StoreError> {
        let text = "with recursive line (id, parent, age) as ( \
               select m.id, m.parent, cast(0 as bigint) from messages m where m.id = $1 \
               union all select m.id, m.parent, line.age + 1 from line join messages m on m.id = line.parent), \
             numbered as (select line.age, coalesce((select q.seq from queue q where q.message = line.id), \
               (select o.seq from outcomes o where o.message = line.id)) as seq from line) \
             select seq from numbered where seq is not null order by age desc limit 1";
        let sequence: Option<(i64,)> = fetch_optional!(self.reader(), (i64,), text, id.0)?;
        sequence
            .map(|(sequence,)| sequence)
            .ok_or_else(|| corrupt("messages", "id", &id, "neither in the queue nor ended"))
    }

    /// Direct children (resubmissions) of a message, oldest first.
    pub async fn children(&self, parent: MessageId) -> Result<Vec<MessageId>, StoreError> {
        let rows: Vec<(Uuid,)> = fetch_all!(
            self.reader(),
            (Uuid,),
            "select id from messages where parent = $1 order by id",
            parent.0
        )?;
        Ok(rows.into_iter().map(|(id,)| MessageId(id)).collect())
    }

    /// A message's history, oldest first: what was written down, and what the message itself tells (when it was enqueued,
    /// when it was last handed out, how it ended), which is written nowhere else.
    pub async fn message_events(&self, id: MessageId) -> Result<Vec<MessageEvent>, StoreError> {
        type Row = (i64, String, i64, Option<String>);
        let Some(message) = self.message(id).await? else {
            return Ok(Vec::new());
        };
        let text = "select at, status, epoch, note from message_events where message = $1 order by seq";
        let rows: Vec<Row> = fetch_all!(self.reader(), Row, text, id.0)?;
        let mut events = vec![MessageEvent::plain(message.enqueued_at, Status::Enqueued, 0)];
        for (at, status, epoch, note) in rows {
            let status = Status::parse(&status).ok_or_else(|| corrupt("message_events", "status", &id, &status))?;
            events.push(MessageEvent {
                at: Timestamp(at),
                status,
                epoch,
                note,
            });
        }
        // A lease is written down when it ends, after what happened under it.
        events.sort_by_key(|event| event.at);
        add_last_delivery(&mut events, &message);
        if let Some(at) = message.finished_at
            && events.last().is_none_or(|last| last.status != message.status)
        {
            events.push(MessageEvent::plain(at, message.status, message.epoch));
        }
        Ok(events)
    }

    /// Whether an inline payload is still kept, without reading it.
    pub async fn has_inline_payload(&self, id: MessageId) -> Result<bool, StoreError> {
        let text = "select 1 from payloads where message = $1";
        let kept: Option<(i32,)> = fetch_optional!(self.reader(), (i32,), text, id.0)?;
        Ok(kept.is_some())
    }

    /// The bytes of an inline payload.
    pub async fn inline_payload(&self, id: MessageId) -> Result<Option<Vec<u8>>, StoreError> {
        let row: Option<(Vec<u8>,)> = fetch_optional!(
            self.reader(),
            (Vec<u8>,),
            "select bytes from payloads where message = $1",
            id.0
        )?;
        Ok(row.map(|(bytes,)| bytes))
    }
}

impl MessageEvent {
    fn plain(at: Timestamp, status: Status, epoch: i64) -> Self {
        Self {
            at,
            status,
            epoch,
            note: None,
        }
    }
}

/// The delivery that runs or was the last one: before the line that ended it, if there is one.
fn add_last_delivery(events: &mut Vec<MessageEvent>, message: &Message) {
    let delivered = message.direction != Direction::Import && message.attempt > 0;
    let Some(at) = message.last_dequeued_at.filter(|_| delivered) else {
        return;
    };
    if events
        .iter()
        .any(|event| event.status == Status::Dequeued && (event.at, event.epoch) == (at, message.epoch))
    {
        return;
    }
    let mut line = MessageEvent::plain(at, Status::Dequeued, message.epoch);
    line.note = message.owner.as_ref().map(|owner| format!("to {owner}"));
    // What ended an earlier lease at the same moment came before this one.
    let later = |event: &MessageEvent| (event.at, event.epoch) > (at, message.epoch);
    let place = events.iter().position(later).unwrap_or(events.len());
    events.insert(place, line);
}
