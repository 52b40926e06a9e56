//! What breaks around the service: the database, the blob store, the network, the machine. Nothing that was acknowledged is lost, everybody
//! is answered in bounded time, and when it is over the service goes on by itself (promises 1, 2, 8, 9).

mod blob_store;
mod damaged_store;
mod database_gone;
mod descriptors;
mod disk;
mod full_disk;
mod memory_limit;
mod read_only_disk;
mod senders;
mod slow_clients;
mod waits_for_room;

use std::time::Duration;

use crate::support::is_long;

/// How long something stays broken.
fn outage() -> Duration {
    Duration::from_secs(if is_long() { 60 } else { 5 })
}
