//! Everything as it was at the first start: no messages, no payloads, no rows in tables that were made here, the system's time. Clients,
//! keys and definitions stay; seed files are pushed anew.
//!
//! Business databases come first: a crash on the way leaves messages whose rows are gone, and the next reset goes on from there.

use std::collections::BTreeMap;

use serde::Serialize;

use super::seed::{self, Seeded};
use super::{Refusal, clock, hold_all};
use crate::business::reset::Emptied;
use crate::definitions::Definitions;
use crate::domain::entity::Entity;
use crate::pipeline::Context;
use crate::pipeline::sweep::sweep_uploads;
use crate::sandbox::Sandbox;
use crate::storage::reset::Removed;

/// What a reset removed, and what it put there.
#[derive(Debug, Serialize)]
pub struct Reset {
    /// From the store.
    pub removed: Removed,
    /// Faults that stood.
    pub faults: usize,
    /// Requests in the journal.
    pub journal: usize,
    /// How far the clock was ahead.
    pub clock_ahead_seconds: i64,
    /// What became of the tables of the entities.
    pub tables: Vec<Table>,
    /// The files that were pushed, and how they ended.
    pub seeded: Vec<Seeded>,
}

/// What became of one table.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// The database, by its name in the settings.
    pub database: String,
    /// The table.
    pub table: String,
    /// `emptied`; `left`: it was not made here; `missing`: it is still to be made.
    pub state: &'static str,
    /// Rows that went.
    pub rows: u64,
}

/// Takes everything back, then pushes the seed files and waits for how they end.
///
/// # Errors
/// [`Refusal`]; a database or blob store that failed on the way may have been emptied in part: ask again.
pub async fn reset(context: &Context, definitions: &Definitions, sandbox: &Sandbox) -> Result<Reset, Refusal> {
    let _turn = sandbox.turn.lock().await;
    let mut done = empty(context, definitions, sandbox).await?;
    if let Some(folder) = &sandbox.seed {
        done.seeded = seed::push(context, definitions, folder).await;
    }
    Ok(done)
}

async fn empty(context: &Context, definitions: &Definitions, sandbox: &Sandbox) -> Result<Reset, Refusal> {
    let held = hold_all(context, sandbox).await?;
    let faults = sandbox.faults.remove(None);
    let begun = context.store.begun_imports().await?;
    for database in context.databases.iter() {
        database.forget_loads(&begun).await?;
    }
    let tables = empty_tables(context, definitions).await?;
    let removed = context.store.reset(context.clock.now()).await?;
    // What cannot be deleted now goes with the next housekeeping.
    while sweep_uploads(context).await? > 0 {}
    let clock_ahead_seconds = clock::stand(&context.clock).ahead_seconds;
    clock::put_ahead(context, 0).await?;
    let journal = sandbox.journal.clear();
    drop(held);
    tracing::warn!(
        messages = removed.messages,
        blobs = removed.blobs,
        "the sandbox was reset"
    );
    Ok(Reset {
        removed,
        faults,
        journal,
        clock_ahead_seconds,
        tables,
        seeded: Vec::new(),
    })
}

async fn empty_tables(context: &Context, definitions: &Definitions) -> Result<Vec<Table>, Refusal> {
    let mut tables: BTreeMap<(String, String), Table> = BTreeMap::new();
    for database in context.databases.iter() {
        let name = database.name();
        let own = definitions.entities.iter().filter(|entity| entity.database == name);
        let own: Vec<&Entity> = own.collect();
        let emptied = database.empty_made_tables(&own).await?;
        for (entity, emptied) in own.into_iter().zip(emptied) {
            let (state, rows) = match emptied {
                Emptied::Rows(rows) => ("emptied", rows),
                Emptied::NotOurs => ("left", 0),
                Emptied::NotMade => ("missing", 0),
            };
            let key = (name.to_owned(), entity.table.clone());
            let table = tables.entry(key).or_insert_with_key(|(database, table)| Table {
                database: database.clone(),
                table: table.clone(),
                state,
                rows: 0,
            });
            // Two entities may have one table: it is emptied if either says that it may be.
            if state == "emptied" {
                table.state = state;
            }
            table.rows += rows;
        }
    }
    Ok(tables.into_values().collect())
}
