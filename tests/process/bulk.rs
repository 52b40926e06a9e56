//! `tranship messages retry|cancel` and `tranship dead-letters`: many messages from the command line, and exit codes for scripts.

use std::process::Output;

use serde_json::Value;

use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::TestDatabase;

const RELAY: &str = "00000000-0000-4000-8000-0000000000bb";

#[tokio::test]
async fn messages_are_cancelled_and_tried_again_from_the_command_line_on_sqlite() {
    messages_are_cancelled_and_tried_again_from_the_command_line(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn messages_are_cancelled_and_tried_again_from_the_command_line_on_postgres() {
    if let Some(store) = TestDatabase::postgres().await {
        messages_are_cancelled_and_tried_again_from_the_command_line(store).await;
    }
}

/// Runs a client command, which ends with this code.
fn tranship(site: &Site, service: &Service, client: &Credentials, arguments: &[&str], code: i32) -> Output {
    let output = site
        .command(arguments)
        .env("TRANSHIP_URL", &service.base)
        .env("TRANSHIP_CLIENT_ID", &client.id)
        .env("TRANSHIP_CLIENT_SECRET", &client.secret)
        .output()
        .expect("the binary runs");
    assert_eq!(
        output.status.code(),
        Some(code),
        "tranship {arguments:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

async fn messages_are_cancelled_and_tried_again_from_the_command_line(store: TestDatabase) {
    let site = Site::on(store).await;
    std::fs::create_dir_all(site.path("entities")).expect("made");
    site.write(
        "jobs/documents.toml",
        &format!("id = \"{RELAY}\"\nname = \"Documents\"\ndirection = \"relay\"\ndata_source = \"file\"\nclients = [\"sender\"]\n"),
    );
    let sender = site.add_client("sender", "client");
    let stranger = site.add_client("stranger", "client");
    let service = site.start("one").await;
    let run = |arguments: &[&str], code| tranship(&site, &service, &sender, arguments, code);
    let text = |output: Output| String::from_utf8(output.stdout).expect("text");
    let json = |arguments: &[&str], code| -> Value {
        let output = run(&[arguments, &["--json"]].concat(), code);
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let mut ids = Vec::new();
    for at in 0..3 {
        let file = format!("file-{at}.txt");
        site.write(&file, "x");
        let pushed = json(&["push", &file, "--job", "Documents"], 0);
        ids.push(pushed["id"].as_str().expect("an id").to_owned());
    }

    let counted = text(run(
        &[
            "messages",
            "cancel",
            "--job",
            "Documents",
            "--file",
            "FILE-",
            "--dry-run",
        ],
        0,
    ));
    assert!(
        counted.starts_with("3 messages to cancel\n  3 messages  Documents\n"),
        "{counted}"
    );
    let listed = json(&["messages", "list", "--status", "Enqueued", "--file", "file-1"], 0);
    assert_eq!(listed["messages"].as_array().map(Vec::len), Some(1), "{listed}");
    // Nobody is asked where nobody is there to answer.
    let done = json(&["messages", "cancel", "--job", "Documents"], 0);
    assert_eq!((&done["done"], &done["failed"]), (&3.into(), &Value::Array(Vec::new())));
    let again = json(&["messages", "cancel", "--job", "Documents"], 0);
    assert_eq!(again["done"], 0);
    let one = text(run(&["messages", "retry", &ids[0]], 0));
    assert_eq!(one, "1 message put back\n");
    // It waits already: the others go on.
    let some = json(&["messages", "retry", &ids[0], &ids[1]], 1);
    assert_eq!(
        (&some["done"], &some["failed"][0]["code"]),
        (&1.into(), &"not_retryable".into())
    );
    let rest = json(
        &[
            "dead-letters",
            "redrive",
            "--status",
            "Cancelled",
            "--rate",
            "100",
            "--yes",
        ],
        0,
    );
    assert_eq!(rest["done"], 1);
    assert_eq!(json(&["dead-letters", "redrive"], 0)["done"], 0);
    assert_eq!(json(&["dead-letters", "list"], 0)["messages"], Value::Array(Vec::new()));
    assert_eq!(json(&["dead-letters", "groups"], 0)["groups"], Value::Array(Vec::new()));

    run(&["messages", "retry"], 2);
    run(&["messages", "retry", &ids[0], "--job", "Documents"], 2);
    run(&["messages", "cancel", "--since", "monday"], 2);
    run(&["messages", "retry", "--job", "Nothing"], 5);
    run(&["messages", "retry", "0192f1c4-0000-7000-8000-000000000000"], 5);
    tranship(&site, &service, &stranger, &["messages", "cancel", &ids[0]], 5);
    assert!(service.stop().await.success());
}
