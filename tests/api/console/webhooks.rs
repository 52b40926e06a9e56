//! Webhooks in the console: who is told, what became of it, and once more.

use reqwest::StatusCode;

use super::browser::Browser;
use crate::app::{Backend, TestApp};
use crate::webhooks::receiver::{Receiver, Reply};

crate::on_both_backends!(
    a_delivery_is_found_read_and_sent_once_more,
    without_webhooks_the_page_says_how
);

async fn a_delivery_is_found_read_and_sent_once_more(backend: Backend) {
    let receiver = Receiver::start().await;
    let url = receiver.url("/hook?key=k");
    let app = TestApp::with(backend, |setup| {
        crate::webhooks::job(setup, &format!("url = \"{url}\""));
        setup.set("webhooks.max_attempts", "1");
    })
    .await;
    receiver.replies([Reply::Status(500, "", "out of order")]);
    let file = "CustomerID,CompanyName\r\nAAAAA,One\r\n";
    app.import("Told customers", "Customers", file).await;
    app.webhooks.run_until_idle().await.unwrap();
    let browser = Browser::of(&app, "op", "operator").await;
    let list = browser.see("/console/webhooks").await;
    list.says("Told customers");
    list.says("✕ dead Told customers 1 500");
    list.does_not_say("key=k");
    browser
        .see("/console/webhooks?state=delivered")
        .await
        .says("No delivery is like this.");
    let link = list
        .links()
        .into_iter()
        .find(|link| link.starts_with("/console/webhooks/"))
        .unwrap();
    let page = browser.see(&link).await;
    page.says("message.finished");
    page.says("Send it once more");
    let viewer = Browser::of(&app, "eye", "viewer").await;
    viewer.see(&link).await.does_not_say("Send it once more");
    assert_eq!(
        viewer.get(&format!("{link}/replay")).await.status,
        StatusCode::FORBIDDEN
    );

    let done = browser.submit(&format!("{link}/replay"), &[]).await;
    browser
        .see(done.location())
        .await
        .says("The delivery is sent once more.");
    app.webhooks.run_until_idle().await.unwrap();
    browser.see(&link).await.says("✓ delivered");
    browser.see("/console/audit").await.says("op console webhook.replay");
    let wrong = browser.get("/console/webhooks?state=lost").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

async fn without_webhooks_the_page_says_how(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let page = browser.see("/console/webhooks").await;
    page.says("No job tells anybody how its messages end.");
    page.says("Nothing was told yet.");
}
