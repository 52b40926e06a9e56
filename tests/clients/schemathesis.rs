//! `schemathesis` (Python) makes up requests from the OpenAPI document, good and bad, and holds the answers against it.
//!
//! The short form takes half a minute for each database. `TRANSHIP_TEST_LONG=1` makes up ten times as many.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::python;
use crate::service::Service;
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::wire::Caller;

/// Requests made up for each operation beside those every document asks for: the short form and the long one.
const EXAMPLES: [&str; 2] = ["5", "60"];
const SEED: &str = "20260105";
/// It ends; how soon is the machine's affair.
const SECONDS_MAX: [u64; 2] = [400, 4000];
/// Streams that do not end, and what would make other calls fail on purpose.
const LEFT_OUT: &str = "events$|/sandbox/(reset|clock|faults)";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
    response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method,allow_header_conformance,ignored_auth";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_as_described_on_sqlite() {
    on(TestDatabase::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_as_described_on_postgres() {
    if let Some(store) = TestDatabase::postgres().await {
        on(store).await;
    }
}

async fn on(store: TestDatabase) {
    let Some(python) = python() else { return };
    let site = Site::on(store).await;
    site.copy_definitions("tester");
    let client = site.add_client("tester", "admin");
    let mut command = site.serve_command("one");
    command.args(["--sandbox"]);
    let service = Service::start(command, &site.data_dir("one")).await;
    let caller = Caller::new(&service, &client).await;
    let file = |name: &str| std::fs::read(site.path(&format!("samples/northwind/{name}.csv"))).expect("a sample");
    let mut known = Vec::new();
    for (job, entity, sample) in [
        ("Inbound%20customers", "Customers", "customers"),
        ("Inbound%20sales%20orders", "Sales order headers", "orders"),
    ] {
        known.push(caller.push(job, entity, file(sample)).await);
    }
    for id in &known {
        caller.ended(id).await;
    }
    let token = format!("Authorization: Bearer {}", caller.token());
    let url = format!("{}/api/v1/openapi.json", service.base);
    let said = tokio::task::spawn_blocking(move || run(&python, &url, &token, &known)).await;
    said.expect("it runs");
    assert!(!service.log().contains("panicked"), "{}", service.log());
    assert!(service.stop().await.success());
}

fn run(python: &str, url: &str, token: &str, known: &[String]) {
    let is_long = usize::from(crate::support::is_long());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let scratch = tempfile::tempdir().expect("a folder");
    let began = std::time::Instant::now();
    let output = Command::new(python)
        .args(["-m", "schemathesis.cli", "run", url, "--header", token])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            EXAMPLES[is_long],
            "--seed",
            SEED,
        ])
        .args([
            "--checks",
            CHECKS,
            "--exclude-path-regex",
            LEFT_OUT,
            "--continue-on-failure",
        ])
        .args(["--request-timeout", "20", "--no-color", "--warnings", "off"])
        .current_dir(scratch.path())
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env(
            "KNOWN_JOB",
            "Inbound customers,Inbound sales orders,Nightly sales orders,Relay documents",
        )
        .env("KNOWN_ID", known.join(","))
        .env("NO_PROXY", "*")
        .stdin(Stdio::null())
        .output()
        .expect("Python runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let generated = said
        .split(" generated")
        .next()
        .and_then(|before| before.rsplit(' ').next());
    let generated: u32 = generated
        .and_then(|number| number.trim().parse().ok())
        .expect("how many it made up");
    assert!(generated > 1000, "only {generated} requests:\n{said}");
    assert!(
        began.elapsed().as_secs() < SECONDS_MAX[is_long],
        "{:?}",
        began.elapsed()
    );
}
