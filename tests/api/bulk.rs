//! Many messages at once: found by what is known of them, counted, tried again or cancelled, a bounded number a call.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::client::{relay, send, text};

crate::on_both_backends!(
    messages_are_listed_by_what_is_known_of_them,
    a_bulk_action_goes_on_where_the_call_before_left_off,
    what_cannot_be_acted_on_is_reported_with_the_reason,
    waiting_messages_are_cancelled_and_cancelled_ones_come_back_only_when_asked_for,
    a_redrive_keeps_its_rate_over_several_calls,
    nobody_acts_on_jobs_of_others,
    what_makes_no_sense_is_refused,
);

const BULK: &str = "/api/v1/messages/bulk";

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup| {
        relay(setup, "Shop", "");
        relay(setup, "Other", "");
    })
    .await
}

async fn bulk(app: &TestApp, body: &Value) -> Value {
    app.post_json(BULK, body).await.expect(StatusCode::OK)
}

async fn bury(app: &TestApp, job: &str, count: usize) {
    for _ in 0..count {
        let lease = app.lease(job, json!({ "max": 1 })).await.remove(0);
        let refusal = json!({ "reason": "no such customer", "dead_letter": true });
        app.step(&lease, "reject", refusal).await.expect(StatusCode::OK);
    }
}

async fn listed(app: &TestApp, query: &str) -> Vec<String> {
    let path = format!("/api/v1/messages?{query}");
    let answer = send(app.request(Method::GET, &path), &app.token)
        .await
        .expect(StatusCode::OK);
    let messages = answer["messages"].as_array().unwrap().iter();
    messages.map(|message| text(message, "id")).collect()
}

async fn messages_are_listed_by_what_is_known_of_them(backend: Backend) {
    let app = app(backend).await;
    let first = app.put("Shop", "external_id=Orders-1.csv", "one").await;
    app.clock.advance_seconds(3600);
    let second = app.put("Shop", "external_id=Orders-2.csv", "two").await;
    let other = app.put("Other", "external_id=Prices.csv", "three").await;
    bury(&app, "Shop", 1).await;
    let all = [other.clone(), second.clone(), first.clone()];
    for (query, found) in [
        ("", &all[..]),
        ("file=orders", &all[1..]),
        ("external_id=Orders-2.csv", &all[1..2]),
        ("external_id=Orders", &[]),
        ("enqueued_from=2026-01-05T08:30:00Z", &all[..2]),
        ("enqueued_before=2026-01-05T08:30:00Z", &all[2..]),
        ("enqueued_before=2026-01-05T08:30:00Z&job=Other", &[]),
        ("status=failed", &all[2..]),
        ("status=deadlettered&code=rejected", &all[2..]),
        ("code=expired", &[]),
        ("ended_from=2026-01-05T08:30:00Z", &all[2..]),
        ("ended_before=2026-01-05T08:30:00Z", &[]),
    ] {
        assert_eq!(listed(&app, query).await, found, "{query}");
    }
    let page = "/api/v1/messages?file=csv&limit=2";
    let answer = send(app.request(Method::GET, page), &app.token)
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        listed(&app, &format!("file=csv&before={}", text(&answer, "next"))).await,
        &all[2..]
    );
}

async fn a_bulk_action_goes_on_where_the_call_before_left_off(backend: Backend) {
    let app = app(backend).await;
    let mut ids = Vec::new();
    for at in 0..7 {
        ids.push(app.put("Shop", &format!("external_id=file-{at}"), "x").await);
    }
    app.put("Other", "", "y").await;
    bury(&app, "Shop", 7).await;
    bury(&app, "Other", 1).await;
    let filter = json!({ "job": "Shop", "status": "DeadLettered" });
    let counted = bulk(&app, &json!({ "action": "retry", "filter": filter, "dry_run": true })).await;
    assert_eq!((&counted["matched"], &counted["at_least"]), (&json!(7), &json!(false)));
    assert_eq!(
        counted["jobs"],
        json!([{ "job": "Shop", "job_id": app.job("Shop"), "matched": 7 }])
    );
    assert_eq!(text(&counted["sample"][0], "id"), ids[0]);
    let (mut after, mut done) = (Value::Null, Vec::new());
    loop {
        let answer = bulk(
            &app,
            &json!({ "action": "retry", "filter": filter, "limit": 3, "after": after }),
        )
        .await;
        done.push(answer["done"].as_u64().unwrap());
        after = answer["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(done, [3, 3, 1]);
    assert_eq!(app.offered("Shop").await, ids, "in the order they had");
    // Once more there is nothing to do.
    let again = bulk(&app, &json!({ "action": "retry", "filter": filter })).await;
    assert_eq!((&again["done"], &again["next"]), (&json!(0), &Value::Null));
    assert_eq!(
        listed(&app, "status=DeadLettered").await.len(),
        1,
        "the other job's stays"
    );
}

async fn what_cannot_be_acted_on_is_reported_with_the_reason(backend: Backend) {
    let app = app(backend).await;
    let rejected = app
        .import(
            "Inbound customers",
            "Customers",
            "CustomerID,CompanyName\r\n,No key\r\n",
        )
        .await;
    let rejected = text(&rejected, "id");
    let dead = app.put("Shop", "", "one").await;
    bury(&app, "Shop", 1).await;
    let waiting = app.put("Shop", "", "two").await;
    let unknown = "0192f1c4-0000-7000-8000-000000000000";
    let named = |action: &str, dry_run: bool| json!({ "action": action, "ids": [dead, rejected, waiting, unknown], "dry_run": dry_run });
    let counted = bulk(&app, &named("retry", true)).await;
    assert_eq!((&counted["matched"], &counted["will_fail"]), (&json!(4), &json!(3)));
    let codes = |answer: &Value| -> Vec<(String, String)> {
        let failed = answer["failed"].as_array().unwrap().iter();
        let mut codes: Vec<_> = failed
            .map(|failed| (text(failed, "id"), text(failed, "code")))
            .collect();
        codes.sort();
        codes
    };
    let sorted = |mut all: Vec<(&str, &str)>| -> Vec<(String, String)> {
        all.sort_unstable();
        all.into_iter()
            .map(|(id, code)| (id.to_owned(), code.to_owned()))
            .collect()
    };
    let done = bulk(&app, &named("retry", false)).await;
    assert_eq!(done["done"], 1);
    assert_eq!(
        codes(&done),
        sorted(vec![
            (unknown, "not_found"),
            (&rejected, "not_retryable"),
            (&waiting, "not_retryable")
        ])
    );
    let done = bulk(&app, &named("cancel", false)).await;
    assert_eq!(done["done"], 2, "{done}");
    assert_eq!(codes(&done), sorted(vec![(unknown, "not_found"), (&rejected, "ended")]));
}

async fn waiting_messages_are_cancelled_and_cancelled_ones_come_back_only_when_asked_for(backend: Backend) {
    let app = app(backend).await;
    let mut ids = Vec::new();
    for at in 0..5 {
        ids.push(app.put("Shop", &format!("external_id=file-{at}"), "x").await);
    }
    let other = app.put("Other", "", "y").await;
    let filter = json!({ "job": "Shop", "file": "FILE" });
    let counted = bulk(&app, &json!({ "action": "cancel", "filter": filter, "dry_run": true })).await;
    assert_eq!(counted["matched"], 5);
    let done = bulk(&app, &json!({ "action": "cancel", "filter": filter, "limit": 4 })).await;
    assert_eq!((&done["done"], &done["failed"]), (&json!(4), &json!([])));
    let rest = bulk(
        &app,
        &json!({ "action": "cancel", "filter": filter, "after": done["next"] }),
    )
    .await;
    assert_eq!((&rest["done"], &rest["next"]), (&json!(1), &Value::Null));
    assert!(app.offered("Shop").await.is_empty());
    let retry = |filter: Value| json!({ "action": "retry", "filter": filter });
    assert_eq!(
        bulk(&app, &retry(json!({ "job": "Shop" }))).await["done"],
        0,
        "nobody asked for those"
    );
    let back = bulk(&app, &retry(json!({ "job": "Shop", "status": "Cancelled" }))).await;
    assert_eq!(back["done"], 5);
    assert_eq!(app.offered("Shop").await, ids);
    assert_eq!(app.offered("Other").await, [other]);
}

async fn a_redrive_keeps_its_rate_over_several_calls(backend: Backend) {
    let app = app(backend).await;
    for at in 0..6 {
        app.put("Shop", &format!("external_id=file-{at}"), "x").await;
    }
    bury(&app, "Shop", 6).await;
    let mut after = Value::Null;
    loop {
        let asked =
            json!({ "action": "retry", "filter": { "job": "Shop" }, "per_second": 2, "limit": 1, "after": after });
        after = bulk(&app, &asked).await["next"].clone();
        if after.is_null() {
            break;
        }
    }
    let mut offered = Vec::new();
    for _ in 0..3 {
        offered.push(app.lease("Shop", json!({ "max": 10 })).await.len());
        app.clock.advance_seconds(1);
        app.run_until_idle().await;
    }
    assert_eq!(offered, [2, 2, 2]);
}

async fn nobody_acts_on_jobs_of_others(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Shop", "", "x").await;
    bury(&app, "Shop", 1).await;
    let stranger = app.client("stranger").await;
    let asked = async |body: Value| {
        let request = app.request(Method::POST, BULK).json(&body);
        send(request, &stranger).await
    };
    let of_job = json!({ "action": "retry", "filter": { "job": "Shop" } });
    assert_eq!(asked(of_job).await.status, StatusCode::FORBIDDEN);
    let any = json!({ "action": "retry", "filter": { "status": "DeadLettered" } });
    assert_eq!(asked(any).await.status, StatusCode::FORBIDDEN);
    let named = asked(json!({ "action": "retry", "ids": [id] }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&named["done"], &named["failed"][0]["code"]),
        (&json!(0), &json!("not_found"))
    );
    assert_eq!(app.message(&id).await["status"], "DeadLettered");
}

async fn what_makes_no_sense_is_refused(backend: Backend) {
    let app = app(backend).await;
    for (body, code) in [
        (json!({ "action": "retry" }), "invalid_filter"),
        (json!({ "action": "retry", "filter": {} }), "invalid_filter"),
        (
            json!({ "action": "retry", "ids": ["x"], "filter": { "job": "Shop" } }),
            "invalid_filter",
        ),
        (json!({ "action": "retry", "ids": ["x"] }), "invalid_filter"),
        (
            json!({ "action": "retry", "filter": { "status": "Processed" } }),
            "invalid_status",
        ),
        (
            json!({ "action": "cancel", "filter": { "status": "DeadLettered" } }),
            "invalid_status",
        ),
        (
            json!({ "action": "cancel", "filter": { "status": "Lost" } }),
            "invalid_status",
        ),
        (
            json!({ "action": "retry", "filter": { "job": "Shop", "ended_from": "monday" } }),
            "invalid_time",
        ),
        (
            json!({ "action": "retry", "filter": { "job": "Shop" }, "after": "x" }),
            "invalid_after",
        ),
        (
            json!({ "action": "retry", "filter": { "job": "Shop" }, "limit": 0 }),
            "invalid_number",
        ),
        (
            json!({ "action": "delete", "filter": { "job": "Shop" } }),
            "invalid_json",
        ),
        (
            json!({ "action": "retry", "filter": { "jobs": "Shop" } }),
            "invalid_json",
        ),
    ] {
        let answer = app.post_json(BULK, &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer.body["code"], code, "{body}: {}", answer.body);
    }
}
