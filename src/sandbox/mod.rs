//! The sandbox (`tranship serve --sandbox`): what integration developers test their clients with.
//!
//! Owns: faults that strike on purpose, the journal of what clients sent, tokens written in the settings, the gate by which
//! background work is held. Refuses: to decide where a fault strikes; that is asked for at its place, in `http` and `pipeline`, and
//! nothing of it is there without the sandbox.

pub mod fault;
pub mod faults;
pub mod gate;
pub mod har;
pub mod journal;
pub mod secrets;

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use faults::Faults;
use gate::Gate;
use journal::Journal;

/// The header that marks every answer of a sandbox.
pub const MARK: &str = "x-tranship-sandbox";
/// What it says in a request that no fault is to strike and the journal is to leave out.
pub const SPARED: &str = "spare";

/// The sandbox of one process.
#[derive(Debug)]
pub struct Sandbox {
    /// What goes wrong on purpose.
    pub faults: Faults,
    /// What clients sent, and were answered.
    pub journal: Journal,
    /// By which background work is held.
    pub gate: Gate,
    /// Access tokens that stand for a client, and its name (AUTH-14).
    pub tokens: BTreeMap<String, String>,
    /// The folder of files that are pushed into an empty store.
    pub seed: Option<PathBuf>,
    /// Held by who changes everything: one reset or jump of the clock at a time.
    pub turn: tokio::sync::Mutex<()>,
}

impl Sandbox {
    /// A sandbox without faults, whose journal is empty.
    #[must_use]
    pub fn new(
        clock: &Clock,
        stopping: &CancellationToken,
        tokens: BTreeMap<String, String>,
        seed: Option<PathBuf>,
    ) -> Self {
        Self {
            faults: Faults::new(clock.clone()),
            journal: Journal::default(),
            gate: Gate::new(stopping),
            tokens,
            seed,
            turn: tokio::sync::Mutex::default(),
        }
    }
}
