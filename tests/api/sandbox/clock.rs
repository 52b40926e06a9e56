//! The clock that runs and jumps: what follows it, and what it refuses.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tranship::storage::{Sharing, Store, StoreSettings};

use super::{ask, sandbox, sandbox_with};
use crate::app::{Backend, TestApp};
use crate::client::Answered;

crate::on_both_backends!(
    leases_tokens_and_links_run_out_by_a_jump,
    a_cron_that_is_due_after_a_jump_fires,
    the_clock_goes_back_only_to_the_systems_time_and_says_so,
    nonsense_is_refused,
    it_does_not_jump_while_another_process_has_the_store,
);

async fn jump(app: &TestApp, asked: Value) -> Answered {
    ask(app, Method::POST, "/clock", Some(asked)).await
}

async fn leases_tokens_and_links_run_out_by_a_jump(backend: Backend) {
    let mut app = sandbox_with(backend, |setup| setup.set("queue.lease_seconds", "600")).await;
    let id = app.put("Letters", "", "a").await;
    let lease = app.lease_one("Letters").await;
    let action = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetAzureWriteUrl";
    let answer = app.post(action, json!({ "uniqueFileName": "x" }).to_string()).await;
    let value: Value = answer.json().await.unwrap();
    let link: Value = serde_json::from_str(value["value"].as_str().unwrap()).unwrap();
    let put = || {
        let request = app.request(Method::PUT, link["BlobUrl"].as_str().unwrap());
        request.header("x-ms-blob-type", "BlockBlob").body("x").send()
    };
    assert_eq!(put().await.unwrap().status(), StatusCode::CREATED);

    let stand = jump(&app, json!({ "advance_seconds": 601 }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&stand["ahead_seconds"], &stand["now"], &stand["real"]),
        (
            &json!(601),
            &json!("2026-01-05T08:10:01Z"),
            &json!("2026-01-05T08:00:00Z")
        )
    );
    let again = app.lease_one("Letters").await;
    assert_eq!((&again["id"], &again["attempt"]), (&json!(id), &json!(2)));
    assert_eq!(app.step(&lease, "ack", json!({})).await.status, StatusCode::CONFLICT);
    // What is written now bears the new time.
    let later = app.put("Letters", "", "b").await;
    assert_eq!(app.message(&later).await["enqueued_at"], "2026-01-05T08:10:01Z");

    jump(&app, json!({ "set": "2026-01-07T00:00:00Z" }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(app.get("/api/v1/jobs").await.status(), StatusCode::UNAUTHORIZED);
    let expired = put().await.unwrap();
    assert_eq!(expired.status(), StatusCode::FORBIDDEN);
    assert!(expired.text().await.unwrap().contains("expired"));
    app.renew_token().await;
    let shown = ask(&app, Method::GET, "/clock", None).await.expect(StatusCode::OK);
    assert_eq!(shown["now"], "2026-01-07T00:00:00Z");
    // It runs on.
    app.clock.advance_seconds(5);
    let shown = ask(&app, Method::GET, "/clock", None).await.expect(StatusCode::OK);
    assert_eq!(shown["now"], "2026-01-07T00:00:05Z");
}

/// How many occurrences of the nightly export are recorded.
async fn occurrences(app: &TestApp) -> usize {
    let listed = app.get("/api/v1/jobs/Nightly%20sales%20orders/occurrences").await;
    let listed: Value = listed.json().await.unwrap();
    listed["occurrences"].as_array().unwrap().len()
}

async fn a_cron_that_is_due_after_a_jump_fires(backend: Backend) {
    let app = sandbox(backend).await;
    app.scheduler.tick().await;
    assert_eq!(occurrences(&app).await, 0);
    // Eighteen hours on, 02:00 in Berlin is over.
    jump(&app, json!({ "advance_seconds": 64_800 }))
        .await
        .expect(StatusCode::OK);
    app.scheduler.tick().await;
    assert_eq!(occurrences(&app).await, 1);
    app.scheduler.tick().await;
    assert_eq!(occurrences(&app).await, 1, "once");
}

async fn the_clock_goes_back_only_to_the_systems_time_and_says_so(backend: Backend) {
    let mut app = sandbox(backend).await;
    jump(&app, json!({ "advance_seconds": 3600 }))
        .await
        .expect(StatusCode::OK);
    let refused = jump(&app, json!({ "set": "2026-01-05T08:30:00Z" })).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text("detail").contains("`real` goes back"), "{}", refused.body);
    app.renew_token().await;
    let back = jump(&app, json!({ "real": true })).await.expect(StatusCode::OK);
    assert_eq!(back["ahead_seconds"], 0);
    assert_eq!(back["went_back"]["seconds"], 3600);
    assert!(back["went_back"]["note"].as_str().unwrap().contains("to come"));
    app.renew_token().await;
    // Nothing is lost by it.
    let id = app.put("Letters", "", "a").await;
    assert_eq!(app.lease_one("Letters").await["id"], id);
}

async fn nonsense_is_refused(backend: Backend) {
    let app = sandbox(backend).await;
    for asked in [
        json!({}),
        json!({ "advance_seconds": -1 }),
        json!({ "advance_seconds": 1, "real": true }),
        json!({ "real": false }),
        json!({ "set": "tomorrow" }),
    ] {
        let refused = jump(&app, asked.clone()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{asked}");
    }
    let far = jump(&app, json!({ "set": "2099-01-01T00:00:00Z" })).await;
    assert_eq!(far.status, StatusCode::CONFLICT, "{}", far.body);
    let empty = ask(&app, Method::POST, "/clock", None).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    assert_eq!(ask(&app, Method::GET, "/clock", None).await.body["ahead_seconds"], 0);
}

/// A SQLite store has one process anyway.
async fn it_does_not_jump_while_another_process_has_the_store(backend: Backend) {
    let app = sandbox(backend).await;
    if backend == Backend::Sqlite {
        jump(&app, json!({ "advance_seconds": 1 })).await.expect(StatusCode::OK);
        return;
    }
    let other = |sharing| StoreSettings {
        url: app.store.url.clone(),
        max_connections: 1,
        sharing,
    };
    // A command beside the service is none.
    let command = Store::connect(&other(Sharing::Beside)).await.unwrap();
    jump(&app, json!({ "advance_seconds": 1 })).await.expect(StatusCode::OK);
    command.close().await;
    let other = Store::connect(&other(Sharing::Exclusive)).await.unwrap();
    for (path, body) in [("/clock", Some(json!({ "advance_seconds": 1 }))), ("/reset", None)] {
        let refused = ask(&app, Method::POST, path, body).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
        assert!(
            refused.text("detail").starts_with("1 other process"),
            "{}",
            refused.body
        );
    }
    assert_eq!(ask(&app, Method::GET, "/clock", None).await.body["ahead_seconds"], 1);
    other.close().await;
    for _ in 0..100 {
        // The server notices by and by that they are gone.
        let answer = jump(&app, json!({ "advance_seconds": 1 })).await;
        if answer.status == StatusCode::OK {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the other process is gone");
}
