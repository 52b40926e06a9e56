//! What becomes of a message that is handed out, held back or called off.

use super::*;
use tranship::domain::message::Wait;
use tranship::storage::cancel::Cancelled;
use tranship::storage::claims::LeaseAsk;

crate::on_both_databases!(
    a_delay_and_an_expiry_come_about_by_the_clock,
    a_lapsed_lease_of_what_outlived_its_time_is_not_handed_out_again,
    what_a_worker_has_begun_neither_expires_nor_is_cancelled_beside_it,
    the_last_delivery_makes_a_dead_letter_that_tells_its_errors,
    a_release_does_not_count_and_a_stale_lease_does_nothing,
    a_cancelled_message_ends_at_once_or_at_its_workers_heartbeat,
    a_payload_comes_along_where_it_is_asked_for,
    a_stale_ack_beside_the_valid_one_in_a_commit_stays_stale,
    what_was_handed_out_to_a_caller_who_left_is_offered_again_at_once,
);

async fn a_delay_and_an_expiry_come_about_by_the_clock(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let delayed = put(&store, job, |new| new.placement.not_before = Some(at(60))).await;
    let expiring = put(&store, job, |new| new.placement.expires_at = Some(at(30))).await;
    assert_eq!(message(&store, delayed).await.wait, Some(Wait::Delayed));
    assert!(lease(&store, job, 10, at(30)).await.is_empty());
    let expired = message(&store, expiring).await;
    assert_eq!((expired.status, expired.finished_at), (Status::Expired, Some(at(30))));
    assert_eq!(expired.failure.unwrap().code, "expired");
    assert_eq!(ids(&lease(&store, job, 10, at(60)).await), [delayed]);
}

/// It was taken in time, but whoever took it let the lease lapse: nobody is handed what has outlived its time.
async fn a_lapsed_lease_of_what_outlived_its_time_is_not_handed_out_again(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let id = put(&store, job, |new| new.placement.expires_at = Some(at(30))).await;
    assert_eq!(lease(&store, job, 1, START).await.len(), 1);
    assert!(lease(&store, job, 1, at(60)).await.is_empty());
    assert_eq!(message(&store, id).await.status, Status::Expired);
}

/// A part of it may have landed: it must not end as one that nobody took, with nothing counted.
async fn what_a_worker_has_begun_neither_expires_nor_is_cancelled_beside_it(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let mut new = inline(job, Direction::Import);
    new.placement.expires_at = Some(at(30));
    let id = store.insert_message(new, START).await.unwrap().id;
    assert_eq!(claim(&store, &[job], 1, START).await.len(), 1);
    // Its worker dies, and the lease lapses when its time is over.
    store.release_expired(at(60)).await.unwrap();
    let back = message(&store, id).await;
    assert_eq!((back.status, back.finished_at), (Status::Enqueued, None));
    assert_eq!(store.cancel(id, "operator", at(61)).await.unwrap(), Cancelled::Asked);
    let again = claim(&store, &[job], 1, at(62)).await;
    assert_eq!(again.len(), 1, "the next worker ends it, and counts what landed");
    let heartbeat = store.extend_lease(fence(&again[0]), at(80)).await.unwrap();
    assert_eq!(heartbeat, Heartbeat::CancelAsked("operator".into()));
}

async fn the_last_delivery_makes_a_dead_letter_that_tells_its_errors(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let id = put(&store, job, |new| new.placement.max_deliveries = Some(3)).await;
    let first = lease(&store, job, 1, START).await;
    assert_eq!(
        reject(&store, &first[0], "disk full", None, at(1)).await,
        Stepped::Done(id, Status::Enqueued)
    );
    let second = lease(&store, job, 1, at(2)).await;
    reject(&store, &second[0], "bad header", None, at(3)).await;
    assert_eq!(lease(&store, job, 1, at(4)).await.len(), 1);
    // The third one is not answered at all.
    assert!(lease(&store, job, 1, at(64)).await.is_empty());
    let dead = message(&store, id).await;
    assert_eq!((dead.status, dead.attempt), (Status::DeadLettered, 3));
    assert_eq!(
        (dead.first_error.as_deref(), dead.last_error.as_deref()),
        (Some("disk full"), Some("bad header"))
    );
    let failure = dead.failure.unwrap();
    assert_eq!(failure.code, "max_deliveries");
    assert!(failure.detail.contains("first: disk full"), "{}", failure.detail);
}

async fn a_release_does_not_count_and_a_stale_lease_does_nothing(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let id = put(&store, job, |new| new.placement.max_deliveries = Some(2)).await;
    let mut over = Vec::new();
    for n in 0..5 {
        let leased = lease(&store, job, 1, at(n)).await.remove(0);
        assert_eq!((leased.attempt, leased.epoch), (1, n + 1));
        let released = store.step(Step::Release(fence(&leased), None), at(n)).await.unwrap();
        assert_eq!(released, Stepped::Done(id, Status::Enqueued));
        over.push(leased);
    }
    let held = lease(&store, job, 1, at(9)).await.remove(0);
    for stale in &over {
        for step in [
            Step::Ack(fence(stale)),
            Step::Extend(fence(stale), at(999)),
            Step::Release(fence(stale), None),
        ] {
            let stepped = store.step(step, at(10)).await.unwrap();
            let Stepped::Stale(standing) = stepped else {
                panic!("{stepped:?}")
            };
            assert_eq!(
                (standing.id, standing.status, standing.epoch),
                (id, Status::Dequeued, 6)
            );
        }
    }
    store.step(Step::Extend(fence(&held), at(500)), at(11)).await.unwrap();
    assert!(lease(&store, job, 1, at(499)).await.is_empty(), "extended");
    ack(&store, &held, at(499)).await;
    let repeated = store.step(Step::Ack(fence(&held)), at(500)).await.unwrap();
    assert_eq!(
        repeated,
        Stepped::Before(id, Status::Acked),
        "the answer was lost on the way"
    );
    let unknown = Step::Ack(Fence {
        message: MessageId::generate(),
        epoch: 1,
    });
    assert_eq!(store.step(unknown, at(500)).await.unwrap(), Stepped::Unknown);
}

async fn a_cancelled_message_ends_at_once_or_at_its_workers_heartbeat(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let waiting = put(&store, job, |_| ()).await;
    assert_eq!(store.cancel(waiting, "operator", at(1)).await.unwrap(), Cancelled::Now);
    let ended = message(&store, waiting).await;
    assert_eq!(
        (ended.status, ended.failure.unwrap().detail.as_str()),
        (Status::Cancelled, "cancelled by operator")
    );
    assert!(matches!(
        store.cancel(waiting, "operator", at(2)).await.unwrap(),
        Cancelled::Ended(_)
    ));
    assert_eq!(
        store.cancel(MessageId::generate(), "operator", at(2)).await.unwrap(),
        Cancelled::Unknown
    );

    let id = enqueue(&store, job, Direction::Import, 1).await[0];
    let claimed = claim(&store, &[job], 1, at(3)).await.remove(0);
    assert_eq!(
        store.extend_lease(fence(&claimed), at(20)).await.unwrap(),
        Heartbeat::Held
    );
    assert_eq!(store.cancel(id, "operator", at(4)).await.unwrap(), Cancelled::Asked);
    assert_eq!(
        store.extend_lease(fence(&claimed), at(20)).await.unwrap(),
        Heartbeat::CancelAsked("operator".into())
    );
}

async fn a_payload_comes_along_where_it_is_asked_for(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    enqueue(&store, job, Direction::Relay, 3).await;
    let ask = |payloads| LeaseAsk {
        job,
        owner: "client".into(),
        lease_seconds: 60,
        max: 1,
        payloads,
        now: START,
    };
    // Asked at once, they share a batch, and each gets what it asked for.
    let (with, without) = tokio::join!(store.lease(ask(true)), store.lease(ask(false)));
    assert_eq!(with.unwrap()[0].payload.as_deref(), Some(b"abc".as_slice()));
    assert_eq!(without.unwrap()[0].payload, None);
}

/// Found by the history checker: answered by message alone, the stale one was told it had ended the message.
async fn a_stale_ack_beside_the_valid_one_in_a_commit_stays_stale(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    for round in 0_i64..10 {
        let at = |seconds: i64| at(round * 100 + seconds);
        put(&store, job, |_| ()).await;
        let stale = lease(&store, job, 1, at(0)).await.remove(0);
        let valid = lease(&store, job, 1, at(61)).await.remove(0);
        // Something to commit first, so that the three that follow wait for each other.
        let step = |message: &Message| store.step(Step::Ack(fence(message)), at(62));
        let (_, early, ended, late) = tokio::join!(
            store.insert_message(inline(JobId::generate(), Direction::Relay), at(62)),
            step(&stale),
            step(&valid),
            step(&stale)
        );
        assert_eq!(ended.unwrap(), Stepped::Done(valid.id, Status::Acked));
        for stepped in [early.unwrap(), late.unwrap()] {
            assert!(matches!(stepped, Stepped::Stale(_)), "{stepped:?}");
        }
    }
}

/// Its lease would keep everybody else from it until it lapses.
async fn what_was_handed_out_to_a_caller_who_left_is_offered_again_at_once(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    for round in 0..100 {
        let id = put(&store, job, |_| ()).await;
        // Asked for, and gone before, while or after it is committed.
        let patience = std::time::Duration::from_micros(round * 40);
        let given = tokio::time::timeout(patience, store.dequeue(job, "client", 60, 1, START)).await;
        let mut got = given.map_or_else(|_| Vec::new(), |claimed| claimed.unwrap());
        for _ in 0..200 {
            if !got.is_empty() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            got = store.dequeue(job, "client", 60, 1, START).await.unwrap();
        }
        let message = &got.first().expect("it is offered again").message;
        assert_eq!((message.id, message.attempt), (id, 1), "and who left does not count");
        ack(&store, message, START).await;
    }
}
