//! The heartbeat: says again and again that the worker is alive while it works on what it claimed.
//!
//! It beats in a task of its own. Work may compute for long without a pause (a workbook's row of a million cells is one step), and
//! in the same task it would keep its own heartbeat from beating, lose its lease each time, and be begun for ever.

use std::future::Future;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::HEARTBEATS_PER_LEASE;
use crate::clock::Clock;
use crate::domain::message::Fence;
use crate::pipeline::Context;
use crate::storage::leases::Heartbeat;
use crate::storage::occurrences::Occurrence;
use crate::storage::{Store, StoreError};

/// What was claimed.
pub(super) enum Held {
    /// A message.
    Message(Fence),
    /// A run of an export.
    Run(Box<Occurrence>),
}

/// Keeps the lease on what was claimed.
pub(super) struct Heart {
    store: Store,
    clock: Clock,
    held: Held,
    every_seconds: u32,
    /// Whether somebody's wish to cancel ends it.
    hears_cancel: bool,
}

impl Heart {
    /// One that beats every so many seconds; a lease is [`HEARTBEATS_PER_LEASE`] of them.
    pub fn of(held: Held, every_seconds: u32, context: &Context) -> Self {
        Self {
            store: context.store.clone(),
            clock: context.clock.clone(),
            held,
            every_seconds,
            hears_cancel: true,
        }
    }

    /// One that beats on when it is asked to cancel: that was heard before.
    pub fn deaf_to_cancel(self) -> Self {
        Self {
            hears_cancel: false,
            ..self
        }
    }

    /// Runs `work` under this heartbeat; or says why it was dropped. The fence and the epoch see to it that nothing it still had
    /// under way takes effect.
    ///
    /// # Errors
    /// [`Heartbeat::Lost`], or [`Heartbeat::CancelAsked`].
    pub async fn beat_during<T>(self, work: impl Future<Output = T>) -> Result<T, Heartbeat> {
        let beating = AbortOnDropHandle::new(tokio::spawn(self.beat().in_current_span()));
        tokio::select! {
            done = work => Ok(done),
            ended = beating => Err(ended.unwrap_or(Heartbeat::Lost)),
        }
    }

    /// Beats until the lease is lost or somebody asks for an end.
    async fn beat(self) -> Heartbeat {
        let every = Duration::from_secs(u64::from(self.every_seconds));
        loop {
            tokio::time::sleep(every).await;
            // A store that does not answer must not stop the clock: the lease is lost by then, and the fence holds.
            match tokio::time::timeout(every, self.extend()).await {
                Ok(Ok(Heartbeat::Held)) => {}
                Ok(Ok(Heartbeat::CancelAsked(_))) if !self.hears_cancel => {}
                Ok(Ok(ended)) => return ended,
                Err(_) => tracing::warn!("a heartbeat got no answer; trying again"),
                Ok(Err(error)) => tracing::warn!(%error, "a heartbeat failed; trying again"),
            }
        }
    }

    async fn extend(&self) -> Result<Heartbeat, StoreError> {
        let lease_seconds = i64::from(self.every_seconds) * HEARTBEATS_PER_LEASE;
        let until = self.clock.now().plus_seconds(lease_seconds);
        match &self.held {
            Held::Message(fence) => self.store.extend_lease(*fence, until).await,
            Held::Run(claimed) => self.store.extend_occurrence(claimed, until).await,
        }
    }
}
