//! Insert, find, list; uploads and the sweep.

use super::*;
use tranship::domain::ids::CorrelationId;
use tranship::domain::message::PayloadAt;
use tranship::domain::status::Status;
use tranship::storage::messages::MessageFilter;

crate::on_both_databases!(
    an_inline_message_reads_back_as_it_was_written,
    a_blob_message_takes_its_upload_row,
    a_message_whose_upload_the_sweep_killed_is_refused_and_nothing_is_stored,
    the_sweep_cannot_kill_an_upload_that_a_message_names,
    an_upload_that_beats_is_left_alone,
    an_id_is_stored_once,
    lists_are_pages_newest_first_within_jobs_and_status,
    children_and_history_are_listed_in_order,
    the_whole_queue_prints_the_same_text_whatever_the_ids,
);

async fn an_inline_message_reads_back_as_it_was_written(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let new = inline(job, Direction::Import);
    let stored = store.insert_message(new.clone(), START).await.unwrap();

    assert_eq!(
        (stored.id, stored.job, stored.direction),
        (new.id, job, Direction::Import)
    );
    assert_eq!((stored.status, stored.epoch, stored.attempt), (Status::Enqueued, 0, 0));
    assert_eq!((&stored.entity, &stored.company), (&new.entity, &new.company));
    assert_eq!(
        (&stored.external_id, &stored.enqueued_by),
        (&new.external_id, &new.enqueued_by)
    );
    assert_eq!(
        (stored.digest, stored.bytes, &stored.payload),
        (new.digest, 3, &PayloadAt::Inline)
    );
    assert_eq!((stored.durability, stored.enqueued_at), (Durability::Full, START));
    assert_eq!(
        (stored.lease_until, stored.last_dequeued_at, stored.finished_at),
        (None, None, None)
    );
    assert_eq!(message(&store, new.id).await, stored);
    assert_eq!(
        store.inline_payload(new.id).await.unwrap().as_deref(),
        Some(b"abc".as_slice())
    );
    assert_eq!(
        store.message_by_correlation(job, stored.correlation).await.unwrap(),
        Some(stored.clone())
    );
    assert_eq!(
        store
            .message_by_correlation(JobId::generate(), stored.correlation)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        store
            .message_by_correlation(job, CorrelationId::generate())
            .await
            .unwrap(),
        None
    );
    assert_eq!(store.message(MessageId::generate()).await.unwrap(), None);
}

async fn a_blob_message_takes_its_upload_row(database: TestDatabase) {
    let store = open(&database).await;
    let key = BlobKey::generate();
    store.begin_upload(&key, "process 1", START).await.unwrap();
    let stored = store
        .insert_message(in_blob(JobId::generate(), Direction::Relay, &key), START)
        .await
        .unwrap();
    assert_eq!(
        (&stored.payload, stored.bytes),
        (&PayloadAt::Blob(key.clone()), 1 << 33)
    );
    assert_eq!(store.inline_payload(stored.id).await.unwrap(), None);
    assert_conflict(
        store
            .insert_message(in_blob(JobId::generate(), Direction::Relay, &key), START)
            .await,
    );
}

async fn a_message_whose_upload_the_sweep_killed_is_refused_and_nothing_is_stored(database: TestDatabase) {
    let store = open(&database).await;
    let (job, key) = (JobId::generate(), BlobKey::generate());
    store.begin_upload(&key, "process 1", START).await.unwrap();
    assert_eq!(
        store.dead_uploads(at(1), at(100), 10).await.unwrap(),
        std::slice::from_ref(&key)
    );

    let new = in_blob(job, Direction::Import, &key);
    let id = new.id;
    assert_conflict(store.insert_message(new, at(101)).await);
    assert_eq!(store.message(id).await.unwrap(), None);
    assert!(store.message_events(id).await.unwrap().is_empty());
    assert!(!store.beat_upload(&key, at(101)).await.unwrap());

    store.forget_upload(&key).await.unwrap();
    assert!(store.dead_uploads(at(1), at(102), 10).await.unwrap().is_empty());
    assert_conflict(
        store
            .insert_message(in_blob(job, Direction::Import, &key), at(103))
            .await,
    );
}

async fn the_sweep_cannot_kill_an_upload_that_a_message_names(database: TestDatabase) {
    let store = open(&database).await;
    let key = BlobKey::generate();
    store.begin_upload(&key, "process 1", START).await.unwrap();
    store
        .insert_message(in_blob(JobId::generate(), Direction::Import, &key), START)
        .await
        .unwrap();
    assert!(
        store
            .dead_uploads(at(1_000_000), at(1_000_000), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(!store.abandon_upload(&key, at(1)).await.unwrap());
    store.forget_upload(&key).await.unwrap();
    assert!(store.queue_text().await.unwrap().contains("U1 used owner=process 1"));
}

async fn an_upload_that_beats_is_left_alone(database: TestDatabase) {
    let store = open(&database).await;
    let (alive, abandoned, stale) = (BlobKey::generate(), BlobKey::generate(), BlobKey::generate());
    for key in [&alive, &abandoned, &stale] {
        store.begin_upload(key, "process 1", START).await.unwrap();
    }
    assert!(matches!(
        store.begin_upload(&alive, "process 2", at(1)).await,
        Err(StoreError::Exists { .. })
    ));
    assert!(store.beat_upload(&alive, at(60)).await.unwrap());
    assert!(store.abandon_upload(&abandoned, at(2)).await.unwrap());
    assert!(!store.abandon_upload(&abandoned, at(2)).await.unwrap());
    assert_eq!(
        store.dead_uploads(at(30), at(90), 10).await.unwrap(),
        [abandoned.clone(), stale]
    );
    assert_eq!(store.dead_uploads(at(30), at(90), 1).await.unwrap(), [abandoned]);
    store
        .insert_message(in_blob(JobId::generate(), Direction::Import, &alive), at(91))
        .await
        .unwrap();
}

async fn an_id_is_stored_once(database: TestDatabase) {
    let store = open(&database).await;
    let new = inline(JobId::generate(), Direction::Import);
    store.insert_message(new.clone(), START).await.unwrap();
    let again = store.insert_message(new, START).await;
    assert!(matches!(again, Err(StoreError::Exists { .. })), "{again:?}");
}

async fn lists_are_pages_newest_first_within_jobs_and_status(database: TestDatabase) {
    let store = open(&database).await;
    let (a, b, c) = (JobId::generate(), JobId::generate(), JobId::generate());
    let mut wanted = Vec::new();
    for _ in 0..5 {
        wanted.extend(enqueue(&store, a, Direction::Relay, 1).await);
        wanted.extend(enqueue(&store, b, Direction::Relay, 1).await);
        enqueue(&store, c, Direction::Relay, 1).await;
    }
    wanted.reverse();
    let mut filter = MessageFilter {
        jobs: vec![a, b],
        limit: 4,
        ..MessageFilter::default()
    };
    let mut listed = Vec::new();
    loop {
        let page: Vec<MessageId> = store.messages(&filter).await.unwrap().iter().map(|m| m.id).collect();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 4);
        filter.before = Some(*last);
        // A message that arrives while somebody pages changes no page.
        enqueue(&store, a, Direction::Relay, 1).await;
        listed.extend(page);
    }
    assert_eq!(listed, wanted);

    let taken = store.dequeue(c, "client", 60, 2, START).await.unwrap();
    let dequeued = MessageFilter {
        status: Some(Status::Dequeued),
        limit: 100,
        ..MessageFilter::default()
    };
    let listed: Vec<MessageId> = store.messages(&dequeued).await.unwrap().iter().map(|m| m.id).collect();
    assert_eq!(
        listed,
        taken.iter().rev().map(|claimed| claimed.message.id).collect::<Vec<_>>()
    );
    assert_eq!(
        store
            .messages(&MessageFilter {
                limit: 3,
                ..MessageFilter::default()
            })
            .await
            .unwrap()
            .len(),
        3
    );
}

async fn children_and_history_are_listed_in_order(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let parent = enqueue(&store, job, Direction::Relay, 1).await[0];
    let mut children = Vec::new();
    for _ in 0..3 {
        let new = NewMessage {
            parent: Some(parent),
            ..inline(job, Direction::Relay)
        };
        children.push(store.insert_message(new, START).await.unwrap().id);
    }
    assert_eq!(store.children(parent).await.unwrap(), children);

    store.dequeue(job, "client", 60, 1, at(1)).await.unwrap();
    store.mark_downloaded(parent, at(2)).await.unwrap();
    store.mark_downloaded(parent, at(3)).await.unwrap();
    store.release_expired(at(61)).await.unwrap();
    let events = store.message_events(parent).await.unwrap();
    let seen: Vec<_> = events
        .iter()
        .map(|e| (e.at, e.status, e.epoch, e.note.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [
            (START, Status::Enqueued, 0, None),
            (at(1), Status::Dequeued, 1, Some("to client")),
            (at(2), Status::Downloaded, 1, None),
            (at(61), Status::Enqueued, 1, Some("lease lapsed")),
        ]
    );
}

async fn the_whole_queue_prints_the_same_text_whatever_the_ids(database: TestDatabase) {
    let store = open(&database).await;
    let (import, relay) = (JobId::generate(), JobId::generate());
    let key = BlobKey::generate();
    store.begin_upload(&key, "process 1", START).await.unwrap();
    store
        .insert_message(in_blob(relay, Direction::Relay, &key), START)
        .await
        .unwrap();
    let parent = enqueue(&store, import, Direction::Import, 1).await[0];
    let child = NewMessage {
        parent: Some(parent),
        ..inline(import, Direction::Import)
    };
    store.insert_message(child, at(1)).await.unwrap();
    claim(&store, &[import], 1, at(2)).await;
    store
        .run_now(import, &tranship::storage::asked_runs::Asked::by("operator"), at(3))
        .await
        .unwrap();
    let text = store.queue_text().await.unwrap();
    insta::allow_duplicates! {
        insta::assert_snapshot!(text, @r"
        M1 J1 relay Enqueued epoch=0 attempt=0 entity=Sales order headers company=usmf external_id=orders.csv by=shop blob=U1/8589934592 full enqueued=2023-11-14T22:13:20Z
        M2 J2 import PreProcessing epoch=1 attempt=1 owner=worker 1 stalled=1 entity=Sales order headers company=usmf external_id=orders.csv by=shop inline=3 full enqueued=2023-11-14T22:13:20Z lease=2023-11-14T22:13:37Z started=2023-11-14T22:13:22Z
        M3 J2 import Enqueued epoch=0 attempt=0 entity=Sales order headers company=usmf external_id=orders.csv by=shop inline=3 full parent=M2 enqueued=2023-11-14T22:13:21Z
        occurrence J2 2023-11-14T22:13:23Z due origin=run trigger=operator epoch=0 attempt=0
        U1 used owner=process 1
        ");
    }
}
