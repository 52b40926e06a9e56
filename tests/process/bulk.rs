//! `tranship messages retry|cancel` and `tranship dead-letters`: many messages from the command line, and exit codes for scripts.

use std::process::Output;

use serde_json::{Value, json};

use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::TestDatabase;
use crate::wire::Caller;

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

/// A bulk action that is killed leaves a part done, and the same again does the rest: each message once.
#[tokio::test]
async fn a_killed_bulk_action_is_finished_by_the_next_one_on_sqlite() {
    a_killed_bulk_action_is_finished_by_the_next_one(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn a_killed_bulk_action_is_finished_by_the_next_one_on_postgres() {
    if let Some(store) = TestDatabase::postgres().await {
        a_killed_bulk_action_is_finished_by_the_next_one(store).await;
    }
}

/// A site with a relay queue that `sender` may use.
async fn site_on(store: TestDatabase) -> (Site, Credentials) {
    let site = Site::on(store).await;
    std::fs::create_dir_all(site.path("entities")).expect("made");
    site.write(
        "jobs/documents.toml",
        &format!("id = \"{RELAY}\"\nname = \"Documents\"\ndirection = \"relay\"\ndata_source = \"file\"\nclients = [\"sender\"]\n"),
    );
    let sender = site.add_client("sender", "client");
    (site, sender)
}

async fn a_killed_bulk_action_is_finished_by_the_next_one(store: TestDatabase) {
    const MESSAGES: usize = 900;
    let (site, sender) = site_on(store).await;
    let service = site.start("one").await;
    let caller = Caller::new(&service, &sender).await;
    let items: Vec<Value> = (0..MESSAGES).map(|at| json!({ "text": at.to_string() })).collect();
    let path = "/api/v1/jobs/Documents/messages/batch";
    let sent = caller.post(path, json!({ "messages": items }).to_string()).await;
    assert!(sent.status().is_success(), "{}", sent.status());
    let bulk = |action: &str| json!({ "action": action, "filter": { "job": "Documents" }, "limit": 1000 }).to_string();

    let asked = tokio::spawn({
        let (caller, body) = (Caller::new(&service, &sender).await, bulk("cancel"));
        // The answer never comes.
        async move { caller.try_post("/api/v1/messages/bulk", body).await.is_ok() }
    });
    let ended = async |caller: &Caller| {
        let path = "/api/v1/messages?status=Cancelled&limit=200&job=Documents";
        let listed: Value = caller.get(path).await.json().await.expect("a list");
        listed["messages"].as_array().map_or(0, Vec::len)
    };
    while ended(&caller).await == 0 {}
    service.kill9();
    assert!(!asked.await.expect("it ends"), "it was answered before it was killed");

    let service = site.start("one").await;
    let caller = Caller::new(&service, &sender).await;
    let done = async |action: &str| -> usize {
        let answer: Value = caller
            .post("/api/v1/messages/bulk", bulk(action))
            .await
            .json()
            .await
            .expect("an answer");
        assert_eq!(
            (&answer["failed"], &answer["next"]),
            (&json!([]), &Value::Null),
            "{answer}"
        );
        usize::try_from(answer["done"].as_u64().expect("a number")).expect("small")
    };
    let rest = done("cancel").await;
    assert!(rest > 0 && rest < MESSAGES, "{rest} were left");
    assert_eq!(done("cancel").await, 0);
    let filter = json!({ "job": "Documents", "status": "Cancelled" });
    let counted = json!({ "action": "retry", "filter": filter, "dry_run": true }).to_string();
    let counted: Value = caller
        .post("/api/v1/messages/bulk", counted)
        .await
        .json()
        .await
        .expect("a count");
    assert_eq!(counted["matched"], MESSAGES, "each of them has ended");
    assert!(service.stop().await.success());
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
    let (site, sender) = site_on(store).await;
    let stranger = site.add_client("stranger", "client");
    let service = site.start("one").await;
    let run = |arguments: &[&str], code| tranship(&site, &service, &sender, arguments, code);
    let text = |output: Output| String::from_utf8(output.stdout).expect("text");
    let answer = |arguments: &[&str], code| -> Value {
        let output = run(&[arguments, &["--json"]].concat(), code);
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let mut ids = Vec::new();
    for at in 0..3 {
        let file = format!("file-{at}.txt");
        site.write(&file, "x");
        let pushed = answer(&["push", &file, "--job", "Documents"], 0);
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
    let listed = answer(&["messages", "list", "--status", "Enqueued", "--file", "file-1"], 0);
    assert_eq!(listed["messages"].as_array().map(Vec::len), Some(1), "{listed}");
    // Nobody is asked where nobody is there to answer.
    let done = answer(&["messages", "cancel", "--job", "Documents"], 0);
    assert_eq!((&done["done"], &done["failed"]), (&3.into(), &Value::Array(Vec::new())));
    let again = answer(&["messages", "cancel", "--job", "Documents"], 0);
    assert_eq!(again["done"], 0);
    let one = text(run(&["messages", "retry", &ids[0]], 0));
    assert_eq!(one, "1 message put back\n");
    // It waits already: the others go on.
    let some = answer(&["messages", "retry", &ids[0], &ids[1]], 1);
    assert_eq!(
        (&some["done"], &some["failed"][0]["code"]),
        (&1.into(), &"not_retryable".into())
    );
    let rest = answer(
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
    assert_eq!(answer(&["dead-letters", "redrive"], 0)["done"], 0);
    assert_eq!(
        answer(&["dead-letters", "list"], 0)["messages"],
        Value::Array(Vec::new())
    );
    assert_eq!(
        answer(&["dead-letters", "groups"], 0)["groups"],
        Value::Array(Vec::new())
    );

    run(&["messages", "retry"], 2);
    run(&["messages", "retry", &ids[0], "--job", "Documents"], 2);
    run(&["messages", "cancel", "--since", "monday"], 2);
    run(&["messages", "retry", "--job", "Nothing"], 5);
    run(&["messages", "retry", "0192f1c4-0000-7000-8000-000000000000"], 5);
    tranship(&site, &service, &stranger, &["messages", "cancel", &ids[0]], 5);
    assert!(service.stop().await.success());
}
