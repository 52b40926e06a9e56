//! The service store: Tranship's own database, on SQLite or PostgreSQL.
//!
//! Owns: messages, payloads, uploads, leases, executions, record errors, occurrences, clients, keys. Every method is a
//! complete unit of work: no transaction handle leaves this module, and what changes state is one guarded statement
//! or one transaction named after the event. Refuses: files, HTTP, business tables; it never asks what time it is.
//!
//! Writes run on a task of their own, so a caller that is dropped (a client that disconnects) cancels nothing half-way.

pub mod clients;
pub mod dialect;
pub mod error;
pub mod executions;
pub mod keys;
pub mod leases;
pub mod messages;
pub mod migrate;
pub mod occurrences;
pub mod rows;
pub mod uploads;

pub use error::StoreError;

use std::path::PathBuf;

use crate::domain::message::Durability;

/// How to reach the store.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// `sqlite://…` or `postgres://…`.
    pub url: String,
    /// Most connections (PostgreSQL), or most read connections (SQLite; there is one writer).
    pub max_connections: u32,
}

/// What the database server really does with a commit, read at start (promise 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerDurability {
    /// The class an enqueue answer may name.
    pub class: Durability,
    /// Every setting that weakens it, as `name = value`.
    pub weakened_by: Vec<String>,
}

/// The service store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    // pools, runtime handle, durability, file lock: see connect()
    _lock: Option<PathBuf>,
}

impl Store {
    /// Opens the store, creates or migrates its schema, and reads the server's durability settings.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be reached or migrated, or when another process holds a SQLite store.
    pub async fn connect(_settings: &StoreSettings) -> Result<Self, StoreError> {
        todo!()
    }

    /// What the server really does with a commit.
    #[must_use]
    pub fn durability(&self) -> &ServerDurability {
        todo!()
    }

    /// A read that touches the database, for readiness.
    pub async fn ping(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// Closes all connections after running writes have ended.
    pub async fn close(&self) {
        todo!()
    }
}
