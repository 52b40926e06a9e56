//! What every test binary shares: databases and blob stores that exist for one test.

#![allow(dead_code, reason = "each test binary uses a part of this")]

pub mod blobs;
pub mod databases;
