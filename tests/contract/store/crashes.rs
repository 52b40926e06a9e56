//! Callers that vanish, second processes, starting again.

use super::*;
use std::time::Duration;
use tranship::domain::status::Status;
use tranship::storage::messages::MessageFilter;

crate::on_both_databases!(
    a_caller_that_vanishes_leaves_whole_messages_and_working_connections,
    what_was_stored_is_there_after_a_restart,
    many_stores_can_start_at_once_or_are_refused,
    closing_waits_for_running_writes,
);

async fn a_caller_that_vanishes_leaves_whole_messages_and_working_connections(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let mut ids = Vec::new();
    for n in 0..150_u64 {
        let new = inline(job, Direction::Relay);
        ids.push(new.id);
        let caller = tokio::spawn({
            let store = store.clone();
            async move {
                store.insert_message(new, START).await.expect("inserts");
                store.dequeue(job, "client", 60, 1, START).await.expect("dequeues");
            }
        });
        tokio::time::sleep(Duration::from_micros(n * 37 % 4000)).await;
        caller.abort();
        let _ = caller.await;
    }
    store.close().await;
    drop(store);

    let store = reopen(&database).await;
    let mut whole = 0;
    for id in ids {
        let events = store.message_events(id).await.unwrap();
        let payload = store.inline_payload(id).await.unwrap();
        if let Some(message) = store.message(id).await.unwrap() {
            whole += 1;
            assert_eq!(payload.as_deref(), Some(b"abc".as_slice()));
            assert_eq!(
                events.last().map(|e| (e.status, e.epoch)),
                Some((message.status, message.epoch))
            );
        } else {
            assert!(events.is_empty() && payload.is_none());
        }
    }
    assert!(
        whole > 0,
        "some insert must have got through for this test to say anything"
    );
    assert_eq!(
        store
            .messages(&MessageFilter {
                limit: 1000,
                ..MessageFilter::default()
            })
            .await
            .unwrap()
            .len(),
        whole
    );
    enqueue(&store, job, Direction::Relay, 1).await;
}

/// Opens the database again; a SQLite lock goes with the last of the old store's tasks.
async fn reopen(database: &TestDatabase) -> Store {
    for _ in 0..200 {
        match Store::connect(&settings(database)).await {
            Err(StoreError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            opened => return opened.expect("the store opens"),
        }
    }
    panic!("the lock was never released");
}

async fn what_was_stored_is_there_after_a_restart(database: TestDatabase) {
    let job = JobId::generate();
    let store = open(&database).await;
    let id = enqueue(&store, job, Direction::Import, 1).await[0];
    claim(&store, &[job], 1, START).await;
    store.close().await;
    drop(store);
    let store = reopen(&database).await;
    let read = message(&store, id).await;
    assert_eq!((read.status, read.epoch), (Status::PreProcessing, 1));
    store.ping().await.unwrap();
}

async fn many_stores_can_start_at_once_or_are_refused(database: TestDatabase) {
    let starts: Vec<_> = (0..5)
        .map(|_| {
            let settings = StoreSettings {
                max_connections: 2,
                ..settings(&database)
            };
            tokio::spawn(async move { Store::connect(&settings).await })
        })
        .collect();
    let mut opened = Vec::new();
    for start in starts {
        match start.await.unwrap() {
            Ok(store) => opened.push(store),
            Err(StoreError::Locked { path }) => assert!(path.exists()),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(opened.len(), if database.url.starts_with("postgres") { 5 } else { 1 });
    enqueue(&opened[0], JobId::generate(), Direction::Import, 1).await;
}

async fn closing_waits_for_running_writes(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let mut ids = Vec::new();
    for _ in 0..20 {
        let new = inline(job, Direction::Relay);
        ids.push(new.id);
        let mut insert = Box::pin(store.insert_message(new, START));
        // Polled once, the write runs on; its caller is gone.
        let _ = futures_util::future::poll_immediate(&mut insert).await;
    }
    store.close().await;
    drop(store);
    let store = reopen(&database).await;
    for id in ids {
        assert_eq!(message(&store, id).await.status, Status::Enqueued);
    }
}

#[tokio::test]
async fn a_store_in_memory_or_elsewhere_is_refused() {
    for url in [
        "sqlite::memory:",
        "sqlite://x.db?mode=memory",
        "mysql://secret@host/db",
        "tranship.db",
    ] {
        let refused = Store::connect(&StoreSettings {
            url: url.into(),
            max_connections: 1,
            sharing: tranship::storage::Sharing::Exclusive,
        })
        .await;
        let Err(StoreError::Settings(text)) = refused else {
            panic!("{url}: {refused:?}")
        };
        assert!(!text.contains("secret"));
    }
}

#[tokio::test]
async fn the_folder_of_a_sqlite_store_is_created_and_a_draft_left_by_a_crash_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/store.db");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(folder.path().join("a/b/store.db.new"), "half a database").unwrap();
    std::fs::write(folder.path().join("a/b/store.db-wal"), "a log of nothing").unwrap();
    let settings = StoreSettings {
        url: format!("sqlite://{}", path.display()),
        max_connections: 2,
        sharing: tranship::storage::Sharing::Exclusive,
    };
    let store = Store::connect(&settings).await.unwrap();
    assert_eq!(store.durability().class, Durability::Full);
    enqueue(&store, JobId::generate(), Direction::Import, 1).await;
    assert!(!folder.path().join("a/b/store.db.new").exists());
}
