//! Messages and their payloads: insert, find, list.

use bytes::Bytes;
use uuid::Uuid;

use super::dialect::{placeholders, sql};
use super::error::taken;
use super::pool::{Tx, execute, fetch_all, fetch_optional, with_pool};
use super::rows::{MESSAGE_COLUMNS, MessageRow, corrupt, stored};
use super::transition::note_events;
use super::{Store, StoreError};
use crate::domain::ids::{BlobKey, CorrelationId, ExecutionId, JobId, MessageId};
use crate::domain::job::Direction;
use crate::domain::message::{Digest, Durability, Message};
use crate::domain::status::Status;
use crate::domain::time::Timestamp;

/// A message about to be stored.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its id, made before the payload was stored.
    pub id: MessageId,
    /// The queue.
    pub job: JobId,
    /// Which way the job flows.
    pub direction: Direction,
    /// Label of the entity, where the sender named one.
    pub entity: Option<String>,
    /// Company, lower case.
    pub company: Option<String>,
    /// The sender's free text.
    pub external_id: Option<String>,
    /// Client or schedule.
    pub enqueued_by: String,
    /// Digest of the payload.
    pub digest: Digest,
    /// Size of the payload.
    pub bytes: u64,
    /// Where the payload is.
    pub payload: NewPayload,
    /// How safe it will be once the insert returns.
    pub durability: Durability,
    /// The message it corrects.
    pub parent: Option<MessageId>,
}

/// A payload about to be stored with its message.
#[derive(Debug, Clone)]
pub enum NewPayload {
    /// Goes into the payload table.
    Inline(Bytes),
    /// Is in the blob store already, under an upload row that the insert moves to `used`.
    Blob(BlobKey),
}

/// Which messages to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Of these jobs only; empty: of every job.
    pub jobs: Vec<JobId>,
    /// In this status only.
    pub status: Option<Status>,
    /// Enqueued before this one (keyset paging by the queue's own sequence).
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
    /// Stores a message and its payload in one transaction; a blob's upload row moves from `open` to `used` in the same
    /// transaction (promise 1).
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the upload row is no longer open: the sweep won, the blob is gone, nothing is stored.
    pub async fn insert_message(&self, new: NewMessage, now: Timestamp) -> Result<Message, StoreError> {
        self.write(move |mut tx| async move {
            let message = insert(&mut tx, new, None, now).await?;
            tx.commit(message).await
        })
        .await
    }

    /// The message of this id.
    pub async fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        let text = format!("select {MESSAGE_COLUMNS} from messages where id = $1");
        fetch_optional!(self.reader(), MessageRow, sql(text), id.0)?
            .map(Message::try_from)
            .transpose()
    }

    /// The message of this job with this correlation id.
    pub async fn message_by_correlation(
        &self,
        job: JobId,
        correlation: CorrelationId,
    ) -> Result<Option<Message>, StoreError> {
        let text = format!("select {MESSAGE_COLUMNS} from messages where correlation = $1 and job = $2");
        fetch_optional!(self.reader(), MessageRow, sql(text), correlation.0, job.0)?
            .map(Message::try_from)
            .transpose()
    }

    /// The message whose current execution has this id.
    pub async fn message_by_execution(&self, execution: &ExecutionId) -> Result<Option<Message>, StoreError> {
        if execution.0.contains('\0') {
            // PostgreSQL has no such text.
            return Ok(None);
        }
        let text = format!("select {MESSAGE_COLUMNS} from messages where execution = $1");
        fetch_optional!(self.reader(), MessageRow, sql(text), execution.0.as_str())?
            .map(Message::try_from)
            .transpose()
    }

    /// Messages, newest first.
    pub async fn messages(&self, filter: &MessageFilter) -> Result<Vec<Message>, StoreError> {
        let mut wanted = vec!["1 = 1".to_owned()];
        if !filter.jobs.is_empty() {
            wanted.push(format!("job in ({})", placeholders(4, filter.jobs.len())));
        }
        if filter.status.is_some() {
            wanted.push("status = $2".to_owned());
        }
        if filter.before.is_some() {
            wanted.push("seq < (select seq from messages where id = $3)".to_owned());
        }
        let text = format!(
            "select {MESSAGE_COLUMNS} from messages where {} order by seq desc limit $1",
            wanted.join(" and ")
        );
        let rows = with_pool!(self.reader(), db: Db => {
            let mut select = sqlx::query_as::<Db, MessageRow>(sql(text))
                .bind(i64::from(filter.limit))
                .bind(filter.status.map(Status::as_str))
                .bind(filter.before.map(|id| id.0));
            for job in &filter.jobs {
                select = select.bind(job.0);
            }
            select.fetch_all(db).await
        })?;
        rows.into_iter().map(Message::try_from).collect()
    }

    /// Direct children (resubmissions) of a message, oldest first.
    pub async fn children(&self, parent: MessageId) -> Result<Vec<MessageId>, StoreError> {
        let rows: Vec<(Uuid,)> = fetch_all!(
            self.reader(),
            (Uuid,),
            "select id from messages where parent = $1 order by seq",
            parent.0
        )?;
        Ok(rows.into_iter().map(|(id,)| MessageId(id)).collect())
    }

    /// A message's history, oldest first.
    pub async fn message_events(&self, id: MessageId) -> Result<Vec<MessageEvent>, StoreError> {
        type Row = (i64, String, i64, Option<String>);
        let text = "select at, status, epoch, note from message_events where message = $1 order by seq";
        let rows: Vec<Row> = fetch_all!(self.reader(), Row, text, id.0)?;
        rows.into_iter()
            .map(|(at, status, epoch, note)| {
                let status = Status::parse(&status).ok_or_else(|| corrupt("message_events", "status", &id, &status))?;
                Ok(MessageEvent {
                    at: Timestamp(at),
                    status,
                    epoch,
                    note,
                })
            })
            .collect()
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

/// Inserts a message, its payload and the first line of its history; the upload row of a blob becomes `used`.
///
/// `execution`: the run that made an outbound message.
pub(super) async fn insert(
    tx: &mut Tx,
    new: NewMessage,
    execution: Option<&ExecutionId>,
    now: Timestamp,
) -> Result<Message, StoreError> {
    let blob_key = match &new.payload {
        NewPayload::Inline(_) => None,
        NewPayload::Blob(key) => {
            use_upload(tx, key).await?;
            Some(key.0.as_str())
        }
    };
    let text = format!(
        "insert into messages (id, correlation, job, direction, status, epoch, attempt, entity, company, external_id, \
         enqueued_by, digest, bytes, blob_key, durability, parent, execution, enqueued_at) \
         values ($1, $2, $3, $4, $5, 0, 0, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) returning {MESSAGE_COLUMNS}"
    );
    let row = with_pool!(tx.db(), db: Db => {
        sqlx::query_as::<Db, MessageRow>(sql(text))
            .bind(new.id.0)
            .bind(CorrelationId::generate().0)
            .bind(new.job.0)
            .bind(new.direction.as_str())
            .bind(Status::Enqueued.as_str())
            .bind(new.entity)
            .bind(new.company)
            .bind(new.external_id)
            .bind(new.enqueued_by)
            .bind(new.digest.0.to_vec())
            .bind(stored(new.bytes))
            .bind(blob_key)
            .bind(new.durability.as_str())
            .bind(new.parent.map(|id| id.0))
            .bind(execution.map(|id| id.0.as_str()))
            .bind(now.micros())
            .fetch_one(db)
            .await
    })
    .map_err(|e| taken(e, "message", &new.id.to_string()))?;
    if let NewPayload::Inline(bytes) = &new.payload {
        execute!(
            tx.db(),
            "insert into payloads (message, bytes) values ($1, $2)",
            new.id.0,
            bytes.as_ref()
        )?;
    }
    note_events(tx, &[new.id], None, now).await?;
    row.try_into()
}

async fn use_upload(tx: &mut Tx, key: &BlobKey) -> Result<(), StoreError> {
    let text = "update uploads set state = 'used' where key = $1 and state = 'open'";
    if execute!(tx.db(), text, key.0.as_str())? == 1 {
        return Ok(());
    }
    let state: Option<(String,)> = fetch_optional!(
        tx.db(),
        (String,),
        "select state from uploads where key = $1",
        key.0.as_str()
    )?;
    Err(StoreError::Conflict {
        what: "upload",
        id: key.to_string(),
        state: state.map_or_else(|| "gone".to_owned(), |(state,)| state),
    })
}
