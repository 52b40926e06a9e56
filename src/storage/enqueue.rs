//! Enqueue: messages get in, many at a time.
//!
//! What must be true of one message (its upload is still open, its key is new, it stands where its group lets it) is decided
//! for the whole batch by a few set-wise statements; a message that fails one of them is answered so and the others go on.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::commit::Ask;
use super::dialect::{portions, sql};
use super::error::taken;
use super::groups::{Group, occupied};
use super::pool::{Tx, execute, fetch_optional, with_pool};
use super::rows::{corrupt, stored};
use super::webhooks::name_webhook;
use super::{Store, StoreError, audit};
use crate::domain::audit::{NewEntry, Outcome};
use crate::domain::counts::Counts;
use crate::domain::ids::{BlobKey, CorrelationId, ExecutionId, JobId, MessageId};
use crate::domain::job::Direction;
use crate::domain::message::{Digest, Durability, Message, PayloadAt, Placement, Wait};
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::domain::trace::TraceContext;

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
    /// How safe it will be once the insert returns. `relaxed` is what the job asked for or all the server gives.
    pub durability: Durability,
    /// The message it corrects.
    pub parent: Option<MessageId>,
    /// Whether its records land even where something newer wrote their keys.
    pub forced: bool,
    /// Where in the queue it stands.
    pub placement: Placement,
    /// By what it is known: the same again is this message, not another one.
    pub identities: Vec<Identity>,
    /// Whom to tell how it ends, where the message names somebody itself.
    pub webhook: Option<String>,
    /// What the audit log tells of it once it is stored: an operator's act, not a sender's.
    pub entry: Option<Arc<NewEntry>>,
    /// The trace it is part of, where it is another's.
    pub traceparent: Option<TraceContext>,
}

/// What makes two enqueues one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// Which namespace of the job's it is from.
    pub kind: IdentityKind,
    /// The key.
    pub key: String,
    /// Older ones are forgotten: the key is free again.
    pub since: Timestamp,
}

/// Where an identity comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdentityKind {
    /// The sender's `Idempotency-Key`.
    Key,
    /// The sender's external identifier, where the job says so.
    External,
    /// The payload's digest, where the job says so.
    Content,
}

impl IdentityKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::External => "external",
            Self::Content => "content",
        }
    }
}

/// What became of an enqueue.
#[derive(Debug, Clone, PartialEq)]
pub enum Enqueued {
    /// It is stored: a new message.
    Stored(Box<Message>),
    /// It was stored before, under one of its identities.
    Before {
        /// The message it was stored as.
        message: MessageId,
        /// That message's digest. Another than the payload's: the key was used for something else.
        digest: Digest,
        /// Which identity.
        kind: IdentityKind,
    },
}

/// A payload about to be stored with its message.
#[derive(Debug, Clone)]
pub enum NewPayload {
    /// Goes into the payload table.
    Inline(Bytes),
    /// Is in the blob store already, under an upload row that the insert moves to `used`.
    Blob(BlobKey),
}

impl NewMessage {
    fn group(&self) -> Option<Group> {
        self.placement.group.as_ref().map(|grp| Group {
            job: self.job.0,
            grp: grp.clone(),
        })
    }

    fn blob(&self) -> Option<&BlobKey> {
        match &self.payload {
            NewPayload::Inline(_) => None,
            NewPayload::Blob(key) => Some(key),
        }
    }

    /// The message as it is right after its enqueue: also what a replay of it answers.
    fn stored(&self, wait: Wait, now: Timestamp) -> Message {
        Message {
            id: self.id,
            correlation: CorrelationId::of(self.id),
            job: self.job,
            direction: self.direction,
            status: Status::Enqueued,
            wait: Some(wait),
            group: self.placement.group.clone(),
            epoch: 0,
            attempt: 0,
            stalled: 0,
            owner: None,
            lease_until: None,
            not_before: self.placement.not_before,
            expires_at: self.placement.expires_at,
            entity: self.entity.clone(),
            company: self.company.clone(),
            external_id: self.external_id.clone(),
            enqueued_by: self.enqueued_by.clone(),
            digest: self.digest,
            bytes: self.bytes,
            payload: self
                .blob()
                .map_or(PayloadAt::Inline, |key| PayloadAt::Blob(key.clone())),
            durability: self.durability,
            parent: self.parent,
            forced: self.forced,
            traceparent: self.traceparent,
            execution: None,
            enqueued_at: now,
            last_dequeued_at: None,
            started_at: None,
            finished_at: None,
            failure: None,
            first_error: None,
            last_error: None,
            counts: Counts::default(),
            repaired: 0,
        }
    }
}

impl Store {
    /// Stores a message and its payload; a blob's upload row moves from `open` to `used` in the same transaction
    /// (promise 1). Shares its commit with whatever else is enqueued at the time.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the upload row is no longer open: the sweep won, the blob is gone, nothing is stored.
    pub async fn enqueue(&self, mut new: NewMessage, now: Timestamp) -> Result<Enqueued, StoreError> {
        if let Some(entry) = &self.entry {
            new.entry = Some(Arc::clone(entry));
        }
        let ask = |waiting| Ask::Enqueue(Box::new(waiting));
        self.lanes().enqueue.ask((new, now), ask).await
    }

    /// The same for a message without identities.
    ///
    /// # Errors
    /// As [`Store::enqueue`]; [`StoreError::Exists`] when it was there before.
    pub async fn insert_message(&self, new: NewMessage, now: Timestamp) -> Result<Message, StoreError> {
        match self.enqueue(new, now).await? {
            Enqueued::Stored(message) => Ok(*message),
            Enqueued::Before { message, .. } => Err(StoreError::Exists {
                what: "message",
                name: message.to_string(),
            }),
        }
    }
}

/// Inserts one message inside a transaction of the caller's. `execution`: the run that made it.
pub(super) async fn insert(
    tx: &mut Tx,
    new: NewMessage,
    execution: Option<&str>,
    now: Timestamp,
) -> Result<Message, StoreError> {
    let id = new.id;
    let results = insert_all(tx, &[&(new, now)]).await?;
    if let Some(execution) = execution {
        execute!(
            tx.db(),
            "update queue set execution = $2 where message = $1",
            id.0,
            execution
        )?;
    }
    match results.into_iter().next() {
        Some(Ok(Enqueued::Stored(message))) => Ok(Message {
            execution: execution.map(|id| ExecutionId(id.to_owned())),
            ..*message
        }),
        Some(Err(error)) => Err(error),
        _ => Err(corrupt("messages", "id", &id, "not inserted")),
    }
}

/// Inserts what can be inserted of a batch, and says of each what became of it.
///
/// # Errors
/// When the database refuses the batch as a whole; nothing of it is to be committed then.
pub(super) async fn insert_all(
    tx: &mut Tx,
    asked: &[&(NewMessage, Timestamp)],
) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
    let mut refused: Refused = HashMap::new();
    let mut open = asked.to_vec();
    while !open.is_empty() {
        identify(tx, &open, &mut refused).await?;
        use_uploads(tx, &open, &mut refused).await?;
        open = taken_for_the_refused(asked, &refused);
        for (new, _) in &open {
            refused.remove(&new.id);
        }
    }
    let fresh: Vec<&(NewMessage, Timestamp)> = asked
        .iter()
        .filter(|(new, _)| !refused.contains_key(&new.id))
        .copied()
        .collect();
    let waits = waits(tx, &fresh).await?;
    insert_messages(tx, &fresh).await?;
    insert_payloads(tx, &fresh).await?;
    insert_queue(tx, &fresh, &waits).await?;
    let mut stored = HashMap::with_capacity(fresh.len());
    for ((new, now), wait) in fresh.iter().zip(waits) {
        if wait == Wait::Ready {
            tx.offered(new.job, &new.placement.lane, new.placement.rank(*now));
        }
        tx.moved(new.job, new.id);
        tx.enqueued(new.job, *now);
        let placement = &new.placement;
        for deadline in placement.not_before.into_iter().chain(placement.expires_at) {
            tx.due_at(deadline);
        }
        tx.counted(new.job, 1, 0);
        if let Some(url) = &new.webhook {
            name_webhook(tx, new.id, url, *now).await?;
        }
        stored.insert(new.id, new.stored(wait, *now));
    }
    for (new, _) in &fresh {
        if let Some(entry) = &new.entry {
            let entry = NewEntry::clone(entry).with("message", new.id.to_string());
            audit::append(tx, &entry, Outcome::Done).await?;
        }
    }
    Ok(asked
        .iter()
        .map(|(new, _)| match (refused.remove(&new.id), stored.remove(&new.id)) {
            (Some(refused), _) => refused,
            (None, Some(message)) => Ok(Enqueued::Stored(Box::new(message))),
            (None, None) => Err(StoreError::Exists {
                what: "message",
                name: new.id.to_string(),
            }),
        })
        .collect())
}

type Refused = HashMap<MessageId, Result<Enqueued, StoreError>>;

/// Those who were taken for another message of this batch that is not stored itself: they are looked at again. Each time the
/// keys of the refused are free, and of those who want one of them the first gets it or is refused for good.
fn taken_for_the_refused<'a>(
    asked: &[&'a (NewMessage, Timestamp)],
    refused: &Refused,
) -> Vec<&'a (NewMessage, Timestamp)> {
    let is_refused = |id: &MessageId| refused.contains_key(id);
    let taken = |(new, _): &&&(NewMessage, Timestamp)| matches!(refused.get(&new.id), Some(Ok(Enqueued::Before { message, .. })) if is_refused(message));
    asked.iter().filter(taken).copied().collect()
}

/// Keeps those whose identity is new; of the others, says whose it is. The unique index decides, also between processes:
/// a key that another transaction is just writing is waited for.
async fn identify(tx: &mut Tx, asked: &[&(NewMessage, Timestamp)], refused: &mut Refused) -> Result<(), StoreError> {
    // In the order of the index, so that two batches with the same keys do not wait for each other.
    let mut claims: BTreeMap<(JobId, &Identity), Vec<&(NewMessage, Timestamp)>> = BTreeMap::new();
    for asked in asked {
        for identity in &asked.0.identities {
            claims.entry((asked.0.job, identity)).or_default().push(asked);
        }
    }
    for ((job, identity), asked) in claims {
        for (new, now) in asked {
            if refused.contains_key(&new.id) {
                continue;
            }
            if let Some(before) = claim_identity(tx, job, identity, new, *now).await? {
                // Under its other identities it is not there either.
                forget_identities(tx, new).await?;
                refused.insert(new.id, Ok(before));
            }
        }
    }
    Ok(())
}

/// Gives up what a message that is not stored has claimed, one key of the index after the other.
async fn forget_identities(tx: &mut Tx, new: &NewMessage) -> Result<(), StoreError> {
    let text = "delete from identities where job = $1 and kind = $2 and key = $3 and message = $4";
    for identity in &new.identities {
        let (kind, key) = (identity.kind.as_str(), identity.key.as_str());
        execute!(tx.db(), text, new.job.0, kind, key, new.id.0)?;
    }
    Ok(())
}

async fn claim_identity(
    tx: &mut Tx,
    job: JobId,
    identity: &Identity,
    new: &NewMessage,
    now: Timestamp,
) -> Result<Option<Enqueued>, StoreError> {
    let text = "insert into identities (job, kind, key, message, digest, created_at) values ($1, $2, $3, $4, $5, $6) \
        on conflict (job, kind, key) do update set message = excluded.message, digest = excluded.digest, \
        created_at = excluded.created_at where identities.created_at < $7";
    let (kind, digest) = (identity.kind.as_str(), new.digest.0.to_vec());
    let key = identity.key.as_str();
    let taken = execute!(
        tx.db(),
        text,
        job.0,
        kind,
        key,
        new.id.0,
        digest,
        now.micros(),
        identity.since.micros()
    )?;
    if taken == 1 {
        return Ok(None);
    }
    let text = "select message, digest from identities where job = $1 and kind = $2 and key = $3";
    let found: Option<(Uuid, Vec<u8>)> = fetch_optional!(tx.db(), (Uuid, Vec<u8>), text, job.0, kind, key)?;
    let Some((message, digest)) = found else {
        return Err(corrupt("identities", "key", &key, "neither free nor taken"));
    };
    let digest = digest.try_into().map(Digest);
    Ok(Some(Enqueued::Before {
        message: MessageId(message),
        digest: digest.map_err(|_| corrupt("identities", "digest", &key, "not 32 bytes"))?,
        kind: identity.kind,
    }))
}

/// Moves the batch's upload rows from `open` to `used`; a message whose row is no longer open is refused (promise 1).
async fn use_uploads(tx: &mut Tx, asked: &[&(NewMessage, Timestamp)], refused: &mut Refused) -> Result<(), StoreError> {
    let blobs = asked.iter().filter(|(new, _)| !refused.contains_key(&new.id));
    let blobs: Vec<(MessageId, JobId, &BlobKey)> = blobs
        .filter_map(|(new, _)| new.blob().map(|key| (new.id, new.job, key)))
        .collect();
    let mut used: HashSet<String> = HashSet::new();
    for (id, _, key) in &blobs {
        let text = "update uploads set state = 'used', message = $2 where key = $1 and state = 'open'";
        if execute!(tx.db(), text, key.0.as_str(), id.0)? == 1 {
            used.insert(key.0.clone());
        }
    }
    for (id, _, key) in blobs.into_iter().filter(|(_, _, key)| !used.contains(&key.0)) {
        if let Some((new, _)) = asked.iter().find(|(new, _)| new.id == id) {
            forget_identities(tx, new).await?;
        }
        let text = "select state from uploads where key = $1";
        let state: Option<(String,)> = fetch_optional!(tx.db(), (String,), text, key.0.as_str())?;
        let conflict = StoreError::Conflict {
            what: "upload",
            id: key.to_string(),
            state: state.map_or_else(|| "gone".to_owned(), |(state,)| state),
        };
        refused.insert(id, Err(conflict));
    }
    Ok(())
}

/// What each message waits for first: of a group, only one that finds nobody before it may be at the front.
async fn waits(tx: &mut Tx, fresh: &[&(NewMessage, Timestamp)]) -> Result<Vec<Wait>, StoreError> {
    let groups: BTreeSet<Group> = fresh.iter().filter_map(|(new, _)| new.group()).collect();
    let mut behind = if groups.is_empty() {
        BTreeSet::new()
    } else {
        occupied(tx, &groups).await?
    };
    let wait = |(new, now): &&(NewMessage, Timestamp)| match new.group() {
        Some(group) if behind.contains(&group) => Wait::Behind,
        Some(group) => {
            behind.insert(group);
            new.placement.first_wait(*now)
        }
        None => new.placement.first_wait(*now),
    };
    Ok(fresh.iter().map(wait).collect())
}

async fn insert_messages(tx: &mut Tx, fresh: &[&(NewMessage, Timestamp)]) -> Result<(), StoreError> {
    for portion in portions(tx.dialect(), fresh) {
        let text = format!(
            "insert into messages (id, job, direction, entity, company, external_id, enqueued_by, digest, bytes, blob_key, \
             durability, parent, forced, traceparent, enqueued_at) {}",
            portion.inserted(15)
        );
        with_pool!(tx.db(), db: Db => {
            let mut insert = sqlx::query::<Db>(sql(text));
            for ((new, now), _) in portion.filled() {
                insert = insert
                    .bind(new.id.0)
                    .bind(new.job.0)
                    .bind(new.direction.as_str())
                    .bind(new.entity.as_deref())
                    .bind(new.company.as_deref())
                    .bind(new.external_id.as_deref())
                    .bind(new.enqueued_by.as_str())
                    .bind(new.digest.0.as_slice())
                    .bind(stored(new.bytes))
                    .bind(new.blob().map(|key| key.0.as_str()))
                    .bind(new.durability.as_str())
                    .bind(new.parent.map(|id| id.0))
                    .bind(new.forced)
                    .bind(new.traceparent.map(|trace| trace.to_string()))
                    .bind(now.micros());
            }
            insert.bind(portion.count()).execute(db).await.map(|_| ())
        })
        // Only alone can it be told whose id it is; the lane tries a failed batch one by one.
        .map_err(|error| match portion.only() {
            Some((new, _)) => taken(error, "message", &new.id.to_string()),
            None => error.into(),
        })?;
    }
    Ok(())
}

async fn insert_payloads(tx: &mut Tx, fresh: &[&(NewMessage, Timestamp)]) -> Result<(), StoreError> {
    let inline = fresh.iter().filter_map(|(new, _)| match &new.payload {
        NewPayload::Inline(bytes) => Some((new.id, bytes)),
        NewPayload::Blob(_) => None,
    });
    let inline: Vec<(MessageId, &Bytes)> = inline.collect();
    for portion in portions(tx.dialect(), &inline) {
        let text = format!("insert into payloads (message, bytes) {}", portion.inserted(2));
        with_pool!(tx.db(), db: Db => {
            let mut insert = sqlx::query::<Db>(sql(text));
            for ((id, bytes), is_row) in portion.filled() {
                // What fills is not stored: it need not be sent.
                insert = insert.bind(id.0).bind(if is_row { bytes.as_ref() } else { &[] });
            }
            insert.bind(portion.count()).execute(db).await.map(|_| ())
        })?;
    }
    Ok(())
}

async fn insert_queue(tx: &mut Tx, fresh: &[&(NewMessage, Timestamp)], waits: &[Wait]) -> Result<(), StoreError> {
    let fresh: Vec<(&NewMessage, Timestamp, Wait)> = fresh
        .iter()
        .zip(waits)
        .map(|((new, now), wait)| (new, *now, *wait))
        .collect();
    for portion in portions(tx.dialect(), &fresh) {
        let text = format!(
            "insert into queue (message, job, rank, lane, grp, status, wait, max_deliveries, block_on_dead_letter, not_before, \
             expires_at) {}",
            portion.inserted(11)
        );
        with_pool!(tx.db(), db: Db => {
            let mut insert = sqlx::query::<Db>(sql(text));
            for ((new, now, wait), _) in portion.filled() {
                let placement = &new.placement;
                insert = insert
                    .bind(new.id.0)
                    .bind(new.job.0)
                    .bind(placement.rank(*now))
                    .bind(placement.lane.as_str())
                    .bind(placement.group.as_deref())
                    .bind(Status::Enqueued.as_str())
                    .bind(wait.as_str())
                    .bind(placement.max_deliveries)
                    .bind(placement.block_on_dead_letter)
                    .bind(placement.not_before.map(Timestamp::micros))
                    .bind(placement.expires_at.map(Timestamp::micros));
            }
            insert.bind(portion.count()).execute(db).await.map(|_| ())
        })?;
    }
    Ok(())
}
