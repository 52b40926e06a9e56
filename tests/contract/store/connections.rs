//! Whose the store's connections are.

use std::time::Duration;

use futures_util::future::try_join_all;
use sqlx::Connection as _;
use tranship::storage::{Store, StoreSettings};

use super::{open, settings};
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(a_read_on_another_runtime_leaves_its_connection_to_the_store);

/// More reads at once than the store has connections, so that new ones are made for them.
const READS: usize = 16;

/// The threads of the HTTP server have runtimes of their own, which end before the store does.
async fn a_read_on_another_runtime_leaves_its_connection_to_the_store(database: TestDatabase) {
    let store = open(&database).await;
    let elsewhere = {
        let store = store.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime
                .block_on(try_join_all((0..READS).map(|_| store.ping())))
                .unwrap();
            // Not ended, but nobody drives it: what belonged to it would wait for ever.
            runtime
        })
    };
    let elsewhere = tokio::task::spawn_blocking(move || elsewhere.join().unwrap())
        .await
        .unwrap();
    let reads = try_join_all((0..READS).map(|_| store.ping()));
    let read = tokio::time::timeout(Duration::from_secs(20), reads).await;
    read.expect("no connection waits for a runtime that nobody drives")
        .unwrap();
    elsewhere.shutdown_background();
}

/// Servers ask for SCRAM unless told otherwise. (That of the tests is told otherwise, and still takes it from who has such a password.)
#[tokio::test]
async fn a_server_that_asks_for_scram_lets_the_store_in() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    let role = format!("r_{}", uuid::Uuid::new_v4().simple());
    let mut server = sqlx::PgConnection::connect(&database.url).await.unwrap();
    for text in [
        "set password_encryption = 'scram-sha-256'".to_owned(),
        format!("create role {role} superuser login password 'let me in'"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(text))
            .execute(&mut server)
            .await
            .unwrap();
    }
    let kept = "select rolpassword like 'SCRAM-SHA-256$%' from pg_authid where rolname = $1";
    let (is_scram,): (bool,) = sqlx::query_as(kept).bind(&role).fetch_one(&mut server).await.unwrap();
    assert!(is_scram);

    let connect = async |password: &str| {
        let mut url = url::Url::parse(&database.url).unwrap();
        url.set_username(&role).unwrap();
        url.set_password(Some(password)).unwrap();
        let url = url.into();
        Store::connect(&StoreSettings {
            url,
            ..settings(&database)
        })
        .await
    };
    let refused = connect("let me out").await.unwrap_err().to_string();
    assert!(refused.contains("password authentication failed"), "{refused}");
    connect("let me in").await.unwrap().ping().await.unwrap();

    for text in [
        format!("reassign owned by {role} to current_user"),
        format!("drop role {role}"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(text))
            .execute(&mut server)
            .await
            .unwrap();
    }
}
