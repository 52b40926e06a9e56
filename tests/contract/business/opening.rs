//! Opening a business database, also by many at once and in the state another program left it in.

use std::path::Path;
use std::time::Duration;

use sqlx::{Connection as _, SqliteConnection};
use tranship::business::BusinessError;
use tranship::business::staging::StagingBatch;
use tranship::domain::ids::{JobId, MessageId};
use tranship::domain::message::Fence;

use super::fixture::{Loading, Plain, after, bad_record, batch, open, order, orders, outcome};
use crate::on_both_databases;
use crate::support::databases::{TestDatabase, rows, run};

on_both_databases!(
    a_new_database_opened_by_many_at_once_serves_all_of_them,
    a_server_that_only_reads_is_out_of_reach,
    a_database_of_each_earlier_version_serves,
);

/// As many first openings at once as no installation has.
const OPENINGS: usize = 16;

fn new_fence() -> Fence {
    Fence {
        message: MessageId::generate(),
        epoch: 1,
    }
}

async fn a_new_database_opened_by_many_at_once_serves_all_of_them(database: TestDatabase) {
    let embedded = database.url.starts_with("sqlite");
    let mut databases = vec![database];
    if embedded {
        // A collision is a matter of luck: ten chances.
        databases.extend((0..9).map(|_| TestDatabase::sqlite()));
    }
    let mut failures = Vec::new();
    for (round, database) in databases.iter().enumerate() {
        let all: Vec<_> = (0..OPENINGS)
            .map(|_| {
                // One each, as processes have them.
                let one = open(database);
                tokio::spawn(async move { one.raise_fence(new_fence()).await })
            })
            .collect();
        for one in all {
            if let Err(error) = one.await.expect("it ends") {
                failures.push(format!("round {round}: {error}"));
            }
        }
        if embedded {
            assert_eq!(journal_mode(database).await, "wal");
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// As after a failover that left the old address with a standby: no fault of what was to be written.
async fn a_server_that_only_reads_is_out_of_reach(test: TestDatabase) {
    let mut plain = Plain::open(&test).await;
    if plain.is_sqlite() {
        return;
    }
    open(&test).raise_fence(new_fence()).await.expect("a fence");
    plain
        .run(
            "do $$ begin \
               execute format('alter database %I set default_transaction_read_only = on', current_database()); \
             end $$",
        )
        .await;
    let refused = open(&test).raise_fence(new_fence()).await;
    assert!(
        refused.as_ref().is_err_and(BusinessError::is_unreachable),
        "{refused:?}"
    );
}

/// Control tables are made where there are none, and never altered: what a release made has to do for all that come after it.
async fn a_database_of_each_earlier_version_serves(test: TestDatabase) {
    let stores = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stores");
    let mut releases = 0;
    for folder in std::fs::read_dir(stores).expect("the kept stores") {
        let made = std::fs::read_to_string(folder.expect("an entry").path().join("business.sql")).expect("its tables");
        let is_sqlite = test.url.starts_with("sqlite");
        let test = if is_sqlite {
            TestDatabase::sqlite()
        } else {
            TestDatabase::postgres().await.expect("the cluster that gave one")
        };
        let id = if is_sqlite { "blob" } else { "uuid" };
        run(&test.url, &made.replace("{id}", id)).await;
        let (database, entity) = (open(&test), orders());
        let loading = Loading::begin(&database, &entity).await;
        let good = batch(1, vec![order(1, "A", "1.00"), order(2, "B", "2.00")]);
        let all = StagingBatch {
            rejected: vec![bad_record(3)],
            after: after(3),
            ..good
        };
        loading.stage(all).await;
        assert_eq!(outcome(loading.finish().await).0, 2);
        assert_eq!(loading.rejects().await.len(), 2, "two mistakes of one record");
        database.track(&entity).await.expect("tracked");
        let job = JobId(uuid::Uuid::new_v4());
        assert_eq!(database.raise_mark(job, &entity, 0).await.expect("a mark").new, 1);
        releases += 1;
    }
    assert!(releases > 0);
}

#[tokio::test]
async fn a_file_without_a_write_ahead_log_that_somebody_writes_to_is_waited_for() {
    let database = TestDatabase::sqlite();
    let mut writing = SqliteConnection::connect(&format!("{}?mode=rwc", database.url))
        .await
        .expect("it opens");
    sqlx::raw_sql("create table theirs (a integer); begin immediate")
        .execute(&mut writing)
        .await
        .expect("a write transaction");
    assert_eq!(journal_mode(&database).await, "delete");

    let ours = open(&database);
    let opening = tokio::spawn(async move { ours.raise_fence(new_fence()).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!opening.is_finished(), "the switch needs the file for itself");
    writing.close().await.expect("it ends");
    opening.await.expect("it ends").expect("opened once the writer is gone");
    assert_eq!(journal_mode(&database).await, "wal");
}

async fn journal_mode(database: &TestDatabase) -> String {
    let rows = rows(&database.url, "pragma journal_mode").await;
    rows[0][0].clone().expect("a word")
}
