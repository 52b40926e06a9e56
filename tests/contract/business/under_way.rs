//! What is under way on PostgreSQL when a load is given up: it counts, or nothing of it stays. And what passes by itself.

use std::time::{Duration, Instant};

use tranship::business::BusinessError;
use tranship::business::staging::Chunk;
use tranship::domain::cell::Cell;

use super::fixture::*;
use crate::support::databases::TestDatabase;

/// Until so many sessions of the database wait for a lock.
async fn until_waiting(test: &TestDatabase, sessions: i64) {
    let mut plain = Plain::open(test).await;
    let (waiting, began) = (
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        Instant::now(),
    );
    while plain.number(waiting).await < sessions {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The one chunk of these records, ready to land.
async fn staged(loading: &Loading<'_>, rows: Vec<Vec<Cell>>) -> Chunk {
    loading.stage(batch(1, rows)).await;
    loading.finish_staging().await.expect("validated");
    loading.database.chunks(loading.load()).await.expect("chunks")[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_being_staged_counts_when_its_load_is_stopped() {
    let Some(test) = TestDatabase::postgres().await else {
        return;
    };
    let (database, entity) = (open(&test), orders());
    let loading = Loading::begin(&database, &entity).await;
    let mut plain = Plain::open(&test).await;
    plain
        .run(&format!(
            "begin; lock table \"{}\" in share mode",
            entity.staging_table()
        ))
        .await;
    let batch = batch(1, vec![order(1, "A", "1.00"), order(2, "B", "2.00")]);
    let staging = database.stage(loading.load(), &loading.fields, &batch);
    let stopping = async {
        until_waiting(&test, 1).await;
        let stop = database.stop_load(loading.load(), "the file breaks off");
        let release = async {
            until_waiting(&test, 2).await;
            plain.run("commit").await;
        };
        tokio::join!(stop, release).0
    };
    let (staged, stopped) = tokio::join!(staging, stopping);
    staged.expect("it was first");
    stopped.expect("stopped");
    let counts = loading.counts().await.counts;
    assert_eq!((counts.read, counts.skipped), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_lands_as_it_is_read_comes_too_late_once_its_load_is_stopped() {
    let Some(test) = TestDatabase::postgres().await else {
        return;
    };
    let (database, entity) = (open(&test), orders());
    let loading = Loading::begin(&database, &entity).await;
    let checks = database.batch_checks_of(loading.load(), &loading.fields, &[]).await;
    let checks = checks.expect("checks");
    let mut plain = Plain::open(&test).await;
    plain.run("begin; select * from tranship_loads for update").await;
    let stopping = database.stop_load(loading.load(), "cancelled");
    let batch = batch(1, vec![order(1, "A", "1.00")]);
    let landing = async {
        until_waiting(&test, 1).await;
        let land = database.land(loading.load(), &loading.fields, &checks, &batch);
        let release = async {
            until_waiting(&test, 2).await;
            plain.run("commit").await;
        };
        tokio::join!(land, release).0
    };
    let (stopped, landed) = tokio::join!(stopping, landing);
    stopped.expect("it was first");
    assert!(matches!(landed, Err(BusinessError::Fenced(_))), "{landed:?}");
    assert_eq!(loading.counts().await.counts.read, 0);
    assert_eq!(read_all(&database, &entity).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_under_way_lands_nothing_once_its_load_is_stopped() {
    let Some(test) = TestDatabase::postgres().await else {
        return;
    };
    let (database, entity) = (open(&test), orders());
    let loading = Loading::begin(&database, &entity).await;
    let chunk = staged(&loading, vec![order(1, "A", "1.00"), order(2, "B", "2.00")]).await;
    let mut plain = Plain::open(&test).await;
    plain.run("begin; insert into orders values (1, 'X', 1)").await;
    let promoting = database.promote_chunk(loading.load(), &loading.fields, chunk);
    let stopping = async {
        until_waiting(&test, 1).await;
        database
            .stop_load(loading.load(), "cancelled")
            .await
            .expect("it waits for nobody");
        let counts = loading.counts().await.counts;
        plain.run("rollback").await;
        counts
    };
    let (promoted, counts) = tokio::join!(promoting, stopping);
    assert!(matches!(promoted, Err(BusinessError::Fenced(_))), "{promoted:?}");
    assert_eq!((counts.read, counts.skipped), (2, 2));
    assert_eq!(loading.counts().await.counts, counts);
    assert_eq!(read_all(&database, &entity).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_somebody_holds_is_no_fault_of_the_load() {
    let Some(test) = TestDatabase::postgres().await else {
        return;
    };
    let (database, entity) = (open(&test), orders());
    let loading = Loading::begin(&database, &entity).await;
    let chunk = staged(&loading, vec![order(1, "A", "1.00")]).await;
    let mut plain = Plain::open(&test).await;
    // As the lock's timeout says it, without the half minute.
    plain
        .run(
            "create function refuse() returns trigger language plpgsql as \
             $$ begin raise exception 'not now' using errcode = '55P03'; end $$; \
             create trigger refuse before insert on orders for each row execute function refuse()",
        )
        .await;
    let promoted = database.promote_chunk(loading.load(), &loading.fields, chunk).await;
    let refused = promoted.expect_err("it is refused");
    assert!(refused.is_locked(), "{refused:?}");
    plain.run("drop trigger refuse on orders").await;
    loading.promote().await;
    assert_eq!(outcome(loading.counts().await), (1, 0, 0, 0));
}
