//! Whose the store's connections are.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::open;
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
