//! Random concurrent runs of a relay queue over HTTP, recorded and judged: `docs/history-checker.md` tells how.

#![allow(
    clippy::disallowed_methods,
    reason = "tests make ids of their own and read the environment"
)]

#[path = "../support/mod.rs"]
mod support;

// The real binary as a child process, as the process tests start it.
#[path = "../process/service.rs"]
#[allow(dead_code, reason = "the process tests use all of it")]
mod service;
#[path = "../process/site.rs"]
#[allow(dead_code, reason = "the process tests use all of it")]
mod site;
#[path = "../process/wire.rs"]
#[allow(dead_code, reason = "the process tests use all of it")]
mod wire;

mod checker;
mod client;
mod cluster;
mod coverage;
mod crowd;
mod drain;
mod history;
mod recorder;
mod runs;
mod schedule;
mod server;
mod trouble;
