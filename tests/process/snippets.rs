//! The shell blocks of the README and of other pages do what they say: those marked `<!-- runs -->`, pasted into one shell, in order.

use std::path::Path;
use std::process::Command;

use crate::site::Site;

/// What the pages write for the address of the service.
const ADDRESS_IN_PAGES: &str = "http://127.0.0.1:8080";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shell_blocks_of_the_readme_run() {
    let site = run("README.md", "client", 5).await;
    let status = std::fs::read_to_string(site.path("status.json")).expect("the status");
    assert!(status.contains("\"Processed\"") && status.contains("830"), "{status}");
    let package = std::fs::read(site.path("orders.zip")).expect("the package");
    assert!(package.starts_with(b"PK"), "a zip");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shell_blocks_of_the_page_about_packages_run() {
    let site = run("docs/packages.md", "integrator", 6).await;
    let summary = std::fs::read_to_string(site.path("summary.txt")).expect("the status");
    assert_eq!(summary.trim(), "PartiallySucceeded");
    let rejected = std::fs::read_to_string(site.path("rejected.csv")).expect("the rejected record");
    assert!(rejected.contains("BBBBB") && !rejected.contains("AAAAA"), "{rejected}");
}

/// Runs the blocks of a page, as a client of this role, in a folder with the repository's definitions.
async fn run(page: &str, role: &str, blocks_min: usize) -> Site {
    let site = Site::empty();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    site.copy_definitions("reader");
    let reader = site.add_client("reader", role);
    let service = site.start("data").await;

    let text = std::fs::read_to_string(repository.join(page)).expect("the page");
    let blocks = runnable(&text);
    assert!(blocks.len() >= blocks_min, "{page} has its examples");
    let script = format!("set -euo pipefail\n{}", blocks.concat()).replace(ADDRESS_IN_PAGES, &service.base);
    let mut shell = Command::new("timeout");
    shell.args(["120", "bash", "-c", &script]);
    site.furnish(&mut shell);
    let binary = Path::new(env!("CARGO_BIN_EXE_tranship"));
    let path = format!(
        "{}:{}",
        binary.parent().expect("a folder").display(),
        std::env::var("PATH").expect("a PATH")
    );
    shell.envs([
        ("PATH", path.as_str()),
        ("TRANSHIP_URL", &service.base),
        ("TRANSHIP_CLIENT_ID", &reader.id),
        ("TRANSHIP_CLIENT_SECRET", &reader.secret),
        ("no_proxy", "127.0.0.1"),
    ]);
    let output = shell.output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n--- of\n{script}");
    assert!(service.stop().await.success());
    site
}

/// The shell blocks that follow a line `<!-- runs -->`.
fn runnable(page: &str) -> Vec<String> {
    page.split("<!-- runs -->\n```sh\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("the fence is closed").0.to_owned())
        .collect()
}
