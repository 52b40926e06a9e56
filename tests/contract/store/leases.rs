//! Claim, dequeue, extend, release, acknowledge: of two who want the same message, one gets it.

use std::collections::HashSet;

use super::*;
use sqlx::Connection as _;
use tranship::domain::ids::CorrelationId;
use tranship::domain::status::Status;
use tranship::storage::steps::{AckBy, Acked, Step, Stepped};

crate::on_both_databases!(
    many_claimers_never_get_the_same_message,
    many_dequeuers_never_get_the_same_message,
    a_claim_is_a_lease_with_a_new_epoch_on_the_oldest_messages,
    a_lapsed_lease_returns_the_message_and_its_worker_can_do_nothing_any_more,
    a_heartbeat_keeps_the_lease,
    a_released_message_waits_for_its_time,
    an_in_order_job_has_one_message_at_a_time_and_waits_for_its_oldest,
    racing_processes_keep_an_in_order_job_in_order,
    a_message_is_delivered_again_after_its_lease_and_says_when_it_was_delivered_before,
    a_lease_that_was_over_when_it_was_granted_is_found_at_once,
    any_genuine_receipt_ends_the_message,
    a_correlation_id_ends_the_message_in_its_own_queue_only,
    an_acknowledgement_of_an_import_is_unknown,
    a_start_returns_what_workers_held_and_leaves_deliveries_alone,
    jobs_take_turns_and_in_each_job_the_oldest_comes_first,
    messages_enqueued_at_once_by_two_processes_have_one_head,
);

async fn many_claimers_never_get_the_same_message(database: TestDatabase) {
    let store = open(&database).await;
    let other = second(&database, &store).await;
    let job = JobId::generate();
    let ids: HashSet<MessageId> = enqueue(&store, job, Direction::Import, 300).await.into_iter().collect();
    let claimers = (0..12).map(|n| {
        let store = if n % 2 == 0 { store.clone() } else { other.clone() };
        tokio::spawn(async move {
            let mut got = Vec::new();
            loop {
                let claimed = claim(&store, &[job], 1 + n % 4, START).await;
                if claimed.is_empty() {
                    return got;
                }
                got.extend(claimed.into_iter().map(|m| m.id));
            }
        })
    });
    let mut got = Vec::new();
    for claimer in claimers.collect::<Vec<_>>() {
        got.extend(claimer.await.unwrap());
    }
    assert_eq!(got.len(), 300);
    assert_eq!(got.into_iter().collect::<HashSet<_>>(), ids);
}

async fn many_dequeuers_never_get_the_same_message(database: TestDatabase) {
    let store = open(&database).await;
    let other = second(&database, &store).await;
    let job = JobId::generate();
    enqueue(&store, job, Direction::Relay, 200).await;
    let clients = (0..8).map(|n| {
        let store = if n % 2 == 0 { store.clone() } else { other.clone() };
        tokio::spawn(async move {
            let mut got = Vec::new();
            loop {
                let delivered = store.dequeue(job, "client", 60, 1 + n % 3, START).await.unwrap();
                if delivered.is_empty() {
                    return got;
                }
                got.extend(delivered.into_iter().map(|claimed| claimed.message.id));
            }
        })
    });
    let mut got = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        got.extend(client.await.unwrap());
    }
    assert_eq!(got.len(), 200);
    assert_eq!(got.into_iter().collect::<HashSet<_>>().len(), 200);
}

async fn a_claim_is_a_lease_with_a_new_epoch_on_the_oldest_messages(database: TestDatabase) {
    let store = open(&database).await;
    let (job, other) = (JobId::generate(), JobId::generate());
    let ids = enqueue(&store, job, Direction::Import, 3).await;
    enqueue(&store, other, Direction::Import, 1).await;
    let claimed = claim(&store, &[job], 2, at(5)).await;
    assert_eq!(claimed.iter().map(|m| m.id).collect::<Vec<_>>(), ids[..2]);
    let first = &claimed[0];
    assert_eq!(
        (first.status, first.epoch, first.attempt),
        (Status::PreProcessing, 1, 1)
    );
    assert_eq!((first.lease_until, first.started_at), (Some(at(20)), Some(at(5))));
    assert_eq!(&message(&store, first.id).await, first);

    store.begin_processing(fence(first), at(6)).await.unwrap();
    assert_eq!(message(&store, first.id).await.status, Status::Processing);
    assert_conflict(store.begin_processing(fence(first), at(7)).await);
    assert!(claim(&store, &[], 2, at(5)).await.is_empty());
}

async fn a_lapsed_lease_returns_the_message_and_its_worker_can_do_nothing_any_more(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    enqueue(&store, job, Direction::Import, 1).await;
    let stale = claim(&store, &[job], 1, START).await.remove(0);
    assert_eq!(store.release_expired(at(14)).await.unwrap(), 0);
    assert_eq!(store.release_expired(at(15)).await.unwrap(), 1);
    let back = message(&store, stale.id).await;
    assert_eq!((back.status, back.epoch, back.lease_until), (Status::Enqueued, 1, None));
    // Also before somebody else claims it, the lease is over.
    assert_eq!(
        store.extend_lease(fence(&stale), at(60)).await.unwrap(),
        Heartbeat::Lost
    );
    assert_conflict(store.begin_processing(fence(&stale), at(16)).await);

    let fresh = claim(&store, &[job], 1, at(16)).await.remove(0);
    assert_eq!((fresh.epoch, fresh.attempt, fresh.started_at), (2, 2, Some(START)));
    assert_eq!(
        store.extend_lease(fence(&stale), at(60)).await.unwrap(),
        Heartbeat::Lost
    );
    assert_conflict(store.begin_processing(fence(&stale), at(17)).await);
    assert_conflict(store.release_message(fence(&stale), None, false, "late", at(17)).await);
    assert_conflict(store.save_record_errors(fence(&stale), &[]).await);
    assert_conflict(
        store
            .finish_import(fence(&stale), super::executions::outcome(), at(17))
            .await,
    );
    assert_eq!(message(&store, stale.id).await, fresh);
}

async fn a_heartbeat_keeps_the_lease(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    enqueue(&store, job, Direction::Import, 1).await;
    let claimed = claim(&store, &[job], 1, START).await.remove(0);
    assert_eq!(
        store.extend_lease(fence(&claimed), at(40)).await.unwrap(),
        Heartbeat::Held
    );
    store.begin_processing(fence(&claimed), at(1)).await.unwrap();
    assert_eq!(
        store.extend_lease(fence(&claimed), at(60)).await.unwrap(),
        Heartbeat::Held
    );
    assert_eq!(store.release_expired(at(59)).await.unwrap(), 0);
    assert_eq!(store.release_expired(at(60)).await.unwrap(), 1);
}

async fn a_released_message_waits_for_its_time(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let ids = enqueue(&store, job, Direction::Import, 2).await;
    let first = claim(&store, &[job], 1, START).await.remove(0);
    store
        .release_message(fence(&first), Some(at(30)), false, "target is away", at(1))
        .await
        .unwrap();
    let waiting = message(&store, first.id).await;
    assert_eq!(
        (waiting.status, waiting.attempt, waiting.not_before),
        (Status::Enqueued, 1, Some(at(30)))
    );

    assert_eq!(
        claim(&store, &[job], 2, at(29))
            .await
            .iter()
            .map(|m| m.id)
            .collect::<Vec<_>>(),
        [ids[1]]
    );
    let again = claim(&store, &[job], 2, at(30)).await.remove(0);
    assert_eq!(
        (again.id, again.epoch, again.attempt, again.not_before),
        (ids[0], 2, 2, None)
    );
    store
        .release_message(fence(&again), None, true, "shutting down", at(31))
        .await
        .unwrap();
    assert_eq!(message(&store, again.id).await.attempt, 1);
    let notes: Vec<_> = store
        .message_events(ids[0])
        .await
        .unwrap()
        .into_iter()
        .filter_map(|e| e.note)
        .collect();
    assert_eq!(notes, ["target is away", "shutting down"]);
}

async fn an_in_order_job_has_one_message_at_a_time_and_waits_for_its_oldest(database: TestDatabase) {
    let store = open(&database).await;
    let (job, free) = (JobId::generate(), JobId::generate());
    let ids = enqueue_in_order(&store, job, 3).await;
    let others = enqueue(&store, free, Direction::Import, 1).await;
    let mut claimed = claim(&store, &[job, free], 5, START).await;
    claimed.sort_by_key(|message| message.id);
    assert_eq!(claimed.iter().map(|m| m.id).collect::<Vec<_>>(), [ids[0], others[0]]);
    assert!(claim(&store, &[job], 5, START).await.is_empty(), "one at a time");

    store
        .release_message(fence(&claimed[0]), Some(at(30)), false, "later", at(1))
        .await
        .unwrap();
    assert!(
        claim(&store, &[job], 5, at(29)).await.is_empty(),
        "the oldest is in back-off"
    );
    let again = claim(&store, &[job], 5, at(30)).await;
    assert_eq!(again.iter().map(|m| m.id).collect::<Vec<_>>(), [ids[0]]);

    store.begin_processing(fence(&again[0]), at(31)).await.unwrap();
    assert!(
        claim(&store, &[job], 5, at(31)).await.is_empty(),
        "one at a time, to the end"
    );
    store
        .finish_import(fence(&again[0]), super::executions::outcome(), at(32))
        .await
        .unwrap();
    assert_eq!(claim(&store, &[job], 5, at(33)).await[0].id, ids[1]);
}

async fn enqueue_in_order(store: &Store, job: JobId, count: usize) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let new = grouped(job, Direction::Import, "");
        ids.push(store.insert_message(new, START).await.unwrap().id);
    }
    ids
}

async fn racing_processes_keep_an_in_order_job_in_order(database: TestDatabase) {
    let store = open(&database).await;
    let other = second(&database, &store).await;
    let job = JobId::generate();
    let ids = enqueue_in_order(&store, job, 30).await;
    let jobs = [job];
    let mut seen = Vec::new();
    while seen.len() < 30 {
        let (a, b) = tokio::join!(claim(&store, &jobs, 3, START), claim(&other, &jobs, 3, START));
        let claimed: Vec<_> = a.into_iter().chain(b).collect();
        assert!(claimed.len() <= 1, "two messages of one in-order job at once");
        for message in claimed {
            store.begin_processing(fence(&message), START).await.unwrap();
            store
                .finish_import(fence(&message), super::executions::outcome(), START)
                .await
                .unwrap();
            seen.push(message.id);
        }
    }
    assert_eq!(seen, ids);
}

async fn a_message_is_delivered_again_after_its_lease_and_says_when_it_was_delivered_before(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let ids = enqueue(&store, job, Direction::Export, 3).await;
    let first = store.dequeue(job, "client", 1800, 2, at(10)).await.unwrap();
    assert_eq!(
        first.iter().map(|c| c.message.id).collect::<Vec<_>>(),
        ids[..2],
        "oldest first"
    );
    let delivered = &first[0].message;
    assert_eq!(
        (delivered.status, delivered.epoch, delivered.attempt),
        (Status::Dequeued, 1, 1)
    );
    assert_eq!(
        (delivered.lease_until, delivered.last_dequeued_at),
        (Some(at(1810)), None)
    );
    assert_eq!(message(&store, ids[0]).await.last_dequeued_at, Some(at(10)));

    let rest = store.dequeue(job, "client", 1800, 10, at(11)).await.unwrap();
    assert_eq!(
        rest.iter().map(|c| c.message.id).collect::<Vec<_>>(),
        ids[2..],
        "leased messages are not offered"
    );
    assert!(
        store
            .dequeue(job, "client", 1800, 10, at(1809))
            .await
            .unwrap()
            .is_empty()
    );

    store.mark_downloaded(ids[0], at(20)).await.unwrap();
    let again = store.dequeue(job, "client", 1800, 10, at(1810)).await.unwrap();
    assert_eq!(again.iter().map(|c| c.message.id).collect::<Vec<_>>(), ids[..2]);
    let redelivered = &again[0].message;
    assert_eq!((redelivered.epoch, redelivered.attempt), (2, 2));
    assert_eq!(redelivered.last_dequeued_at, Some(at(10)));
    assert_eq!(message(&store, ids[0]).await.last_dequeued_at, Some(at(1810)));
    assert!(
        store.extend_lease(again[0].fence(), at(9999)).await.unwrap() == Heartbeat::Lost,
        "a delivery has no heartbeat"
    );
}

/// Who asked waited long for its turn, or the clock went on meanwhile: what is due is not looked for below where it was.
async fn a_lease_that_was_over_when_it_was_granted_is_found_at_once(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let later = START.plus_seconds(1000);
    let none = store.dequeue(job, "client", 60, 1, later).await.unwrap();
    assert!(none.is_empty());
    let ids = enqueue(&store, job, Direction::Relay, 1).await;
    let late = store.dequeue(job, "client", 60, 1, START).await.unwrap();
    assert_eq!(late.len(), 1);
    let again = store
        .dequeue(job, "client", 60, 1, later.plus_seconds(1))
        .await
        .unwrap();
    let again: Vec<MessageId> = again.into_iter().map(|claimed| claimed.message.id).collect();
    assert_eq!(again, ids);
}

async fn any_genuine_receipt_ends_the_message(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let ids = enqueue(&store, job, Direction::Export, 3).await;
    let first = store.dequeue(job, "a", 60, 3, START).await.unwrap();
    let second = store.dequeue(job, "b", 60, 1, at(60)).await.unwrap();
    assert_eq!(second[0].message.id, ids[0]);

    // An old receipt, while somebody else holds a lease (RI-22).
    let old = AckBy::Receipt(first[0].fence());
    assert_eq!(store.ack_leniently(job, old, at(61)).await.unwrap(), Acked::Now(ids[0]));
    let acked = message(&store, ids[0]).await;
    assert_eq!((acked.status, acked.epoch, acked.lease_until), (Status::Acked, 3, None));
    assert_eq!(acked.finished_at, Some(at(61)));
    let newer = AckBy::Receipt(second[0].fence());
    assert_eq!(
        store.ack_leniently(job, newer, at(62)).await.unwrap(),
        Acked::Before(ids[0])
    );

    // After the lease ran out, before the next delivery.
    let lapsed = AckBy::Receipt(first[1].fence());
    assert_eq!(
        store.ack_leniently(job, lapsed, at(63)).await.unwrap(),
        Acked::Now(ids[1])
    );

    // Downloaded, then acknowledged; in the wrong queue it is unknown.
    store.dequeue(job, "b", 60, 1, at(64)).await.unwrap();
    store.mark_downloaded(ids[2], at(65)).await.unwrap();
    assert_eq!(message(&store, ids[2]).await.status, Status::Downloaded);
    let receipt = AckBy::Receipt(first[2].fence());
    assert_eq!(
        store.ack_leniently(JobId::generate(), receipt, at(66)).await.unwrap(),
        Acked::Unknown
    );
    let future = AckBy::Receipt(Fence {
        message: ids[2],
        epoch: 99,
    });
    assert_eq!(store.ack_leniently(job, future, at(66)).await.unwrap(), Acked::Unknown);
    assert_eq!(
        store.ack_leniently(job, receipt, at(66)).await.unwrap(),
        Acked::Now(ids[2])
    );
    assert!(
        store.dequeue(job, "b", 60, 10, at(100_000)).await.unwrap().is_empty(),
        "an acked message never comes back"
    );
}

async fn a_correlation_id_ends_the_message_in_its_own_queue_only(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    enqueue(&store, job, Direction::Relay, 1).await;
    let delivered = store.dequeue(job, "a", 60, 1, START).await.unwrap().remove(0).message;
    let by = AckBy::Correlation(delivered.correlation);
    assert_eq!(
        store.ack_leniently(JobId::generate(), by, at(1)).await.unwrap(),
        Acked::Unknown
    );
    let stranger = AckBy::Correlation(CorrelationId::generate());
    assert_eq!(store.ack_leniently(job, stranger, at(1)).await.unwrap(), Acked::Unknown);
    assert_eq!(
        store.ack_leniently(job, by, at(1)).await.unwrap(),
        Acked::Now(delivered.id)
    );
    assert_eq!(
        store.ack_leniently(job, by, at(2)).await.unwrap(),
        Acked::Before(delivered.id)
    );
}

async fn an_acknowledgement_of_an_import_is_unknown(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let id = enqueue(&store, job, Direction::Import, 1).await[0];
    let by = AckBy::Correlation(message(&store, id).await.correlation);
    assert_eq!(store.ack_leniently(job, by, at(1)).await.unwrap(), Acked::Unknown);
    assert_eq!(message(&store, id).await.status, Status::Enqueued);
}

async fn a_start_returns_what_workers_held_and_leaves_deliveries_alone(database: TestDatabase) {
    let store = open(&database).await;
    let (import, relay) = (JobId::generate(), JobId::generate());
    enqueue(&store, import, Direction::Import, 2).await;
    let delivered = enqueue(&store, relay, Direction::Relay, 1).await[0];
    let worked = claim(&store, &[import], 2, START).await;
    store.begin_processing(fence(&worked[1]), START).await.unwrap();
    store.dequeue(relay, "client", 60, 1, START).await.unwrap();
    assert_eq!(store.release_worker_leases(at(1)).await.unwrap(), 2);
    assert_eq!(message(&store, worked[0].id).await.status, Status::Enqueued);
    assert_eq!(message(&store, worked[1].id).await.status, Status::Enqueued);
    assert_eq!(message(&store, delivered).await.status, Status::Dequeued);
}

async fn jobs_take_turns_and_in_each_job_the_oldest_comes_first(database: TestDatabase) {
    let store = open(&database).await;
    let jobs: Vec<JobId> = (0..450).map(|_| JobId::generate()).collect();
    let busy = enqueue(&store, jobs[7], Direction::Import, 4).await;
    let quiet = enqueue(&store, jobs[440], Direction::Import, 1).await;
    let first = claim(&store, &jobs, 2, START).await;
    let first: HashSet<MessageId> = first.iter().map(|m| m.id).collect();
    assert_eq!(first, HashSet::from([busy[0], quiet[0]]), "one of each");
    let rest = claim(&store, &jobs, 10, START).await;
    assert_eq!(rest.iter().map(|m| m.id).collect::<Vec<_>>(), busy[1..]);
}

/// Two messages of one group, each enqueued by a process that does not see the other's yet: one of them is the head.
async fn messages_enqueued_at_once_by_two_processes_have_one_head(database: TestDatabase) {
    let store = open(&database).await;
    let other = second(&database, &store).await;
    let job = JobId::generate();
    for round in 0..20 {
        let group = format!("group {round}");
        let insert = |store: &Store| {
            let (store, new) = (store.clone(), grouped(job, Direction::Relay, &group));
            tokio::spawn(async move { store.insert_message(new, START).await.unwrap() })
        };
        let (a, b) = (insert(&store), insert(&other));
        let (a, b) = (a.await.unwrap(), b.await.unwrap());
        let out = store.dequeue(job, "client", 60, 10, START).await.unwrap();
        assert_eq!(out.len(), 1, "round {round}");
        ack(&store, out[0].fence()).await;
        let next = store.dequeue(job, "client", 60, 10, START).await.unwrap();
        assert_eq!(next.len(), 1, "round {round}: the group goes on");
        ack(&other, next[0].fence()).await;
        let ended: HashSet<MessageId> = [out[0].message.id, next[0].message.id].into();
        assert_eq!(ended, HashSet::from([a.id, b.id]));
    }
}

async fn ack(store: &Store, fence: Fence) {
    let stepped = store.step(Step::Ack(fence), START).await.unwrap();
    assert_eq!(stepped, Stepped::Done(fence.message, Status::Acked));
}

/// A planner that knows how many rows wait, but not that they are the newest, likes to walk the queue from its beginning.
#[tokio::test]
async fn a_claim_on_postgres_reads_no_leased_and_no_finished_message() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    let store = open(&database).await;
    let job = JobId::generate();
    let mut db = sqlx::PgConnection::connect(&database.url).await.unwrap();
    let messages = "insert into messages (id, job, direction, enqueued_by, digest, bytes, durability, enqueued_at) \
        select ('00000000-0000-7000-8000-' || lpad(to_hex(g), 12, '0'))::uuid, $1, 'relay', 'x', \
        decode(repeat('00', 32), 'hex'), 1, 'full', 0 from generate_series(1, 27000) g";
    sqlx::query(messages).bind(job.0).execute(&mut db).await.unwrap();
    let queue = "insert into queue (message, job, rank, lane, status, wait, redeliver_at) select id, $1, 0, '', \
        case when n < 9000 then 'Dequeued' else 'Enqueued' end, \
        case when n < 9000 then 'out' when n < 18000 then 'delayed' else 'ready' end, case when n < 9000 then $2 end \
        from (select id, row_number() over (order by id) as n from messages) as numbered";
    sqlx::query(queue)
        .bind(job.0)
        .bind(at(100_000).micros())
        .execute(&mut db)
        .await
        .unwrap();
    sqlx::raw_sql("analyze messages; analyze queue")
        .execute(&mut db)
        .await
        .unwrap();
    db.close().await.unwrap();
    let before = rows_read(&database).await;
    for _ in 0..5 {
        assert_eq!(store.dequeue(job, "client", 60, 2, START).await.unwrap().len(), 2);
        assert_eq!(claim(&store, &[job], 2, START).await.len(), 2);
        assert!(store.release_expired(START).await.unwrap() == 0);
    }
    // A closed connection has handed in its statistics.
    store.close().await;
    let read = rows_read(&database).await - before;
    assert!(read < 500, "{read} rows read to take 20 messages");
}

async fn rows_read(database: &TestDatabase) -> i64 {
    // The server counts a moment after the connection is gone.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let mut db = sqlx::PgConnection::connect(&database.url).await.unwrap();
    let text = "select (select seq_tup_read from pg_stat_user_tables where relname = 'queue') \
        + (select sum(idx_tup_read)::bigint from pg_stat_user_indexes where relname = 'queue')";
    let (read,): (i64,) = sqlx::query_as(text).fetch_one(&mut db).await.unwrap();
    read
}
