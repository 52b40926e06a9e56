//! What every backend must do, run against each of them: the store and the business databases on SQLite and PostgreSQL,
//! blobs on files, Azurite and an S3 server.

#![allow(
    clippy::disallowed_methods,
    reason = "tests make their own ids and read the environment"
)]

#[path = "../support/mod.rs"]
mod support;

mod blobs;
mod business;
mod store;
