//! The audit log in the console: what is done there is told there.

use reqwest::StatusCode;

use super::browser::Browser;
use crate::app::{Backend, TestApp};
use crate::support::databases::run;

crate::on_both_backends!(
    what_is_done_in_the_console_is_told_there,
    it_is_looked_for_and_read_page_by_page,
    a_broken_chain_is_said,
    an_operator_sees_what_was_done_to_jobs_and_others_nothing,
);

fn pause(app: &TestApp) -> String {
    format!("/console/jobs/{}/pause", app.job("Nightly sales orders"))
}

async fn what_is_done_in_the_console_is_told_there(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let admin = Browser::of(&app, "boss", "admin").await;
    admin.submit(&pause(&app), &[("note", "auditors <3")]).await;
    let page = admin.see("/console/audit").await;
    page.says("boss console job.pause Nightly sales orders ✓ done note: auditors <3");
    page.says("boss console console.sign_in boss ✓ done by: secret");
    page.says("Ends with entry 2");
    page.says("GET /api/v1/audit");
    page.says("tranship audit list");
    let whole = admin.see("/console/audit/verify").await;
    whole.says("Every entry fits: 2 recomputed.");
    // A refused form changed nothing, and nothing is told.
    let again = admin.submit(&pause(&app), &[]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    admin.see("/console/audit").await.says("Ends with entry 2");
}

async fn it_is_looked_for_and_read_page_by_page(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let admin = Browser::of(&app, "boss", "admin").await;
    let job = format!("/api/v1/jobs/{}", app.job("Nightly sales orders"));
    for _ in 0..30 {
        app.post_json(&format!("{job}/pause"), &serde_json::json!({})).await;
        app.post_json(&format!("{job}/resume"), &serde_json::json!({})).await;
    }
    let first = admin
        .see("/console/audit?actor=tester&target=Nightly+sales+orders")
        .await;
    let older = first
        .links()
        .into_iter()
        .find(|link| link.contains("before_entry="))
        .unwrap();
    let second = admin.see(&older.replace("&amp;", "&")).await;
    second.says("Newest");
    second.does_not_say("Older");
    second.does_not_say("boss console console.sign_in");
    second.says("tranship audit list --actor tester --target");
    assert_eq!(second.text().matches("job.pause Nightly").count(), 5);
    let nothing = admin.see("/console/audit?actor=nobody").await;
    nothing.says("No entry is like this.");
    let wrong = admin.get("/console/audit?action=job.dance").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    wrong.says("is no action; write one of job.run");
}

async fn a_broken_chain_is_said(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let admin = Browser::of(&app, "boss", "admin").await;
    run(
        &app.store.url,
        match backend {
            Backend::Sqlite => "drop trigger audit_is_not_changed",
            Backend::Postgres => "alter table audit disable trigger user",
        },
    )
    .await;
    run(&app.store.url, "update audit set actor = 'somebody else'").await;
    let page = admin.see("/console/audit/verify").await;
    page.says("Entry 1 was changed: its hash is another one");
}

async fn an_operator_sees_what_was_done_to_jobs_and_others_nothing(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let operator = Browser::of(&app, "op", "operator").await;
    operator.submit(&pause(&app), &[]).await;
    let page = operator.see("/console/audit").await;
    page.says("op console job.pause Nightly sales orders");
    page.does_not_say("console.sign_in");
    page.does_not_say("Recompute it");
    assert!(!page.links().contains(&"/console/clients".to_owned()));
    let verify = operator.get("/console/audit/verify").await;
    assert_eq!(verify.status, StatusCode::FORBIDDEN);
    let client = Browser::of(&app, "shop", "client").await;
    let refused = client.get("/console/audit").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        !client
            .see("/console")
            .await
            .links()
            .contains(&"/console/audit".to_owned())
    );
}
