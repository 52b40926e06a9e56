//! The sandbox of a service: its clock, its clients, its seed, and who is told when the clock jumps.

use std::sync::Arc;

use anyhow::bail;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::auth::secrets;
use crate::clock::Clock;
use crate::config;
use crate::definitions::Definitions;
use crate::http::Api;
use crate::pipeline::sandbox::{clock, seed};
use crate::pipeline::{Context, tidy};
use crate::sandbox::Sandbox;
use crate::scheduler::Scheduler;
use crate::storage::clients::Client;
use crate::storage::messages::MessageFilter;
use crate::storage::{Store, StoreError};

/// The clock of the service: one that jumps in the sandbox, where it goes on from where it was.
pub(super) async fn clock(given: &Clock, settings: Option<&config::Sandbox>, store: &Store) -> anyhow::Result<Clock> {
    let ahead = clock::ahead_of(store).await?;
    if settings.is_some() {
        return Ok(given.able_to_jump(ahead));
    }
    if ahead > 0 {
        tracing::warn!(
            ahead_seconds = ahead / 1_000_000,
            "this store was used in a sandbox whose clock was ahead: times in it may lie in the future"
        );
    }
    Ok(given.clone())
}

/// The sandbox, where there is one, and what it needs: clients for its tokens, a seed folder that makes sense.
pub(super) async fn build(
    settings: Option<&config::Sandbox>,
    clock: &Clock,
    store: &Store,
    definitions: &Definitions,
    stopping: &CancellationToken,
) -> anyhow::Result<Option<Arc<Sandbox>>> {
    let Some(settings) = settings else { return Ok(None) };
    if let Some(folder) = &settings.seed
        && let Err(error) = seed::check(folder, definitions)
    {
        bail!("the seed folder of the sandbox (--seed, sandbox.seed) cannot be used: {error}");
    }
    for client in settings.tokens.values() {
        add_client(store, client, clock).await?;
    }
    let sandbox = Sandbox::new(clock, stopping, settings.tokens.clone(), settings.seed.clone());
    Ok(Some(Arc::new(sandbox)))
}

/// A token stands for a client: one that is missing is added, with a secret that nobody knows.
async fn add_client(store: &Store, name: &str, clock: &Clock) -> anyhow::Result<()> {
    if store.client(name).await?.is_some() {
        return Ok(());
    }
    let client = Client {
        name: name.to_owned(),
        secret_hash: secrets::hash_secret(&secrets::new_secret()),
        role: "client".to_owned(),
        created_at: clock.now(),
        revoked_at: None,
        last_used_at: None,
    };
    match store.add_client(&client).await {
        // Another process was first.
        Ok(()) | Err(StoreError::Exists { .. }) => {
            tracing::info!(client = name, "added the client that a token of the sandbox stands for");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// What the sandbox does by itself, where there is one.
pub(super) fn play(api: &Api, scheduler: &Scheduler, stopping: &CancellationToken, background: &mut JoinSet<()>) {
    let Some(jumps) = api.context.clock.jumps() else { return };
    background.spawn(follow_jumps(api.clone(), scheduler.clone(), jumps, stopping.clone()));
    let (seeding, stopping) = (seed(api.context.clone(), api.definitions()), stopping.clone());
    background.spawn(async move {
        tokio::select! {
            () = seeding => {}
            () = stopping.cancelled() => {}
        }
    });
}

/// Has everybody who waits for a time look again after each jump, until the service stops.
async fn follow_jumps(api: Api, scheduler: Scheduler, mut jumps: watch::Receiver<()>, stopping: CancellationToken) {
    loop {
        tokio::select! {
            jumped = jumps.changed() => if jumped.is_err() { return },
            () = stopping.cancelled() => return,
        }
        scheduler.look_again().await;
        scheduler.tick().await;
        for wake in [&api.wake, &api.webhook_wake, &api.destination_wake] {
            wake.notify_one();
        }
        if let Err(error) = tidy::tidy(&api.context).await {
            tracing::warn!(%error, "housekeeping failed; trying again");
        }
    }
}

/// Pushes the seed files into a store that is empty.
pub(super) async fn seed(context: Context, definitions: Arc<Definitions>) {
    let Some(sandbox) = &context.sandbox else { return };
    let Some(folder) = &sandbox.seed else { return };
    let any = MessageFilter {
        limit: 1,
        ..MessageFilter::default()
    };
    let _turn = sandbox.turn.lock().await;
    match context.store.messages(&any).await {
        Ok(messages) if messages.is_empty() => {
            Box::pin(seed::push(&context, &definitions, folder)).await;
        }
        Ok(_) => tracing::info!("the store is not empty: no seed files are pushed before the next reset"),
        Err(error) => tracing::warn!(%error, "no seed files are pushed: the store does not answer"),
    }
}
