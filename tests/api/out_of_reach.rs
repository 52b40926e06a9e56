//! What a message needs is away for a while: it waits, nothing is used up, and it ends well when everything is back.

use serde_json::Value;

use crate::app::{Backend, TestApp};
use crate::support::databases::TestDatabase;

crate::on_both_backends!(a_database_that_is_away_uses_up_no_attempts);

const CUSTOMERS: &str = "CustomerID,CompanyName\r\nAAAAA,One\r\nBBBBB,Two\r\n";

async fn a_database_that_is_away_uses_up_no_attempts(backend: Backend) {
    // On PostgreSQL the database comes back; nobody ever listens on port 1.
    let away = match backend {
        Backend::Sqlite => "postgres://nobody@127.0.0.1:1/none".to_owned(),
        Backend::Postgres => TestDatabase::postgres_to_come().expect("checked by the macro"),
    };
    let app = TestApp::with(backend, |setup| setup.set("databases.main.url", away.clone())).await;
    let id = app.enqueue("Inbound customers", "Customers", CUSTOMERS).await;
    for _ in 0..15 {
        app.run_until_idle().await;
        app.clock.advance_seconds(16);
    }
    let message = app.message(&id).await;
    assert_eq!(message["status"], "Enqueued", "{message:#}");
    assert_eq!(message["attempt"], 0, "{message:#}");
    let history: Value = app
        .get(&format!("/api/v1/messages/{id}/history"))
        .await
        .json()
        .await
        .unwrap();
    let note = history["events"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .find_map(|e| e["note"].as_str())
        .unwrap();
    assert!(
        note.contains("out of reach") && !note.contains("nobody"),
        "for clients, without the driver's words: {note}"
    );
    if backend == Backend::Postgres {
        TestDatabase::create(&away).await;
        app.run_until_idle().await;
        assert_eq!(app.message(&id).await["records"]["inserted"], 2);
    }
}
