//! What the sandbox does to the whole service: moves its clock, takes everything back to how it began.
//!
//! Both hold all background work first, and neither is done while another process works on the store, which could not be held.

pub mod clock;
pub mod reset;
pub mod seed;

use std::time::Duration;

use super::Context;
use super::payload::PayloadError;
use crate::business::BusinessError;
use crate::domain::time::Timestamp;
use crate::sandbox::Sandbox;
use crate::sandbox::gate::Held;
use crate::storage::StoreError;

/// How long what runs may take to stop.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why the sandbox does not do it.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The clock does not go back.
    #[error(
        "the clock stands at {now}, and {to} is before that: what is in the store would lie in the future. `real` goes back to the \
         system's time, and says by how much; a reset goes back and empties the store"
    )]
    Backwards {
        /// What time it is.
        now: Timestamp,
        /// What was asked for.
        to: Timestamp,
    },
    /// Nobody tests anything that far ahead.
    #[error("{to} is more than {max_days} days ahead of the system's time, {real}; ask for less")]
    TooFar {
        /// What was asked for.
        to: Timestamp,
        /// The system's time.
        real: Timestamp,
        /// As many are allowed.
        max_days: i64,
    },
    /// Others would go on by another clock, or with what was removed.
    #[error(
        "{0} other process(es) have this store open, and the sandbox can move and stop only its own; end them, or give the sandbox a store \
         of its own (store.url)"
    )]
    OtherProcesses(u64),
    /// Something does not stop.
    #[error("what runs did not stop within {} s; try again, or look at the log for what it waits for", PATIENCE.as_secs())]
    StillWorking,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A business database failed.
    #[error(transparent)]
    Business(#[from] BusinessError),
    /// The blob store failed.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

/// Holds all work on the store.
async fn hold_all(context: &Context, sandbox: &Sandbox) -> Result<Held, Refusal> {
    match context.store.other_processes().await? {
        0 => sandbox.gate.hold(PATIENCE).await.ok_or(Refusal::StillWorking),
        others => Err(Refusal::OtherProcesses(others)),
    }
}
