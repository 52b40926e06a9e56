//! The service store's contract, on both databases.

#![expect(
    clippy::unwrap_used,
    reason = "the bodies of the tests are functions, which clippy does not take for tests"
)]

mod access;
mod audit;
mod backfills;
mod connections;
mod crashes;
mod executions;
mod leases;
mod messages;
mod occurrences;
mod pauses;
mod queue;
mod schedules;
mod schema;

use bytes::Bytes;
use tranship::domain::ids::{BlobKey, JobId, MessageId};
use tranship::domain::job::Direction;
use tranship::domain::message::{Digest, Durability, Fence, Message, Placement};
use tranship::domain::time::Timestamp;
use tranship::storage::enqueue::{NewMessage, NewPayload};
use tranship::storage::leases::{ClaimImport, Heartbeat, Lanes};
use tranship::storage::{Store, StoreError, StoreSettings};

use crate::support::databases::TestDatabase;

/// A time all tests start at.
const START: Timestamp = Timestamp(1_700_000_000_000_000);

fn at(seconds: i64) -> Timestamp {
    START.plus_seconds(seconds)
}

async fn open(database: &TestDatabase) -> Store {
    Store::connect(&settings(database)).await.expect("the store opens")
}

fn settings(database: &TestDatabase) -> StoreSettings {
    StoreSettings {
        url: database.url.clone(),
        max_connections: 8,
        sharing: tranship::storage::Sharing::Exclusive,
    }
}

/// A second process's store where the database allows one; on SQLite the same store again.
async fn second(database: &TestDatabase, first: &Store) -> Store {
    if database.url.starts_with("postgres") {
        open(database).await
    } else {
        first.clone()
    }
}

fn inline(job: JobId, direction: Direction) -> NewMessage {
    NewMessage {
        id: MessageId::generate(),
        job,
        direction,
        entity: Some("Sales order headers".into()),
        company: Some("usmf".into()),
        external_id: Some("orders.csv".into()),
        enqueued_by: "shop".into(),
        digest: Digest([7; 32]),
        bytes: 3,
        payload: NewPayload::Inline(Bytes::from_static(b"abc")),
        durability: Durability::Full,
        parent: None,
        forced: false,
        placement: Placement::default(),
        identities: Vec::new(),
        webhook: None,
        entry: None,
        traceparent: None,
    }
}

/// A message that is kept in order with the others of its group.
fn grouped(job: JobId, direction: Direction, group: &str) -> NewMessage {
    let mut new = inline(job, direction);
    new.placement.group = Some(group.to_owned());
    new
}

fn in_blob(job: JobId, direction: Direction, key: &BlobKey) -> NewMessage {
    NewMessage {
        payload: NewPayload::Blob(key.clone()),
        bytes: 1 << 33,
        ..inline(job, direction)
    }
}

async fn enqueue(store: &Store, job: JobId, direction: Direction, count: usize) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(
            store
                .insert_message(inline(job, direction), START)
                .await
                .expect("inserts")
                .id,
        );
    }
    ids
}

async fn message(store: &Store, id: MessageId) -> Message {
    store.message(id).await.expect("reads").expect("is there")
}

/// Claims up to `limit` messages for a worker, for a lease of 15 seconds.
async fn claim(store: &Store, jobs: &[JobId], limit: u32, now: Timestamp) -> Vec<Message> {
    let claim = ClaimImport {
        jobs,
        lanes: Lanes::All,
        owner: "worker 1",
        lease_seconds: 15,
        limit,
    };
    store
        .claim_imports(claim, now)
        .await
        .expect("claims")
        .into_iter()
        .map(|claimed| claimed.message)
        .collect()
}

fn fence(message: &Message) -> Fence {
    Fence {
        message: message.id,
        epoch: message.epoch,
    }
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "a call reads better without a reference")]
fn assert_conflict<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Conflict { .. })), "{result:?}");
}
