//! The service's store, as commands open it that work on it where it is: beside the service, which may be running.

use super::Failure;
use crate::app::data_dir;
use crate::config::Config;
use crate::storage::{Sharing, Store, StoreError, StoreSettings};

/// Opens the store that is there.
///
/// # Errors
/// [`super::Exit::Usage`] when there is none: who looks at a store, or changes it, means one that is.
pub(super) async fn open(config: Config) -> Result<Store, Failure> {
    connect(config, Sharing::Beside).await
}

/// Opens the store, or makes it: the first client may come before the first start.
///
/// # Errors
/// Whatever keeps it from being opened or made.
pub(super) async fn open_or_make(config: Config) -> Result<Store, Failure> {
    data_dir::make(&config.data_dir).map_err(Failure::failed)?;
    connect(config, Sharing::BesideOrFirst).await
}

async fn connect(config: Config, sharing: Sharing) -> Result<Store, Failure> {
    let settings = StoreSettings {
        url: config.store.url,
        max_connections: config.store.max_connections,
        sharing,
    };
    Store::connect(&settings).await.map_err(|error| refusal(&error))
}

/// What the store said, as a failure.
pub(super) fn refusal(error: &StoreError) -> Failure {
    match error {
        StoreError::Locked { .. } => Failure::failed(error.to_string()).cure("Try again: a start takes a moment."),
        StoreError::Missing { .. } => Failure::usage(error.to_string()).cure(
            "Go where the service runs, or name its settings with --config or --data-dir. The first start of the service makes a store.",
        ),
        StoreError::Settings(_) | StoreError::Migration(_) => Failure::usage(error.to_string()),
        _ => Failure::failed(error.to_string()),
    }
}
