//! What a process uses, over time.

use std::path::Path;
use std::time::Duration;

use crate::service::Service;

/// One look.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub held_kib: u64,
    pub descriptors: u64,
    /// Of the SQLite store's write-ahead log; 0 on PostgreSQL.
    pub wal_bytes: u64,
    pub waiting: u64,
    /// Longest answer to an enqueue since the look before.
    pub slowest: Duration,
}

impl Usage {
    pub fn of(service: &Service, store_url: &str, waiting: u64, slowest: Duration) -> Self {
        let wal = store_url.strip_prefix("sqlite://").map(|file| format!("{file}-wal"));
        Self {
            held_kib: service.held_kib(),
            descriptors: service.descriptors(),
            wal_bytes: wal.map_or(0, |wal| Path::new(&wal).metadata().map_or(0, |file| file.len())),
            waiting,
            slowest,
        }
    }
}

/// The most of something in a part of the looks.
pub fn most(looks: &[Usage], of: impl Fn(&Usage) -> u64) -> u64 {
    looks.iter().map(of).max().expect("there were looks")
}

/// The middle one.
pub fn median(looks: &[Usage], of: impl Fn(&Usage) -> u64) -> u64 {
    let mut all: Vec<u64> = looks.iter().map(of).collect();
    all.sort_unstable();
    all[all.len() / 2]
}
