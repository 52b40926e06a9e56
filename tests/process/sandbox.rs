//! The sandbox as its user starts it: the flag, what it prints and refuses, seed files, the command line, and what is left of it after
//! `kill -9`.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::on_both_databases;
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::TestDatabase;
use crate::wire::Caller;

on_both_databases!(
    a_sandbox_is_played_with_from_the_command_line,
    a_clock_and_a_reset_survive_kill_9,
);

/// A site with the shipped jobs for the client `erp`, seed files for two of them, and an operator.
async fn furnished(store: TestDatabase) -> (Site, Credentials) {
    let site = Site::on(store).await;
    site.copy_definitions("erp");
    for (to, from) in [
        (
            "seed/20-Inbound sales orders/Sales order headers/orders.csv",
            "orders.csv",
        ),
        ("seed/10-Inbound customers/customers.csv", "customers.csv"),
    ] {
        let text = std::fs::read_to_string(site.path("samples/northwind").join(from)).expect("a sample");
        site.write(to, &text);
    }
    let ops = site.add_client("ops", "operator");
    (site, ops)
}

async fn start(site: &Site) -> Service {
    let mut command = site.serve_command("data");
    command.args([
        "--sandbox",
        "--sandbox-token",
        "mock-token-for-localhost=erp",
        "--seed",
        "seed",
    ]);
    Service::start(command, &site.data_dir("data")).await
}

/// `tranship ARGUMENTS` against a service, as the operator.
fn cli(site: &Site, service: &Service, ops: &Credentials, arguments: &[&str]) -> Output {
    let mut command = site.command(arguments);
    command.envs([
        ("TRANSHIP_URL", service.base.as_str()),
        ("TRANSHIP_CLIENT_ID", &ops.id),
        ("TRANSHIP_CLIENT_SECRET", &ops.secret),
        ("no_proxy", "127.0.0.1"),
    ]);
    command.output().expect("the binary runs")
}

/// What it prints, when it ends well.
fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&said(output)).expect("JSON")
}

async fn wait_for(mut look: impl AsyncFnMut() -> bool, what: &str) {
    for _ in 0..600 {
        if look().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("waited a minute for {what}");
}

async fn seeded(site: &Site, service: &Service, ops: &Credentials) {
    let all_landed = async || {
        let listed = json(&cli(site, service, ops, &["messages", "list", "--json"]));
        let messages = listed["messages"].as_array().expect("a list");
        messages.len() == 2 && messages.iter().all(|message| message["status"] == "Processed")
    };
    wait_for(all_landed, "the seed files").await;
}

async fn a_sandbox_is_played_with_from_the_command_line(store: TestDatabase) {
    let (site, ops) = furnished(store).await;
    let service = start(&site).await;
    let play = |arguments: &[&str]| cli(&site, &service, &ops, arguments);
    assert!(
        service.log().contains("SANDBOX on http://127.0.0.1:"),
        "{}",
        service.log()
    );
    seeded(&site, &service, &ops).await;

    let added = said(&play(&[
        "sandbox",
        "faults",
        "add",
        "answer",
        "--status",
        "429",
        "--path",
        "/api/connector/*",
        "--times",
        "1",
    ]));
    assert!(
        added.starts_with("answer-1  answer  ") && added.contains("1 left"),
        "{added}"
    );
    let dequeue = format!(
        "{}/api/connector/dequeue/00000000-0000-0000-0000-000000000000",
        service.base
    );
    let asked = || {
        crate::wire::http()
            .get(&dequeue)
            .bearer_auth("mock-token-for-localhost")
            .send()
    };
    assert_eq!(asked().await.expect("an answer").status(), 429);
    assert_eq!(
        asked().await.expect("an answer").status(),
        500,
        "AUTH-13: the token is good"
    );
    assert!(said(&play(&["sandbox", "faults", "list"])).contains("struck 1, strikes no more"));
    assert!(said(&play(&["sandbox", "faults", "clear"])).contains("1 fault removed"));

    let listed = said(&play(&["sandbox", "journal", "list", "--path", "*dequeue*"]));
    assert!(listed.contains("429") && listed.contains("answer-1"), "{listed}");
    let journal = json(&play(&["sandbox", "journal", "list", "--status", "429", "--json"]));
    let number = journal["requests"][0]["number"].to_string();
    let shown = said(&play(&["sandbox", "journal", "show", &number]));
    assert!(
        shown.contains("authorization: Bearer ***") && shown.contains("struck by answer-1"),
        "{shown}"
    );
    said(&play(&["sandbox", "journal", "export", "--out", "j.har"]));
    let har = std::fs::read_to_string(site.path("j.har")).expect("the archive");
    let har: Value = serde_json::from_str(&har).expect("JSON");
    assert_eq!(har["log"]["version"], "1.2");
    assert!(
        har["log"]["entries"]
            .as_array()
            .is_some_and(|entries| entries.len() >= 2)
    );

    // The nightly export runs by itself once its time has come.
    let advanced = said(&play(&["sandbox", "clock", "advance", "1d"]));
    assert!(advanced.contains("1d ahead"), "{advanced}");
    let ran = async || {
        let runs = json(&play(&["jobs", "runs", "Nightly sales orders", "--json"]));
        runs["occurrences"][0]["state"] == "done"
    };
    wait_for(ran, "the nightly export").await;

    let reset = json(&play(&["sandbox", "reset", "--json"]));
    assert_eq!(reset["removed"]["messages"], 3, "{reset}");
    let ended: Vec<_> = reset["seeded"]
        .as_array()
        .expect("files")
        .iter()
        .map(|one| {
            (
                one["job"].as_str().unwrap_or_default(),
                one["status"].as_str(),
                one["applied"].as_u64(),
            )
        })
        .collect();
    assert_eq!(
        ended,
        [
            ("Inbound customers", Some("Processed"), Some(93)),
            ("Inbound sales orders", Some("Processed"), Some(830))
        ],
        "{reset}"
    );
    assert!(said(&play(&["sandbox", "clock", "show"])).contains("the system's time"));
    assert!(service.stop().await.success());
}

/// Killed with the clock ahead it goes on from there; killed in the middle of a reset, the next reset finishes it.
async fn a_clock_and_a_reset_survive_kill_9(store: TestDatabase) {
    let (mut site, ops) = furnished(store).await;
    site.set("TRANSHIP_QUEUE__INLINE_MAX_BYTES", "0");
    let service = start(&site).await;
    seeded(&site, &service, &ops).await;
    said(&cli(&site, &service, &ops, &["sandbox", "clock", "advance", "10d"]));
    service.kill9();
    let service = start(&site).await;
    assert!(service.log().contains("864000 s ahead"), "{}", service.log());
    let shown = json(&cli(&site, &service, &ops, &["sandbox", "clock", "show", "--json"]));
    assert_eq!(shown["ahead_seconds"], 864_000);

    let caller = Caller::new(&service, &ops).await;
    let asked = tokio::spawn(async move {
        // It may be answered, or not.
        let reset = std::panic::AssertUnwindSafe(caller.post("/api/v1/sandbox/reset", ""));
        let _ = futures_util::FutureExt::catch_unwind(reset).await;
    });
    tokio::time::sleep(Duration::from_millis(15)).await;
    service.kill9();
    let _ = asked.await;
    let service = start(&site).await;
    let reset = json(&cli(&site, &service, &ops, &["sandbox", "reset", "--json"]));
    let applied: Vec<_> = reset["seeded"]
        .as_array()
        .expect("files")
        .iter()
        .map(|one| one["applied"].clone())
        .collect();
    assert_eq!(applied, [93, 830], "{reset}");
    let listed = json(&cli(&site, &service, &ops, &["messages", "list", "--json"]));
    assert_eq!(listed["messages"].as_array().map(Vec::len), Some(2), "{listed}");
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_service_that_is_no_sandbox_says_so() {
    let site = Site::empty();
    site.copy_definitions("erp");
    let ops = site.add_client("ops", "operator");
    let service = site.start("data").await;
    assert!(!service.log().contains("SANDBOX"));
    let output = cli(&site, &service, &ops, &["sandbox", "reset"]);
    assert_eq!(output.status.code(), Some(5));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("is no sandbox") && error.contains("serve --sandbox"),
        "{error}"
    );
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_sandbox_that_others_reach_is_refused_unless_it_is_said_twice() {
    let site = Site::empty();
    site.copy_definitions("erp");
    let refused = |more: &[&str]| {
        let mut command = site.serve_command("data");
        let output = command.arg("--sandbox").args(more).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for (setting, value) in [
        ("server.public_url", "https://example.test"),
        ("server.listen", "0.0.0.0:0"),
        ("server.trusted_proxies", "10.0.0.1"),
    ] {
        let mut command = site.command(&["serve", "--sandbox", "--set", &format!("{setting}={value}")]);
        let output = command.output().expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{setting}: {error}");
        assert!(
            error.contains(setting) && error.contains("--sandbox-reachable"),
            "{error}"
        );
    }
    assert!(refused(&["--set", "server.public_url=https://example.test"]).contains("this machine"));
    let mut command = site.serve_command("data");
    // Still on loopback: tests listen nowhere else.
    command.args([
        "--sandbox",
        "--sandbox-reachable",
        "--set",
        "server.public_url=https://example.test",
    ]);
    let service = Service::start(command, &site.data_dir("data")).await;
    assert!(service.stop().await.success());

    let mut command = site.serve_command("data");
    site.write("seed/No such job/a.csv", "x");
    command.args(["--sandbox", "--seed", "seed"]);
    let error = Service::try_start(command, &site.data_dir("data")).await;
    let error = error.err().expect("the seed folder fits no job");
    assert!(error.contains("there is no job `No such job`"), "{error}");
}

/// The worked example of docs/sandbox.md, pasted into one shell.
#[tokio::test]
async fn the_shell_blocks_of_the_sandbox_page_run() {
    let site = Site::empty();
    site.copy_definitions("erp");
    let ops = site.add_client("ops", "operator");
    let mut command = site.serve_command("data");
    command.args(["--sandbox", "--sandbox-token", "mock-token-for-localhost=erp"]);
    let service = Service::start(command, &site.data_dir("data")).await;
    let blocks = crate::snippets::runnable("docs/sandbox.md");
    assert!(blocks.len() >= 5, "the example is there");
    let said = crate::snippets::paste(&site, &service, &ops, &blocks.concat());
    for shown in ["503", "lose-answer-1", "201", "1d ahead", "removed"] {
        assert!(said.contains(shown), "{shown} in {said}");
    }
    assert!(service.stop().await.success());
}
