//! How commands end that name something nobody has: always with 5, whatever kind of thing it is and wherever it is looked for
//! (docs/cli.md). What cannot be a name or id at all is a wrong command line: 2.

use std::process::Output;

use serde_json::Value;

use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::TestDatabase;
use crate::wire::Caller;

/// An id of a message, a delivery or a job, that none has.
const NOBODY: &str = "0192f1c4-7a51-7c3e-9d7e-0c1f6f3a2b11";

/// Of the service, over HTTP.
const SERVICE: [&[&str]; 34] = [
    &["push", "rejects.csv", "--job", "No job"],
    &["push", "rejects.csv", "--job", NOBODY],
    &[
        "push",
        "rejects.csv",
        "--job",
        "Inbound customers",
        "--entity",
        "No entity",
    ],
    &["pull", "--job", "No job", "--out", "out"],
    &["status", NOBODY],
    &["status", NOBODY, "--watch"],
    &["rates", "--job", "No job"],
    &["jobs", "show", "No job"],
    &["jobs", "run", "No job"],
    &["jobs", "next", "No job"],
    &["jobs", "runs", "No job"],
    &["jobs", "why-empty", "No job"],
    &["jobs", "pause", "No job"],
    &["jobs", "resume", "No job"],
    &["jobs", "delete", "No job"],
    &[
        "jobs",
        "backfill",
        "No job",
        "--from",
        "2026-03-01",
        "--to",
        "2026-03-02",
    ],
    &["jobs", "positions", "No job"],
    &["jobs", "rewind", "No job", "--full"],
    &["messages", "list", "--job", "No job"],
    &["messages", "list", "--entity", "No entity", "--key", "1"],
    &["messages", "show", NOBODY],
    &["messages", "show", NOBODY, "--errors"],
    &["messages", "rejects", NOBODY],
    &["messages", "resubmit", NOBODY, "rejects.csv"],
    &["messages", "cancel", "--job", "No job", "--yes"],
    &["dead-letters", "list", "--job", "No job"],
    &["dead-letters", "groups", "--job", "No job"],
    &["dead-letters", "redrive", "--job", "No job", "--yes"],
    &["deliveries", "list", "--job", "No job"],
    &["deliveries", "replay", "--job", "Nightly sales orders", NOBODY],
    &["webhooks", "list", "--job", "No job"],
    &["webhooks", "show", NOBODY],
    &["webhooks", "replay", NOBODY],
    &["webhooks", "test", "No job"],
];

/// Of the service, message by message: which of them is not there stands in the answer, not in a failure.
const EACH: [&[&str]; 2] = [
    &["messages", "retry", NOBODY, "--yes"],
    &["messages", "cancel", NOBODY, "--yes"],
];

/// Of the store, the definitions and the databases, where they are.
const STORE: [&[&str]; 9] = [
    &["client", "role", "nobody", "operator"],
    &["client", "rotate", "nobody"],
    &["client", "revoke", "nobody"],
    &["console", "--client", "nobody"],
    &[
        "erase",
        "--entity",
        "No entity",
        "--key",
        "customer_account=C-1",
        "--yes",
    ],
    &["erase", "--entity", "Customers", "--key", "no_field=C-1", "--yes"],
    &["entities", "show", "No entity"],
    &["entities", "add", "--database", "nowhere", "--table", "t"],
    &["entities", "add", "--table", "no_table"],
];

/// What is no id.
const NO_IDS: [&[&str]; 8] = [
    &["status", "x"],
    &["messages", "show", "x"],
    &["messages", "rejects", "x"],
    &["messages", "resubmit", "x", "rejects.csv"],
    &["messages", "retry", "x"],
    &["messages", "cancel", "x"],
    &["webhooks", "show", "x"],
    &["deliveries", "replay", "--job", "Nightly sales orders", "x"],
];

fn cli(site: &Site, service: &Service, client: &Credentials, arguments: &[&str]) -> Output {
    let mut command = site.command(arguments);
    command.envs([
        ("TRANSHIP_URL", service.base.as_str()),
        ("TRANSHIP_CLIENT_ID", &client.id),
        ("TRANSHIP_CLIENT_SECRET", &client.secret),
        ("no_proxy", "127.0.0.1"),
    ]);
    command.output().expect("the binary runs")
}

/// The lines that end otherwise, with how.
fn otherwise(wanted: i32, lines: &[&[&str]], run: impl Fn(&[&str]) -> Output) -> Vec<String> {
    let ended = lines.iter().map(|line| (line, run(&[*line, &["--json"]].concat())));
    let wrong = ended.filter(|(_, output)| {
        let failure = serde_json::from_slice::<Value>(&output.stderr).unwrap_or_default();
        output.status.code() != Some(wanted) || failure["exit"] != wanted || failure["error"].as_str().is_none()
    });
    wrong
        .map(|(line, output)| {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            format!("{line:?}: {:?}, {said}", output.status.code())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_nobody_has_ends_every_command_alike() {
    let site = Site::on(TestDatabase::sqlite()).await;
    site.copy_definitions("shop");
    let ops = site.add_client("ops", "operator");
    site.write("rejects.csv", "_reject_id,_error,CustomerID,CompanyName\n,,A,B\n");
    site.write("other.csv", "CustomerID,CompanyName\nA,B\n");
    let service = site.start("one").await;
    let run = |line: &[&str]| cli(&site, &service, &ops, line);
    assert_eq!(otherwise(5, &SERVICE, run), Vec::<String>::new());
    assert_eq!(
        otherwise(5, &STORE, |line| site.command(line).output().expect("it runs")),
        Vec::<String>::new()
    );
    assert_eq!(otherwise(2, &NO_IDS, run), Vec::<String>::new());
    for line in EACH {
        let output = run(&[line, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(5), "{line:?}: {output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(answer["failed"][0]["id"], NOBODY, "{answer}");
    }

    // A file that does not say what it corrects is not sent.
    let caller = Caller::new(&service, &ops).await;
    let file = "CustomerID,CompanyName\n,No key\n";
    let parent = caller.push("Inbound customers", "Customers", file.into()).await;
    assert_eq!(caller.ended(&parent).await.records("rejected"), 1);
    let unsent = run(&["messages", "resubmit", &parent, "other.csv", "--json"]);
    assert_eq!(unsent.status.code(), Some(2), "{unsent:?}");
    let failure: Value = serde_json::from_slice(&unsent.stderr).expect("JSON");
    assert!(
        failure["error"].as_str().expect("a sentence").contains("`_reject_id`"),
        "{failure}"
    );
    assert!(
        failure["cure"].as_str().expect("a cure").contains("messages rejects"),
        "{failure}"
    );
    assert_eq!(
        caller.message(&parent).await.0["links"]["children"],
        serde_json::json!([])
    );
    let sent = run(&["messages", "resubmit", &parent, "rejects.csv", "--wait"]);
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    assert!(service.stop().await.success());
}
