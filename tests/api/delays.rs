//! Delay and expiry: not before its time, not after it, and what ran out says so wherever one looks.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::client::{relay, send, text};

crate::on_both_backends!(
    a_delayed_message_is_offered_when_its_time_comes,
    a_job_may_delay_all_its_messages,
    an_import_is_not_loaded_before_its_time,
    an_import_with_a_schedule_waits_for_it_or_for_who_asks,
    an_expired_message_says_so_on_every_surface,
    an_expired_import_is_never_loaded,
    a_leased_message_does_not_expire_under_its_holder,
    times_that_make_no_sense_are_refused,
);

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup| {
        relay(setup, "Documents", "");
        relay(setup, "Slow", "delay_seconds = 60\nexpires_after_seconds = 120");
    })
    .await
}

async fn a_delayed_message_is_offered_when_its_time_comes(backend: Backend) {
    let app = app(backend).await;
    let at = app.clock.now().plus_seconds(600);
    let absolute = app
        .put("Documents", "not_before=2026-01-05T09:10:00%2B01:00", "one")
        .await;
    let relative = app.put("Documents", "delay_seconds=600", "two").await;
    let past = app.put("Documents", "not_before=2020-01-01T00:00:00Z", "three").await;
    for id in [&absolute, &relative] {
        let message = app.message(id).await;
        assert_eq!(
            (&message["status"], &message["not_before"]),
            (&json!("Enqueued"), &json!(at))
        );
    }
    assert_eq!(app.offered("Documents").await, [past]);
    app.clock.advance_seconds(599);
    assert!(app.offered("Documents").await.is_empty());
    app.clock.advance_seconds(1);
    assert_eq!(app.offered("Documents").await, [absolute, relative]);
}

async fn a_job_may_delay_all_its_messages(backend: Backend) {
    let app = app(backend).await;
    let usual = app.put("Slow", "", "one").await;
    let own = app.put("Slow", "delay_seconds=10", "two").await;
    let at_once = app.put("Slow", "delay_seconds=0", "three").await;
    let on_connector = app.enqueue("Slow", "", "four").await;
    assert_eq!(app.offered("Slow").await, [at_once]);
    app.clock.advance_seconds(10);
    assert_eq!(app.offered("Slow").await, [own]);
    app.clock.advance_seconds(50);
    assert_eq!(app.offered("Slow").await, [usual, on_connector]);
}

async fn an_import_is_not_loaded_before_its_time(backend: Backend) {
    let app = app(backend).await;
    let file = "CustomerID,CompanyName\r\nAAAAA,One\r\n";
    let id = app.put("Inbound%20customers", "delay_seconds=60", file).await;
    app.run_until_idle().await;
    assert_eq!(text(&app.message(&id).await, "status"), "Enqueued");
    app.clock.advance_seconds(60);
    app.run_until_idle().await;
    assert_eq!(text(&app.message(&id).await, "status"), "Processed");
}

async fn an_import_with_a_schedule_waits_for_it_or_for_who_asks(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        let customers = include_str!("../../jobs/inbound-customers.toml");
        let nightly = customers
            .replace("Inbound customers", "Nightly customers")
            .replace("40c81c4c", "40c81c4d")
            .replace("clients = []", "clients = [\"tester\"]")
            .replace("sample = true", "sample = false")
            .replace(
                "[import]\n",
                "[schedule]\ncron = \"0 9 * * *\"\n[import]\nprocess_in_order = true\n",
            );
        setup.file("jobs/nightly-customers.toml", &nightly);
    })
    .await;
    let file = |name: &str| format!("CustomerID,CompanyName\r\n{name},One\r\n");
    let due = app.clock.now().plus_seconds(3600);
    let first = app.put("Nightly%20customers", "", &file("AAAAA")).await;
    let second = app.put("Nightly%20customers", "", &file("BBBBB")).await;
    app.clock.advance_seconds(3599);
    app.run_until_idle().await;
    for id in [&first, &second] {
        let message = app.message(id).await;
        assert_eq!(
            (&message["status"], &message["not_before"]),
            (&json!("Enqueued"), &json!(due))
        );
    }
    app.clock.advance_seconds(1);
    app.run_until_idle().await;
    for id in [&first, &second] {
        assert_eq!(text(&app.message(id).await, "status"), "Processed");
    }
    // At the very moment it is due it is in time; behind it, the next one counts.
    app.clock.advance_seconds(1);
    let waiting = [
        app.put("Nightly%20customers", "", &file("CCCCC")).await,
        app.put("Nightly%20customers", "", &file("DDDDD")).await,
    ];
    app.run_until_idle().await;
    assert_eq!(text(&app.message(&waiting[0]).await, "status"), "Enqueued");
    let asked = app.post("/api/v1/jobs/Nightly%20customers/run", "").await;
    assert_eq!(asked.status(), StatusCode::ACCEPTED);
    assert_eq!(asked.json::<Value>().await.unwrap()["offered"], 2);
    app.run_until_idle().await;
    for id in &waiting {
        let message = app.message(id).await;
        assert_eq!(
            (&message["status"], &message["not_before"]),
            (&json!("Processed"), &Value::Null)
        );
    }
}

async fn an_expired_message_says_so_on_every_surface(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "expires_in_seconds=60", "one").await;
    let message = app.message(&id).await;
    assert_eq!(message["expires_at"], json!(app.clock.now().plus_seconds(60)));
    app.clock.advance_seconds(60);
    assert!(app.offered("Documents").await.is_empty());
    let message = app.message(&id).await;
    assert_eq!(
        (&message["status"], &message["final"]),
        (&json!("Expired"), &json!(true))
    );
    assert_eq!(message["failure"]["code"], "expired");
    let reason = text(&message["failure"], "detail");
    let history: Value = app
        .get(&format!("/api/v1/messages/{id}/history"))
        .await
        .json()
        .await
        .unwrap();
    let last = history["events"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["status"], "Expired", "{history}");
    let path = format!("/api/connector/jobstatus/{}?jobId={id}", app.job("Documents"));
    let status: Value = app.get(&path).await.json().await.unwrap();
    assert_eq!(status["DataJobStatus"]["DataJobState"], "PreProcessError");
    assert_eq!(status["ExecutionLog"], json!(reason));
    let path = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetMessageStatus";
    let status = app
        .post_json(path, &json!({ "messageId": id }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(status["value"], "PreProcessingError");
    let listed: Value = app.get("/api/v1/messages?status=Expired").await.json().await.unwrap();
    assert_eq!(listed["messages"][0]["id"], json!(id));
    let payload = app.get(&format!("/api/v1/messages/{id}/payload")).await;
    assert_eq!(
        payload.bytes().await.unwrap(),
        "one",
        "its payload is kept as long as any other's"
    );
}

async fn an_expired_import_is_never_loaded(backend: Backend) {
    let app = app(backend).await;
    let file = "CustomerID,CompanyName\r\nAAAAA,One\r\n";
    let id = app.put("Inbound%20customers", "expires_in_seconds=60", file).await;
    app.clock.advance_seconds(61);
    app.run_until_idle().await;
    let message = app.message(&id).await;
    assert_eq!(
        (&message["status"], &message["records"]["read"]),
        (&json!("Expired"), &json!(0))
    );
}

async fn a_leased_message_does_not_expire_under_its_holder(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "expires_in_seconds=60", "one").await;
    let lease = app.lease_one("Documents").await;
    app.clock.advance_seconds(61);
    assert!(app.offered("Documents").await.is_empty());
    assert_eq!(text(&app.message(&id).await, "status"), "Dequeued");
    app.step(&lease, "release", json!({})).await.expect(StatusCode::OK);
    app.clock.advance_seconds(1);
    assert!(app.offered("Documents").await.is_empty());
    assert_eq!(
        text(&app.message(&id).await, "status"),
        "Expired",
        "given back too late"
    );
}

async fn times_that_make_no_sense_are_refused(backend: Backend) {
    let app = app(backend).await;
    for (query, code) in [
        ("not_before=tomorrow", "invalid_time"),
        ("not_before=2026-01-05", "invalid_time"),
        ("not_before=2026-01-05T10:00:00", "invalid_time"),
        ("expires_at=2026-13-05T10:00:00Z", "invalid_time"),
        ("not_before=2026-01-05T10:00:00Z&delay_seconds=5", "invalid_time"),
        ("expires_at=2026-01-05T10:00:00Z&expires_in_seconds=5", "invalid_time"),
        ("delay_seconds=soon", "invalid_number"),
        ("delay_seconds=-1", "invalid_number"),
        ("delay_seconds=31622401", "invalid_number"),
        ("delay_seconds=99999999999999999999", "invalid_number"),
        ("expires_in_seconds=0", "invalid_number"),
        ("priority=101", "invalid_number"),
        ("priority=-101", "invalid_number"),
        ("priority=1.5", "invalid_number"),
        ("expires_at=2026-01-05T07:59:59Z", "expires_too_early"),
        ("delay_seconds=60&expires_in_seconds=60", "expires_too_early"),
    ] {
        let problem = send(app.enqueuing("Documents", query, "one"), &app.token).await;
        assert_eq!(problem.expect(StatusCode::BAD_REQUEST)["code"], code, "{query}");
    }
    assert_eq!(app.messages().await, 0);
    for query in [
        "delay_seconds=31622400",
        "expires_at=9999-12-31T23:59:59Z",
        "not_before=9999-12-31T23:59:59Z",
    ] {
        app.put("Documents", query, "one").await;
    }
}
