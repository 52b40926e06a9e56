//! What a job says of how the records of a load come to the target: which of them stand or fall together, and what becomes of
//! the rows that are there. Fixed when the load begins, because a rerun must go on as the first attempt began.

use serde::{Deserialize, Serialize};

use crate::domain::job::Atomicity;

/// How the records of a load come to the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Which of them land or are rejected together.
    pub atomicity: Atomicity,
    /// The fields whose values tell documents apart; with [`Atomicity::Document`] only.
    pub document_key: Vec<String>,
    /// The rows to delete before the first record lands, if any (DMF-4).
    pub truncate: Option<Truncate>,
}

/// Each record by itself, and nothing is replaced.
static RECORD: Policy = Policy {
    atomicity: Atomicity::Record,
    document_key: Vec::new(),
    truncate: None,
};

impl Policy {
    /// Each record by itself, and nothing is replaced.
    #[must_use]
    pub fn record() -> &'static Self {
        &RECORD
    }
}

/// Which rows of the target a load replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Truncate {
    /// All of them.
    All,
    /// Those of one company.
    Company {
        /// The entity's company field.
        field: String,
        /// Its value.
        company: String,
    },
}
