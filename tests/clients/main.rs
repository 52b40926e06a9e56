//! The clients people have, unmodified, against the installed binary. `scripts/clients` installs them; `TRANSHIP_TEST_CLIENTS` is
//! the Python that has them.

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

mod azure_storage_blob;
mod prometheus;
mod schemathesis;
mod sign_in;

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs one of the scripts beside this file with the clients' Python; nothing where there is none and that is allowed.
fn run(script: &str, arguments: &[&str]) -> Option<String> {
    run_with(script, arguments, &[])
}

/// [`run`], in an environment that names these files.
fn run_with(script: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> Option<String> {
    let python = python()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let output = Command::new(python)
        .arg(script)
        .args(arguments)
        .env("NO_PROXY", "*")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("Python runs");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        said(&output.stdout),
        said(&output.stderr)
    );
    Some(said(&output.stdout))
}

/// The Python that has the clients.
fn python() -> Option<String> {
    let python = std::env::var("TRANSHIP_TEST_CLIENTS").ok();
    if python.is_none() {
        assert!(
            std::env::var("CI").is_err(),
            "TRANSHIP_TEST_CLIENTS is not set: in CI the real clients are not optional"
        );
        eprintln!("skipped: TRANSHIP_TEST_CLIENTS is not set (scripts/clients sets it)");
    }
    python
}
