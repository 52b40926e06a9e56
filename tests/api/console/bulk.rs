//! Many messages at once in the console: chosen one by one or by what they have in common, counted first, reported on after.

use reqwest::StatusCode;
use serde_json::json;

use super::browser::Browser;
use crate::app::{Backend, TestApp};
use crate::client::relay;

crate::on_both_backends!(
    chosen_messages_are_cancelled_after_a_count,
    all_that_match_are_tried_again_and_failures_are_reported,
    dead_letters_are_grouped_and_redriven_by_group,
    who_may_only_look_chooses_nothing,
);

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup| relay(setup, "Shop", "")).await
}

async fn bury(app: &TestApp, count: usize) {
    for _ in 0..count {
        let lease = app.lease("Shop", json!({ "max": 1 })).await.remove(0);
        let refusal = json!({ "reason": "no such customer", "dead_letter": true });
        app.step(&lease, "reject", refusal).await.expect(StatusCode::OK);
    }
}

/// Sends the form of a page that asks, with what its fields hold.
async fn confirm(browser: &Browser<'_>, page: &super::browser::Seen) -> super::browser::Seen {
    let fields = page.fields();
    let form: Vec<(&str, &str)> = fields
        .iter()
        .filter(|(name, _)| !["theme", "to"].contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let answer = browser
        .send("/console/messages/bulk", &form, &[("sec-fetch-site", "same-origin")])
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.elements();
    answer
}

async fn chosen_messages_are_cancelled_after_a_count(backend: Backend) {
    let app = app(backend).await;
    let mut ids = Vec::new();
    for at in 0..3 {
        ids.push(app.put("Shop", &format!("external_id=file-{at}"), "x").await);
    }
    let browser = Browser::of(&app, "op", "operator").await;
    let page = browser.see("/console/messages").await;
    let boxes = page.elements();
    let boxes = boxes.iter().filter(|one| one.get("name") == Some("id"));
    let values: Vec<&str> = boxes.filter_map(|one| one.get("value")).collect();
    assert_eq!(values, [&ids[2], &ids[1], &ids[0]]);

    let none = browser.get("/console/messages/bulk?action=cancel").await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    let asked = format!("/console/messages/bulk?action=cancel&id={}&id={}", ids[0], ids[2]);
    let page = browser.see(&asked).await;
    page.says("2 messages");
    page.says(&format!("tranship messages cancel {} {}", ids[0], ids[2]));
    assert_eq!(
        app.message(&ids[0]).await["status"],
        "Enqueued",
        "asking does nothing yet"
    );
    let report = confirm(&browser, &page).await;
    report.says("2 messages ended.");
    assert_eq!(app.offered("Shop").await, [ids[1].clone()]);
    // Sent again, nothing more is done, and that is said.
    let again = confirm(&browser, &page).await;
    again.says("0 messages ended. 2 messages could not be acted on.");
    again.says("it has ended already: Cancelled");
}

async fn all_that_match_are_tried_again_and_failures_are_reported(backend: Backend) {
    let app = app(backend).await;
    let mut ids = Vec::new();
    for at in 0..60 {
        ids.push(app.put("Shop", &format!("external_id=file-{at}"), "x").await);
    }
    bury(&app, 60).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let page = browser.see("/console/messages?file=file-1&status=failed").await;
    page.says("All that match, on other pages too");
    let page = browser
        .see("/console/messages/bulk?action=retry&all=true&file=file-1&status=failed")
        .await;
    page.says("11 messages");
    page.says("tranship messages retry --status failed --file file-1 --dry-run");
    let report = confirm(&browser, &page).await;
    report.says("11 messages put back into their queues.");
    assert_eq!(app.offered("Shop").await.len(), 11);
    let nothing = browser
        .see("/console/messages/bulk?action=retry&all=true&file=no-such")
        .await;
    nothing.says("Nothing here ended without success");
    // One of them has ended well, another is not there any more.
    let asked = format!("/console/messages/bulk?action=retry&id={}&id={}", ids[0], ids[1]);
    let page = browser.see(&asked).await;
    page.says("1 message of these cannot be");
    let report = confirm(&browser, &page).await;
    report.says("1 message put back into their queues. 1 message could not be acted on.");
    report.says("not_retryable");
}

async fn dead_letters_are_grouped_and_redriven_by_group(backend: Backend) {
    let app = app(backend).await;
    let browser = Browser::of(&app, "op", "operator").await;
    browser.see("/console/dead-letters").await.says("There is none.");
    for at in 0..3 {
        app.put("Shop", &format!("external_id=file-{at}"), "x").await;
    }
    bury(&app, 3).await;
    app.enqueue("Inbound customers", "Customers", "not,a,customer\n1,2,3\n")
        .await;
    app.run_until_idle().await;
    let page = browser.see("/console/dead-letters").await;
    page.says("Shop ✕ DeadLettered rejected 3 Look Redrive…");
    page.says("Inbound customers ✕ PreProcessingError");
    let links = page.links();
    let redrive = links
        .iter()
        .find(|link| link.contains("bulk") && link.contains("code=rejected"))
        .unwrap();
    let look = links
        .iter()
        .find(|link| link.contains("messages?job") && link.contains("code=rejected"))
        .unwrap();
    browser.see(look).await.says("file-2");
    let page = browser.see(redrive).await;
    page.says("3 messages");
    let report = confirm(&browser, &page).await;
    report.says("3 messages put back into their queues.");
    assert_eq!(app.offered("Shop").await.len(), 3);
    let page = browser.see("/console/dead-letters").await;
    page.does_not_say("DeadLettered");
    page.says("PreProcessingError");
}

async fn who_may_only_look_chooses_nothing(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Shop", "external_id=file", "x").await;
    bury(&app, 1).await;
    let browser = Browser::of(&app, "viewer", "viewer").await;
    browser.see("/console/messages").await.does_not_say("Choose");
    browser.see("/console/dead-letters").await.does_not_say("Redrive");
    let token = browser.see("/console").await.form_token();
    let form = [("form_token", token.as_str()), ("action", "retry"), ("job", "Shop")];
    let refused = browser.send("/console/messages/bulk", &form, &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let form = [("action", "retry"), ("id", id.as_str())];
    let tokenless = browser.send("/console/messages/bulk", &form, &[]).await;
    assert_eq!(tokenless.status, StatusCode::FORBIDDEN);
    assert_eq!(app.message(&id).await["status"], "DeadLettered");
}
