//! Destinations: brings what export jobs queue to other places too, each delivery on its own.
//!
//! The transaction that queues a message writes a delivery for each destination of its job (`storage::destinations`); here they are
//! claimed and sent by any process. Delivery is at least once, always of the same bytes to the same place, under the same
//! idempotency key. What a destination is says the job's file at the moment of an attempt: a URL or a secret that was put right
//! holds for deliveries of the past too.
//!
//! Owns: how a payload is brought to a place, and what the place's answer means. Refuses: knowing what is exported when.

mod blob;
mod http;
mod sender;
mod token;

pub use sender::{Destinations, Sender};
