//! How many messages a queue holds is kept with every change.

use super::*;
use tranship::storage::depths::Depth;
use tranship::storage::redrive::Again;

crate::on_both_databases!(a_depth_follows_every_message_in_and_out, what_waits_longest_is_told,);

async fn depth(store: &Store, job: JobId) -> (u64, u64) {
    let Depth { waiting, leased } = store.depths().await.unwrap().get(&job).copied().unwrap_or_default();
    (waiting, leased)
}

async fn a_depth_follows_every_message_in_and_out(database: TestDatabase) {
    let store = open(&database).await;
    let other = second(&database, &store).await;
    let job = JobId::generate();
    assert_eq!(depth(&store, job).await, (0, 0));
    for _ in 0..3 {
        put(&store, job, |_| ()).await;
    }
    put(&other, job, |new| new.placement.not_before = Some(at(50))).await;
    put(&store, job, |new| new.placement.expires_at = Some(at(5))).await;
    assert_eq!(depth(&other, job).await, (5, 0));
    let leased = lease(&store, job, 2, START).await;
    assert_eq!(depth(&store, job).await, (3, 2));
    ack(&store, &leased[0], at(1)).await;
    reject(&other, &leased[1], "not now", Some(at(30)), at(1)).await;
    assert_eq!(depth(&store, job).await, (4, 0));
    let failed = store
        .insert_message(inline(job, Direction::Relay), START)
        .await
        .unwrap()
        .id;
    store.cancel(failed, "operator", at(2)).await.unwrap();
    assert_eq!(depth(&store, job).await, (4, 0));
    // One of them expires.
    assert_eq!(lease(&store, job, 10, at(10)).await.len(), 1);
    assert_eq!(depth(&store, job).await, (2, 1));
    // And that lease lapses, back-off and delay end.
    assert_eq!(lease(&other, job, 10, at(80)).await.len(), 3);
    assert_eq!(depth(&store, job).await, (0, 3));
    let again = Again {
        id: failed,
        placement: Placement::default(),
        enqueued_at: START,
    };
    store.redrive(vec![again], "operator", at(81)).await.unwrap();
    assert_eq!(depth(&store, job).await, (1, 3));
    // Added up, it is the same.
    let keep = tranship::storage::housekeeping::Retention {
        payloads: START,
        failed_payloads: START,
        messages: START,
    };
    store.tidy(keep, at(82)).await.unwrap();
    other.tidy(keep, at(82)).await.unwrap();
    assert_eq!(depth(&store, job).await, (1, 3));
    put(&other, job, |_| ()).await;
    assert_eq!(depth(&store, job).await, (2, 3));
}

async fn what_waits_longest_is_told(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    assert_eq!(store.oldest_offered(job).await.unwrap(), None);
    for (seconds, lane) in [(3, "usmf"), (5, ""), (9, "demf")] {
        put(&store, job, |new| {
            new.id = MessageId::generate_at(at(seconds));
            lane.clone_into(&mut new.placement.lane);
        })
        .await;
    }
    assert_eq!(store.oldest_offered(job).await.unwrap(), Some(at(3)));
    assert_eq!(lease(&store, job, 10, START).await.len(), 3);
    assert_eq!(store.oldest_offered(job).await.unwrap(), None);
}
