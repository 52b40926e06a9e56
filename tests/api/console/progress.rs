//! What pages say while a load runs.

use std::fmt::Write as _;

use super::browser::Browser;
use crate::app::{Backend, TestApp, sample};
use crate::interrupted::cancel_midway;

crate::on_both_backends!(a_load_tells_how_far_it_is, an_execution_has_the_status_of_what_it_loads,);

/// Waits for a page to say this while time goes on; the clock is ours.
async fn until(app: &TestApp, browser: &Browser<'_>, path: &str, said: &str) {
    loop {
        app.clock.advance_seconds(1);
        if browser.see(path).await.text().contains(said) {
            return;
        }
    }
}

async fn a_load_tells_how_far_it_is(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.set("import.batch_records", "20");
        setup.set("import.chunk_records", "20");
    })
    .await;
    let mut file = "CustomerID,CompanyName\n".to_owned();
    for number in 0..5000 {
        let _ = writeln!(file, "{number},Company {number}");
    }
    let browser = Browser::of(&app, "op", "operator").await;
    let id = app.enqueue("Inbound customers", "Customers", file).await;
    let page = format!("/console/messages/{id}");
    let watched = async {
        until(&app, &browser, &page, "records read and checked so far, about").await;
        until(&app, &browser, &page, "0 of 5,000 good records have landed, about").await;
        let seen = browser.see(&page).await;
        let elements = seen.elements();
        let bar = elements.iter().find(|element| element.name == "progress").unwrap();
        assert_eq!(bar.get("max"), Some("5000"));
        let landed: u64 = bar.get("value").unwrap().parse().unwrap();
        assert!(landed > 0 && landed < 5000, "{landed}");
        let execution = seen
            .links()
            .into_iter()
            .find(|link| link.contains("/executions/"))
            .unwrap();
        let seen = browser.see(&execution).await;
        seen.says("Execution ▸ Processing");
        seen.says("good records have landed");
    };
    cancel_midway(&app, "Inbound customers", watched).await;
    browser.see(&page).await.does_not_say("have landed");
}

async fn an_execution_has_the_status_of_what_it_loads(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let loaded = app
        .import("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    let failed = app.import("Inbound customers", "Customers", "no,customer\n1,2\n").await;
    for (message, badge) in [
        (loaded, "Execution ✓ Processed"),
        (failed, "Execution ✕ PreProcessingError"),
    ] {
        let page = format!("/console/messages/{}", message["id"].as_str().unwrap());
        let page = browser.see(&page).await;
        let link = page.links().into_iter().find(|link| link.contains("/executions/"));
        browser.see(&link.unwrap()).await.says(badge);
    }
}
