//! What visitors do: each thing asks first, and does what the API does.

use reqwest::StatusCode;

use super::browser::Browser;
use crate::app::{Backend, TestApp, sample};

crate::on_both_backends!(
    a_job_is_paused_run_all_the_same_and_resumed,
    a_message_is_cancelled_and_tried_again,
    what_cannot_be_done_is_said,
    messages_are_looked_for_page_by_page,
);

async fn a_job_is_paused_run_all_the_same_and_resumed(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    app.import("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    app.import("Inbound sales orders", "Sales order headers", sample("orders.csv"))
        .await;
    let browser = Browser::of(&app, "op", "operator").await;
    let job = format!("/console/jobs/{}", app.job("Nightly sales orders"));
    let done = browser
        .submit(&format!("{job}/pause"), &[("note", "auditors <3")])
        .await;
    let page = browser.see(done.location()).await;
    page.says("The job is paused.");
    page.says("by op: “auditors <3”");
    page.says("nothing runs until it is resumed");
    let again = browser.submit(&format!("{job}/pause"), &[]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    again.says("is paused since");

    let refused = browser.submit(&format!("{job}/run"), &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let forced = browser
        .submit(&format!("{job}/run"), &[("note", "wanted"), ("force", "true")])
        .await;
    browser.see(forced.location()).await.says("A run was asked for.");
    app.run_until_idle().await;
    browser.see(&job).await.says("✓ done op “wanted”");
    let shown = app
        .body(&format!("/api/v1/jobs/{}/occurrences", app.job("Nightly sales orders")))
        .await;
    assert_eq!(shown["occurrences"][0]["trigger"], "op");
    assert_eq!(shown["occurrences"][0]["forced"], true);

    let page = browser.see(&format!("{job}/resume")).await;
    page.says("as the schedule says: once");
    let wrong = browser.submit(&format!("{job}/resume"), &[("missed", "some")]).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let done = browser.submit(&format!("{job}/resume"), &[("missed", "skip")]).await;
    browser.see(done.location()).await.says("The job is resumed.");
    let shown = app
        .body(&format!("/api/v1/jobs/{}", app.job("Nightly sales orders")))
        .await;
    assert_eq!(shown["paused"], serde_json::Value::Null);
}

async fn a_message_is_cancelled_and_tried_again(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let id = app
        .enqueue("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    let browser = Browser::of(&app, "op", "operator").await;
    let at = format!("/console/messages/{id}");
    browser.see(&at).await.says("It waits for its turn.");
    // Asking does nothing yet.
    browser.see(&format!("{at}/cancel")).await.says("It ends as Cancelled.");
    assert_eq!(app.message(&id).await["status"], "Enqueued");
    let done = browser.submit(&format!("{at}/cancel"), &[]).await;
    let page = browser.see(done.location()).await;
    page.says("The message is cancelled.");
    page.says("cancelled by op");
    assert_eq!(app.message(&id).await["status"], "Cancelled");
    let done = browser.submit(&format!("{at}/retry"), &[]).await;
    browser
        .see(done.location())
        .await
        .says("The message is back in its queue.");
    app.run_until_idle().await;
    let page = browser.see(&at).await;
    page.says("✓ Processed");
    page.says("tried again by op");
    page.does_not_say("Try again…");
}

async fn what_cannot_be_done_is_said(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let message = app
        .import("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    let id = message["id"].as_str().unwrap();
    let browser = Browser::of(&app, "op", "operator").await;
    for (action, says) in [("cancel", "has ended already"), ("retry", "Processed")] {
        let seen = browser.submit(&format!("/console/messages/{id}/{action}"), &[]).await;
        assert_eq!(seen.status, StatusCode::CONFLICT, "{action}");
        seen.says(says);
    }
    let relay = format!("/console/jobs/{}", app.job("Relay documents"));
    browser.see(&relay).await.does_not_say("Pause…");
    let seen = browser.submit(&format!("{relay}/pause"), &[]).await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST);
    seen.says("There is nothing to pause");
    let viewer = Browser::of(&app, "viewer", "viewer").await;
    let token = viewer.see("/console").await.form_token();
    let seen = viewer
        .send(&format!("{relay}/pause"), &[("form_token", &token)], &[])
        .await;
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
}

async fn messages_are_looked_for_page_by_page(backend: Backend) {
    let app = TestApp::with(backend, |setup| crate::client::relay(setup, "Shop", "")).await;
    let mut ids = Vec::new();
    for number in 0..120 {
        if number == 60 {
            app.clock.advance_seconds(3600);
        }
        ids.push(app.put("Shop", &format!("external_id=File-{number:03}"), "x").await);
    }
    app.enqueue("Inbound customers", "Customers", "not,a,customer\n1,2,3\n")
        .await;
    app.run_until_idle().await;
    let browser = Browser::of(&app, "op", "operator").await;
    let ids_on = |page: &super::browser::Seen| -> Vec<String> {
        let links = page
            .links()
            .into_iter()
            .filter_map(|link| Some(link.strip_prefix("/console/messages/")?.to_owned()));
        links.collect()
    };
    let (mut path, mut found) = (format!("/console/messages?job={}", app.job("Shop")), Vec::new());
    for more in [50, 50, 20] {
        let page = browser.see(&path).await;
        let listed = ids_on(&page);
        assert_eq!(listed.len(), more);
        found.extend(listed);
        let elements = page.elements();
        let next = elements.iter().find(|link| link.get("rel") == Some("next"));
        assert_eq!(next.is_some(), more == 50);
        next.and_then(|next| next.get("href"))
            .unwrap_or_default()
            .clone_into(&mut path);
    }
    ids.reverse();
    assert_eq!(found, ids, "each once, newest first");

    let count = async |query: &str| ids_on(&browser.see(&format!("/console/messages?{query}")).await).len();
    assert_eq!(count("file=file-01").await, 10);
    assert_eq!(count("file=file-01&status=Acked").await, 0);
    assert_eq!(count("status=failed").await, 1);
    assert_eq!(count("status=preprocessingerror&job=Inbound+customers").await, 1);
    assert_eq!(count("status=DeadLettered").await, 0);
    assert_eq!(
        count("status=Enqueued&from=2026-01-05T09:00").await,
        50,
        "a page of sixty"
    );
    assert_eq!(count("to=2026-01-05T09:00&file=File-0").await, 50);
    assert_eq!(count("from=2026-01-05T08:30&to=2026-01-05T08:45").await, 0);
    let page = browser.see("/console/messages?file=no-such").await;
    page.says("Looked at 121 messages, of which 0 messages matched.");
    page.says("No message is like this.");
    // Looking changed nothing.
    let page = browser.see(&format!("/console/messages/{}", ids[0])).await;
    page.does_not_say("Downloaded");
    assert_eq!(app.message(&ids[0]).await["status"], "Enqueued");
}
