//! Pauses over HTTP: nothing begins, what was due meanwhile was missed, and whoever looks is told who and why.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::schedules::app;

crate::on_both_backends!(
    a_paused_job_begins_nothing_and_its_occurrences_were_missed,
    who_resumes_a_job_says_what_becomes_of_what_was_missed,
    a_paused_import_takes_up_nothing,
);

async fn a_paused_job_begins_nothing_and_its_occurrences_were_missed(backend: Backend) {
    let mut app = app(backend, "every = \"1h\"").await;
    let paused = app
        .ask("Nightly/pause", json!({ "note": "stocktaking" }), StatusCode::OK)
        .await;
    assert_eq!(paused["paused"]["by"], "tester");
    assert_eq!(app.see("Nightly").await["paused"]["note"], "stocktaking");
    let listed: Value = app.get("/api/v1/jobs").await.json().await.unwrap();
    let noted = |job: &&Value| job["paused"]["note"] == "stocktaking";
    let listed: Vec<&Value> = listed["jobs"].as_array().unwrap().iter().filter(noted).collect();
    assert_eq!((listed.len(), &listed[0]["name"]), (1, &json!("Nightly")));
    assert_eq!(app.see("Nightly/next").await["paused"]["note"], "stocktaking");
    let problem = app.ask("Nightly/pause", json!({}), StatusCode::CONFLICT).await;
    assert!(
        problem["detail"].as_str().unwrap().contains("by tester (stocktaking)"),
        "{problem}"
    );
    assert_eq!(problem["state"]["note"], "stocktaking");

    app.clock.advance_seconds(3 * 3600 + 5);
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 0);
    assert!(app.occurrences().await.is_empty());
    let problem = app
        .ask("Nightly/run", json!({ "note": "now" }), StatusCode::CONFLICT)
        .await;
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .ends_with("resume it first, or say `force`"),
        "{problem}"
    );
    let run = app
        .ask(
            "Nightly/run",
            json!({ "note": "the auditor waits", "force": true }),
            StatusCode::ACCEPTED,
        )
        .await;
    assert_eq!(
        (&run["comment"], &run["origin"], &run["forced"]),
        (&json!("the auditor waits"), &json!("run"), &json!(true))
    );
    app.run_until_idle().await;
    assert_eq!(app.occurrences().await, ["2026-01-05T11:00:05Z done -"]);

    app.ask("Nightly/resume", json!({}), StatusCode::OK).await;
    app.ask("Nightly/resume", json!({}), StatusCode::CONFLICT).await;
    assert_eq!(app.see("Nightly").await["paused"], Value::Null);
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 1, "missed = once");
    app.run_until_idle().await;
    assert_eq!(
        app.occurrences().await,
        [
            "2026-01-05T09:00:00Z skipped paused",
            "2026-01-05T10:00:00Z skipped paused",
            "2026-01-05T11:00:00Z done -",
            "2026-01-05T11:00:05Z done -",
        ]
    );
    let seen = app.see("Nightly/occurrences").await;
    let note = seen["occurrences"][2]["note"].as_str().unwrap();
    assert_eq!(
        note,
        "paused by tester: stocktaking (a later one runs for it: missed = once)"
    );
    // What is due after the pause is due as ever.
    app.clock.advance_seconds(3600);
    app.renew_token().await;
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 1);
    app.run_until_idle().await;
    assert_eq!(app.occurrences().await.last().unwrap(), "2026-01-05T12:00:00Z done -");
}

async fn who_resumes_a_job_says_what_becomes_of_what_was_missed(backend: Backend) {
    let app = app(backend, "every = \"1h\"\noverlap = \"queue\"").await;
    for (missed, runs) in [("all", 2), ("skip", 0)] {
        app.ask("Nightly/pause", json!({}), StatusCode::OK).await;
        app.clock.advance_seconds(2 * 3600);
        app.ask("Nightly/resume", json!({ "missed": missed }), StatusCode::OK)
            .await;
        assert_eq!(app.scheduler.evaluate_due().await.unwrap(), runs, "{missed}");
        app.run_until_idle().await;
    }
    let states: Vec<String> = app.occurrences().await.iter().map(|it| it[21..].to_owned()).collect();
    assert_eq!(states, ["done -", "done -", "skipped paused", "skipped paused"]);
}

async fn a_paused_import_takes_up_nothing(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let file = |name: &str| format!("CustomerID,CompanyName\r\n{name},One\r\n");
    app.ask(
        "Inbound customers/pause",
        json!({ "note": "the table is being moved" }),
        StatusCode::OK,
    )
    .await;
    let id = app.put("Inbound%20customers", "", &file("AAAAA")).await;
    app.run_until_idle().await;
    assert_eq!(app.message(&id).await["status"], "Enqueued");
    app.ask("Inbound customers/resume", json!({}), StatusCode::OK).await;
    app.run_until_idle().await;
    assert_eq!(app.message(&id).await["status"], "Processed");
}
