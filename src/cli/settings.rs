//! Settings of the commands that work on the service's own side: `serve`, `check`, `doctor`, `client`.

use std::path::PathBuf;

use super::Failure;
use super::screen::counted;
use crate::config::{Config, Mistake, Overrides};

/// Variables that tell client commands where to go; they are no settings of the service.
const CLIENT_VARIABLES: [&str; 3] = ["TRANSHIP_URL", "TRANSHIP_CLIENT_ID", "TRANSHIP_CLIENT_SECRET"];

/// Flags over the settings file and the environment.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Settings {
    /// Settings file; ./tranship.toml unless given, where there is one
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// One setting, e.g. `--set queue.lease_seconds=60`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value, help_heading = "Settings")]
    pub values: Vec<(String, String)>,
    /// Folder of the embedded store, blobs and business database
    #[arg(long, value_name = "DIR", help_heading = "Settings")]
    pub data_dir: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", help_heading = "Settings")]
    pub listen: Option<String>,
}

impl Settings {
    /// The flags as the configuration takes them; the named ones win over `--set`.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        let mut values = self.values.clone();
        let data_dir = self.data_dir.as_ref().map(|dir| dir.to_string_lossy().into_owned());
        for (key, value) in [("data_dir", data_dir), ("server.listen", self.listen.clone())] {
            if let Some(value) = value {
                values.retain(|(taken, _)| taken != key);
                values.push((key.to_owned(), value));
            }
        }
        Overrides {
            file: self.config.clone(),
            values,
        }
    }

    /// Reads all sources.
    ///
    /// # Errors
    /// [`super::Exit::Usage`] with every mistake.
    pub fn load(&self) -> Result<Config, Failure> {
        self.read().map_err(|mistakes| mistaken("settings", &mistakes))
    }

    /// Reads all sources; the mistakes one by one.
    ///
    /// # Errors
    /// Every mistake.
    pub fn read(&self) -> Result<Config, Vec<Mistake>> {
        Config::load(&self.overrides(), &environment())
    }
}

/// All mistakes of the settings, or the definitions, as one failure.
#[must_use]
pub fn mistaken(what: &str, mistakes: &[Mistake]) -> Failure {
    let list: Vec<_> = mistakes
        .iter()
        .map(|mistake| format!("  {}: {}", mistake.place, mistake.message))
        .collect();
    Failure::usage(format!("the {what} have {}", counted(list.len() as u64, "mistake"))).cure(list.join("\n"))
}

/// The environment as far as it holds settings. Variables that are no text cannot be settings of ours.
#[must_use]
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| !CLIENT_VARIABLES.contains(&name.as_str()))
        .collect()
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write it as key=value, e.g. queue.lease_seconds=60".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_flags_win_over_set() {
        let settings = Settings {
            values: vec![
                key_value("server.listen=127.0.0.1:1").expect("a pair"),
                key_value("worker.concurrency = 4").expect("a pair"),
            ],
            listen: Some("127.0.0.1:0".to_owned()),
            data_dir: Some("/tmp/x".into()),
            ..Settings::default()
        };
        let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            settings.overrides().values,
            [
                text("worker.concurrency", " 4"),
                text("data_dir", "/tmp/x"),
                text("server.listen", "127.0.0.1:0")
            ]
        );
    }

    #[test]
    fn a_pair_needs_a_key_and_an_equals_sign() {
        assert!(key_value("a").is_err());
        assert!(key_value("=a").is_err());
        assert_eq!(
            key_value("store.url=postgres://h/d?x=y").expect("a pair").1,
            "postgres://h/d?x=y"
        );
    }
}
