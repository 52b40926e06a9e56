//! A blob that is not where it was written: the message waits for it, for as many attempts as it has.

use reqwest::StatusCode;

use crate::app::{Backend, TestApp, sample};

crate::on_both_backends!(
    a_message_waits_for_a_blob_that_is_missing,
    a_blob_that_stays_away_uses_up_the_attempts,
    a_damaged_blob_ends_its_message_at_once,
);

const ATTEMPTS: u32 = 3;

/// An application that keeps every payload in a blob, and a message in its queue.
async fn with_a_message(backend: Backend) -> (TestApp, String) {
    let app = TestApp::with(backend, |setup| {
        setup.set("queue.inline_max_bytes", "0");
        setup.set("queue.max_deliveries", ATTEMPTS.to_string());
    })
    .await;
    let id = app
        .enqueue("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    (app, id)
}

fn unmount(app: &TestApp) {
    std::fs::rename(app.folder.join("data/blobs"), app.folder.join("data/away")).unwrap();
}

fn mount(app: &TestApp) {
    std::fs::rename(app.folder.join("data/away"), app.folder.join("data/blobs")).unwrap();
}

async fn a_message_waits_for_a_blob_that_is_missing(backend: Backend) {
    let (app, id) = with_a_message(backend).await;
    unmount(&app);
    app.run_until_idle().await;
    let message = app.message(&id).await;
    assert_eq!(message["status"], "Enqueued", "{message}");
    let history = app.get(&format!("/api/v1/messages/{id}/history")).await;
    let history = history.text().await.unwrap();
    assert!(history.contains("there is no blob"), "{history}");
    let answer = app.get(&format!("/api/v1/messages/{id}/payload")).await;
    assert_eq!(answer.status(), StatusCode::GONE);

    mount(&app);
    app.clock.advance_seconds(60);
    app.run_until_idle().await;
    let message = app.message(&id).await;
    assert_eq!(message["status"], "Processed", "{message}");
    let answer = app.get(&format!("/api/v1/messages/{id}/payload")).await;
    assert_eq!(answer.bytes().await.unwrap(), sample("customers.csv"));
}

async fn a_blob_that_stays_away_uses_up_the_attempts(backend: Backend) {
    let (app, id) = with_a_message(backend).await;
    unmount(&app);
    for _ in 0..ATTEMPTS {
        app.run_until_idle().await;
        assert_eq!(app.message(&id).await["status"], "Enqueued");
        app.clock.advance_seconds(60);
    }
    app.run_until_idle().await;
    let message = app.message(&id).await;
    assert_eq!(message["status"], "PreProcessingError", "{message}");
    assert!(message.to_string().contains("attempts_exhausted"), "{message}");
}

async fn a_damaged_blob_ends_its_message_at_once(backend: Backend) {
    let (app, id) = with_a_message(backend).await;
    let mut files = vec![app.folder.join("data/blobs/payloads")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            std::fs::write(&path, sample("customers.csv").to_ascii_lowercase()).unwrap();
        }
    }
    app.run_until_idle().await;
    let message = app.message(&id).await;
    assert_eq!(message["status"], "PreProcessingError", "{message}");
    assert!(message.to_string().contains("payload_unreadable"), "{message}");
}
