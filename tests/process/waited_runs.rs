//! `tranship jobs run --wait` tells every message of the run it waited for, not just the first; and what is advised can be done.

use std::process::Command;

use serde_json::Value;

use crate::site::Site;
use crate::support::databases::{TestDatabase, run};

pub const ENTITY: &str = r#"
name = "Stock"
table = "stock"
key = ["item"]
[[fields]]
name = "item"
type = "int"
"#;
const JOB: &str = r#"
id = "0f1d5f5e-52a1-4c43-9c3e-5a6f2f7f3c01"
name = "Stock out"
direction = "export"
data_source = "file"
clients = ["tester"]
[export]
format = "csv"
split_records = 2
[[export.entities]]
entity = "Stock"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_of_the_run_is_told() {
    let site = Site::on(TestDatabase::sqlite()).await;
    site.write("entities/stock.toml", ENTITY);
    site.write("jobs/stock.toml", JOB);
    run(site.business_url(), "create table stock (item integer primary key)").await;
    run(site.business_url(), "insert into stock values (1), (2), (3), (4), (5)").await;
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let wait = |more: &[&str]| {
        let mut command = site.command(&["jobs", "run", "Stock out", "--wait"]);
        command
            .args(more)
            .args(["--url", &service.base, "--client-id", &tester.id]);
        command.env("TRANSHIP_CLIENT_SECRET", &tester.secret);
        printed(command)
    };

    let text = wait(&[]);
    assert!(text.starts_with("done, 5 records\n"), "{text}");
    let lines = text.lines().filter(|line| line.starts_with("  message "));
    assert_eq!(lines.count(), 3, "{text}");

    // As the service says it, with what the text has no place for.
    let told: Value = serde_json::from_str(&wait(&["--json"])).expect("JSON");
    assert_eq!(told["messages"].as_array().map(Vec::len), Some(3), "{told:#}");
    assert!(told["phases"]["writing_seconds"].is_number(), "{told:#}");
    assert!(service.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advice_is_such_as_can_be_followed() {
    let mut site = Site::on(TestDatabase::sqlite()).await;
    site.write("entities/stock.toml", ENTITY);
    // Its destination is away for good: what it queues stays on its way, and nobody collects it.
    let to = "\n[[export.destinations]]\nname = \"erp\"\nkind = \"http\"\nurl = \"http://127.0.0.1:9/in\"\n";
    let job = JOB.replace("split_records = 2", "enqueue = false");
    site.write("jobs/stock.toml", &format!("{job}{to}"));
    site.set("TRANSHIP_DESTINATIONS__ALLOW_PRIVATE", "true");
    site.set("TRANSHIP_DESTINATIONS__ALLOW_HTTP", "true");
    run(site.business_url(), "create table stock (item integer primary key)").await;
    run(site.business_url(), "insert into stock values (1), (2)").await;
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let told = |line: &[&str]| {
        let mut command = site.command(line);
        command.args(["--url", &service.base, "--client-id", &tester.id]);
        command.env("TRANSHIP_CLIENT_SECRET", &tester.secret);
        let output = command.output().expect("it runs");
        let (printed, said) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
        (printed.expect("text"), said.expect("text"))
    };

    let (_, said) = told(&["jobs", "run", "Stock out", "--wait", "--note", "for the auditors"]);
    assert!(
        said.contains("Nobody collects it") && !said.contains("Collect it"),
        "{said}"
    );
    let (runs, _) = told(&["jobs", "runs", "Stock out"]);
    assert!(runs.contains("for the auditors"), "{runs}");
    let (jobs, _) = told(&["jobs", "list"]);
    assert!(jobs.contains("1 to destinations"), "{jobs}");
    told(&["jobs", "pause", "Stock out"]);
    let (_, said) = told(&["jobs", "run", "Stock out"]);
    assert!(said.contains("resume it first, or say `--force`"), "{said}");
    assert!(service.stop().await.success());
}

fn printed(mut command: Command) -> String {
    let output = command.output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("text")
}
