//! Processes that change the same groups at once wait for each other in one order, and none is given up for another; and
//! after all of it the queue's depth is what it was kept to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;
use sqlx::Connection as _;
use tranship::storage::redrive::Again;

const GROUPS: usize = 6;
const LONG: Duration = Duration::from_secs(4);

/// A clock for all, so that leases lapse and messages expire while others acknowledge and cancel them.
#[derive(Clone, Default)]
struct Ticks(Arc<AtomicU64>);

impl Ticks {
    fn now(&self) -> Timestamp {
        at(i64::try_from(self.0.fetch_add(1, Ordering::Relaxed)).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_groups_are_changed_by_many_without_deadlocks() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    let stores = [open(&database).await, open(&database).await];
    let (job, ticks) = (JobId::generate(), Ticks::default());
    let until = Instant::now() + LONG;
    let mut tasks = tokio::task::JoinSet::new();
    for store in &stores {
        for client in 0..3 {
            tasks.spawn(put_in_all_groups(store.clone(), job, ticks.clone(), until));
            tasks.spawn(take_and_answer(store.clone(), job, ticks.clone(), until, client));
            tasks.spawn(cancel_and_try_again(store.clone(), job, ticks.clone(), until));
        }
        tasks.spawn(many_jobs_at_once(store.clone(), until));
        tasks.spawn(tidy_up(store.clone(), until));
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let depths = stores[0].depths().await.unwrap();
    let kept = [
        depths.values().map(|depth| depth.waiting).sum::<u64>(),
        depths.values().map(|depth| depth.leased).sum(),
    ];
    for store in stores {
        store.close().await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut db = sqlx::PgConnection::connect(&database.url).await.unwrap();
    let text = "select deadlocks from pg_stat_database where datname = current_database()";
    let (deadlocks,): (i64,) = sqlx::query_as(text).fetch_one(&mut db).await.unwrap();
    assert_eq!(deadlocks, 0);
    let text =
        "select count(*) filter (where status = 'Enqueued'), count(*) filter (where status <> 'Enqueued') from queue";
    let (waiting, leased): (i64, i64) = sqlx::query_as(text).fetch_one(&mut db).await.unwrap();
    let there = [waiting, leased].map(|count| u64::try_from(count).unwrap());
    assert_eq!(kept, there, "the depths that were kept and those that are there");
}

/// An enqueue uses the uploads of its batch in the order they were asked for; a sweep that waited for one of them while it
/// held another would be a deadlock.
#[tokio::test]
async fn on_postgres_a_sweep_passes_over_an_upload_in_use() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    let store = open(&database).await;
    let (used, stale) = (BlobKey::generate(), BlobKey::generate());
    for key in [&used, &stale] {
        store.begin_upload(key, "process 1", START).await.unwrap();
    }
    let mut other = sqlx::PgConnection::connect(&database.url).await.unwrap();
    let mut tx = other.begin().await.unwrap();
    let text = "update uploads set state = 'used' where key = $1";
    sqlx::query(text).bind(&used.0).execute(&mut *tx).await.unwrap();
    let swept = tokio::time::timeout(LONG, store.dead_uploads(at(1), at(100), 10));
    assert_eq!(swept.await.expect("the sweep does not wait").unwrap(), [stale]);
    tx.commit().await.unwrap();
    store.close().await;
}

/// Commits that change the depths of many queues, in any order.
async fn many_jobs_at_once(store: Store, until: Instant) {
    let jobs: Vec<JobId> = (0..40).map(|_| JobId::generate()).collect();
    let mut first = 0;
    while Instant::now() < until {
        let order = (0..jobs.len()).map(|n| jobs[(first + n * 7) % jobs.len()]);
        let puts = order.map(|job| store.insert_message(inline(job, Direction::Relay), START));
        for put in futures_util::future::join_all(puts).await {
            put.unwrap();
        }
        first += 1;
    }
}

async fn tidy_up(store: Store, until: Instant) {
    let keep = tranship::storage::housekeeping::Retention {
        payloads: START,
        failed_payloads: START,
        messages: START,
    };
    while Instant::now() < until {
        store.tidy(keep, START).await.unwrap();
    }
}

async fn put_in_all_groups(store: Store, job: JobId, ticks: Ticks, until: Instant) {
    while Instant::now() < until {
        let now = ticks.now();
        let puts = (0..GROUPS).rev().map(|group| {
            let mut new = grouped(job, Direction::Relay, &format!("g{group}"));
            new.placement.expires_at = Some(now.plus_seconds(40));
            store.insert_message(new, now)
        });
        for put in futures_util::future::join_all(puts).await {
            put.unwrap();
        }
    }
}

/// Some are acknowledged, some rejected, some given back, and some forgotten until their leases lapse.
async fn take_and_answer(store: Store, job: JobId, ticks: Ticks, until: Instant, client: usize) {
    while Instant::now() < until {
        let leased = store.dequeue(job, "client", 20, 10, ticks.now()).await.unwrap();
        let now = ticks.now();
        let answers = leased.into_iter().rev().enumerate().filter_map(|(n, claimed)| {
            let fence = claimed.fence();
            let step = match (n + client) % 4 {
                0 | 1 => Step::Ack(fence),
                2 => Step::Release(fence, None),
                _ => return None,
            };
            Some(store.step(step, now))
        });
        for answer in futures_util::future::join_all(answers).await {
            answer.unwrap();
        }
    }
}

async fn cancel_and_try_again(store: Store, job: JobId, ticks: Ticks, until: Instant) {
    while Instant::now() < until {
        let mut cancelled = Vec::new();
        for state in store.groups(job, 10).await.unwrap() {
            if let Some(head) = state.head {
                store.cancel(head, "operator", ticks.now()).await.unwrap();
                cancelled.push(head);
            }
        }
        let again = cancelled.into_iter().map(|id| Again {
            id,
            placement: Placement::default(),
            enqueued_at: START,
        });
        store.redrive(again.collect(), "operator", ticks.now()).await.unwrap();
    }
}
