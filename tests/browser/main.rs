//! The web console in a real browser, against the built binary. `TRANSHIP_TEST_BROWSER` says that a chromium is installed, which
//! `scripts/test` sees to.

#![allow(clippy::disallowed_methods, reason = "tests read the environment")]

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "as the process tests have them")]
#[path = "../process/service.rs"]
mod service;
#[allow(dead_code, reason = "as the process tests have them")]
#[path = "../process/site.rs"]
mod site;
#[allow(dead_code, reason = "as the process tests have them")]
#[path = "../process/wire.rs"]
mod wire;

use std::path::Path;
use std::process::{Command, Stdio};

use service::Service;
use site::{Credentials, Site};
use support::databases::TestDatabase;

/// What the script checks, each printed when it held.
const CHECKS: usize = 12;

#[tokio::test]
async fn an_operator_works_with_the_console_on_sqlite() {
    on(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn an_operator_works_with_the_console_on_postgres() {
    if let Some(store) = TestDatabase::postgres().await {
        on(store).await;
    }
}

async fn on(store: TestDatabase) {
    if !has_browser() {
        return;
    }
    let site = Site::on(store).await;
    site.copy_definitions("shop");
    let operator = site.add_client("op", "operator");
    let service = site.start("one").await;
    push(
        &site,
        &service.base,
        &operator,
        "Inbound customers",
        "customers.csv",
        |text| text,
    );
    push(
        &site,
        &service.base,
        &operator,
        "Inbound sales orders",
        "orders.csv",
        |text| text.replacen(",HANAR,", ",ZZZZZ,", 1),
    );
    bury(&service, &operator).await;
    let url = format!("--url={}", service.base);
    let link = || {
        let linked = site.run(&["console", "--json", &url]);
        let linked: serde_json::Value = serde_json::from_slice(&linked.stdout).expect("JSON");
        linked["url"].as_str().expect("a link").to_owned()
    };
    let said = run("journey.py", &[&link(), &operator.id, &operator.secret]);
    assert_eq!(said.matches("held:").count(), CHECKS, "{said}");
    // After the journey, which has left something to see on every page.
    if let Some(axe) = axe() {
        let said = run("accessibility.py", &[&link(), &axe]);
        assert_eq!(said.matches("held:").count(), 1, "{said}");
    }
    assert!(service.stop().await.success());
}

/// Makes a dead letter: a document that nobody takes.
async fn bury(service: &Service, operator: &Credentials) {
    let caller = wire::Caller::new(service, operator).await;
    let job = "/api/v1/jobs/Relay%20documents";
    let path = format!("{job}/messages?external_id=offer.csv");
    assert_eq!(caller.post(&path, "a document").await.status(), 201);
    let leased = caller.post(&format!("{job}/leases"), "{\"max\":1}").await;
    let leased: serde_json::Value = leased.json().await.expect("leases");
    let receipt = wire::in_path(leased["leases"][0]["receipt"].as_str().expect("a receipt"));
    let refusal = "{\"reason\":\"no such customer\",\"dead_letter\":true}";
    let refused = caller.post(&format!("/api/v1/leases/{receipt}/reject"), refusal).await;
    assert_eq!(refused.status(), 200);
}

/// Sends a sample file to a job and waits until it is loaded.
fn push(site: &Site, base: &str, client: &Credentials, job: &str, file: &str, change: impl FnOnce(String) -> String) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("samples/northwind")
        .join(file);
    let text = std::fs::read_to_string(sample).expect("a sample");
    site.write(file, &change(text));
    let mut command = site.command(&["push", file, "--job", job, "--wait"]);
    command.env("TRANSHIP_URL", base);
    command.env("TRANSHIP_CLIENT_ID", &client.id);
    command.env("TRANSHIP_CLIENT_SECRET", &client.secret);
    let output = command.output().expect("it runs");
    // 3: some records were rejected.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
}

fn run(script: &str, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(script);
    let output = Command::new("python3")
        .arg("-B")
        .arg(script)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("Python runs");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, errors) = (said(&output.stdout), said(&output.stderr));
    assert!(output.status.success(), "{out}{errors}");
    out
}

/// The file of axe-core; it may be missing outside CI.
fn axe() -> Option<String> {
    let axe = std::env::var("TRANSHIP_TEST_AXE").ok();
    if axe.is_none() {
        assert!(
            std::env::var("CI").is_err(),
            "TRANSHIP_TEST_AXE is not set: in CI axe is not optional"
        );
        eprintln!("not looked at by axe: TRANSHIP_TEST_AXE is not set (scripts/clients install sets it)");
    }
    axe
}

/// Whether there is a browser; none is allowed outside CI.
fn has_browser() -> bool {
    let has = std::env::var("TRANSHIP_TEST_BROWSER").is_ok();
    if !has {
        assert!(
            std::env::var("CI").is_err(),
            "TRANSHIP_TEST_BROWSER is not set: in CI the browser is not optional"
        );
        eprintln!("skipped: TRANSHIP_TEST_BROWSER is not set (scripts/test sets it to the name of a chromium)");
    }
    has
}
