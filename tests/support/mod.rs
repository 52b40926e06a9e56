//! What every test binary shares: databases and blob stores that exist for one test, what comes
//! between a process and the world, and repeatable randomness.

#![allow(dead_code, reason = "each test binary uses a part of this")]

pub mod blobs;
pub mod chance;
pub mod damage;
pub mod databases;
pub mod files;
pub mod postgres_server;
pub mod preloaded;
pub mod proxy;
pub mod raw_zip;

/// Whether there is time for the forms that take minutes: `TRANSHIP_TEST_LONG`.
pub fn is_long() -> bool {
    std::env::var_os("TRANSHIP_TEST_LONG").is_some()
}
