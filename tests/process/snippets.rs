//! The shell blocks of the README and of other pages do what they say: those marked `<!-- runs -->`, pasted into one shell, in order.

use std::path::Path;
use std::process::Command;

use crate::service::Service;
use crate::site::{Credentials, Site};

/// What the pages write for the address of the service.
const ADDRESS_IN_PAGES: &str = "http://127.0.0.1:8080";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shell_blocks_of_the_readme_run() {
    let blocks = runnable("README.md");
    assert!(blocks.len() >= 5, "the README has an example in each direction");
    let site = pasted("client", &blocks.concat()).await;
    let status = std::fs::read_to_string(site.path("status.json")).expect("the status");
    assert!(status.contains("\"Processed\"") && status.contains("830"), "{status}");
    let package = std::fs::read(site.path("orders.zip")).expect("the package");
    assert!(package.starts_with(b"PK"), "a zip");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shell_blocks_of_the_page_about_package_exports_run() {
    let blocks = runnable("docs/package-exports.md");
    assert!(blocks.len() >= 3, "the page has its examples");
    let site = pasted("client", &blocks.concat()).await;
    let package = std::fs::read(site.path("Orders.zip")).expect("the package");
    assert!(package.starts_with(b"PK"), "a zip");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shell_blocks_of_the_page_about_packages_run() {
    let blocks = runnable("docs/packages.md");
    assert!(blocks.len() >= 6, "the page has its examples");
    let site = pasted("integrator", &blocks.concat()).await;
    let summary = std::fs::read_to_string(site.path("summary.txt")).expect("the status");
    assert_eq!(summary.trim(), "PartiallySucceeded");
    let rejected = std::fs::read_to_string(site.path("rejected.csv")).expect("the rejected record");
    assert!(rejected.contains("BBBBB") && !rejected.contains("AAAAA"), "{rejected}");
}

/// Runs a script as a client of this role of a service with the sample definitions.
async fn pasted(role: &str, blocks: &str) -> Site {
    let site = Site::empty();
    site.copy_definitions("reader");
    let reader = site.add_client("reader", role);
    let service = site.start("data").await;
    paste(&site, &service, &reader, blocks);
    assert!(service.stop().await.success());
    site
}

/// Runs a script to its good end as this client of a running service; what it printed.
pub fn paste(site: &Site, service: &Service, client: &Credentials, blocks: &str) -> String {
    let script = blocks.replace(ADDRESS_IN_PAGES, &service.base);
    run(
        site,
        &script,
        &[
            ("TRANSHIP_URL", service.base.as_str()),
            ("TRANSHIP_CLIENT_ID", client.id.as_str()),
            ("TRANSHIP_CLIENT_SECRET", client.secret.as_str()),
            ("no_proxy", "127.0.0.1"),
        ],
    )
}

/// Runs a script in the site's folder to its good end, with this program as `tranship`; what it printed.
pub fn run(site: &Site, script: &str, environment: &[(&str, &str)]) -> String {
    let script = format!("set -euo pipefail\n{script}");
    let mut shell = Command::new("timeout");
    shell.args(["120", "bash", "-c", &script]);
    site.furnish(&mut shell);
    let binary = Path::new(env!("CARGO_BIN_EXE_tranship"));
    let path = format!(
        "{}:{}",
        binary.parent().expect("a folder").display(),
        std::env::var("PATH").expect("a PATH")
    );
    shell.env("PATH", path);
    shell.envs(environment.iter().copied());
    let output = shell.output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n--- of\n{script}");
    said
}

/// The shell blocks of a page that follow a line `<!-- runs -->`.
pub fn runnable(page: &str) -> Vec<String> {
    marked(page, "runs")
}

/// The shell blocks of a page that follow a line `<!-- MARK -->`.
pub fn marked(page: &str, mark: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = std::fs::read_to_string(page).expect("the page");
    text.split(&format!("<!-- {mark} -->\n```sh\n"))
        .skip(1)
        .map(|rest| rest.split_once("```").expect("the fence is closed").0.to_owned())
        .collect()
}
