//! The client of a first start, with which whoever tries the service out begins.

use anyhow::bail;

use super::listener::Listeners;
use super::{AppOptions, FirstClient};
use crate::auth::{DEV_CLIENT, secrets};
use crate::config::Config;
use crate::domain::audit::{Action, NewEntry};
use crate::storage::Store;
use crate::storage::clients::Client;

/// The client of a first start: only where nobody but this machine can reach the service. A service that others can reach
/// refuses to start while it exists.
pub(super) async fn first_client(
    store: &Store,
    config: &Config,
    options: &AppOptions,
    listeners: &Listeners,
) -> anyhow::Result<Option<(String, String)>> {
    let open = listeners.open_address()?;
    let reachable = open.is_some() || config.server.public_url.is_some();
    let dev = store.client(DEV_CLIENT).await?.filter(|c| c.revoked_at.is_none());
    if reachable && dev.is_some() {
        bail!(
            "the client `{DEV_CLIENT}` of the first start still exists, and {} can be reached from outside; revoke it with `tranship client revoke {DEV_CLIENT}` and add clients of your own",
            open.map_or_else(|| "server.public_url".to_owned(), |address| address.to_string())
        );
    }
    let local = !reachable && config.server.trusted_proxies.is_empty();
    if options.first_client == FirstClient::Never || !local || dev.is_some() {
        return Ok(None);
    }
    let secret = secrets::new_secret();
    let client = Client {
        name: DEV_CLIENT.to_owned(),
        secret_hash: secrets::hash_secret(&secret),
        role: "client".to_owned(),
        created_at: options.clock.now(),
        revoked_at: None,
        last_used_at: None,
    };
    let entry = NewEntry::of_service(client.created_at, Action::ClientAdd, DEV_CLIENT).with("role", "client");
    Ok(store
        .audited(entry)
        .add_first_client(&client)
        .await?
        .then(|| (DEV_CLIENT.to_owned(), secret)))
}
