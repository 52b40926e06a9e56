//! The demo's folder: the sample definitions, the sample files and settings that point at them.

use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::cli::settings::Settings;
use crate::config::Config;
use crate::domain::ids::MessageId;

macro_rules! embedded {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../../", $path)) as &[u8])),+]
    };
}

/// Everything the demo puts into its folder.
const FILES: &[(&str, &[u8])] = embedded![
    "entities/customers.toml",
    "entities/suppliers.toml",
    "entities/products.toml",
    "entities/sales-order-headers.toml",
    "entities/sales-order-lines.toml",
    "jobs/inbound-customers.toml",
    "jobs/inbound-sales-orders.toml",
    "jobs/nightly-sales-orders.toml",
    "samples/northwind/customers.csv",
    "samples/northwind/orders.csv",
];

/// The customers of the sample.
pub(super) const CUSTOMERS: &[u8] = include_bytes!("../../../samples/northwind/customers.csv");
/// The sales orders of the sample, all good.
pub(super) const ORDERS: &[u8] = include_bytes!("../../../samples/northwind/orders.csv");

/// Makes a folder that did not exist and fills it.
///
/// # Errors
/// When the system's folder for temporary files cannot be written.
pub(super) async fn create() -> Result<PathBuf, Failure> {
    let folder = std::env::temp_dir().join(format!("tranship-demo-{}", MessageId::generate()));
    let unwritable = |path: &Path, error: &std::io::Error| Failure::file("write", path, error);
    tokio::fs::create_dir(&folder)
        .await
        .map_err(|error| unwritable(&folder, &error))?;
    for (name, content) in FILES {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            tokio::fs::create_dir_all(parent)
                .await
                .map_err(|error| unwritable(parent, &error))?;
        }
        tokio::fs::write(&path, content)
            .await
            .map_err(|error| unwritable(&path, &error))?;
    }
    let path = folder.join("tranship.toml");
    tokio::fs::write(&path, settings(&folder))
        .await
        .map_err(|error| unwritable(&path, &error))?;
    Ok(folder)
}

/// The demo's settings: the defaults, with every path in the folder and a free port. The environment has no say.
///
/// # Errors
/// When the defaults are not valid.
pub(super) fn config(folder: &Path) -> Result<Config, Failure> {
    let flags = Settings {
        config: Some(folder.join("tranship.toml")),
        listen: Some("127.0.0.1:0".to_owned()),
        ..Settings::default()
    };
    Config::load(&flags.overrides(), &[]).map_err(|mistakes| {
        let list: Vec<_> = mistakes
            .into_iter()
            .map(|m| format!("{}: {}", m.place, m.message))
            .collect();
        Failure::usage(list.join("\n"))
    })
}

/// A settings file with absolute paths, so that `tranship serve --config` opens the folder again from anywhere.
fn settings(folder: &Path) -> String {
    let mut table = toml::Table::new();
    for (key, name) in [("data_dir", "data"), ("jobs_dir", "jobs"), ("entities_dir", "entities")] {
        table.insert(key.to_owned(), folder.join(name).to_string_lossy().into_owned().into());
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Definitions;

    #[test]
    fn settings_hold_any_path() {
        let table: toml::Table = settings(Path::new("/tmp/a \"b\" \\c")).parse().expect("TOML");
        assert_eq!(table["data_dir"].as_str(), Some("/tmp/a \"b\" \\c/data"));
    }

    #[tokio::test]
    async fn the_folder_holds_a_set_of_definitions_that_loads() {
        let folder = create().await.expect("a folder");
        let config = config(&folder).expect("settings");
        assert_eq!(config.server.listen.port(), 0);
        assert!(config.data_dir.starts_with(&folder));
        let loaded =
            Definitions::load(&config.jobs_dir, &config.entities_dir, &["main".to_owned()]).expect("definitions");
        for name in super::super::story::JOBS {
            let job = loaded
                .find_job(name)
                .unwrap_or_else(|| panic!("there is no job `{name}`"));
            assert!(job.sample, "`{name}` must be open to `dev`");
        }
        tokio::fs::remove_dir_all(folder).await.expect("it is ours");
    }
}
