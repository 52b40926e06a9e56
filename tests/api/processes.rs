//! Which processes serve the store: what they say of themselves, and what is said of one that says nothing any more.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tranship::domain::ids::CorrelationId;
use tranship::domain::time::Timestamp;
use tranship::pipeline::tidy::tidy;
use tranship::storage::processes::Process;

use crate::app::{Backend, START, TestApp};
use crate::client::{Answered, send};
use crate::console::browser::Browser;

crate::on_both_backends!(
    the_process_that_answers_says_how_it_is,
    another_process_shows_while_idle_and_as_gone_when_it_vanished,
    a_process_that_comes_back_takes_the_place_of_the_one_before,
    who_sees_some_jobs_does_not_see_idle_processes,
);

async fn processes(app: &TestApp) -> Vec<Value> {
    let answer = app.get("/api/v1/processes").await;
    let body = Answered::read(answer).await.expect(StatusCode::OK);
    body["processes"].as_array().unwrap().clone()
}

async fn states(app: &TestApp) -> Vec<(bool, String)> {
    let processes = processes(app).await.into_iter();
    processes
        .map(|process| {
            (
                process["answers"] == true,
                process["state"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

/// Another process, as it says of itself at this time.
fn other(owner: &str, at: Timestamp) -> Process {
    Process {
        id: CorrelationId::generate().0,
        owner: owner.to_owned(),
        version: "7.8.9".to_owned(),
        listener: "10.0.0.7:8080".to_owned(),
        slots: 4,
        busy: 0,
        started_at: at.plus_seconds(-7200),
        looked_at: Some(at),
        seen_at: at,
    }
}

async fn the_process_that_answers_says_how_it_is(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let own = &processes(&app).await[0];
    assert_eq!(
        (&own["process"], &own["slots"], &own["busy"]),
        (&json!(*app.context.owner), &json!(2), &json!(0))
    );
    assert_eq!(
        (&own["version"], &own["started_at"]),
        (&json!(env!("CARGO_PKG_VERSION")), &json!(START))
    );
    assert_eq!(
        states(&app).await,
        [(true, "idle".to_owned())],
        "it has only just begun"
    );
    let browser = Browser::of(&app, "op", "operator").await;
    browser.see("/console").await.does_not_say("No worker");

    // Its worker has not looked since.
    app.clock.advance_seconds(60);
    assert_eq!(states(&app).await, [(true, "hangs".to_owned())]);
    let page = browser.see("/console").await;
    page.says("No worker looks for work: imports wait and exports do not run.");
    page.says("answers you ✕ its worker hangs 0 of 2");
    app.run_until_idle().await;
    assert_eq!(states(&app).await, [(true, "idle".to_owned())]);
    let page = browser.see("/console").await;
    page.does_not_say("No worker");
    page.says("answers you ✓ idle 0 of 2 – 60.0 s");
    page.says("GET /api/v1/processes");
    page.says("tranship processes");
}

async fn another_process_shows_while_idle_and_as_gone_when_it_vanished(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    app.context.store.beat(other("app-2/1/8080", START)).await.unwrap();
    let browser = Browser::of(&app, "op", "operator").await;
    browser
        .see("/console")
        .await
        .says("app-2/1/8080 ✓ idle 0 of 4 – 2 h 7.8.9");
    let busy = Process {
        busy: 3,
        ..other("app-3/1/8080", START)
    };
    app.context.store.beat(busy.clone()).await.unwrap();
    browser.see("/console").await.says("app-3/1/8080 ▸ at work 3 of 4");

    // It says so again; the other one does not.
    app.clock.advance_seconds(40);
    let seen_at = START.plus_seconds(40);
    app.context
        .store
        .beat(Process {
            seen_at,
            looked_at: Some(seen_at),
            ..busy
        })
        .await
        .unwrap();
    let page = browser.see("/console").await;
    page.says("app-2/1/8080 ✕ gone not seen since 40 s ago – –");
    page.says("app-3/1/8080 ▸ at work 3 of 4");
    // One worker lives, though the one here does nothing.
    page.does_not_say("No worker");
    let listed = processes(&app).await;
    let gone = listed
        .iter()
        .find(|process| process["process"] == "app-2/1/8080")
        .unwrap();
    assert_eq!((&gone["state"], &gone["seen_at"]), (&json!("gone"), &json!(START)));

    app.context.store.forget_process(busy.id).await.unwrap();
    browser.see("/console").await.does_not_say("app-3/1/8080");
    for (hours, told) in [(23, true), (25, false)] {
        app.clock.set(START.plus_seconds(hours * 3600));
        tidy(&app.context).await.unwrap();
        let left = app.context.store.processes().await.unwrap();
        assert_eq!(left.len(), usize::from(told), "after {hours} hours");
    }
}

async fn a_process_that_comes_back_takes_the_place_of_the_one_before(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let store = &app.context.store;
    store.beat(other("app-2/1/8080", START)).await.unwrap();
    let again = other("app-2/1/8080", START.plus_seconds(40));
    store.beat(again.clone()).await.unwrap();
    assert_eq!(store.processes().await.unwrap(), std::slice::from_ref(&again));
    // Two that live at once, on hosts of one name, do not drive each other away.
    let namesake = other("app-2/1/8080", START.plus_seconds(45));
    store.beat(namesake.clone()).await.unwrap();
    assert_eq!(store.processes().await.unwrap(), [namesake, again]);
}

async fn who_sees_some_jobs_does_not_see_idle_processes(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    app.context.store.beat(other("app-2/1/8080", START)).await.unwrap();
    assert_eq!(processes(&app).await.len(), 2);
    let secret = app.add_client("stranger", "client").await;
    let token = app.token_of("stranger", &secret).await;
    let seen = send(app.request(Method::GET, "/api/v1/processes"), &token)
        .await
        .expect(StatusCode::OK);
    let seen = seen["processes"].as_array().unwrap();
    assert_eq!((seen.len(), &seen[0]["answers"]), (1, &json!(true)));
}
