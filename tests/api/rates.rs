//! How much comes in and ends: counted in memory, written down every few seconds, read by whoever may see the jobs.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::client::{Answered, relay, send};
use crate::support::databases::{rows, run};

crate::on_both_backends!(
    what_came_in_and_how_it_ended_is_counted_by_the_minute,
    a_client_sees_the_sums_of_its_jobs_only,
    shares_of_several_processes_add_up,
    what_no_chart_shows_is_removed,
    what_cannot_be_written_is_kept_for_the_next_time,
    a_question_that_makes_no_sense_is_refused,
);

async fn rates(app: &TestApp, query: &str) -> Value {
    let answer = app.get(&format!("/api/v1/rates{query}")).await;
    Answered::read(answer).await.expect(StatusCode::OK)
}

/// The buckets in which something happened: when they began, and what came in and ended how.
fn busy(rates: &Value) -> Vec<(String, [u64; 5])> {
    let buckets = rates["buckets"].as_array().unwrap().iter();
    let counts = buckets.map(|bucket| {
        let counts = ["enqueued", "succeeded", "with_errors", "failed", "stopped"];
        let from = bucket["from"].as_str().unwrap().to_owned();
        (from, counts.map(|member| bucket[member].as_u64().unwrap()))
    });
    counts.filter(|(_, counts)| *counts != [0; 5]).collect()
}

async fn two_queues(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup| {
        relay(setup, "Shop", "");
        relay(setup, "Stock", "");
    })
    .await
}

/// Twelve messages come in at eight; at five past, two are acknowledged, one is rejected for good and one cancelled.
async fn lively(backend: Backend) -> TestApp {
    let app = two_queues(backend).await;
    let mut cancelled = String::new();
    for _ in 0..9 {
        cancelled = app.put("Shop", "", "x").await;
    }
    for _ in 0..3 {
        app.put("Stock", "", "x").await;
    }
    app.clock.advance_seconds(5 * 60);
    let leases = app.lease("Shop", json!({ "max": 3 })).await;
    for (at, step) in [(0, "ack"), (1, "ack"), (2, "reject")] {
        let asked = if step == "reject" {
            json!({ "reason": "no", "dead_letter": true })
        } else {
            json!({})
        };
        app.step(&leases[at], step, asked).await.expect(StatusCode::OK);
    }
    app.post(&format!("/api/v1/messages/{cancelled}/cancel"), "").await;
    app
}

async fn what_came_in_and_how_it_ended_is_counted_by_the_minute(backend: Backend) {
    let app = lively(backend).await;
    assert_eq!(busy(&rates(&app, "").await), [], "nothing is written with each message");
    app.context.store.write_traffic().await.unwrap();

    let hour = rates(&app, "").await;
    let expected = [
        ("2026-01-05T08:00:00Z".to_owned(), [12, 0, 0, 0, 0]),
        ("2026-01-05T08:05:00Z".to_owned(), [0, 2, 0, 1, 1]),
    ];
    assert_eq!(busy(&hour), expected);
    assert_eq!(hour["buckets"].as_array().unwrap().len(), 60);
    assert_eq!(
        (&hour["from"], &hour["to"]),
        (&json!("2026-01-05T07:06:00Z"), &json!("2026-01-05T08:05:00Z"))
    );
    // Twelve in the five minutes.
    let now = json!({ "over_seconds": 300, "enqueued": 2.4, "ended": 0.8, "failed": 0.2 });
    assert_eq!(hour["per_minute"], now);
    let total = json!({ "enqueued": 12, "ended": 4, "succeeded": 2, "with_errors": 0, "failed": 1, "stopped": 1 });
    assert_eq!(hour["total"], total);

    for (range, start) in [("day", "2026-01-05T08:00:00Z"), ("week", "2026-01-05T06:00:00Z")] {
        let longer = rates(&app, &format!("?range={range}")).await;
        assert_eq!(busy(&longer), [(start.to_owned(), [12, 2, 0, 1, 1])]);
        assert_eq!(longer["per_minute"], now, "{range}");
    }
    let stock = rates(&app, "?job=Stock").await;
    assert_eq!(busy(&stock), [("2026-01-05T08:00:00Z".to_owned(), [3, 0, 0, 0, 0])]);
    assert_eq!(
        (&stock["job"], &stock["job_id"]),
        (&json!("Stock"), &json!(app.job("Stock")))
    );

    // Written once: nothing is added again.
    app.context.store.write_traffic().await.unwrap();
    assert_eq!(rates(&app, "").await, hour);
    // An hour later the chart of the hour is empty, and that of the day is not.
    app.clock.advance_seconds(3600);
    let later = rates(&app, "").await;
    assert_eq!((busy(&later).len(), &later["per_minute"]["enqueued"]), (0, &json!(0.0)));
    assert_eq!(busy(&rates(&app, "?range=day").await).len(), 1);
}

async fn a_client_sees_the_sums_of_its_jobs_only(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        relay(setup, "Shop", "");
        relay(setup, "Stock", "");
        for (_, text) in setup.files.iter_mut().filter(|(_, text)| text.contains("\"Stock\"")) {
            *text = text.replace("clients = [", "clients = [\"stock-taker\", ");
        }
    })
    .await;
    app.put("Shop", "", "x").await;
    app.put("Stock", "", "x").await;
    app.context.store.write_traffic().await.unwrap();
    assert_eq!(rates(&app, "").await["total"]["enqueued"], 2);
    for (client, sees) in [("stock-taker", 1), ("stranger", 0)] {
        let secret = app.add_client(client, "client").await;
        let token = app.token_of(client, &secret).await;
        let get = async |path| send(app.request(Method::GET, path), &token).await;
        let seen = get("/api/v1/rates?range=week").await.expect(StatusCode::OK);
        assert_eq!(seen["total"]["enqueued"], sees, "{client}");
        assert_eq!(
            get("/api/v1/rates?job=Shop").await.status,
            StatusCode::NOT_FOUND,
            "{client}"
        );
    }
}

/// Another process added its share to the same minute before.
async fn shares_of_several_processes_add_up(backend: Backend) {
    let app = two_queues(backend).await;
    for _ in 0..2 {
        app.put("Shop", "", "x").await;
        app.context.store.write_traffic().await.unwrap();
    }
    assert_eq!(
        busy(&rates(&app, "?job=Shop").await),
        [("2026-01-05T08:00:00Z".to_owned(), [2, 0, 0, 0, 0])]
    );
    let written = "select cast(count(*) as text) from traffic";
    assert_eq!(
        rows(&app.store.url, written).await[0][0].as_deref(),
        Some("3"),
        "a row for each range"
    );
}

async fn what_no_chart_shows_is_removed(backend: Backend) {
    let app = lively(backend).await;
    app.context.store.write_traffic().await.unwrap();
    let left = async || {
        let text = "select distinct cast(bucket_seconds as text) from traffic order by 1";
        let left = rows(&app.store.url, text).await.into_iter();
        left.map(|row| row[0].clone().unwrap()).collect::<Vec<_>>()
    };
    for (days, expected) in [
        (0, &["10800", "60", "900"][..]),
        (1, &["10800", "900"]),
        (2, &["10800"]),
        (9, &[]),
    ] {
        app.clock.set(crate::app::START.plus_seconds(days * 86_400 + 600));
        tranship::pipeline::tidy::tidy(&app.context).await.unwrap();
        assert_eq!(left().await, expected, "after {days} days");
    }
}

async fn what_cannot_be_written_is_kept_for_the_next_time(backend: Backend) {
    let app = two_queues(backend).await;
    app.put("Shop", "", "x").await;
    run(&app.store.url, "alter table traffic rename to hidden").await;
    assert!(app.context.store.write_traffic().await.is_err());
    run(&app.store.url, "alter table hidden rename to traffic").await;
    app.context.store.write_traffic().await.unwrap();
    assert_eq!(rates(&app, "").await["total"]["enqueued"], 1);
}

async fn a_question_that_makes_no_sense_is_refused(backend: Backend) {
    let app = two_queues(backend).await;
    for (query, status, code) in [
        ("?range=year", StatusCode::BAD_REQUEST, "invalid_range"),
        ("?job=Nothing", StatusCode::NOT_FOUND, "not_found"),
    ] {
        let problem = Answered::read(app.get(&format!("/api/v1/rates{query}")).await)
            .await
            .expect(status);
        assert_eq!(problem["code"], code);
    }
}
