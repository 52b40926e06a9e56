//! One client of the queue: asks over HTTP, and has every question and answer taken down.
//!
//! Owns what an answer means. Refuses to try again by itself: that would be two requests in one record.

mod acts;
mod enqueues;
mod leases;
mod rows;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use tranship::domain::message::Digest;

use crate::cluster::Cluster;
use crate::recorder::Recorder;

pub use enqueues::Offer;
pub use leases::{Held, Wish};

/// A client.
#[derive(Clone)]
pub struct Client {
    /// Its number, for the record.
    pub number: usize,
    /// Which process it asks next.
    pub process: usize,
    /// How long it waits for an answer before it hangs up.
    pub patience: Duration,
    http: reqwest::Client,
    cluster: Arc<Cluster>,
    recorder: Arc<Recorder>,
    token: Arc<str>,
}

impl Client {
    pub fn new(number: usize, cluster: &Arc<Cluster>, recorder: &Arc<Recorder>, token: &Arc<str>) -> Self {
        Self {
            number,
            process: number,
            patience: Duration::from_secs(30),
            http: crate::wire::http(),
            cluster: Arc::clone(cluster),
            recorder: Arc::clone(recorder),
            token: Arc::clone(token),
        }
    }
}

/// A digest as `Content-Digest` writes it.
pub fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    Digest(sha2::Sha256::digest(bytes).into()).content_digest()
}
