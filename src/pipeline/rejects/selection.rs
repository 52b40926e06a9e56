//! Which of a message's rejects are wanted, and which of its entities go by a name.

use std::sync::Arc;

use super::corrections::Corrections;
use crate::definitions::Definitions;
use crate::domain::job::ImportSpec;
use crate::domain::reject::RejectPhase;
use crate::pipeline::composite::Composed;
use crate::storage::executions::EntityRun;

/// Some of a message's rejects.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Of the entities with these numbers only; `None`: of all.
    pub entities: Option<Vec<i32>>,
    /// Rejected in this phase only.
    pub phase: Option<RejectPhase>,
    /// These records only, corrected.
    pub corrections: Option<Arc<Corrections>>,
}

impl Selection {
    /// Whether rejects of the entity with this number are wanted.
    #[must_use]
    pub fn takes(&self, entity_no: i32) -> bool {
        self.entities
            .as_ref()
            .is_none_or(|numbers| numbers.contains(&entity_no))
    }

    /// The same without the entities that have none, by what the execution of the message counted: nobody need look for theirs.
    #[must_use]
    pub fn narrowed(&self, runs: &[EntityRun]) -> Self {
        let has_some = |run: &&EntityRun| self.count(std::slice::from_ref(*run)) > 0;
        let numbers = runs.iter().filter(has_some).map(|run| run.entity_no);
        Self {
            entities: Some(numbers.collect()),
            phase: self.phase,
            corrections: self.corrections.clone(),
        }
    }

    /// How many records of an ended execution it takes, by what the execution counted.
    #[must_use]
    pub fn count(&self, runs: &[EntityRun]) -> u64 {
        let taken = runs.iter().filter(|run| self.takes(run.entity_no));
        taken
            .map(|run| match self.phase {
                None => run.staging_errors + run.target_errors,
                Some(RejectPhase::Staging) => run.staging_errors,
                Some(RejectPhase::Target) => run.target_errors,
            })
            .sum()
    }
}

/// The entities of a message that go by one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntitiesNamed {
    /// The name as the definitions or the execution spell it.
    pub label: String,
    /// Their numbers in the message: none where the job loads the entity but this message had nothing of it, several where the
    /// name is that of a composite entity, or a package lists it more than once.
    pub numbers: Vec<i32>,
}

impl EntitiesNamed {
    /// The entities called so, in any case, in a message of which these are the runs; `None` when neither message nor job has
    /// any.
    #[must_use]
    pub fn find(definitions: &Definitions, spec: &ImportSpec, runs: &[EntityRun], name: &str) -> Option<Self> {
        if let Some(composed) = Composed::called(definitions, spec, name) {
            return Some(Self::of_composite(&composed, runs));
        }
        let is_called = |label: &str| label.to_lowercase() == name.to_lowercase();
        let called: Vec<&EntityRun> = runs.iter().filter(|run| is_called(&run.label)).collect();
        let by_job = || {
            let labels = spec
                .entities
                .iter()
                .filter_map(|wanted| definitions.label(&wanted.entity));
            let of_composite = Composed::of_job(definitions, spec).into_iter();
            let mut labels = labels.chain(of_composite.flat_map(|composed| composed.labels().collect::<Vec<_>>()));
            labels.find(|label| is_called(label))
        };
        let label = called.first().map_or_else(by_job, |run| Some(run.label.as_str()))?;
        Some(Self {
            label: label.to_owned(),
            numbers: called.iter().map(|run| run.entity_no).collect(),
        })
    }

    /// Its entities have numbers that follow each other.
    fn of_composite(composed: &Composed<'_>, runs: &[EntityRun]) -> Self {
        let labels: Vec<&str> = composed.labels().collect();
        let is_composite = |runs: &&[EntityRun]| runs.iter().map(|run| run.label.as_str()).eq(labels.iter().copied());
        let found = runs.windows(labels.len().max(1)).find(is_composite);
        Self {
            label: composed.composite.label.clone(),
            numbers: found.into_iter().flatten().map(|run| run.entity_no).collect(),
        }
    }
}
