//! What the queue costs on PostgreSQL while a transaction is held open elsewhere, and nothing that leaves can be cleaned up.

use super::*;
use sqlx::Connection as _;

use crate::support::databases::run;

/// While a transaction is held open, nothing that leaves the queue can be cleaned up. A claim must not walk over it.
#[tokio::test]
async fn on_postgres_a_claim_costs_the_same_after_many_with_a_transaction_held_open() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    let store = open(&database).await;
    let job = JobId::generate();
    let mut pinning = sqlx::PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql("begin isolation level repeatable read; select count(*) from queue")
        .execute(&mut pinning)
        .await
        .unwrap();
    enqueue_many(&store, job, 400, START).await;
    let cheap = pages_of_a_claim(&store, job).await;
    for _ in 0..10 {
        enqueue_many(&store, job, 1000, START).await;
        let leased = lease(&store, job, 1000, START).await;
        assert_eq!(leased.len(), 1000);
        let acks = leased
            .iter()
            .map(|message| store.step(Step::Ack(fence(message)), START));
        futures_util::future::join_all(acks).await;
    }
    let late = pages_of_a_claim(&store, job).await;
    assert!(late.found <= 6, "{late:?}: at most five pages beyond the row's own");
    assert!(
        late.all <= cheap.all + 6,
        "{cheap:?} before, {late:?} after 10,000 messages came and went"
    );
    sqlx::raw_sql("rollback").execute(&mut pinning).await.unwrap();
}

async fn enqueue_many(store: &Store, job: JobId, count: usize, now: Timestamp) {
    let inserts = (0..count).map(|_| store.insert_message(inline(job, Direction::Relay), now));
    for inserted in futures_util::future::join_all(inserts).await {
        inserted.unwrap();
    }
}

/// Pages touched: to find the row, and in all.
#[derive(Debug)]
struct Pages {
    found: u64,
    all: u64,
}

async fn pages_of_a_claim(store: &Store, job: JobId) -> Pages {
    // The first one looks without a floor and finds it.
    lease(store, job, 1, START).await;
    let plan = store.claim_plan(job, 1).await.unwrap().unwrap();
    let whole = &plan[0]["Plan"];
    let found = whole["Plans"]
        .as_array()
        .unwrap()
        .iter()
        .find(|node| node["Subplan Name"] == "CTE heads")
        .unwrap();
    let pages = |node: &serde_json::Value| {
        ["Shared Hit Blocks", "Shared Read Blocks"]
            .iter()
            .map(|name| node[*name].as_u64().unwrap())
            .sum()
    };
    assert_eq!(found["Actual Rows"], 1, "{plan:#}");
    Pages {
        found: pages(found),
        all: pages(whole),
    }
}

/// One way a message goes through a queue. `now` moves by a minute with every round.
type Round = fn(Store, JobId, Timestamp) -> futures_util::future::BoxFuture<'static, ()>;

async fn handed_out_and_acknowledged(store: &Store, job: JobId, now: Timestamp) {
    for message in lease(store, job, 1, now).await {
        ack(store, &message, now).await;
    }
}

/// Rounds each of which costs what the first ones cost, whatever came and went since.
const ROUNDS: [(&str, Round); 5] = [
    ("a few at once", |store, job, now| {
        Box::pin(async move {
            enqueue_many(&store, job, 3, now).await;
            let leased = lease(&store, job, 3, now).await;
            assert_eq!(leased.len(), 3);
            let acks = leased.iter().map(|message| ack(&store, message, now));
            futures_util::future::join_all(acks).await;
            let polls = leased.iter().map(|message| store.message(message.id));
            futures_util::future::join_all(polls).await;
        })
    }),
    ("one group", |store, job, now| {
        Box::pin(async move {
            for _ in 0..2 {
                let new = grouped(job, Direction::Relay, "a");
                store.insert_message(new, now).await.unwrap();
            }
            for _ in 0..2 {
                handed_out_and_acknowledged(&store, job, now).await;
            }
        })
    }),
    ("a lease that lapses", |store, job, now| {
        Box::pin(async move {
            store.insert_message(inline(job, Direction::Relay), now).await.unwrap();
            let leased = store.dequeue(job, "client", 10, 1, now).await.unwrap();
            assert_eq!(leased.len(), 1);
            handed_out_and_acknowledged(&store, job, now.plus_seconds(11)).await;
        })
    }),
    ("a delay", |store, job, now| {
        Box::pin(async move {
            let mut new = inline(job, Direction::Relay);
            new.placement.not_before = Some(now.plus_seconds(1));
            store.insert_message(new, now).await.unwrap();
            handed_out_and_acknowledged(&store, job, now.plus_seconds(2)).await;
        })
    }),
    ("a queue found empty", |store, job, now| {
        Box::pin(async move {
            store.insert_message(inline(job, Direction::Relay), now).await.unwrap();
            handed_out_and_acknowledged(&store, job, now).await;
            assert!(lease(&store, job, 1, now).await.is_empty());
        })
    }),
];

/// Queues that go through their rounds beside each other: they share commits, so that this does not take long.
const QUEUES: usize = 10;
const FEW: i64 = 30;
const MANY: i64 = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_every_round_costs_the_same_with_a_transaction_held_open() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    drop(open(&database).await);
    never_vacuum_by_itself(&database).await;
    let mut pinning = sqlx::PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql("begin isolation level repeatable read; select count(*) from queue")
        .execute(&mut pinning)
        .await
        .unwrap();
    let mut costs = Vec::new();
    for (name, round) in ROUNDS {
        let few = pages_per_round(&database, round, FEW).await;
        let many = pages_per_round(&database, round, MANY).await;
        costs.push((name, few, many));
    }
    sqlx::raw_sql("rollback").execute(&mut pinning).await.unwrap();
    eprintln!("pages of a round, of few and of many: {costs:?}");
    for (name, few, many) in &costs {
        assert!(
            // A look at the whole now and then is allowed; one a round would make it many times as much.
            *many <= few * 1.5,
            "{name}: {few:.0} pages a round in {FEW} rounds, {many:.0} in {MANY}"
        );
    }
}

/// Pages that one round touches, on average, by a process of its own.
async fn pages_per_round(database: &TestDatabase, round: Round, rounds: i64) -> f64 {
    // From here on the statistics say that next to nothing is there, and nothing but the statements can keep a plan from
    // walking what cannot be cleaned up.
    run(&database.url, "vacuum analyze").await;
    let before = pages_so_far(database).await;
    let store = open(database).await;
    let jobs: Vec<JobId> = (0..QUEUES).map(|_| JobId::generate()).collect();
    for number in 0..rounds {
        let all = jobs.iter().map(|job| round(store.clone(), *job, at(number * 60)));
        futures_util::future::join_all(all).await;
    }
    // A session tells what it touched when it ends at the latest.
    store.close().await;
    let pages = pages_so_far(database).await - before;
    #[expect(clippy::cast_precision_loss, reason = "far below what a float counts exactly")]
    let each = pages as f64 / (rounds * i64::try_from(QUEUES).unwrap()) as f64;
    each
}

/// Keeps the server's own cleaning out: what it touches counts as this database's pages too, its analysis keeps what left the
/// queue from being cleaned up, and plans are made again after it.
async fn never_vacuum_by_itself(database: &TestDatabase) {
    let each_table = "do $$ declare each regclass; begin \
        for each in select oid from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace loop \
            execute format('alter table %s set (autovacuum_enabled = off, toast.autovacuum_enabled = off)', each); \
        end loop; end $$";
    run(&database.url, each_table).await;
}

/// Pages touched in this database by sessions that have ended.
async fn pages_so_far(database: &TestDatabase) -> i64 {
    // Its end is told after the session is gone.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let mut db = sqlx::PgConnection::connect(&database.url).await.unwrap();
    let text = "select (blks_hit + blks_read)::bigint from pg_stat_database where datname = current_database()";
    let (pages,): (i64,) = sqlx::query_as(text).fetch_one(&mut db).await.unwrap();
    pages
}

/// Plans are made while the tables are small and kept when they are not: nothing may walk what only waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_a_step_costs_the_same_with_many_waiting_and_leased() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    let few = pages_beside(&database, 20).await;
    let many = pages_beside(&database, 6000).await;
    eprintln!("pages of a lease and its acknowledgement: {few:.0} beside few, {many:.0} beside many");
    // About fifty; a plan that walked the leased or the waiting ones would touch some hundred more.
    assert!(many <= 100.0, "{few:.0} pages beside few, {many:.0} beside many");
}

/// Pages that leasing and acknowledging 20 of each queue touches, per message, when so many wait in one group and as many
/// are leased to others.
async fn pages_beside(database: &TestDatabase, others: usize) -> f64 {
    const ROUNDS: usize = 10;
    const AT_ONCE: u32 = 20;
    let store = open(database).await;
    never_vacuum_by_itself(database).await;
    let (job, ordered) = (JobId::generate(), JobId::generate());
    // The statements are planned now.
    in_group(&store, ordered, "a").await;
    enqueue_many(&store, job, AT_ONCE as usize, START).await;
    both(&store, job, ordered, AT_ONCE).await;
    // And made again when the statistics change.
    run(&database.url, "vacuum analyze").await;
    both(&store, job, ordered, AT_ONCE).await;
    enqueue_many(&store, job, others, START).await;
    for _ in 0..others.div_ceil(1000) {
        lease(&store, job, 1000, START).await;
    }
    let puts = (0..others).map(|_| store.insert_message(grouped(ordered, Direction::Relay, "a"), START));
    futures_util::future::join_all(puts).await;
    // The same sessions, which keep their plans: they tell what they touched once they were idle for ten seconds.
    tokio::time::sleep(std::time::Duration::from_secs(11)).await;
    let before = pages_so_far(database).await;
    for _ in 0..ROUNDS {
        enqueue_many(&store, job, AT_ONCE as usize, START).await;
        both(&store, job, ordered, AT_ONCE).await;
    }
    store.close().await;
    let pages = pages_so_far(database).await - before;
    #[expect(clippy::cast_precision_loss, reason = "far below what a float counts exactly")]
    let each = pages as f64 / (ROUNDS * AT_ONCE as usize) as f64;
    each
}

async fn both(store: &Store, job: JobId, ordered: JobId, at_once: u32) {
    for (job, max) in [(job, at_once), (ordered, 1)] {
        let leased = lease(store, job, max, START).await;
        let acks = leased.iter().map(|message| ack(store, message, START));
        futures_util::future::join_all(acks).await;
    }
}
