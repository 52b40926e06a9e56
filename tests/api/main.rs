//! The running application over HTTP: a real server, a real database, real blobs. One file per theme.

#![allow(
    clippy::disallowed_methods,
    reason = "tests make their own ids and read the environment"
)]
#![expect(
    clippy::unwrap_used,
    reason = "an answer of another shape than expected fails the test where it is read"
)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod admission;
mod answers;
mod app;
mod atomicity;
mod audit;
mod bad_records;
mod batches;
mod blob_host;
mod bulk;
mod client;
mod clients;
mod composite_exports;
mod composites;
mod console;
mod copies;
mod damage;
mod dead_letters;
mod delays;
mod described;
mod destinations;
mod disconnects;
mod entities;
mod error_files;
mod exports;
mod formats;
mod hostile;
mod identity;
mod incremental;
mod interrupted;
mod leases;
mod lost_blobs;
mod metrics;
mod metrics_page;
mod northwind;
mod odata;
mod openapi;
mod order;
mod out_of_reach;
mod package_exports;
mod package_imports;
mod package_order;
mod packages;
mod packing;
#[cfg(feature = "parquet")]
mod parquet;
mod pauses;
mod processes;
mod queue_snapshot;
mod rates;
mod record_keys;
mod relay;
mod replay;
mod resubmit;
mod room;
mod round_trip;
mod rules;
mod run_history;
mod sandbox;
mod schedule_clocks;
mod schedules;
mod security;
mod side_by_side;
mod skip_staging;
mod status;
mod superseded;
mod tokens;
mod truncate;
mod unreadable_values;
mod uploads;
mod waiting;
mod webhooks;
mod wire_rules;
