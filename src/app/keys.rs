//! The store's signing keys in this process: read at start, and again every few seconds, so that a rotation needs no restart.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::auth::secrets::random_key;
use crate::domain::time::Timestamp;
use crate::http::signers::Signers;
use crate::pipeline::Context;
use crate::storage::Store;
use crate::storage::keys::SigningKeys;

/// How often they are read. Much less than `SIGNS_AFTER_SECONDS`: a key is known everywhere before anybody signs with it.
const READ_EVERY: Duration = Duration::from_secs(10);

/// The keys as they were last read, and where whoever signs or checks finds them.
pub(super) struct Keys {
    read: SigningKeys,
    token_seconds: u32,
    signers: watch::Sender<Arc<Signers>>,
}

impl Keys {
    /// Reads them; of an empty store, makes them.
    pub async fn open(store: &Store, token_seconds: u32, now: Timestamp) -> anyhow::Result<Self> {
        let fresh = [random_key(), random_key(), random_key()];
        let read = store.signing_keys(fresh, now).await?;
        let (signers, _) = watch::channel(Arc::new(Signers::new(&read, token_seconds)?));
        Ok(Self {
            read,
            token_seconds,
            signers,
        })
    }

    /// Where they are found.
    pub fn watch(&self) -> watch::Receiver<Arc<Signers>> {
        self.signers.subscribe()
    }

    /// Reads them again and again until the service stops.
    pub async fn follow(mut self, context: Context, stopping: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(READ_EVERY) => {}
                () = stopping.cancelled() => return,
            }
            if let Err(error) = self.refresh(&context).await {
                tracing::warn!(%error, "the signing keys could not be read again; those of before stay");
            }
        }
    }

    async fn refresh(&mut self, context: &Context) -> anyhow::Result<()> {
        let keys = context.store.current_keys(context.clock.now()).await?;
        if keys != self.read {
            self.signers
                .send_replace(Arc::new(Signers::new(&keys, self.token_seconds)?));
            self.read = keys;
            tracing::info!("signing keys were rotated: the new ones are known here");
        }
        Ok(())
    }
}
