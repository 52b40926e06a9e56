//! What the queue promises beyond one lease: order, turns, identity, times, dead letters, second chances, housekeeping.

mod deadlocks;
mod deliveries;
mod depth;
mod held;
mod identity;
mod order;
mod retention;

use super::*;
use tranship::domain::status::Status;
use tranship::storage::steps::{Reject, Step, Stepped};

async fn lease(store: &Store, job: JobId, max: u32, now: Timestamp) -> Vec<Message> {
    let claimed = store.dequeue(job, "client", 60, max, now).await.unwrap();
    claimed.into_iter().map(|claimed| claimed.message).collect()
}

async fn ack(store: &Store, message: &Message, now: Timestamp) {
    let stepped = store.step(Step::Ack(fence(message)), now).await.unwrap();
    assert_eq!(stepped, Stepped::Done(message.id, Status::Acked));
}

async fn reject(
    store: &Store,
    message: &Message,
    reason: &str,
    not_before: Option<Timestamp>,
    now: Timestamp,
) -> Stepped {
    let reject = Reject {
        fence: fence(message),
        reason: reason.to_owned(),
        not_before,
        dead_letter: false,
    };
    store.step(Step::Reject(reject), now).await.unwrap()
}

async fn put(store: &Store, job: JobId, change: impl FnOnce(&mut NewMessage)) -> MessageId {
    let mut new = inline(job, Direction::Relay);
    change(&mut new);
    store.insert_message(new, START).await.unwrap().id
}

fn ids(messages: &[Message]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

async fn in_group(store: &Store, job: JobId, group: &str) -> MessageId {
    store
        .insert_message(grouped(job, Direction::Relay, group), START)
        .await
        .unwrap()
        .id
}
