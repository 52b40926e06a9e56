//! Tranship: a self-hosted recurring-integration service.
//!
//! Middleware pushes files in; Tranship queues them durably, stages them, and lands them record by record in business tables.
//! On a schedule it takes business data out, packs it, stores it, and queues it for collection. Everything has one status
//! that callers poll.
//!
//! # How a message travels in
//!
//! [`http`] authenticates the caller, finds the job and hands the body to [`pipeline::enqueue`]. The bytes are hashed as they
//! come; a small payload is kept in memory, a large one streams into [`blob`] under an upload row that was committed first.
//! When the bytes are durable, one transaction in [`storage`] inserts the message and moves the upload row to `used`; only
//! then is the caller answered. Blob first, row second: a crash leaves a blob for the sweep, never a row that points at
//! nothing.
//!
//! [`worker`] claims the message under a lease with a new epoch and runs [`pipeline::import`]: it raises the message's fence in
//! the [`business`] database, reads the payload (its digest is verified on the way; a package is taken apart, file by file), lets
//! [`mod@format`] unpack and decode it, cut it into records, type them and map them to the entity's fields, and stages them
//! batch by batch with a marker of how far it came. Staged records are
//! validated as a set; ranges of records become chunks; each chunk is promoted into the target in one transaction that
//! also writes its marker and rejects. Whatever crashes, the next attempt reads the markers and goes on. At the end counts and
//! rejects are copied from the markers into the store, and only if they add up does the message end.
//!
//! # How a message travels out
//!
//! Once a second [`scheduler`] computes which due times lie between the last evaluation and now, in each job's own zone, decides
//! by the job's policies which of them run, and records them under the unique `(job, due_at)`. A worker claims an occurrence and runs [`pipeline::export`]: all entities are
//! read inside one snapshot, written as data files, zipped, hashed and stored; then one transaction queues the outbound message
//! and closes the occurrence. A client dequeues it under a lease, downloads, verifies, acknowledges; without an
//! acknowledgement the lease lapses and the message is offered again. Delivery is at least once. Where a job names destinations, that
//! transaction also inserts a delivery for each, which [`destination`] brings there.
//!
//! # How others hear of it
//!
//! The transaction that ends a message of a job with a webhook also inserts a delivery. [`webhook`] claims deliveries, signs
//! and sends them, and tries again later what did not arrive; the same `webhook-id` goes with every attempt.
//!
//! # How files get here
//!
//! [`agent`] is a program of its own in the same binary: it carries files from folders to the API and back, over HTTP like anybody else.
//!
//! # How all of it survives a lost disk
//!
//! [`backup`] copies the store in one snapshot and after it every blob that snapshot names, beside a running service; a restored store counts
//! its leases from further on, so that fences and receipts of the time since are told apart.
//!
//! # Which way imports point
//!
//! ```text
//! main -> cli -> agent, backup, app -> console -> http, worker, scheduler, webhook, destination -> outgoing -> pipeline -> storage, business, blob, format -> domain
//! ```
//!
//! Arrows may skip a house but never turn back. `storage`, `business`, `blob` and `format` do not know each other; `domain` knows
//! nobody. [`config`], [`clock`], [`definitions`] and [`sandbox`] are values passed in. `tests/repository` keeps it so.

pub mod agent;
pub mod app;
pub mod auth;
pub mod backup;
pub mod blob;
pub mod business;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod definitions;
pub mod destination;
pub mod disk;
pub mod domain;
pub mod failpoint;
pub mod folders;
pub mod format;
pub mod hints;
pub mod http;
pub mod outgoing;
pub mod pipeline;
pub mod sandbox;
pub mod scheduler;
pub mod storage;
pub mod telemetry;
pub mod webhook;
pub mod worker;
