//! What an operator does over HTTP: stop a message, try it again, redrive what ended without success, unblock a group.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::client::{relay, send, text};

crate::on_both_backends!(
    dead_letters_are_listed_counted_and_go_back_to_their_queue,
    a_message_is_cancelled_once_and_may_be_tried_again,
    a_blocked_group_is_shown_and_goes_on_when_unblocked,
);

async fn app(backend: Backend, queue: &str) -> TestApp {
    TestApp::with(backend, |setup| relay(setup, "Documents", queue)).await
}

async fn get(app: &TestApp, path: &str) -> Value {
    send(app.request(Method::GET, path), &app.token)
        .await
        .expect(StatusCode::OK)
}

async fn bury(app: &TestApp) {
    let lease = app.lease("Documents", json!({ "max": 1 })).await.remove(0);
    let refusal = json!({ "reason": "no such customer", "dead_letter": true });
    app.step(&lease, "reject", refusal).await.expect(StatusCode::OK);
}

async fn dead_letters_are_listed_counted_and_go_back_to_their_queue(backend: Backend) {
    let app = app(backend, "").await;
    let ids = [
        app.put("Documents", "", "one").await,
        app.put("Documents", "", "two").await,
    ];
    bury(&app).await;
    bury(&app).await;
    let listed = get(&app, "/api/v1/dead-letters?job=Documents").await;
    let listed: Vec<String> = listed["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| text(m, "id"))
        .collect();
    assert_eq!(listed, ids);

    let groups = get(&app, "/api/v1/dead-letters/groups").await;
    let group = &groups["groups"][0];
    assert_eq!(
        [
            &group["job"],
            &group["status"],
            &group["code"],
            &group["count"],
            &group["at_least"]
        ],
        [
            &json!("Documents"),
            &json!("DeadLettered"),
            &json!("rejected"),
            &json!(2),
            &json!(false)
        ]
    );

    let redrive = |dry_run| {
        let filter = json!({ "job": "Documents", "status": "DeadLettered", "code": "rejected" });
        json!({ "action": "retry", "filter": filter, "dry_run": dry_run })
    };
    let path = "/api/v1/messages/bulk";
    let counted = app.post_json(path, &redrive(true)).await.expect(StatusCode::OK);
    assert_eq!((&counted["matched"], &counted["at_least"]), (&json!(2), &json!(false)));
    assert!(app.offered("Documents").await.is_empty(), "a dry run moves nothing");
    let done = app.post_json(path, &redrive(false)).await.expect(StatusCode::OK);
    assert_eq!(
        (&done["done"], &done["failed"], &done["next"]),
        (&json!(2), &json!([]), &Value::Null)
    );
    assert_eq!(
        app.offered("Documents").await,
        ids,
        "to the queue they came from, in their order"
    );
    let groups = get(&app, "/api/v1/dead-letters/groups?job=Documents").await;
    assert_eq!(groups["groups"], json!([]));
}

async fn a_message_is_cancelled_once_and_may_be_tried_again(backend: Backend) {
    let app = app(backend, "").await;
    let id = app.put("Documents", "", "one").await;
    let cancel = format!("/api/v1/messages/{id}/cancel");
    let retry = format!("/api/v1/messages/{id}/retry");
    app.post_json(&retry, &json!({})).await.expect(StatusCode::CONFLICT);
    let ended = app.post_json(&cancel, &json!({})).await.expect(StatusCode::OK);
    assert_eq!(ended["status"], "Cancelled");
    app.post_json(&cancel, &json!({})).await.expect(StatusCode::CONFLICT);
    assert!(app.offered("Documents").await.is_empty());
    app.post_json(&retry, &json!({})).await.expect(StatusCode::OK);
    assert_eq!(app.offered("Documents").await, [id]);
}

async fn a_blocked_group_is_shown_and_goes_on_when_unblocked(backend: Backend) {
    let app = app(backend, "in_order = true\nblock_on_dead_letter = true").await;
    let dead = app.put("Documents", "", "one").await;
    let next = app.put("Documents", "", "two").await;
    bury(&app).await;
    assert!(app.offered("Documents").await.is_empty());
    let groups = get(&app, "/api/v1/jobs/Documents/groups").await;
    let group = &groups["groups"][0];
    assert_eq!(
        (&group["blocked"], &group["blocked_by"], &group["behind"]),
        (&json!(true), &json!(dead), &json!(1))
    );
    let unblock = "/api/v1/jobs/Documents/groups/unblock";
    app.post_json(unblock, &json!({ "key": "" }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(app.offered("Documents").await, [next]);
    app.post_json(unblock, &json!({ "key": "" }))
        .await
        .expect(StatusCode::CONFLICT);
}
