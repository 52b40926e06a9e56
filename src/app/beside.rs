//! What commands work with that do a use case's work on the store itself, beside a service that may be running on it.

use std::sync::Arc;

use anyhow::Context as _;

use super::{insist_on_shared_blobs, limits, load_definitions, owner};
use crate::blob::Blobs;
use crate::clock::Clock;
use crate::config::Config;
use crate::definitions::Definitions;
use crate::pipeline::Context;
use crate::pipeline::projects::Projects;
use crate::pipeline::pulse::Pulse;
use crate::pipeline::room::Rooms;
use crate::storage::{Sharing, Store, StoreSettings};
use crate::telemetry::traces::Traces;

/// Opens store, blobs and business databases, and reads the definitions with the projects that the store keeps.
///
/// # Errors
/// Whatever keeps one of them from opening, in a sentence.
pub(crate) async fn open(config: &Config) -> anyhow::Result<(Context, Arc<Definitions>)> {
    crate::blob::install_crypto();
    // First, because nothing else is worth reading where there is none.
    let store = Store::connect(&StoreSettings {
        url: config.store.url.clone(),
        max_connections: config.store.max_connections,
        sharing: Sharing::Beside,
    })
    .await
    .context("cannot open the service store (store.url)")?;
    let databases = super::definitions::databases(config)?;
    let definitions = load_definitions(config, &databases).await?;
    let blobs = Blobs::open(&config.blobs_url).context("cannot open the blob store (blobs.url)")?;
    insist_on_shared_blobs(&store, &blobs).await?;
    let definitions = Projects::new(store.clone(), definitions).refresh().await?;
    let (clock, owner): (_, Arc<str>) = (Clock::system(), owner(([127, 0, 0, 1], 0).into()).into());
    // It takes no work, and nobody is told of it.
    let pulse = Pulse::new(Arc::clone(&owner), String::new(), 0, clock.now());
    let context = Context {
        databases,
        blobs,
        clock,
        limits: Arc::new(limits(config)),
        copies: config.data_dir.join("copies").into(),
        owner,
        pulse: Arc::new(pulse),
        store,
        runtime: tokio::runtime::Handle::current(),
        sandbox: None,
        traces: Traces::default(),
        rooms: Rooms::default(),
    };
    Ok((context, definitions))
}
