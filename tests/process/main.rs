//! The installed binary as a child process: started, killed, paused, stopped and looked at from outside.

#![allow(clippy::disallowed_methods, reason = "tests read the environment")]

#[path = "../support/mod.rs"]
mod support;

mod readings;
mod reload;
mod service;
mod site;
mod wire;

mod agent;
mod audit;
mod backups;
mod blob_host;
mod buckets;
mod bulk;
mod collector;
mod compose;
mod console;
mod copies;
mod crash;
mod crash_matrix;
mod destinations;
mod disasters;
mod doctor;
mod endings;
mod entities;
mod erase;
mod export_crashes;
mod exports;
mod first_steps;
mod held;
mod hostile;
mod how_to;
mod idle;
mod keys;
mod lease;
mod liveness;
mod load;
mod no_store;
mod out_of_reach;
mod package_export_crashes;
mod package_imports;
mod packages;
mod power_cut;
mod requests;
mod sandbox;
mod schedules;
mod secrets;
mod several;
mod shutdown;
mod slow_statements;
mod snippets;
mod stepped_clocks;
mod tls;
mod traces;
mod upgrade;
mod waited_runs;
mod webhooks;
