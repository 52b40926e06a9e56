//! The shell blocks of the README do what it says: those marked `<!-- runs -->`, pasted into one shell, in order.

use std::path::Path;
use std::process::Command;

use crate::site::Site;

/// What the pages write for the address of the service.
const ADDRESS_IN_PAGES: &str = "http://127.0.0.1:8080";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shell_blocks_of_the_readme_run() {
    let site = Site::empty();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    site.copy_definitions("reader");
    let reader = site.add_client("reader", "client");
    let service = site.start("data").await;

    let readme = std::fs::read_to_string(repository.join("README.md")).expect("the README");
    let blocks = runnable(&readme);
    assert!(blocks.len() >= 5, "the README has an example in each direction");
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

    let status = std::fs::read_to_string(site.path("status.json")).expect("the status");
    assert!(status.contains("\"Processed\"") && status.contains("830"), "{status}");
    let package = std::fs::read(site.path("orders.zip")).expect("the package");
    assert!(package.starts_with(b"PK"), "a zip");
    assert!(service.stop().await.success());
}

/// The shell blocks that follow a line `<!-- runs -->`.
pub fn runnable(page: &str) -> Vec<String> {
    page.split("<!-- runs -->\n```sh\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("the fence is closed").0.to_owned())
        .collect()
}
