//! What open transactions hold back of the changes (PostgreSQL), and who is named for it.

use tranship::business::Database;

use super::super::fixture::*;
use super::follower::{Follower, make};
use crate::support::databases::{TestDatabase, rows};

crate::on_both_databases!(a_transaction_that_commits_late_is_not_skipped,);

async fn a_transaction_that_commits_late_is_not_skipped(test: TestDatabase) {
    let (database, entity, mut plain) = make(&test).await;
    if plain.is_sqlite() {
        return;
    }
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    let mut late = Plain::open(&test).await;
    late.run("begin; insert into orders values (1, 'late', 1)").await;
    plain.run("insert into orders values (2, 'early', 2)").await;
    follower.export().await;
    assert_eq!(
        (follower.told, follower.withheld),
        (0, 1),
        "what came after an open transaction waits for it"
    );
    late.run("commit").await;
    follower.catches_up().await;
    assert_eq!((follower.is_full, follower.told, follower.withheld), (false, 2, 0));

    // The first export, which takes everything, is no exception.
    late.run("begin; insert into orders values (3, 'late', 1)").await;
    let mut newcomer = Follower::new(&database, &entity);
    newcomer.export().await;
    assert!(newcomer.is_full && newcomer.told == 2);
    late.run("commit").await;
    newcomer.catches_up().await;
    assert_eq!((newcomer.is_full, newcomer.told), (false, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_of_another_database_holds_nothing_back() {
    let (Some(test), Some(other)) = (TestDatabase::postgres().await, TestDatabase::postgres().await) else {
        return;
    };
    let (database, entity, mut plain) = make(&test).await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    let mut elsewhere = Plain::open(&other).await;
    elsewhere.run("begin; create table somebodys (number int)").await;
    plain.run("insert into orders values (1, 'A', 1)").await;
    follower.export().await;
    assert_eq!((follower.is_full, follower.told, follower.withheld), (false, 1, 0));

    // Prepared, it belongs to no process any more.
    let setting = "select setting from pg_settings where name = 'max_prepared_transactions'";
    if rows(&test.url, setting).await[0][0].as_deref() == Some("0") {
        eprintln!("skipped with prepared transactions: the server has none (scripts/postgres does)");
        return;
    }
    let prepared = format!("'{}'", uuid::Uuid::new_v4());
    elsewhere.run(&format!("prepare transaction {prepared}")).await;
    plain.run("insert into orders values (2, 'B', 2)").await;
    follower.export().await;
    elsewhere.run(&format!("rollback prepared {prepared}")).await;
    assert_eq!((follower.is_full, follower.told, follower.withheld), (false, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_changes_back_is_told_to_a_role_that_may_not_see_since_when() {
    let Some(test) = TestDatabase::postgres().await else {
        return;
    };
    let mut plain = Plain::open(&test).await;
    let role = format!("r_{}", uuid::Uuid::new_v4().simple());
    let mut url = url::Url::parse(&test.url).expect("a URL");
    let name = url.path().trim_start_matches('/').to_owned();
    plain
        .run(&format!(
            "create role {role} login password 'secret'; alter database {name} owner to {role}"
        ))
        .await;
    url.set_username(&role).expect("it has users");
    url.set_password(Some("secret")).expect("it has users");
    let (database, entity) = (open_url(url.as_str()), orders());
    database.ensure_entity(&entity).await.expect("tables");
    Follower::new(&database, &entity).export().await;

    let mut late = Plain::open(&test).await;
    late.run("begin; insert into orders values (1, 'late', 1)").await;
    plain.run("insert into orders values (2, 'early', 2)").await;
    let told_to = async |database: Database| {
        let mut snapshot = database.snapshot().await.expect("a snapshot");
        let horizon = snapshot.horizon(&entity, None).await.expect("a horizon");
        horizon.blocker.expect("a process")
    };
    let (blind, seeing) = (told_to(database.clone()).await, told_to(open(&test)).await);
    assert_eq!((blind.process, blind.age_seconds), (seeing.process, None));
    assert!(seeing.age_seconds.is_some());
    late.run("rollback").await;
    plain
        .run(&format!(
            "reassign owned by {role} to current_user; drop owned by {role}; drop role {role}"
        ))
        .await;
}
