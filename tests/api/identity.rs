//! Enqueued twice is stored once, where the sender or the job says by what two are the same; the second answer is the first.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::client::{Answered, relay, send, text};

crate::on_both_backends!(
    the_same_key_again_gets_the_first_answer_whatever_happened_since,
    the_same_key_with_other_bytes_is_refused_naming_both_digests,
    of_many_at_once_with_one_key_one_is_stored,
    one_key_may_be_used_by_two_clients_and_in_two_jobs,
    a_key_that_makes_no_sense_is_refused,
    a_key_in_quotes_is_the_same_key,
    a_key_is_free_again_when_it_is_no_longer_kept,
    the_connector_knows_keys_too,
    an_external_identifier_is_a_key_where_the_job_says_so,
    the_same_content_is_one_message_within_the_jobs_window,
    a_retry_after_its_expiry_still_hears_what_became_of_it,
    a_large_payload_sent_again_leaves_no_second_copy,
);

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup| {
        relay(setup, "Documents", "");
        relay(setup, "Others", "");
        relay(setup, "Named", "idempotency = \"external_identifier\"");
        relay(setup, "Once", "deduplicate_seconds = 60");
    })
    .await
}

async fn keyed(app: &TestApp, job: &str, query: &str, key: &str, body: &str) -> Answered {
    let request = app
        .enqueuing(job, query, body.to_owned())
        .header("Idempotency-Key", key);
    send(request, &app.token).await
}

async fn the_same_key_again_gets_the_first_answer_whatever_happened_since(backend: Backend) {
    let app = app(backend).await;
    let query = "delay_seconds=60&expires_in_seconds=9000&company=usmf&external_id=a.txt&priority=3";
    let first = keyed(&app, "Documents", query, "k1", "one").await;
    assert!(!first.is_replay());
    let again = async |app: &TestApp, when: &str| {
        let answer = keyed(app, "Documents", query, "k1", "one").await;
        assert_eq!(answer.status, StatusCode::CREATED, "{when}");
        assert!(answer.is_replay(), "{when}");
        assert_eq!(answer.headers["location"], first.headers["location"]);
        assert_eq!(answer.body, first.body, "{when}");
    };
    again(&app, "at once").await;
    app.clock.advance_seconds(61);
    let lease = app.lease_one("Documents").await;
    again(&app, "while it is leased").await;
    app.step(&lease, "reject", json!({ "reason": "no" }))
        .await
        .expect(StatusCode::OK);
    again(&app, "in back-off").await;
    app.clock.advance_seconds(5);
    let lease = app.lease_one("Documents").await;
    app.step(&lease, "ack", json!({})).await.expect(StatusCode::OK);
    again(&app, "after its end").await;
    assert_eq!(app.messages().await, 1);
    assert_eq!(text(&app.message(&first.text("id")).await, "status"), "Acked");
}

fn digest(bytes: &[u8]) -> String {
    tranship::blob::PayloadHasher::digest(bytes).content_digest()
}

async fn the_same_key_with_other_bytes_is_refused_naming_both_digests(backend: Backend) {
    let app = app(backend).await;
    let first = keyed(&app, "Documents", "", "k1", "one").await;
    for other in ["two".to_owned(), "x".repeat(100_000)] {
        let refused = keyed(&app, "Documents", "", "k1", &other).await;
        let problem = refused.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["code"], "idempotency_key_reused");
        let detail = text(&problem, "detail");
        let sent = digest(other.as_bytes());
        for named in [first.text("id"), first.text("digest"), sent] {
            assert!(detail.contains(&named), "{named} in {detail}");
        }
    }
    assert_eq!(app.messages().await, 1);
    assert_eq!(app.offered("Documents").await, [first.text("id")]);
}

async fn of_many_at_once_with_one_key_one_is_stored(backend: Backend) {
    let app = app(backend).await;
    let all = (0..20).map(|_| keyed(&app, "Documents", "", "k1", "one"));
    let answers = futures_util::future::join_all(all).await;
    let fresh = answers.iter().filter(|answer| !answer.is_replay()).count();
    assert_eq!(fresh, 1);
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    assert_eq!(app.messages().await, 1);
}

async fn one_key_may_be_used_by_two_clients_and_in_two_jobs(backend: Backend) {
    let app = app(backend).await;
    let shop = app.client("shop").await;
    let mut ids = vec![keyed(&app, "Documents", "", "k1", "one").await.text("id")];
    ids.push(keyed(&app, "Others", "", "k1", "two").await.text("id"));
    let request = app.enqueuing("Documents", "", "three").header("Idempotency-Key", "k1");
    ids.push(send(request, &shop).await.text("id"));
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(app.messages().await, 3);
}

async fn a_key_that_makes_no_sense_is_refused(backend: Backend) {
    let app = app(backend).await;
    for key in ["", "\"\"", &"k".repeat(256), "schlüssel", "tab\tkey"] {
        let problem = keyed(&app, "Documents", "", key, "one")
            .await
            .expect(StatusCode::BAD_REQUEST);
        assert_eq!(problem["code"], "invalid_idempotency_key", "{key}");
    }
    assert_eq!(app.messages().await, 0);
    assert_eq!(
        keyed(&app, "Documents", "", &"k".repeat(255), "one").await.status,
        StatusCode::CREATED
    );
}

async fn a_key_in_quotes_is_the_same_key(backend: Backend) {
    let app = app(backend).await;
    let plain = keyed(&app, "Documents", "", "8e03978e-40d5", "one").await;
    let quoted = keyed(&app, "Documents", "", "\"8e03978e-40d5\"", "one").await;
    assert!(quoted.is_replay());
    assert_eq!(quoted.text("id"), plain.text("id"));
}

async fn a_key_is_free_again_when_it_is_no_longer_kept(backend: Backend) {
    let mut app = TestApp::with(backend, |setup| {
        relay(setup, "Documents", "");
        setup.set("queue.failed_retention_days", "7");
        setup.set("queue.idempotency_days", "7");
    })
    .await;
    let first = keyed(&app, "Documents", "", "k1", "one").await;
    app.clock.advance_seconds(7 * 86_400 - 1);
    app.renew_token().await;
    assert!(keyed(&app, "Documents", "", "k1", "one").await.is_replay());
    app.clock.advance_seconds(2);
    let fresh = keyed(&app, "Documents", "", "k1", "two").await;
    assert_eq!(fresh.status, StatusCode::CREATED);
    assert!(!fresh.is_replay());
    assert_ne!(fresh.text("id"), first.text("id"));
    assert!(
        keyed(&app, "Documents", "", "k1", "two").await.is_replay(),
        "the key is the new one's now"
    );
}

async fn on_connector(app: &TestApp, job: &str, header: (&str, &str), body: &str) -> Answered {
    let path = format!("/api/connector/enqueue/{}", app.job(job));
    let request = app.request(Method::POST, &path).header(header.0, header.1);
    send(request.body(body.to_owned()), &app.token).await
}

async fn the_connector_knows_keys_too(backend: Backend) {
    let app = app(backend).await;
    let key = ("Idempotency-Key", "k1");
    let first = on_connector(&app, "Documents", key, "one").await;
    let again = on_connector(&app, "Documents", key, "one").await;
    assert_eq!(
        (again.status, &again.body),
        (StatusCode::OK, &first.body),
        "the id as a JSON string"
    );
    assert!(!first.is_replay() && again.is_replay());
    let native = keyed(&app, "Documents", "", "k1", "one").await;
    assert_eq!(
        Value::String(native.text("id")),
        first.body,
        "one queue, one set of keys"
    );
    let other = on_connector(&app, "Documents", key, "two").await;
    let body = other.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let message = text(&body, "Message");
    assert!(
        message.contains("Idempotency-Key") && message.matches("sha-256=:").count() == 2,
        "{message}"
    );
    assert_eq!(app.messages().await, 1);
}

async fn an_external_identifier_is_a_key_where_the_job_says_so(backend: Backend) {
    let app = app(backend).await;
    let name = ("x-ms-dyn-externalidentifier", "orders-17.csv");
    let first = on_connector(&app, "Named", name, "one").await;
    let again = on_connector(&app, "Named", name, "one").await;
    assert_eq!(again.body, first.body);
    assert!(again.is_replay());
    let native = send(app.enqueuing("Named", "external_id=orders-17.csv", "one"), &app.token).await;
    assert!(native.is_replay());
    let other = on_connector(&app, "Named", name, "two")
        .await
        .expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&other, "Message").contains("external identifier"), "{other}");
    let unnamed = on_connector(&app, "Named", ("x-other", "x"), "one").await;
    assert_ne!(unnamed.body, first.body, "without a name it is a message of its own");
    let elsewhere = [(); 2].map(|()| on_connector(&app, "Documents", name, "one"));
    for answer in futures_util::future::join_all(elsewhere).await {
        assert!(!answer.is_replay(), "RI-6: other jobs make a message of each");
    }
    assert_eq!(app.messages().await, 4);
}

async fn the_same_content_is_one_message_within_the_jobs_window(backend: Backend) {
    let app = app(backend).await;
    let put = async |query: &str, body: &str| send(app.enqueuing("Once", query, body.to_owned()), &app.token).await;
    let first = put("", "one").await;
    assert_eq!(put("", "one").await.body, first.body);
    assert!(put("external_id=another-name", "one").await.is_replay());
    for (query, body) in [("", "two"), ("company=usmf", "one"), ("entity=Orders", "one")] {
        assert!(!put(query, body).await.is_replay(), "{query} {body}");
    }
    app.clock.advance_seconds(59);
    assert!(put("", "one").await.is_replay());
    app.clock.advance_seconds(2);
    let later = put("", "one").await;
    assert!(!later.is_replay());
    assert_ne!(later.text("id"), first.text("id"));
    // With a key and new content under an old key the key decides.
    keyed(&app, "Once", "", "k1", "three").await;
    let reused = keyed(&app, "Once", "", "k1", "four").await;
    reused.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!put("", "four").await.is_replay(), "what was refused is not remembered");
}

async fn a_retry_after_its_expiry_still_hears_what_became_of_it(backend: Backend) {
    let app = app(backend).await;
    let until = app.clock.now().plus_seconds(60);
    let query = format!("expires_at={until}");
    let first = keyed(&app, "Documents", &query, "k1", "one").await;
    app.clock.advance_seconds(3600);
    let again = keyed(&app, "Documents", &query, "k1", "one").await;
    assert!(again.is_replay(), "{}", again.body);
    assert_eq!(again.body, first.body);
    let other = keyed(&app, "Documents", &query, "k1", "two").await;
    other.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let new = keyed(&app, "Documents", &query, "k2", "one").await;
    assert_eq!(new.expect(StatusCode::BAD_REQUEST)["code"], "expires_too_early");
    assert_eq!(app.messages().await, 1);
}

async fn a_large_payload_sent_again_leaves_no_second_copy(backend: Backend) {
    let app = app(backend).await;
    let body = "x".repeat(100_000);
    let first = keyed(&app, "Documents", "", "k1", &body).await;
    assert_eq!(keyed(&app, "Documents", "", "k1", &body).await.body, first.body);
    let before = app.context.store.queue_text().await.unwrap();
    assert!(before.contains("used"), "{before}");
    for _ in 0..200 {
        let text = app.context.store.queue_text().await.unwrap();
        if !text.contains("open") && !text.contains("dead") {
            let payload = app.get(&format!("/api/v1/messages/{}/payload", first.text("id"))).await;
            assert_eq!(payload.bytes().await.unwrap(), body);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("an upload stays: {}", app.context.store.queue_text().await.unwrap());
}
