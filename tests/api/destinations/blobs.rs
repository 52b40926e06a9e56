//! Folders and buckets.

use std::path::PathBuf;

use reqwest::StatusCode;

use super::{destinations, setup};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_file_is_written_under_its_path_and_the_queue_keeps_its_message,
    a_file_that_was_written_but_not_noted_is_found_there,
    another_file_is_written_over_only_where_the_job_says_so,
);

const FILE: &str = "item,quantity\r\na,1\r\n";

/// An application whose job writes into a folder beside its data; the folder.
async fn app(backend: Backend, lines: &str) -> (TestApp, PathBuf) {
    let mut folder = PathBuf::new();
    let app = TestApp::with(backend, |s| {
        let data = s.settings.iter().find(|(key, _)| key == "data_dir").unwrap().1.clone();
        folder = PathBuf::from(data).join("../out");
        let url = format!("file://{}", folder.display());
        let destination =
            format!("[[export.destinations]]\nname = \"archive\"\nkind = \"blob\"\nurl = \"{url}\"\n{lines}\n");
        setup(s, &destinations(&destination));
    })
    .await;
    app.stock_up("insert into stock (item, quantity) values ('a', 1)").await;
    (app, folder)
}

async fn a_file_is_written_under_its_path_and_the_queue_keeps_its_message(backend: Backend) {
    let (app, folder) = app(backend, "path = \"{due:%Y}/{entity} é/\"").await;
    let message = app.export().await;
    let delivery = app.brought(&message, "archive").await;
    assert_eq!(delivery["state"], "pending");
    app.bring().await;
    let delivery = app.brought(&message, "archive").await;
    assert_eq!(delivery["state"], "delivered", "{delivery:#}");
    assert_eq!(delivery["path"], "2026/Stock on hand é/stock 20260105-080000.csv");
    let written = std::fs::read_to_string(folder.join("2026/Stock on hand é/stock 20260105-080000.csv")).unwrap();
    assert_eq!(written, FILE);
    assert_eq!(
        app.message(&message).await["status"],
        "Enqueued",
        "a copy acknowledges nothing"
    );
}

async fn a_file_that_was_written_but_not_noted_is_found_there(backend: Backend) {
    let (app, folder) = app(backend, "").await;
    let message = app.export().await;
    app.bring().await;
    app.forget_arrivals().await;
    app.bring().await;
    assert_eq!(
        app.brought(&message, "archive").await["state"],
        "pending",
        "the dead process's lease still runs"
    );
    app.clock.advance_seconds(61);
    app.bring().await;
    let delivery = app.brought(&message, "archive").await;
    assert_eq!(delivery["state"], "delivered", "{delivery:#}");
    let said = delivery["last_answer"]["detail"].as_str().unwrap();
    assert!(said.contains("was there already"), "{said}");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
}

async fn another_file_is_written_over_only_where_the_job_says_so(backend: Backend) {
    let (app, folder) = self::app(backend, "path = \"latest.csv\"").await;
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("latest.csv"), "somebody's").unwrap();
    let message = app.export().await;
    app.bring().await;
    let delivery = app.brought(&message, "archive").await;
    assert_eq!(
        (&delivery["state"], &delivery["attempts"]),
        (&"failed".into(), &1.into())
    );
    let said = delivery["last_answer"]["detail"].as_str().unwrap();
    assert!(said.contains("latest.csv exists, and is another file"), "{said}");
    let kept = std::fs::read_to_string(folder.join("latest.csv")).unwrap();
    assert_eq!(kept, "somebody's");
    // Out of the way, and once more.
    std::fs::remove_file(folder.join("latest.csv")).unwrap();
    assert_eq!(app.bring_again(&delivery).await, StatusCode::ACCEPTED);
    assert_eq!(
        app.bring_again(&delivery).await,
        StatusCode::CONFLICT,
        "it is on its way"
    );
    app.bring().await;
    assert_eq!(std::fs::read_to_string(folder.join("latest.csv")).unwrap(), FILE);

    let (app, folder) = self::app(backend, "path = \"latest.csv\"\nexists = \"replace\"").await;
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("latest.csv"), "somebody's").unwrap();
    let message = app.export().await;
    app.bring().await;
    assert_eq!(app.brought(&message, "archive").await["state"], "delivered");
    assert_eq!(std::fs::read_to_string(folder.join("latest.csv")).unwrap(), FILE);
}
