//! Where secrets are read from: each time one is needed, so that a new one needs no restart.

use std::io::Read as _;
use std::path::Path;

use crate::domain::webhook::SecretSource;

/// Longest source.
const SOURCE_BYTES_MAX: u64 = 4096;

/// The text of a source and what it is called. Blocks the thread for a small file's time.
///
/// # Errors
/// What is wrong, without a letter of any secret.
pub fn read_secret(source: &SecretSource) -> Result<(String, String), String> {
    match source {
        SecretSource::File(path) => {
            let name = format!("secret_file {}", path.display());
            let text = read_file(path).map_err(|error| format!("{name}: {error}"))?;
            Ok((text, name))
        }
        SecretSource::Variable(name) => {
            let text =
                variable(name).ok_or_else(|| format!("the environment variable {name} (secret_env) is not set"))?;
            Ok((text, format!("the environment variable {name} (secret_env)")))
        }
    }
}

fn read_file(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(SOURCE_BYTES_MAX)
        .read_to_string(&mut text)?;
    Ok(text)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a job's file names the variable; no setting holds the secret"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
