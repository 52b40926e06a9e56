//! The whole queue as text after each step of a longer story: what a reader of the store would see.

use crate::app::{Backend, TestApp};

crate::on_both_backends!(a_story_in_snapshots);

async fn a_story_in_snapshots(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file(
            "jobs/documents.toml",
            "id = \"00000000-0000-4000-8000-0000000000bb\"\nname = \"Documents\"\ndirection = \"relay\"\ndata_source = \"file\"\nclients = [\"tester\"]\n",
        );
    })
    .await;
    let mut story = String::new();
    let mut step = async |title: &str| {
        let queue = app.context.store.queue_text().await.unwrap();
        story.extend(["== ", title, "\n", &queue, "\n"]);
    };
    app.enqueue(
        "Inbound customers",
        "Customers",
        "CustomerID,CompanyName\r\nAAAAA,One\r\n,Two\r\n",
    )
    .await;
    app.enqueue("Documents", "", "a document").await;
    step("enqueued").await;
    app.run_until_idle().await;
    step("the import ran").await;
    let dequeue = format!("/api/connector/dequeue/{}", app.job("Documents"));
    let first: serde_json::Value = app.get(&dequeue).await.json().await.unwrap();
    step("handed out").await;
    app.clock.advance_seconds(1801);
    app.scheduler.tick().await;
    step("the lease lapsed").await;
    app.get(&dequeue).await;
    app.post(
        &format!("/api/connector/ack/{}", app.job("Documents")),
        first.to_string(),
    )
    .await;
    step("acknowledged with the first receipt").await;
    insta::assert_snapshot!("story", story);
}
