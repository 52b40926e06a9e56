//! Leases on `/api/v1`: whoever holds one may act on its message, whoever held one may not; what waits is woken.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::client::{relay, send, step_path, text};
use crate::support::databases;

crate::on_both_backends!(
    a_leased_message_tells_all_a_dequeuer_needs,
    a_damaged_payload_does_not_come_along,
    an_acknowledged_message_is_never_offered_again,
    a_stale_receipt_does_nothing_and_learns_where_the_message_stands,
    an_extended_lease_lasts_longer,
    a_message_given_back_is_offered_at_once_and_the_delivery_does_not_count,
    a_refused_message_comes_back_after_a_growing_wait,
    a_message_refused_too_often_is_a_dead_letter_with_its_first_and_last_error,
    a_dead_letter_may_be_asked_for_at_once,
    leases_that_lapse_too_often_make_a_dead_letter,
    a_batch_answers_each_item_and_one_that_fails_leaves_the_others_alone,
    a_stale_receipt_beside_the_current_one_in_a_batch_stays_stale,
    who_may_not_use_the_job_may_not_use_its_receipts,
    a_forged_receipt_does_nothing,
    nothing_is_leased_from_an_import_job,
    requests_that_make_no_sense_are_refused_by_name,
    a_waiting_dequeuer_is_woken_by_a_message,
    of_two_waiting_dequeuers_one_gets_the_message,
    a_waiting_dequeuer_gets_what_its_delay_brings_up,
    a_wait_ends_with_nothing_when_its_time_is_over,
    a_wait_ends_when_the_service_stops,
    connector_and_native_dequeuers_share_one_queue,
);

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup| relay(setup, "Documents", "")).await
}

/// A page of the store's file that is not what was written, say.
async fn a_damaged_payload_does_not_come_along(backend: Backend) {
    let app = app(backend).await;
    let whole = app.put("Documents", "", "whole").await;
    let damaged = app.put("Documents", "", "bytes").await;
    let other = if app.store.url.starts_with("sqlite") {
        "cast('byteZ' as blob)"
    } else {
        "'byteZ'::bytea"
    };
    let damage = format!(
        "update payloads set bytes = {other} where message = {}",
        quoted(&app, &damaged)
    );
    databases::run(&app.store.url, &damage).await;
    let leases = app.lease("Documents", json!({ "max": 10, "payload": "inline" })).await;
    assert_eq!(leases.len(), 2);
    assert_eq!((text(&leases[0], "id"), text(&leases[1], "id")), (whole, damaged));
    assert_eq!(STANDARD.decode(text(&leases[0], "payload")).unwrap(), b"whole");
    assert!(leases[1].get("payload").is_none(), "{}", leases[1]);
    // It breaks off: that it is another is known at its end.
    let link = leases[1]["links"]["payload"].as_str().unwrap();
    let came = async {
        let answer = app.request(Method::GET, link).bearer_auth(&app.token).send().await?;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.bytes().await
    };
    assert!(came.await.is_err(), "what was never sent");
}

/// An id as the store's SQL has it.
fn quoted(app: &TestApp, id: &str) -> String {
    if app.store.url.starts_with("sqlite") {
        format!("x'{}'", id.replace('-', ""))
    } else {
        format!("'{id}'")
    }
}

async fn status(app: &TestApp, id: &str) -> String {
    text(&app.message(id).await, "status")
}

async fn a_leased_message_tells_all_a_dequeuer_needs(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "company=USMF&external_id=a.xml", "bytes").await;
    let big = app.put("Documents", "", &"x".repeat(100_000)).await;
    let leases = app
        .lease(
            "Documents",
            json!({ "max": 10, "lease_seconds": 60, "payload": "inline" }),
        )
        .await;
    assert_eq!(leases.len(), 2);
    let lease = &leases[0];
    assert_eq!(text(lease, "id"), id);
    assert_eq!((&lease["epoch"], &lease["attempt"]), (&json!(1), &json!(1)));
    assert_eq!(lease["lease_until"], json!(app.clock.now().plus_seconds(60)));
    assert_eq!(lease["enqueued_at"], json!(app.clock.now()));
    assert_eq!(
        (&lease["company"], &lease["external_id"]),
        (&json!("usmf"), &json!("a.xml"))
    );
    assert_eq!(lease["bytes"], 5);
    assert_eq!(STANDARD.decode(text(lease, "payload")).unwrap(), b"bytes");
    let payload = app.get(lease["links"]["payload"].as_str().unwrap()).await;
    assert_eq!(payload.headers()["content-digest"], text(lease, "digest").as_str());
    assert_eq!(payload.bytes().await.unwrap(), "bytes");
    assert_eq!(text(&leases[1], "id"), big);
    assert!(
        leases[1].get("payload").is_none(),
        "large payloads are fetched: {}",
        leases[1]
    );
    assert_eq!(app.message(&id).await["lease_until"], lease["lease_until"]);
}

async fn an_acknowledged_message_is_never_offered_again(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    let lease = app.lease_one("Documents").await;
    assert!(app.offered("Documents").await.is_empty(), "it is leased");
    for _ in 0..2 {
        let body = app.step(&lease, "ack", json!({})).await.expect(StatusCode::OK);
        assert_eq!(
            body,
            json!({ "id": id, "status": "Acked" }),
            "the same again is answered alike"
        );
    }
    app.clock.advance_seconds(70_000);
    assert!(app.offered("Documents").await.is_empty());
    let later = app.step(&lease, "extend", json!({})).await.expect(StatusCode::CONFLICT);
    assert_eq!(later["code"], "stale_lease");
}

async fn a_stale_receipt_does_nothing_and_learns_where_the_message_stands(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    let first = app.lease_one("Documents").await;
    app.clock.advance_seconds(1801);
    for action in ["ack", "extend", "release", "reject"] {
        let body = app.step(&first, action, json!({})).await.expect(StatusCode::CONFLICT);
        assert_eq!(body["code"], "stale_lease", "{action}");
        assert_eq!(
            body["state"],
            json!({ "id": id, "status": "Enqueued", "epoch": 1 }),
            "{action}"
        );
    }
    let second = app.lease_one("Documents").await;
    assert_eq!((&second["epoch"], &second["attempt"]), (&json!(2), &json!(2)));
    for action in ["ack", "extend", "release", "reject"] {
        let body = app.step(&first, action, json!({})).await.expect(StatusCode::CONFLICT);
        assert_eq!(
            body["state"],
            json!({ "id": id, "status": "Dequeued", "epoch": 2 }),
            "{action}"
        );
    }
    assert_eq!(status(&app, &id).await, "Dequeued");
    app.step(&second, "ack", json!({})).await.expect(StatusCode::OK);
    let body = app.step(&first, "ack", json!({})).await.expect(StatusCode::CONFLICT);
    assert_eq!(
        body["state"]["status"], "Acked",
        "another lease's acknowledgement is not this one's"
    );
}

/// Message and epoch can be guessed from a receipt one had; what signs them cannot.
async fn a_forged_receipt_does_nothing(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    let lease = app.lease_one("Documents").await;
    let genuine = STANDARD.decode(text(&lease, "receipt")).unwrap();
    let forge = |bytes: &[u8]| json!({ "receipt": STANDARD.encode(bytes) });
    let mut forged: Vec<Value> = (0..genuine.len())
        .map(|at| {
            let mut bytes = genuine.clone();
            bytes[at] ^= 1;
            forge(&bytes)
        })
        .collect();
    let (signed, unsigned) = (&genuine, &genuine[..24]);
    forged.extend([
        forge(unsigned),
        forge(&[unsigned, &[0; 16]].concat()),
        forge(&[signed, &[0][..]].concat()),
    ]);
    for forged in &forged {
        let body = app.step(forged, "ack", json!({})).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(body["code"], "unknown_receipt", "{forged}");
    }
    assert_eq!(status(&app, &id).await, "Dequeued");
    app.step(&lease, "ack", json!({})).await.expect(StatusCode::OK);
}

async fn an_extended_lease_lasts_longer(backend: Backend) {
    let app = app(backend).await;
    app.put("Documents", "", "one").await;
    let lease = app.lease_one("Documents").await;
    app.clock.advance_seconds(1700);
    let body = app
        .step(&lease, "extend", json!({ "lease_seconds": 600 }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(body["lease_until"], json!(app.clock.now().plus_seconds(600)));
    app.clock.advance_seconds(599);
    assert!(app.offered("Documents").await.is_empty());
    app.step(&lease, "extend", json!({})).await.expect(StatusCode::OK);
    app.clock.advance_seconds(1799);
    assert!(app.offered("Documents").await.is_empty(), "without a number: the job's");
    app.clock.advance_seconds(1);
    assert_eq!(app.offered("Documents").await.len(), 1);
}

async fn a_message_given_back_is_offered_at_once_and_the_delivery_does_not_count(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Documents", "max_deliveries = 2")).await;
    let id = app.put("Documents", "", "one").await;
    for round in 1..=5 {
        let lease = app.lease_one("Documents").await;
        assert_eq!((&lease["epoch"], &lease["attempt"]), (&json!(round), &json!(1)));
        let body = app.step(&lease, "release", json!({})).await.expect(StatusCode::OK);
        assert_eq!(body, json!({ "id": id, "status": "Enqueued" }));
        let again = app
            .step(&lease, "release", json!({}))
            .await
            .expect(StatusCode::CONFLICT);
        assert_eq!(again["state"]["status"], "Enqueued");
    }
    let lease = app.lease_one("Documents").await;
    app.step(&lease, "release", json!({ "delay_seconds": 90 }))
        .await
        .expect(StatusCode::OK);
    assert!(app.offered("Documents").await.is_empty());
    app.clock.advance_seconds(89);
    assert!(app.offered("Documents").await.is_empty());
    app.clock.advance_seconds(1);
    assert_eq!(app.offered("Documents").await, [id]);
}

async fn a_refused_message_comes_back_after_a_growing_wait(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        relay(
            setup,
            "Documents",
            "retry = { first_seconds = 10, cap_seconds = 35, jitter = 0 }",
        );
    })
    .await;
    let id = app.put("Documents", "", "one").await;
    for (attempt, wait) in [(1, 10), (2, 20), (3, 35), (4, 35)] {
        let lease = app.lease_one("Documents").await;
        assert_eq!(lease["attempt"], attempt);
        let asked = json!({ "reason": format!("no {attempt}") });
        let body = app.step(&lease, "reject", asked).await.expect(StatusCode::OK);
        assert_eq!(body["status"], "Enqueued");
        assert_eq!(
            app.message(&id).await["not_before"],
            json!(app.clock.now().plus_seconds(wait))
        );
        app.clock.advance_seconds(wait - 1);
        assert!(app.offered("Documents").await.is_empty(), "{attempt}");
        app.clock.advance_seconds(1);
    }
    assert_eq!(app.offered("Documents").await, [id]);
}

async fn a_message_refused_too_often_is_a_dead_letter_with_its_first_and_last_error(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Documents", "max_deliveries = 3")).await;
    let id = app.put("Documents", "", "one").await;
    for reason in ["the disk is full", "the printer burns", "the lights are out"] {
        app.clock.advance_seconds(3600);
        let lease = app.lease_one("Documents").await;
        app.step(&lease, "reject", json!({ "reason": reason }))
            .await
            .expect(StatusCode::OK);
    }
    let message = app.message(&id).await;
    assert_eq!(message["status"], "DeadLettered");
    assert_eq!(message["final"], true);
    assert_eq!(message["failure"]["code"], "max_deliveries");
    assert_eq!(
        (&message["first_error"], &message["last_error"]),
        (&json!("the disk is full"), &json!("the lights are out"))
    );
    app.clock.advance_seconds(70_000);
    assert!(app.offered("Documents").await.is_empty());
}

async fn a_dead_letter_may_be_asked_for_at_once(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    let lease = app.lease_one("Documents").await;
    let asked = json!({ "reason": "this is no invoice", "dead_letter": true });
    let body = app.step(&lease, "reject", asked).await.expect(StatusCode::OK);
    assert_eq!(body["status"], "DeadLettered");
    let message = app.message(&id).await;
    assert_eq!(
        message["failure"],
        json!({ "code": "rejected", "detail": "this is no invoice" })
    );
    assert_eq!(message["last_error"], "this is no invoice");
}

async fn leases_that_lapse_too_often_make_a_dead_letter(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        relay(setup, "Documents", "max_deliveries = 2\nlease_seconds = 60");
    })
    .await;
    let id = app.put("Documents", "", "one").await;
    for attempt in 1..=2 {
        assert_eq!(app.lease_one("Documents").await["attempt"], attempt);
        app.clock.advance_seconds(61);
    }
    assert!(app.offered("Documents").await.is_empty());
    let message = app.message(&id).await;
    assert_eq!(message["status"], "DeadLettered");
    assert!(text(&message["failure"], "detail").contains("2 times"), "{message}");
}

async fn a_batch_answers_each_item_and_one_that_fails_leaves_the_others_alone(backend: Backend) {
    let app = app(backend).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(app.put("Documents", "", &number.to_string()).await);
    }
    let leases = app.lease("Documents", json!({ "max": 5 })).await;
    let receipt = |at: usize| text(&leases[at], "receipt");
    let body = json!({ "items": [
        { "receipt": receipt(0), "action": "ack" },
        { "receipt": "bm90IG91cnM=", "action": "ack" },
        { "receipt": receipt(1), "action": "extend", "lease_seconds": 7200 },
        { "receipt": receipt(2), "action": "release", "delay_seconds": 5 },
        { "receipt": receipt(3), "action": "reject", "reason": "no", "dead_letter": true },
        { "receipt": receipt(4), "action": "eat" },
        { "receipt": receipt(4), "action": "extend", "lease_seconds": 0 },
    ]});
    let body = app
        .post_json("/API/v1/Leases/Batch", &body)
        .await
        .expect(StatusCode::OK);
    let results = body["results"].as_array().unwrap();
    let statuses: Vec<_> = results
        .iter()
        .map(|result| result["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 400, 200, 200, 200, 400, 400]);
    assert_eq!(results[0]["message_status"], "Acked");
    assert_eq!(results[1]["problem"]["code"], "unknown_receipt");
    assert_eq!(results[2]["lease_until"], json!(app.clock.now().plus_seconds(7200)));
    assert_eq!(results[4]["message_status"], "DeadLettered");
    assert_eq!(results[5]["problem"]["code"], "unknown_action");
    assert_eq!(results[6]["problem"]["code"], "invalid_number");
    for (id, wanted) in ids
        .iter()
        .zip(["Acked", "Dequeued", "Enqueued", "DeadLettered", "Dequeued"])
    {
        assert_eq!(status(&app, id).await, wanted);
    }
}

/// They arrive in one commit, whichever comes first: what stands before them keeps the store busy until both are there.
async fn a_stale_receipt_beside_the_current_one_in_a_batch_stays_stale(backend: Backend) {
    let app = app(backend).await;
    for round in 0..10 {
        app.put("Documents", "", "one").await;
        let stale = app.lease_one("Documents").await;
        app.clock.advance_seconds(1801);
        let current = app.lease_one("Documents").await;
        let current_first = round % 2 == 0;
        let both = if current_first {
            [&current, &stale]
        } else {
            [&stale, &current]
        };
        let before = std::iter::repeat_n(&stale, 4).map(|lease| (lease, "extend"));
        let items = before.chain(both.map(|lease| (lease, "ack")));
        let items: Vec<_> = items
            .map(|(lease, action)| json!({ "receipt": lease["receipt"], "action": action }))
            .collect();
        let answer = app.post_json("/api/v1/leases/batch", &json!({ "items": items })).await;
        let body = answer.expect(StatusCode::OK);
        let statuses = [&body["results"][4]["status"], &body["results"][5]["status"]];
        let wanted = if current_first { [200, 409] } else { [409, 200] };
        assert_eq!(statuses, wanted, "current first: {current_first}: {body}");
    }
}

async fn who_may_not_use_the_job_may_not_use_its_receipts(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    let (shop, outsider) = (app.client("shop").await, app.client("outsider").await);
    let refused = app.request(Method::POST, "/api/v1/jobs/Documents/leases");
    send(refused, &outsider).await.expect(StatusCode::FORBIDDEN);
    let leased = app.request(Method::POST, "/api/v1/jobs/Documents/leases");
    let lease = send(leased, &shop).await.expect(StatusCode::OK)["leases"][0].clone();
    // As if it had never been issued: a stranger learns nothing of the message.
    let refused = send(app.request(Method::POST, &step_path(&lease, "ack")), &outsider).await;
    assert_eq!(refused.expect(StatusCode::BAD_REQUEST)["code"], "unknown_receipt");
    let batch = json!({ "items": [{ "receipt": lease["receipt"], "action": "ack" }] });
    let refused = send(
        app.request(Method::POST, "/api/v1/leases/batch").json(&batch),
        &outsider,
    )
    .await;
    assert_eq!(refused.expect(StatusCode::OK)["results"][0]["status"], 400);
    assert_eq!(status(&app, &id).await, "Dequeued");
    // The receipt is the right to the message: a colleague on the same job may use it.
    let archive = app.client("archive").await;
    send(app.request(Method::POST, &step_path(&lease, "ack")), &archive)
        .await
        .expect(StatusCode::OK);
}

async fn nothing_is_leased_from_an_import_job(backend: Backend) {
    let app = app(backend).await;
    let answer = app
        .post_json("/api/v1/jobs/Inbound%20customers/leases", &json!({}))
        .await;
    assert_eq!(answer.expect(StatusCode::BAD_REQUEST)["code"], "wrong_direction");
}

async fn requests_that_make_no_sense_are_refused_by_name(backend: Backend) {
    let app = app(backend).await;
    for (asked, code) in [
        (json!({ "max": 0 }), "invalid_number"),
        (json!({ "max": 1001 }), "invalid_number"),
        (json!({ "wait_seconds": 61 }), "invalid_number"),
        (json!({ "lease_seconds": 0 }), "invalid_number"),
        (json!({ "payload": "all" }), "invalid_json"),
        (json!({ "wait": 5 }), "invalid_json"),
    ] {
        let answer = app.post_json("/api/v1/jobs/Documents/leases", &asked).await;
        let problem = answer.expect(StatusCode::BAD_REQUEST);
        assert_eq!(problem["code"], code, "{asked}");
    }
    let answer = app.post_json("/api/v1/leases/AAAA/ack", &json!({})).await;
    assert_eq!(answer.expect(StatusCode::BAD_REQUEST)["code"], "unknown_receipt");
    app.put("Documents", "", "one").await;
    let lease = app.lease_one("Documents").await;
    for (action, asked, code) in [
        ("eat", json!({}), "unknown_action"),
        ("reject", json!({ "reason": "x".repeat(1001) }), "invalid_reason"),
        ("reject", json!({ "reason": "a\u{0}b" }), "invalid_reason"),
        ("extend", json!({ "lease_seconds": 86_401 }), "invalid_number"),
        ("release", json!({ "delay_seconds": -1 }), "invalid_json"),
    ] {
        let problem = app.step(&lease, action, asked).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(problem["code"], code, "{action}");
    }
    for items in [
        json!([]),
        Value::Array(vec![json!({ "receipt": "", "action": "ack" }); 1001]),
    ] {
        let answer = app.post_json("/api/v1/leases/batch", &json!({ "items": items })).await;
        assert_eq!(answer.expect(StatusCode::BAD_REQUEST)["code"], "invalid_batch");
    }
    app.step(&lease, "ack", json!({})).await.expect(StatusCode::OK);
}

/// Waits for a lease in the background; what it got, and when.
fn waiting(app: &TestApp, job: &str, wait_seconds: u32) -> tokio::task::JoinHandle<(Vec<Value>, Instant)> {
    let request = app
        .request(Method::POST, &format!("/api/v1/jobs/{job}/leases"))
        .json(&json!({ "wait_seconds": wait_seconds }))
        .bearer_auth(&app.token);
    tokio::spawn(async move {
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        (body["leases"].as_array().unwrap().clone(), Instant::now())
    })
}

/// Long enough for a request to be on its knees before the service.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

async fn a_waiting_dequeuer_is_woken_by_a_message(backend: Backend) {
    let app = app(backend).await;
    let mut best = Duration::MAX;
    // It also looks again by the clock, every half second: of some tries one must be much faster.
    for _ in 0..4 {
        let waiting = waiting(&app, "Documents", 20);
        a_moment().await;
        let began = Instant::now();
        let id = app.put("Documents", "", "one").await;
        let (leases, came) = waiting.await.unwrap();
        assert_eq!(text(&leases[0], "id"), id);
        best = best.min(came.duration_since(began));
    }
    assert!(best < Duration::from_millis(150), "woken after {best:?}");
}

async fn of_two_waiting_dequeuers_one_gets_the_message(backend: Backend) {
    let app = app(backend).await;
    let (one, other) = (waiting(&app, "Documents", 3), waiting(&app, "Documents", 3));
    a_moment().await;
    app.put("Documents", "", "one").await;
    let got = [one.await.unwrap().0.len(), other.await.unwrap().0.len()];
    assert_eq!(got.iter().sum::<usize>(), 1, "{got:?}");
}

async fn a_waiting_dequeuer_gets_what_its_delay_brings_up(backend: Backend) {
    let app = app(backend).await;
    app.put("Documents", "", "one").await;
    let lease = app.lease_one("Documents").await;
    app.step(&lease, "release", json!({ "delay_seconds": 60 }))
        .await
        .expect(StatusCode::OK);
    let waiting = waiting(&app, "Documents", 20);
    a_moment().await;
    app.clock.advance_seconds(60);
    let began = Instant::now();
    let (leases, came) = waiting.await.unwrap();
    assert_eq!(leases.len(), 1);
    assert!(came.duration_since(began) < Duration::from_secs(3));
}

async fn a_wait_ends_with_nothing_when_its_time_is_over(backend: Backend) {
    let app = app(backend).await;
    let began = Instant::now();
    let (leases, came) = waiting(&app, "Documents", 1).await.unwrap();
    assert!(leases.is_empty());
    let waited = came.duration_since(began);
    assert!(
        waited >= Duration::from_secs(1) && waited < Duration::from_secs(3),
        "{waited:?}"
    );
}

async fn a_wait_ends_when_the_service_stops(backend: Backend) {
    let app = app(backend).await;
    let waiting = waiting(&app, "Documents", 60);
    a_moment().await;
    let began = Instant::now();
    app.stop();
    let (leases, came) = waiting.await.unwrap();
    assert!(leases.is_empty());
    assert!(came.duration_since(began) < Duration::from_secs(5));
}

async fn connector_and_native_dequeuers_share_one_queue(backend: Backend) {
    let app = app(backend).await;
    let dequeue = format!("/api/connector/dequeue/{}", app.job("Documents"));
    let ack = format!("/api/connector/ack/{}", app.job("Documents"));
    let id = app.enqueue("Documents", "", "one").await;
    let native = app.lease_one("Documents").await;
    assert_eq!(app.get(&dequeue).await.status(), StatusCode::NO_CONTENT, "it is leased");
    app.clock.advance_seconds(1801);
    let delivery: Value = app.get(&dequeue).await.json().await.unwrap();
    let stale = app.step(&native, "ack", json!({})).await.expect(StatusCode::CONFLICT);
    assert_eq!(stale["state"], json!({ "id": id, "status": "Dequeued", "epoch": 2 }));
    // The connector's receipt is one like any other, and its acknowledgement is lenient.
    let theirs = json!({ "receipt": delivery["PopReceipt"] });
    app.step(&theirs, "extend", json!({})).await.expect(StatusCode::OK);
    let by_native = json!({ "PopReceipt": native["receipt"] }).to_string();
    assert_eq!(app.post(&ack, by_native).await.status(), StatusCode::OK);
    let stale = app.step(&theirs, "ack", json!({})).await.expect(StatusCode::CONFLICT);
    assert_eq!(stale["state"]["status"], "Acked");
}
