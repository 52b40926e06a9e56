//! What makes two enqueues one.

use super::*;
use tranship::storage::enqueue::{Enqueued, Identity, IdentityKind};

crate::on_both_databases!(
    the_same_key_is_the_same_message_until_it_is_forgotten,
    one_key_at_once_from_two_processes_is_one_message,
    a_bad_enqueue_leaves_those_of_its_batch_alone,
    a_key_whose_message_is_not_stored_is_free_for_the_next_in_the_batch,
);

fn known_as(job: JobId, kind: IdentityKind, key: &str, since: Timestamp) -> NewMessage {
    NewMessage {
        identities: vec![Identity {
            kind,
            key: key.to_owned(),
            since,
        }],
        ..inline(job, Direction::Relay)
    }
}

async fn the_same_key_is_the_same_message_until_it_is_forgotten(database: TestDatabase) {
    let store = open(&database).await;
    let (job, other) = (JobId::generate(), JobId::generate());
    let key = |job| known_as(job, IdentityKind::Key, "k1", at(-100));
    let Enqueued::Stored(first) = store.enqueue(key(job), START).await.unwrap() else {
        panic!("it was new")
    };
    for again in [
        key(job),
        NewMessage {
            digest: Digest([9; 32]),
            ..key(job)
        },
    ] {
        let before = store.enqueue(again, at(1)).await.unwrap();
        let Enqueued::Before { message, digest, kind } = before else {
            panic!("it was not new")
        };
        assert_eq!((message, digest, kind), (first.id, Digest([7; 32]), IdentityKind::Key));
    }
    assert!(
        matches!(store.enqueue(key(other), at(1)).await.unwrap(), Enqueued::Stored(_)),
        "another job's"
    );
    let content = known_as(job, IdentityKind::Content, "k1", at(-100));
    assert!(
        matches!(store.enqueue(content, at(1)).await.unwrap(), Enqueued::Stored(_)),
        "another kind"
    );
    let later = known_as(job, IdentityKind::Key, "k1", at(5));
    assert!(
        matches!(store.enqueue(later, at(105)).await.unwrap(), Enqueued::Stored(_)),
        "forgotten"
    );
    // What is not stored leaves no identity behind either.
    let mut both = known_as(job, IdentityKind::External, "file", at(-100));
    both.identities.extend(key(job).identities);
    assert!(matches!(
        store.enqueue(both, at(106)).await.unwrap(),
        Enqueued::Before { .. }
    ));
    let file = known_as(job, IdentityKind::External, "file", at(-100));
    assert!(matches!(
        store.enqueue(file, at(107)).await.unwrap(),
        Enqueued::Stored(_)
    ));
}

async fn one_key_at_once_from_two_processes_is_one_message(database: TestDatabase) {
    let store = open(&database).await;
    let other = second(&database, &store).await;
    let job = JobId::generate();
    let asks = (0..40).map(|n| {
        let store = if n % 2 == 0 { store.clone() } else { other.clone() };
        tokio::spawn(async move {
            let new = known_as(job, IdentityKind::Key, &format!("k{}", n % 5), at(-100));
            store.enqueue(new, START).await.unwrap()
        })
    });
    let mut stored = 0;
    for ask in asks.collect::<Vec<_>>() {
        stored += usize::from(matches!(ask.await.unwrap(), Enqueued::Stored(_)));
    }
    assert_eq!(stored, 5);
    assert_eq!(lease(&store, job, 100, START).await.len(), 5);
}

async fn a_bad_enqueue_leaves_those_of_its_batch_alone(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let taken = inline(job, Direction::Relay);
    store.insert_message(taken.clone(), START).await.unwrap();
    let lost = in_blob(job, Direction::Relay, &BlobKey::generate());
    // Started together, they go into one batch; one of them breaks it, one is refused by name.
    let asks = (0..50).map(|n| {
        let new = match n {
            20 => taken.clone(),
            30 => lost.clone(),
            _ => inline(job, Direction::Relay),
        };
        let store = store.clone();
        tokio::spawn(async move { store.insert_message(new, START).await })
    });
    let mut failed = Vec::new();
    for (n, ask) in asks.collect::<Vec<_>>().into_iter().enumerate() {
        if let Err(error) = ask.await.unwrap() {
            failed.push((n, error));
        }
    }
    assert!(
        matches!(
            failed.as_slice(),
            [(20, StoreError::Exists { .. }), (30, StoreError::Conflict { .. })]
        ),
        "{failed:?}"
    );
    assert_eq!(lease(&store, job, 100, START).await.len(), 49);
}

/// The first of two with one key is refused for its other key: the second one must not be told that it was stored.
async fn a_key_whose_message_is_not_stored_is_free_for_the_next_in_the_batch(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    for round in 0..20 {
        let (name, file) = (format!("k{round}"), format!("f{round}"));
        let known = known_as(job, IdentityKind::External, &file, at(-100));
        store.enqueue(known, START).await.unwrap();
        let mut both = known_as(job, IdentityKind::Key, &name, at(-100));
        both.identities
            .extend(known_as(job, IdentityKind::External, &file, at(-100)).identities);
        let next = known_as(job, IdentityKind::Key, &name, at(-100));
        // Something to commit first, so that the two wait for each other.
        let (_, both, next) = tokio::join!(
            store.insert_message(inline(job, Direction::Relay), START),
            store.enqueue(both, START),
            store.enqueue(next, START)
        );
        assert!(matches!(both.unwrap(), Enqueued::Before { .. }));
        let next = next.unwrap();
        assert!(matches!(next, Enqueued::Stored(_)), "{next:?}");
    }
}
